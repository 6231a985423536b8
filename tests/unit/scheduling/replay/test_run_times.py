"""Guesses of run times: what is known of a job's like, and how heavy its tail is."""

import pytest

from scheduling.domain.replay.policies.run_times import RunTimes
from scheduling.domain.replay.views import JobView

HOUR_S = 3600.0


def view(index, submit_s=0.0, req_time_s=None):
    return JobView(index, 0, 1, submit_s, req_time_s, "", (0,))


@pytest.fixture
def run_times():
    return RunTimes()


def submitted(run_times, count, gap_s=1.0):
    jobs = [view(index, index * gap_s) for index in range(count)]
    for job in jobs:
        run_times.submitted(job)
    return jobs


def test_jobs_are_untried_until_enough_of_their_like_run(run_times):
    jobs = submitted(run_times, 4)
    before = run_times.is_untried(jobs[3], 2)

    run_times.started(jobs[0], 10.0)
    one_runs = run_times.is_untried(jobs[3], 2)
    run_times.started(jobs[1], 10.0)
    two_run = run_times.is_untried(jobs[3], 2)

    assert (before, one_runs, two_run) == (True, True, False)


def test_jobs_of_another_hour_that_run_are_no_trial(run_times):
    jobs = submitted(run_times, 3, gap_s=2 * HOUR_S)
    run_times.started(jobs[0], 10.0)
    run_times.started(jobs[1], 10.0)

    assert run_times.is_untried(jobs[2], 1)


def test_a_job_whose_neighbor_has_ended_is_not_untried(run_times):
    jobs = submitted(run_times, 2)
    run_times.started(jobs[0], 10.0)
    run_times.ended(jobs[0], 600.0)

    run_times.renew(700.0)

    assert not run_times.is_untried(jobs[1], 2)


def test_who_is_looked_at_again_is_guessed_anew(run_times):
    jobs = submitted(run_times, 2)
    run_times.started(jobs[0], 10.0)

    run_times.look_again(jobs[0])

    assert run_times.renew(20.0) == [jobs[1]]


def test_the_mean_square_is_never_below_the_square_of_the_mean(run_times):
    jobs = submitted(run_times, 50)
    for job in jobs[:40]:
        run_times.started(job, 100.0)
        run_times.ended(job, 1.0)

    assert run_times.square_s2(jobs[45]) >= run_times.expected_s(jobs[45]) ** 2


def test_rare_long_runs_lift_the_mean_square_more_than_the_mean(run_times):
    jobs = submitted(run_times, 300, gap_s=2 * HOUR_S)
    before = [run_times.expected_s(jobs[-1]), run_times.square_s2(jobs[-1])]

    for i, job in enumerate(jobs[:200]):
        run_times.started(job, job.submit_s)
        run_times.ended(job, 60 * HOUR_S if i % 20 == 19 else HOUR_S)

    mean = run_times.expected_s(jobs[-1]) / before[0]
    assert run_times.square_s2(jobs[-1]) / before[1] > 2.0 * mean**2


def test_nobody_is_expected_to_pass_what_the_user_asked_for(run_times):
    job = view(0, req_time_s=60.0)
    run_times.submitted(job)

    assert run_times.square_s2(job) <= 60.0**2
