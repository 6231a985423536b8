from bisect import bisect_right
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.domain.cluster import Cluster, Job, JobState, NotQueued, NotRunning, Transition

CAPACITY = 8
END = 200

jobs_strategy = st.lists(
    st.tuples(
        st.integers(1, CAPACITY),  # units
        st.integers(1, 60),  # runtime_s
        st.integers(1, END),  # submit_at
    ),
    max_size=25,
).map(
    lambda rows: sorted(
        (Job(f"j{i:02}", units, runtime, at) for i, (units, runtime, at) in enumerate(rows)),
        key=lambda job: job.place,
    )
)
native_strategy = st.dictionaries(st.integers(1, END), st.integers(0, 2 * CAPACITY), max_size=12)


@dataclass
class Snapshot:
    at: int
    allocated: int
    queued: int
    native_queued: int
    waiting: list[Job]
    running: list[Job]


def snapshot(cluster: Cluster) -> Snapshot:
    return Snapshot(
        cluster.at,
        cluster.allocated,
        cluster.queued,
        cluster.native_queued,
        cluster.queued_jobs,
        cluster.running_jobs,
    )


def advance_through(jobs, native, stops) -> tuple[Cluster, list[Transition], list[Snapshot]]:
    cluster = Cluster(CAPACITY, at=0)
    happened, seen = [], []
    moments = [job.submit_at for job in jobs]
    changes = sorted(native.items())
    change_moments = [at for at, _ in changes]
    for stop in stops:
        due = slice(bisect_right(moments, cluster.at), bisect_right(moments, stop))
        due_native = slice(
            bisect_right(change_moments, cluster.at), bisect_right(change_moments, stop)
        )
        happened += cluster.advance(stop, arrivals=jobs[due], native=changes[due_native])
        seen.append(snapshot(cluster))
    return cluster, happened, seen


@given(jobs_strategy, native_strategy)
def test_no_unit_is_promised_twice_and_no_job_is_lost(jobs, native):
    _, happened, seen = advance_through(jobs, native, range(1, END + 1))

    for state in seen:
        level = native.get(max((at for at in native if at <= state.at), default=-1), 0)
        submitted = [job for job in jobs if job.submit_at <= state.at]
        done = {change.key for change in happened if change.state is JobState.DONE}
        finished = {
            change.key
            for change in happened
            if change.state is JobState.DONE and change.at <= state.at
        }
        assert state.allocated <= CAPACITY
        assert finished <= done
        assert {job.key for job in state.waiting} | {job.key for job in state.running} == {
            job.key for job in submitted
        } - finished
        movable = sum(job.units for job in [*state.waiting, *state.running])
        assert state.allocated + state.queued == movable + level


@given(jobs_strategy, native_strategy)
def test_jobs_start_in_order_of_submission_and_run_for_their_run_time(jobs, native):
    _, happened, _ = advance_through(jobs, native, [END])

    starts = [change for change in happened if change.state is JobState.RUNNING]
    started_at = {change.key: change.at for change in starts}
    by_key = {job.key: job for job in jobs}
    assert [by_key[change.key] for change in starts] == [
        job for job in jobs if job.key in started_at
    ]
    assert [change.at for change in happened] == sorted(change.at for change in happened)
    for change in happened:
        job = by_key[change.key]
        if change.state is JobState.DONE:
            assert change.at == started_at[change.key] + job.runtime_s
        else:
            assert change.at >= job.submit_at


@given(jobs_strategy, native_strategy)
def test_nothing_waits_that_could_run(jobs, native):
    _, _, seen = advance_through(jobs, native, range(1, END + 1))

    for state in seen:
        free = CAPACITY - state.allocated
        assert not (state.native_queued and free)
        if state.waiting and not state.native_queued:
            assert state.waiting[0].units > free


@given(jobs_strategy, native_strategy, st.sets(st.integers(1, END), max_size=20))
def test_the_steps_of_the_way_do_not_change_where_it_ends(jobs, native, stops):
    at_once, changes_at_once, _ = advance_through(jobs, native, [END])

    in_steps, changes_in_steps, _ = advance_through(jobs, native, sorted({*stops, END}))

    assert snapshot(in_steps) == snapshot(at_once)
    assert changes_in_steps == changes_at_once


@given(jobs_strategy, native_strategy, st.integers(1, END))
def test_a_restored_cluster_goes_on_like_the_one_it_was_made_from(jobs, native, cut):
    whole, changes, _ = advance_through(jobs, native, [END])
    first, before, _ = advance_through(jobs, native, [cut])
    started = {c.key: c.at for c in before if c.state is JobState.RUNNING}

    second = Cluster.restored(
        CAPACITY,
        cut,
        native_demand=first.native_demand,
        queued=first.queued_jobs,
        running=[(job, started[job.key]) for job in first.running_jobs],
    )
    after = second.advance(
        END,
        arrivals=[job for job in jobs if job.submit_at > cut],
        native=sorted((at, level) for at, level in native.items() if at > cut),
    )

    assert snapshot(second) == snapshot(whole)
    assert before + after == changes


