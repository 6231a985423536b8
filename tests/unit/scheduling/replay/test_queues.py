"""Backfill lets past only who does not delay the head of the queue, by its own estimates."""

from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.replay.policies.queues import fill, reservation
from scheduling.domain.replay.views import JobView


def view(index, units, req_time_s):
    return JobView(index, 0, units, 0.0, req_time_s, "", (0,))


@given(
    asked=st.lists(st.tuples(st.integers(1, 8), st.integers(1, 500)), min_size=1, max_size=12),
    held=st.lists(st.tuples(st.integers(1, 500), st.integers(1, 4)), max_size=6),
    free=st.integers(0, 8),
)
def test_the_head_starts_no_later_than_without_backfill(asked, held, free):
    jobs = [view(i, units, float(req_s)) for i, (units, req_s) in enumerate(asked)]
    releases = sorted((float(at_s), units) for at_s, units in held)

    chosen = fill(jobs, free, now_s=0.0, releases=lambda: releases, limit_s=lambda j: j.req_time_s)

    assert sum(job.units for job in chosen) <= free
    prefix = next((i for i, job in enumerate(jobs) if job not in chosen), len(jobs))
    if prefix == len(jobs):
        return
    ahead, passing = jobs[:prefix], [job for job in chosen if job.index > prefix]
    left = free - sum(job.units for job in ahead)
    ends = sorted([*releases, *((job.req_time_s, job.units) for job in ahead)])
    without_s, _ = reservation(jobs[prefix].units, left, ends)
    all_ends = sorted([*ends, *((job.req_time_s, job.units) for job in passing)])
    with_s, _ = reservation(jobs[prefix].units, left - sum(job.units for job in passing), all_ends)
    assert with_s <= without_s


def test_a_short_job_passes_a_blocked_one():
    jobs = [view(0, 4, 100.0), view(1, 1, 50.0), view(2, 1, 500.0)]

    chosen = fill(
        jobs, 2, now_s=0.0, releases=lambda: [(60.0, 2)], limit_s=lambda job: job.req_time_s
    )

    assert [job.index for job in chosen] == [1]


def test_a_long_job_passes_on_units_that_the_reservation_leaves():
    jobs = [view(0, 4, 100.0), view(1, 1, 5000.0)]

    chosen = fill(
        jobs, 2, now_s=0.0, releases=lambda: [(60.0, 3)], limit_s=lambda job: job.req_time_s
    )

    assert [job.index for job in chosen] == [1]
