"""The begin that is chosen for a job costs what is said, and no other begin costs less."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.domain.replay.begins import Begins, Work, cheapest_begins, held_units

SLOTS, POOLS = 60, 2


def work_of(rows, rates):
    """Jobs of (submit, run, units, delay, egress elsewhere), in hours and USD."""
    submit, run, units, delay, egress = np.array(rows, dtype=float).T
    least = np.minimum(rates.min(), 0.0) * run
    home = np.zeros_like(egress)
    return Work(submit, run, units, delay, np.stack([home, egress], axis=1), least)


def cost_at(work, rates, slot_h, *, job, pool, start_h):
    """What a begin costs, by adding up slot after slot."""
    edges = np.arange(len(rates) + 1) * slot_h
    inside = np.minimum(edges[1:], start_h + work.run_h[job]) - np.maximum(edges[:-1], start_h)
    energy = float((np.maximum(inside, 0.0) * rates[:, pool]).sum())
    delay = work.delay_usd[job] * (start_h - work.submit_h[job])
    return float(work.units[job] * (energy + delay + work.egress_usd[job, pool]))


JOBS = st.lists(
    st.tuples(
        st.floats(0.0, 5.0),
        st.floats(0.0, 4.0),
        st.integers(1, 4),
        st.sampled_from([0.05, 0.5]),
        st.sampled_from([0.0, 0.3, np.inf]),
    ),
    min_size=1,
    max_size=4,
)


@given(rows=JOBS, seed=st.integers(0, 99), slot_h=st.sampled_from([0.25, 1.0]))
@settings(max_examples=60, deadline=None)
def test_no_begin_costs_less_than_the_one_that_is_chosen(rows, seed, slot_h):
    rates = np.random.default_rng(seed).normal(0.5, 0.6, (SLOTS, POOLS))
    work = work_of(rows, rates)

    found = cheapest_begins(work, rates, slot_h)

    for job in range(len(rows)):
        latest_h = SLOTS * slot_h - work.run_h[job]
        for pool in range(POOLS):
            for start_h in np.linspace(work.submit_h[job], max(latest_h, work.submit_h[job]), 150):
                cost = cost_at(work, rates, slot_h, job=job, pool=pool, start_h=start_h)
                assert found.cost_usd[job] <= cost + 1e-9


@given(rows=JOBS, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_chosen_begin_costs_what_is_said(rows, seed):
    rates = np.random.default_rng(seed).uniform(0.1, 1.0, (SLOTS, POOLS))
    work = work_of(rows, rates)

    found = cheapest_begins(work, rates, 1.0)

    for job in range(len(rows)):
        at = found.start_h[job]
        if at + work.run_h[job] >= SLOTS - 1:
            continue
        cost = cost_at(work, rates, 1.0, job=job, pool=found.pool[job], start_h=at)
        assert found.cost_usd[job] == pytest.approx(cost)


def test_a_high_price_now_makes_a_job_wait_until_it_falls():
    rates = np.full((SLOTS, POOLS), 0.1)
    rates[:3] = 9.0
    work = work_of([(0.5, 2.0, 1, 0.5, np.inf)], rates)

    found = cheapest_begins(work, rates, 1.0)

    assert (found.pool[0], found.start_h[0]) == (0, 3.0)


def test_what_is_held_adds_up_to_the_work():
    rates = np.zeros((SLOTS, POOLS))
    work = work_of([(0.5, 2.25, 3, 0.5, np.inf), (1.0, 0.1, 1, 0.5, 0.0)], rates)
    begins = Begins(np.zeros(2), np.array([0, 1]), work.submit_h)

    held = held_units(work, begins, (SLOTS, POOLS), 0.25)

    assert held.sum(axis=0) * 0.25 == pytest.approx([6.75, 0.1])
    assert held.max() == pytest.approx(3.0)
