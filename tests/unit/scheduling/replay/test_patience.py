"""Patience: few wait longer than first come, first served would let them."""

from scheduling.domain.replay.policies.patience import Patience
from scheduling.domain.replay.views import JobView


def view(index, submit_s, allowed=(0,)):
    return JobView(index, 0, 1, submit_s, None, "", allowed)


def one_hour(job):
    return 3600.0


def crowded(allowed=(0,)):
    """200 jobs of an hour at once on one unit, none begun, as seen 400 hours later."""
    patience = Patience([1, 1])
    jobs = [view(i, 0.0, allowed) for i in range(200)]
    for job in jobs:
        patience.arrived(job)
    patience.advance(400 * 3600.0, one_hour)
    return patience, jobs


def test_nobody_is_urgent_before_anything_is_known():
    patience, jobs = Patience([1]), [view(0, 0.0)]
    patience.arrived(jobs[0])

    assert patience.urgent(jobs, 1e6, one_hour) == set()


def test_jobs_near_the_limit_are_urgent_but_for_the_longest_few():
    patience, jobs = crowded()
    limit_s = 0.6 * 197 * 3600.0

    urgent = patience.urgent(jobs, 0.95 * limit_s, lambda job: float(job.index))

    assert urgent == set(range(198))


def test_young_jobs_are_not_urgent():
    patience, jobs = crowded()

    assert patience.urgent(jobs, 3600.0, one_hour) == set()


def test_jobs_that_may_run_elsewhere_are_left_to_their_own():
    patience, jobs = crowded(allowed=(0, 1))

    assert patience.urgent(jobs, 0.95 * 0.6 * 197 * 3600.0, one_hour) == set()


def test_a_run_time_that_becomes_known_shortens_the_shadow_queue():
    patience, jobs = Patience([1]), [view(i, 0.0) for i in range(200)]
    for job in jobs:
        patience.arrived(job)
        patience.ended(job, 1.0)
    patience.advance(10_000.0, one_hour)

    urgent = patience.urgent(jobs, 0.9 * 1800.0, one_hour)

    assert len(urgent) == 198
