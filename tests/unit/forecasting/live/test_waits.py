"""The queue played forward is right where it can be, and earlier waits correct it."""

import numpy as np
import pytest

from forecasting.domain.live.waits import (
    FEATURES,
    LONGEST_H,
    Examples,
    JobTimes,
    PoolQueue,
    RecentWaits,
    describe,
    foresee_wait,
    played_wait_h,
    queue_at,
    recent_waits,
)

CALM = RecentWaits(0.0, 0.0)


def queue(free, running=(), waiting=(), capacity=100.0):
    return PoolQueue(
        capacity=capacity,
        free=free,
        running=np.array(running, float).reshape(-1, 2),
        waiting=np.array(waiting, float).reshape(-1, 2),
    )


@pytest.mark.parametrize(
    ("pool", "units", "expected"),
    [
        pytest.param(queue(8), 8, 0.0, id="it-fits-at-once"),
        pytest.param(queue(0, [(8, 3.0), (8, 1.0)]), 8, 1.0, id="after-the-first-end"),
        pytest.param(queue(0, [(8, 3.0), (8, 1.0)]), 16, 3.0, id="after-both-ends"),
        pytest.param(queue(8, [(8, 5.0)], [(16, 2.0)]), 8, 7.0, id="behind-who-waits"),
        pytest.param(queue(4, [(96, 9.0)], [(4, 2.0)]), 4, 2.0, id="after-who-waits-has-run"),
        pytest.param(queue(100), 101, LONGEST_H, id="it-never-fits"),
    ],
)
def test_the_queue_is_played_in_order_of_arrival(pool, units, expected):
    assert played_wait_h(pool, units) == expected


def test_a_pool_at_a_moment_knows_nothing_later():
    jobs = JobTimes(
        submitted=np.array([0.0, 1.0, 2.0, 9.0]),
        started=np.array([0.0, 4.0, np.nan, 9.0]),
        ended=np.array([5.0, np.nan, np.nan, np.nan]),
        units=np.array([8.0, 4.0, 2.0, 1.0]),
        requested_h=np.array([6.0, 3.0, 2.0, 1.0]),
    )

    pool = queue_at(jobs, 3.0, 20.0, upto=3)

    assert pool.running.tolist() == [[8.0, 3.0]]
    assert pool.waiting.tolist() == [[4.0, 3.0], [2.0, 2.0]]
    assert pool.free == 12.0
    assert recent_waits(jobs, 4.5, upto=3) == RecentWaits(3.0, 1.5)


def learned(count, wait_of, seed=5):
    chance = np.random.default_rng(seed)
    pools = [queue(0, [(8, float(left))]) for left in chance.uniform(0.5, 20, count)]
    rows = [describe(pool, 8, CALM) for pool in pools]
    waited = [wait_of(played_wait_h(pool, 8), chance) for pool in pools]
    return Examples(np.array(rows).reshape(count, FEATURES), np.array(waited))


def test_with_few_earlier_waits_the_queue_speaks_alone():
    found = foresee_wait(queue(0, [(8, 4.0)]), 8, learned(5, lambda p, _: p), recent=CALM)

    assert (found.method, found.quantiles_h[1]) == ("played", 4.0)


def test_padded_requests_are_learned_from_earlier_waits():
    halves = learned(200, lambda played, chance: played * chance.uniform(0.4, 0.6))

    found = foresee_wait(queue(0, [(8, 10.0)]), 8, halves, recent=CALM)

    low, middle, high = found.quantiles_h
    assert found.method == "calibrated"
    assert middle == pytest.approx(5.0, abs=0.5)
    assert 3.5 < low < middle < high < 6.6


def test_the_quantiles_cover_what_they_say():
    noisy = learned(400, lambda played, chance: played * chance.lognormal(0, 0.5))
    fresh = np.random.default_rng(11)
    hits = []
    for left in fresh.uniform(0.5, 20, 300):
        found = foresee_wait(queue(0, [(8, left)]), 8, noisy, recent=CALM)
        hits.append(left * fresh.lognormal(0, 0.5) <= found.quantiles_h[2])

    assert 0.84 <= np.mean(hits) <= 0.96


def test_what_is_larger_than_the_pool_never_starts_there():
    found = foresee_wait(queue(50), 101, learned(50, lambda p, _: p), recent=CALM)

    assert (found.method, found.quantiles_h) == ("too-large", (LONGEST_H,) * 3)
