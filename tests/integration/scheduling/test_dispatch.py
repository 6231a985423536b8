"""Approved plans against real engines behind real HTTP, with every fault that they can act out."""

import datetime as dt

import pytest

from controlplane.lib import clock
from scheduling.domain.lifecycle import CommandState, MoveState, PassageState, PlanState
from scheduling.models import DispatchCommand, Move, Passage, RebalancingPlan, Workload
from scheduling.services import commands, dispatching
from tests.outside import START, TOKEN, job, outside, pool

HOUR = dt.timedelta(hours=1)
JOBS = [job(f"job-{n}", units=8, runtime_h=2.0) for n in range(2)]
BLOCKER = job("blocker", units=64, runtime_h=30.0)


@pytest.fixture
def engines(grid, tmp_path, settings):
    """`bj` is full with a long job and two jobs wait; `nm` and `gz` are empty but for natives."""
    settings.ENGINE_TOKEN = TOKEN
    pools = {
        "bj-gpu": (pool("bj-gpu", 64), [BLOCKER, *JOBS]),
        "nm-gpu": (pool("nm-gpu", 64, native=8), []),
        "gz-gpu": (pool("gz-gpu", 64, native=8), []),
    }
    with outside(tmp_path, pools) as world:
        for row in grid.pools.values():
            row.engine_url = world.url
            row.save()
        world.advance(0.1)
        yield world


@pytest.fixture
def approved_plan(grid, approved):
    return approved(grid.draft())


def turn(now=START):
    """One turn of the loop, without waiting for what is due later."""
    DispatchCommand.objects.update(due_wall_at=clock.wall_now() - HOUR)
    dispatching.start_plans(now)
    dispatching.start_moves(now)
    for _ in range(4):
        commands.sweep(now)
        DispatchCommand.objects.update(due_wall_at=clock.wall_now() - HOUR)
    commands.track(now)
    dispatching.close_moves(now)


def plan_state(plan):
    return PlanState(RebalancingPlan.objects.get(pk=plan.pk).state)


def states(plan):
    rows = Passage.objects.filter(move__plan=plan).order_by("pk")
    return list(rows.values_list("state", flat=True))


def jobs_at(world, pool_code, plan):
    keys = list(
        DispatchCommand.objects.filter(passage__move__plan=plan, kind="SUBMIT").values_list(
            "key", flat=True
        )
    )
    return world.engine.jobs(pool_code, keys)


def test_an_approved_plan_moves_its_jobs_once(engines, approved_plan):
    turn()

    assert plan_state(approved_plan) is PlanState.COMPLETED
    assert states(approved_plan) == ["RUNNING", "RUNNING"]
    assert [j.state.value for j in jobs_at(engines, "nm-gpu", approved_plan)] == ["RUNNING"] * 2
    assert engines.engine.job("bj-gpu", "job-0").state.value == "WITHDRAWN"


def test_turning_the_loop_again_changes_nothing(engines, approved_plan):
    turn()
    before = list(DispatchCommand.objects.order_by("pk").values_list("key", "state", "attempts"))

    turn()

    after = list(DispatchCommand.objects.order_by("pk").values_list("key", "state", "attempts"))
    assert after == before


def test_a_moved_job_is_followed_to_its_end(engines, approved_plan):
    turn()
    engines.advance(3)

    commands.track(engines.now)

    assert states(approved_plan) == ["FINISHED", "FINISHED"]
    passage = Passage.objects.filter(move__plan=approved_plan).first()
    assert passage.finished_at - passage.started_at == 2 * HOUR


def test_a_plan_that_was_not_approved_is_never_started(engines, grid):
    plan = grid.draft()

    turn()

    assert plan_state(plan) is PlanState.DRAFT
    assert DispatchCommand.objects.count() == 0


def test_a_job_that_started_at_home_meanwhile_is_left_alone(engines, grid, approved):
    running = grid.workload(7, state="QUEUED")  # the engine of bj does not know it as waiting
    plan = approved(grid.draft(workloads=[running]))

    turn()

    assert states(plan) == ["SKIPPED"]
    assert plan_state(plan) is PlanState.FAILED
    assert jobs_at(engines, "nm-gpu", plan) == []


def test_a_substitute_of_the_same_group_takes_the_place_of_one_that_started(
    engines, grid, approved
):
    first, second = grid.workload(0), grid.workload(1)
    plan = approved(grid.draft(workloads=[first]))
    Workload.objects.filter(pk=first.pk).update(state="RUNNING", started_at=START)

    turn()

    assert states(plan) == ["SKIPPED", "RUNNING"]
    assert Passage.objects.get(move__plan=plan, state="RUNNING").workload_id == second.pk
    assert plan_state(plan) is PlanState.COMPLETED


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_lost_answers_never_make_a_second_job(engines, approved_plan, lost):
    engines.fail_next(drop_responses=lost)

    for _ in range(3):
        turn()

    assert plan_state(approved_plan) is PlanState.COMPLETED
    assert len(jobs_at(engines, "nm-gpu", approved_plan)) == 2
    assert DispatchCommand.objects.exclude(state="CONFIRMED").count() == 0


def test_a_command_whose_answer_is_lost_is_unknown_until_the_engine_is_asked(
    engines, approved_plan
):
    dispatching.start_plans(START)
    dispatching.start_moves(START)
    engines.fail_next(drop_responses=1)

    commands.sweep(START)

    unknown = DispatchCommand.objects.get(state=CommandState.UNKNOWN)
    assert unknown.kind == "WITHDRAW"
    assert unknown.passage.state == PassageState.WITHDRAWING


