"""The simulator under every policy: nothing overlaps, nothing is lost, nothing leaks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.domain.replay.checks import check_log
from scheduling.domain.replay.simulator import PolicyBroke
from scheduling.domain.replay.views import JobView, Start
from tests.unit.scheduling.replay.traces import (
    DECIDING,
    SCENARIOS,
    frame_of,
    frames,
    play,
    played,
    prepared,
)


def violations(jobs, grid, scenario, log):
    return check_log(
        jobs,
        log,
        scenario,
        capacity=dict(zip(jobs.pool_names, grid.capacity.tolist(), strict=True)),
        data_class=grid.data_class.tolist(),
    )


@pytest.mark.parametrize("name", DECIDING)
@given(frame=frames(), scenario=SCENARIOS)
@settings(max_examples=25, deadline=None)
def test_every_job_runs_once_within_capacity_and_rules(name, frame, scenario):
    jobs, grid, conditions = prepared(frame, scenario)

    log = play(jobs, grid, name)

    assert violations(jobs, grid, conditions, log).total == 0
    assert (log.pool >= 0).all()


@pytest.mark.parametrize("name", DECIDING)
@given(frame=frames(), scenario=SCENARIOS, cut=st.floats(0.1, 0.9), factor=st.floats(0.3, 3.0))
@settings(max_examples=25, deadline=None)
def test_run_times_that_are_not_over_yet_change_no_decision_before(
    name, frame, scenario, cut, factor
):
    jobs, grid, _ = prepared(frame, scenario)
    before = play(jobs, grid, name)
    moment_s = float(np.quantile(before.ended_s, cut))
    has_ended = before.ended_s <= moment_s
    other_s = np.where(has_ended, jobs.runtime_s, jobs.runtime_s * factor)
    # Those that had begun must still not be over at the moment, or it would be known.
    had_begun = ~has_ended & (before.decided_s <= moment_s)
    other_s[had_begun] = np.maximum(other_s, moment_s + 1.0 - before.decided_s)[had_begun]

    after = play(replace(jobs, runtime_s=other_s), grid, name)

    early = before.decided_s < moment_s
    assert (after.decided_s[early] == before.decided_s[early]).all()
    assert (after.pool[early] == before.pool[early]).all()
    assert ((after.decided_s < moment_s) == early).all()


def test_a_view_of_a_job_holds_no_run_time():
    fields = set(JobView.__slots__)

    assert fields == {"index", "home", "units", "submit_s", "req_time_s", "vc", "allowed"}


@pytest.mark.parametrize("name", DECIDING)
@given(frame=frames(max_jobs=15))
@settings(max_examples=10, deadline=None)
def test_the_same_trace_gives_the_same_log(name, frame):
    jobs, grid, _ = prepared(frame)

    first, second = play(jobs, grid, name), play(jobs, grid, name)

    assert (first.pool == second.pool).all()
    assert (first.decided_s == second.decided_s).all()


@given(frame=frames())
@settings(max_examples=30, deadline=None)
def test_the_home_policy_moves_nothing(frame):
    jobs, grid, _ = prepared(frame)

    log = play(jobs, grid, "home")

    assert (log.pool == jobs.home).all()


def test_data_on_the_way_hold_units_and_delay_the_run():
    rows = [("a", 0, 7200, 2), ("a", 1, 3600, 2), ("b", 0, 1, 2)]
    scenario = {"capacity": {"a": 2, "b": 2}, "network": {"gbps": 0.01, "egress_usd_per_gb": 0.0}}
    jobs, grid, _ = prepared(frame_of(rows), scenario)

    log = play(jobs, grid, "least-loaded")

    moved = int(np.flatnonzero(jobs.submit_s == 1)[0])
    assert log.pool[moved] == 1
    assert log.started_s[moved] - log.decided_s[moved] == pytest.approx(2 * 8 / 0.01)


class _Fixed:
    def __init__(self, choose):
        self.choose, self.jobs = choose, []

    def arrived(self, job, now_s):
        self.jobs.append(job)

    def finished(self, job, pool, *, runtime_s):
        pass

    def decide(self, situation):
        return self.choose(self.jobs)


@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(lambda jobs: [Start(job, 0) for job in jobs], id="beyond-capacity"),
        pytest.param(lambda jobs: [Start(jobs[0], 0)] * 2, id="twice"),
        pytest.param(lambda jobs: [], id="never"),
    ],
)
def test_an_impossible_decision_is_refused(choose):
    jobs, grid, _ = prepared(frame_of([("a", 0, 10, 1), ("a", 0, 10, 1)]), {"capacity": {"a": 1}})

    with pytest.raises(PolicyBroke):
        played(jobs, grid, _Fixed(choose), interval_s=3600.0)
