"""Rules from the literature do what their papers say."""

import numpy as np
import pytest

from scheduling.domain.replay.contest import STANDARD, PolicyName
from scheduling.domain.replay.policies.published import carbon_time, wait_awhile
from tests.unit.scheduling.replay.traces import energy_table, frame_of, play, prepared


def test_the_waiting_rule_takes_the_greenest_begin_and_the_earliest_of_equals():
    assert wait_awhile([5.0, 3.0, 1.0, 1.0], 1.0) == 2


@pytest.mark.parametrize(
    ("carbon", "hours", "expected"),
    [
        pytest.param([5.0, 5.0, 6.0], 1.0, 0, id="nothing-to-save"),
        pytest.param([10.0, 6.0, 5.0, 4.0], 1.0, 1, id="short-jobs-take-the-first-saving"),
        pytest.param([10.0, 6.0, 5.0, 1.0], 50.0, 3, id="long-jobs-wait-for-the-largest"),
    ],
)
def test_carbon_time_weighs_savings_by_the_time_to_completion(carbon, hours, expected):
    assert carbon_time(carbon, hours) == expected


def test_first_to_start_uses_the_first_free_cluster():
    rows = [("a", 0, 7200, 2), ("a", 1, 3600, 2), ("b", 0, 600, 2)]
    jobs, grid, _ = prepared(frame_of(rows), {"capacity": {"a": 2, "b": 2}})

    log = play(jobs, grid, "first-to-start")

    second = int(np.flatnonzero(jobs.submit_s == 1)[0])
    assert (log.pool[second], log.decided_s[second]) == (1, 600.0)


def test_failover_passes_over_a_full_cluster():
    table = energy_table(zones=("Z1", "Z2"))
    table["price_usd_per_mwh"] = np.where(table["zone"] == "Z1", 10.0, 500.0)
    rows = [("a", 0, 7200, 2), ("a", 1, 3600, 2), ("b", 90_000, 60, 2)]
    jobs, grid, _ = prepared(frame_of(rows), {"capacity": {"a": 2, "b": 2}}, energy=table)

    log = play(jobs, grid, "skypilot")

    assert log.pool.tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", ["carbon-time", "wait-awhile"])
def test_carbon_aware_waiting_stays_at_home_and_waits_a_day_at_most(name):
    rows = [("a", 3600 * i, 10 * 3600, 1) for i in range(12)]
    jobs, grid, _ = prepared(frame_of(rows), {"capacity": {"a": 50}})

    log = play(jobs, grid, name)

    waits_h = (log.started_s - jobs.submit_s) / 3600
    assert (log.pool == jobs.home).all()
    assert 0 < waits_h.max() <= 24.1


def test_the_standard_comparison_is_that_of_the_contract():
    assert [name.value for name in STANDARD] == [
        "home", "least-loaded", "cheapest", "greenest", "ours", "bound",
    ]  # fmt: skip
    assert set(STANDARD) < set(PolicyName)
