"""The bound is below every policy and below the best schedule that brute force can find."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.domain.replay.bound import lower_bound
from tests.unit.scheduling.replay.traces import (
    DECIDING,
    SCENARIOS,
    frame_of,
    frames,
    objective,
    play,
    prepared,
)


@given(frame=frames(longest_s=400_000), scenario=SCENARIOS)
@settings(max_examples=100, deadline=None)
def test_no_policy_costs_less_than_the_bound(frame, scenario):
    jobs, grid, _ = prepared(frame, scenario)

    bound = lower_bound(jobs, grid, rounds=4)

    for name in DECIDING:
        log = play(jobs, grid, name)
        cost = objective(jobs, grid, pool=log.pool, started_s=log.started_s)
        assert bound <= cost


def best_on_a_raster(jobs, grid, *, step_s, slots):
    """Least cost over all pools and all starts on a raster; jobs last whole steps."""
    count, pools = len(jobs), len(grid.capacity)
    length = (jobs.runtime_s / step_s).astype(int)
    options = list(itertools.product(range(pools), range(slots)))
    best = np.inf
    for combination in itertools.product(options, repeat=count):
        pool = np.array([p for p, _ in combination])
        slot = np.array([t for _, t in combination])
        started_s = slot * step_s
        if (started_s < jobs.submit_s).any() or not grid.allowed[range(count), pool].all():
            continue
        held = np.zeros((pools, slots + int(length.max())))
        for j in range(count):
            held[pool[j], slot[j] : slot[j] + length[j]] += jobs.units[j]
        if (held <= grid.capacity[:, None]).all():
            best = min(best, objective(jobs, grid, pool=pool, started_s=started_s.astype(float)))
    return best


TINY = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([0, 1800]),
        st.sampled_from([1800, 3600, 5400]),
        st.integers(1, 2),
    ),
    min_size=3,
    max_size=3,
)


@given(rows=TINY, weight=st.sampled_from([0.01, 0.5]))
@settings(max_examples=15, deadline=None)
def test_brute_force_finds_nothing_below_the_bound(rows, weight):
    scenario = {"weights": {"delay_usd_per_unit_h": weight}}
    jobs, grid, _ = prepared(frame_of(rows), scenario)

    best = best_on_a_raster(jobs, grid, step_s=1800, slots=6)

    assert lower_bound(jobs, grid, rounds=25) <= best


def test_without_congestion_the_bound_is_met():
    rows = [("a", 0, 1800, 1), ("a", 90_000, 1800, 1)]
    jobs, grid, _ = prepared(frame_of(rows), {"capacity": {"a": 8}})

    log = play(jobs, grid, "ours")

    cost = objective(jobs, grid, pool=log.pool, started_s=log.started_s)
    assert lower_bound(jobs, grid) == pytest.approx(cost, rel=1e-6)


def test_prices_on_capacity_lift_the_bound_of_a_congested_grid():
    rows = [("a", 0, 7200, 1) for _ in range(12)]
    jobs, grid, _ = prepared(frame_of(rows), {"capacity": {"a": 2}})

    relaxed, priced = lower_bound(jobs, grid, rounds=1), lower_bound(jobs, grid)

    assert priced > 1.5 * relaxed