def test_a_sender_that_died_on_the_way_is_found_and_settled(engines, approved_plan):
    dispatching.start_plans(START)
    dispatching.start_moves(START)
    DispatchCommand.objects.update(
        state=CommandState.SENT, sent_wall_at=clock.wall_now() - dt.timedelta(minutes=1)
    )

    turn()

    assert plan_state(approved_plan) is PlanState.COMPLETED
    assert len(jobs_at(engines, "nm-gpu", approved_plan)) == 2


def test_an_engine_that_is_away_changes_nothing_until_it_is_back(engines, grid, approved_plan):
    url = grid.pools["nm"].engine_url
    grid.pools["nm"].engine_url = "http://127.0.0.1:9"
    grid.pools["nm"].save()
    turn()
    assert states(approved_plan) == ["SUBMITTING", "SUBMITTING"]
    assert plan_state(approved_plan) is PlanState.DISPATCHING

    grid.pools["nm"].engine_url = url
    grid.pools["nm"].save()
    turn()

    assert plan_state(approved_plan) is PlanState.COMPLETED


def test_a_destination_that_refuses_sends_the_job_back_to_its_old_place(
    engines, grid, approved_plan
):
    grid.pools["nm"].code = "no-such-pool"
    grid.pools["nm"].save()
    grid.state("nm", allocated=8.0)

    turn()

    assert states(approved_plan) == ["RETURNED", "RETURNED"]
    assert plan_state(approved_plan) is PlanState.FAILED
    home = engines.engine.jobs("bj-gpu", ["job-0", "job-1"])
    assert [j.state.value for j in home] == ["QUEUED", "QUEUED"]


def test_a_failed_compensation_asks_for_a_person(engines, grid, approved_plan):
    dispatching.start_plans(START)
    dispatching.start_moves(START)
    commands.sweep(START)
    grid.pools["nm"].code = grid.pools["bj"].code = "no-such-pool"
    grid.pools["bj"].code = "nor-this"
    for row in grid.pools.values():
        row.save()

    for _ in range(4):
        DispatchCommand.objects.update(due_wall_at=clock.wall_now() - HOUR)
        commands.sweep(START)
    dispatching.close_moves(START)

    assert states(approved_plan) == ["NEEDS_HUMAN", "NEEDS_HUMAN"]
    assert plan_state(approved_plan) is PlanState.FAILED


def test_nothing_is_sent_where_there_is_no_room(engines, grid, approved_plan):
    grid.state("nm", allocated=60.0)

    turn()

    assert states(approved_plan) == ["BOUND", "BOUND"]
    assert DispatchCommand.objects.count() == 0


def test_only_as_much_is_sent_as_fits_and_the_rest_waits(engines, grid, approved_plan):
    grid.state("nm", allocated=52.0)

    turn()

    assert states(approved_plan) == ["RUNNING", "BOUND"]
    assert plan_state(approved_plan) is PlanState.DISPATCHING


def test_what_was_just_placed_counts_until_telemetry_shows_it(engines, grid, approved):
    grid.state("nm", allocated=48.0, measured_at=START)
    first = approved(grid.draft())
    turn()
    assert states(first) == ["RUNNING", "RUNNING"]
    Passage.objects.filter(move__plan=first).update(state="RUNNING")

    more = [grid.workload(n) for n in (5, 6)]
    second = approved(grid.draft(workloads=more))
    turn(START)

    assert states(second) == ["BOUND", "BOUND"]


def test_a_silent_destination_is_not_room(engines, grid, approved_plan):
    late = START + 2 * HOUR

    dispatching.start_plans(late)
    dispatching.start_moves(late)

    assert states(approved_plan) == ["BOUND", "BOUND"]


def test_a_move_is_skipped_when_its_window_closes_without_room(engines, grid, approved_plan):
    grid.state("nm", allocated=64.0, measured_at=START)
    turn()

    turn(START + 13 * HOUR)

    assert states(approved_plan) == ["SKIPPED", "SKIPPED"]
    assert Move.objects.get(plan=approved_plan).state == MoveState.SKIPPED


def test_a_rule_made_after_planning_is_obeyed_at_the_last_moment(engines, grid, approved):
    plan = approved(grid.draft(workloads=[grid.workload(0, data_class="open")]))
    dispatching.start_plans(START)
    Move.objects.filter(plan=plan).update(data_class="restricted")

    dispatching.start_moves(START)

    assert states(plan) == ["SKIPPED"]
    assert "S3" in Passage.objects.get(move__plan=plan).state_reason


def test_a_frozen_grid_sends_nothing_new(engines, people, approved_plan):
    dispatching.start_plans(START)
    dispatching.start_moves(START)
    dispatching.set_frozen(people["operator"], frozen=True, reason="drill", now=START)

    turn()
    assert set(DispatchCommand.objects.values_list("state", flat=True)) == {"PENDING"}

    dispatching.set_frozen(people["operator2"], frozen=False, reason="over", now=START)
    turn()
    assert plan_state(approved_plan) is PlanState.COMPLETED


@pytest.mark.parametrize("name", ["admin_bj", "auditor", "grid_admin", "provider"])
def test_only_operators_freeze(grid, people, name):
    with pytest.raises(dispatching.NotAllowed):
        dispatching.set_frozen(people[name], frozen=True, reason="", now=START)
