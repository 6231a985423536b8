"""The independent check finds what is wrong; the report adds up."""

from dataclasses import replace

import numpy as np
import pytest

from scheduling.domain.replay.checks import Violations, check_log
from scheduling.domain.replay.contest import PolicyName, compare
from scheduling.domain.replay.report import measure
from scheduling.domain.replay.scenario import read_scenario
from scheduling.domain.replay.simulator import EventLog
from tests.unit.scheduling.replay.traces import frame_of, objective, play, prepared

ROWS = [("a", 0, 3600, 2), ("a", 0, 1800, 1), ("b", 60, 600, 1)]
CLOSED = {"data_class": {"secret": 1.0}, "sovereignty": {"secret": []}}


def sound_log():
    return EventLog(
        pool=np.array([0, 0, 1]),
        decided_s=np.array([0.0, 3600.0, 60.0]),
        started_s=np.array([0.0, 3600.0, 60.0]),
        ended_s=np.array([3600.0, 5400.0, 660.0]),
        decision_s=np.array([0.1]),
    )


def check(log, scenario=None):
    jobs, _, _ = prepared(frame_of(ROWS))
    return check_log(
        jobs,
        log,
        read_scenario(scenario or {}),
        capacity={"a": 2, "b": 1},
        data_class=["secret"] * 3,
    )


def test_a_sound_log_has_no_violation():
    assert check(sound_log(), CLOSED).total == 0


@pytest.mark.parametrize(
    ("change", "scenario", "expected"),
    [
        pytest.param(
            {"decided_s": np.array([0.0, 0.0, 60.0])}, {}, Violations(1, 0, 0, 0), id="overlap"
        ),
        pytest.param({"pool": np.array([0, 1, 1])}, CLOSED, Violations(0, 1, 0, 0), id="moved"),
        pytest.param({"pool": np.array([0, -1, 1])}, {}, Violations(0, 0, 0, 1), id="lost"),
        pytest.param(
            {"started_s": np.array([0.0, 3600.0, 0.0]), "decided_s": np.array([0.0, 3600.0, 0.0])},
            {},
            Violations(0, 0, 0, 1),
            id="too-early",
        ),
    ],
)
def test_what_is_wrong_is_counted(change, scenario, expected):
    assert check(replace(sound_log(), **change), scenario) == expected


def test_a_job_on_another_unit_is_counted():
    frame = frame_of(ROWS).assign(gpus=[2, 1, 0], cores=[0, 0, 1])
    jobs, _, scenario = prepared(frame)
    log = replace(sound_log(), pool=np.array([0, 0, 0]))

    found = check_log(jobs, log, scenario, capacity={"a": 9, "b": 9}, data_class=["open"] * 3)

    assert found.unit == 1


def test_the_objective_is_the_sum_of_its_parts():
    jobs, grid, _ = prepared(frame_of(ROWS * 5), {"capacity": {"a": 2, "b": 2}})
    log = play(jobs, grid, "least-loaded")

    report = measure(jobs, grid, log, violations=Violations(0, 0, 0, 0), bound_usd=1.0, wall_s=0.0)

    parts = (
        report.energy_cost_usd + report.carbon_cost_usd + report.delay_cost_usd + report.egress_usd
    )
    assert report.objective == pytest.approx(parts)
    assert report.objective == pytest.approx(
        objective(jobs, grid, pool=log.pool, started_s=log.started_s)
    )
    assert report.carbon_cost_usd == pytest.approx(report.carbon_kg / 1000 * 50)
    assert sum(report.unit_h.values()) == pytest.approx(jobs.unit_h.sum())
    assert report.moved_gb == pytest.approx(report.egress_usd / 0.05)
    assert report.ratio_to_bound == report.objective


def test_distances_of_moves_are_measured_where_places_are_known():
    scenario = {"capacity": {"a": 2, "b": 2}, "places": {"a": [0, 0], "b": [0, 90]}}
    jobs, grid, _ = prepared(
        frame_of([("a", 0, 3600, 2), ("a", 1, 3600, 2), ("b", 9e4, 1, 1)]), scenario
    )
    log = play(jobs, grid, "least-loaded")

    report = measure(jobs, grid, log, violations=Violations(0, 0, 0, 0), bound_usd=None, wall_s=0.0)

    quarter_km = np.pi / 2 * 6371
    assert report.moved_gb_km == pytest.approx(report.moved_gb * quarter_km)
    assert report.moved_jobs == 1
    assert report.ratio_to_bound is None


def test_only_what_is_asked_for_is_compared():
    jobs, grid, scenario = prepared(frame_of(ROWS))
    told = []

    reports, bound_usd = compare(
        jobs,
        grid,
        scenario,
        names=(PolicyName.OURS,),
        stopwatch=lambda: 0.0,
        progress=lambda name, done: told.append((name, done)),
    )

    assert (list(reports), bound_usd) == (["ours"], None)
    assert told[-1] == ("ours", 3)


def test_short_work_is_not_kept_behind_long_work_when_it_is_known_to_be_short():
    long, short = [("a", 0, 36000, 1)], [("a", i, 60, 1) for i in range(1, 40)]
    frame = frame_of(long * 6 + short).assign(req_time_s=[36000] * 6 + [60] * 39)
    jobs, grid, _ = prepared(frame, {"capacity": {"a": 2}})

    waits = {}
    for name in ("home", "ours"):
        log = play(jobs, grid, name)
        waits[name] = float((log.started_s - jobs.submit_s).mean())

    assert waits["ours"] < 0.8 * waits["home"]