@given(jobs_strategy, native_strategy, st.integers(1, END), st.randoms(use_true_random=False))
def test_a_withdrawn_and_released_job_keeps_its_place(jobs, native, cut, random):
    cluster, _, _ = advance_through(jobs, native, [cut])
    waiting = cluster.queued_jobs
    # The last one: nothing behind it can use the gap.
    job = waiting[-1] if waiting else None
    before = snapshot(cluster)

    if job:
        cluster.withdraw(job.key, submit_at=job.submit_at)
        assert job not in cluster.queued_jobs
        cluster.submit(job)

    assert snapshot(cluster) == before
    if len(waiting) > 1:
        middle = random.choice(waiting)
        cluster.withdraw(middle.key, submit_at=middle.submit_at)
        cluster.submit(middle)
        left = cluster.queued_jobs
        assert left == [other for other in waiting if other in left]


def test_a_large_job_at_the_head_holds_back_the_small_ones_behind_it():
    cluster = Cluster(8, at=0)
    cluster.submit(Job("running", 6, 100, 0))

    cluster.submit(Job("large", 4, 10, 0))
    changes = cluster.submit(Job("tiny", 1, 10, 0))

    assert changes == []
    assert [job.key for job in cluster.queued_jobs] == ["large", "tiny"]


def test_withdrawing_the_head_starts_what_stood_behind_it():
    cluster = Cluster(8, at=0)
    cluster.submit(Job("a-running", 6, 100, 0))
    cluster.submit(Job("b-large", 4, 10, 0))
    cluster.submit(Job("c-tiny", 1, 10, 0))

    changes = cluster.withdraw("b-large", submit_at=0)

    assert changes == [Transition("c-tiny", JobState.RUNNING, 0)]


def test_waiting_native_demand_goes_before_movable_jobs():
    cluster = Cluster(8, at=0, native_demand=8)
    cluster.submit(Job("movable", 4, 100, 0))

    cluster.advance(10, native=[(5, 12)])
    still_waiting = cluster.queued
    changes = cluster.advance(20, native=[(15, 3)])

    assert still_waiting == 4 + 4
    assert changes == [Transition("movable", JobState.RUNNING, 15)]
    assert (cluster.allocated, cluster.queued) == (7, 0)


def test_growing_native_demand_never_stops_a_movable_job():
    cluster = Cluster(8, at=0)
    cluster.submit(Job("movable", 6, 100, 0))

    cluster.advance(50, native=[(10, 8)])

    assert (cluster.native_running, cluster.native_queued) == (2, 6)
    assert [job.key for job in cluster.running_jobs] == ["movable"]


def test_a_running_job_cannot_be_withdrawn():
    cluster = Cluster(8, at=0)
    cluster.submit(Job("movable", 6, 100, 0))

    with pytest.raises(NotQueued):
        cluster.withdraw("movable", submit_at=0)


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(Job("j", 9, 10, 0), id="larger than the cluster"),
        pytest.param(Job("j", 0, 10, 0), id="without units"),
        pytest.param(Job("j", 1, 10, 1), id="from the future"),
    ],
)
def test_a_job_that_could_never_start_is_not_queued(job):
    cluster = Cluster(8, at=0)

    with pytest.raises(ValueError, match="cannot be queued"):
        cluster.submit(job)


@pytest.mark.parametrize(
    ("to", "arrivals", "native"),
    [
        pytest.param(9, [], [], id="backwards"),
        pytest.param(20, [Job("j", 1, 1, 10)], [], id="arrival before the window"),
        pytest.param(20, [Job("j", 1, 1, 21)], [], id="arrival after the window"),
        pytest.param(20, [], [(10, 3)], id="native change before the window"),
    ],
)
def test_an_event_outside_the_window_is_refused(to, arrivals, native):
    cluster = Cluster(8, at=10)

    with pytest.raises(ValueError, match="cannot advance"):
        cluster.advance(to, arrivals=arrivals, native=native)


def test_jobs_of_one_moment_start_in_order_of_their_keys():
    jobs = [replace(Job("x", 4, 10, 5), key=key) for key in ("a", "b", "c")]
    cluster = Cluster(8, at=0)

    changes = cluster.advance(5, arrivals=jobs)

    assert [change.key for change in changes] == ["a", "b"]


def test_a_stopped_job_leaves_its_units_to_those_who_wait_and_never_ends():
    cluster = Cluster(8, at=0)
    cluster.submit(Job("runs", 8, 100, 0))
    cluster.submit(Job("waits", 4, 10, 0))

    started = cluster.stop("runs")
    later = cluster.advance(200)

    assert [(change.key, change.state.value) for change in started] == [("waits", "RUNNING")]
    assert [change.key for change in later] == ["waits"]
    assert cluster.allocated == 0


def test_what_does_not_run_cannot_be_stopped():
    with pytest.raises(NotRunning):
        Cluster(8, at=0).stop("nobody")
