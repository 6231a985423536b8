"""Running work that moves: stopped at a checkpoint at home first, and never run in two places."""

import datetime as dt

import pytest

from controlplane.lib import clock
from monitoring.models import Region
from scheduling.domain.lifecycle import MovedWork, PassageState, PlanState
from scheduling.models import (
    CarbonCapRow,
    DispatchCommand,
    Move,
    Passage,
    QuotaRow,
    RebalancingPlan,
    Workload,
)
from scheduling.selectors.situation import situation
from scheduling.services import commands, dispatching, planning
from tests.outside import TOKEN, job, outside, pool

HOUR = dt.timedelta(hours=1)
RUNNER = job("runner", units=16, runtime_h=20.0)


@pytest.fixture
def engines(grid, tmp_path, settings):
    """`bj` runs one long job on a quarter of its units; `nm` and `gz` are nearly empty."""
    settings.ENGINE_TOKEN = TOKEN
    pools = {
        "bj-gpu": (pool("bj-gpu", 64), [RUNNER]),
        "nm-gpu": (pool("nm-gpu", 64, native=8), []),
        "gz-gpu": (pool("gz-gpu", 64, native=8), []),
    }
    with outside(tmp_path, pools) as world:
        for row in grid.pools.values():
            row.engine_url = world.url
            row.save()
        world.advance(2.5)
        grid.state("bj", allocated=16.0, measured_at=world.now)
        grid.state("nm", allocated=8.0, measured_at=world.now)
        grid.state("gz", allocated=8.0, measured_at=world.now)
        yield world


@pytest.fixture
def runner(grid, engines):
    """The running job as its provider announced it."""
    work = grid.workload(0, units=16, hours=24.0, state="RUNNING")
    [told] = [item for item in engines.take("workloads") if item["external_id"] == "runner"]
    work.external_id = "runner"
    work.spec = told["spec"]
    work.started_at = dt.datetime.fromisoformat(told["started_at"])
    work.checkpointable = told["checkpointable"]
    work.checkpoint_every_s = told["checkpoint_every_s"]
    work.save()
    return work


def running_plan(grid, approved, work, now):
    plan = grid.draft(workloads=[work], decide_by=now + HOUR)
    Move.objects.filter(plan=plan).update(
        work=MovedWork.RUNNING, units_per_job=16, requested_duration_s=22 * 3600
    )
    return approved(plan, now=now)


def turn(now):
    DispatchCommand.objects.update(due_wall_at=clock.wall_now() - HOUR)
    dispatching.start_plans(now)
    dispatching.start_moves(now)
    for _ in range(4):
        commands.sweep(now)
        DispatchCommand.objects.update(due_wall_at=clock.wall_now() - HOUR)
    commands.track(now)
    dispatching.close_moves(now)


def copy_at(engines, plan):
    [key] = DispatchCommand.objects.filter(passage__move__plan=plan, kind="SUBMIT").values_list(
        "key", flat=True
    )
    [found] = engines.engine.jobs("nm-gpu", [key])
    return found


def test_running_work_stops_at_its_checkpoint_and_goes_on_from_there(
    engines, grid, approved, runner
):
    plan = running_plan(grid, approved, runner, engines.now)

    turn(engines.now)

    home, away = engines.engine.job("bj-gpu", "runner"), copy_at(engines, plan)
    assert (home.state.value, home.done_s) == ("WITHDRAWN", 2 * 3600)
    assert away.state.value == "RUNNING"
    assert away.runtime_s == 18 * 3600
    assert RebalancingPlan.objects.get(pk=plan.pk).state == PlanState.COMPLETED


def test_it_ends_after_what_was_left_and_runs_nowhere_twice(engines, grid, approved, runner):
    plan = running_plan(grid, approved, runner, engines.now)
    turn(engines.now)

    engines.advance(18.1)
    commands.track(engines.now)

    assert Passage.objects.get(move__plan=plan).state == PassageState.FINISHED
    assert engines.engine.job("bj-gpu", "runner").state.value == "WITHDRAWN"


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_answer_to_the_stop_never_makes_it_run_twice(engines, grid, approved, runner, lost):
    plan = running_plan(grid, approved, runner, engines.now)
    engines.fail_next(drop_responses=lost)

    for _ in range(3):
        turn(engines.now)

    assert engines.engine.job("bj-gpu", "runner").state.value == "WITHDRAWN"
    assert copy_at(engines, plan).state.value == "RUNNING"
    assert copy_at(engines, plan).runtime_s == 18 * 3600
    kinds = DispatchCommand.objects.order_by("pk").values_list("kind", "state")
    assert list(kinds) == [("CHECKPOINT", "CONFIRMED"), ("SUBMIT", "CONFIRMED")]


def test_nothing_is_sent_before_home_has_confirmed_the_stop(engines, grid, approved, runner):
    plan = running_plan(grid, approved, runner, engines.now)
    grid.pools["bj"].engine_url = "http://127.0.0.1:9"
    grid.pools["bj"].save()

    turn(engines.now)

    assert list(DispatchCommand.objects.values_list("kind", "state")) == [("CHECKPOINT", "UNKNOWN")]
    assert Passage.objects.get(move__plan=plan).state == PassageState.WITHDRAWING
    assert engines.engine.job("bj-gpu", "runner").state.value == "RUNNING"


def test_a_refused_guest_goes_on_at_home_from_its_checkpoint(engines, grid, approved, runner):
    plan = running_plan(grid, approved, runner, engines.now)
    grid.pools["nm"].code = "no-such-pool"
    grid.pools["nm"].save()
    grid.state("nm", allocated=8.0, measured_at=engines.now)

    turn(engines.now)

    home = engines.engine.job("bj-gpu", "runner")
    assert Passage.objects.get(move__plan=plan).state == PassageState.RETURNED
    assert (home.state.value, home.done_s) == ("RUNNING", 2 * 3600)
    engines.advance(18.1)
    assert engines.engine.job("bj-gpu", "runner").state.value == "DONE"


def test_work_that_ended_meanwhile_is_left_alone(engines, grid, approved, runner):
    plan = running_plan(grid, approved, runner, engines.now)
    Workload.objects.update(state="DONE", finished_at=engines.now)

    turn(engines.now)

    assert Passage.objects.get(move__plan=plan).state == PassageState.SKIPPED
    assert not DispatchCommand.objects.exists()


def test_work_that_ended_unknown_to_the_grid_is_refused_by_its_engine(
    engines, grid, approved, runner
):
    plan = running_plan(grid, approved, runner, engines.now)
    now = engines.now
    engines.advance(19)

    turn(now)

    assert Passage.objects.get(move__plan=plan).state == PassageState.SKIPPED
    assert not DispatchCommand.objects.filter(kind="SUBMIT").exists()


def test_work_with_little_left_stays(engines, grid, approved, runner):
    plan = running_plan(grid, approved, runner, engines.now)
    Workload.objects.update(requested_duration_s=4 * 3600)

    turn(engines.now)

    assert Passage.objects.get(move__plan=plan).state == PassageState.SKIPPED


@pytest.fixture
def dear_home(calm, power_at_home, engines):
    """Power at home costs ten dollars a unit-hour; everywhere is known to be calm."""
    power_at_home(10.0)
    return engines.now


def test_the_planner_moves_running_work_away_from_dear_power(grid, runner, dear_home):
    run = planning.plan_now(dear_home, actor="test")

    [move] = Move.objects.filter(plan__run=run)
    assert run.violations == []
    assert (move.work, move.jobs, move.units_per_job) == (MovedWork.RUNNING, 1, 16)
    assert move.requested_duration_s == 22 * 3600
    assert [p.workload_id for p in move.passages.all()] == [runner.pk]
    assert run.statistics["running_workloads"] == 1


def test_a_planned_move_of_running_work_runs_through_to_its_destination(
    grid, approved, runner, dear_home, engines
):
    run = planning.plan_now(dear_home, actor="test")
    plan = run.plans.get()
    destination = Move.objects.get(plan=plan).destination_pool

    there = {"nm-gpu": "admin_nm", "gz-gpu": "outsider"}[destination.code]
    approved(plan, now=dear_home, admins=("admin_bj", there))
    turn(dear_home)

    [key] = DispatchCommand.objects.filter(kind="SUBMIT").values_list("key", flat=True)
    [copy] = engines.engine.jobs(destination.code, [key])
    assert copy.state.value == "RUNNING"
    assert engines.engine.job("bj-gpu", "runner").state.value == "WITHDRAWN"


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpointable": False},
        {"checkpoint_every_s": None},
        {"data_class": "restricted"},
        {"requested_duration_s": 4 * 3600.0},
        {"tenant": "limited"},
    ],
)
def test_running_work_that_may_not_move_is_not_moved(grid, runner, dear_home, changes):
    QuotaRow.objects.create(name="limited", nominal_units=1000, author="t", changed_at=dear_home)
    Workload.objects.filter(pk=runner.pk).update(**changes)

    run = planning.plan_now(dear_home, actor="test")

    assert not Move.objects.filter(plan__run=run).exists()


def test_running_work_on_its_way_is_not_planned_again(grid, approved, runner, dear_home):
    running_plan(grid, approved, runner, dear_home)

    seen = situation(dear_home, slots=24, risk_quantile=0.9)

    assert seen.demand.running_ids == frozenset()


def test_a_carbon_cap_that_is_used_up_does_not_stop_running_work(grid, runner, dear_home):
    CarbonCapRow.objects.create(
        region=Region.objects.get(pk="CN-BJ"),
        most_kg_per_day=0.0,
        author="t",
        changed_at=dear_home,
    )
    Workload.objects.update(data_class="restricted")

    run = planning.plan_now(dear_home, actor="test")

    assert run.status in ("OPTIMAL", "WITHIN_GAP")
    assert run.violations == []


def test_work_that_has_left_is_not_sent_again_whatever_home_says(engines, grid, approved, runner):
    first = running_plan(grid, approved, runner, engines.now)
    turn(engines.now)
    engines.advance(19)
    commands.track(engines.now)
    for name in ("bj", "nm", "gz"):
        grid.state(name, allocated=8.0, measured_at=engines.now)

    second = running_plan(grid, approved, runner, engines.now)  # home is silent: still RUNNING
    Workload.objects.update(requested_duration_s=72 * 3600)
    turn(engines.now)

    assert Passage.objects.get(move__plan=first).state == PassageState.FINISHED
    assert Passage.objects.get(move__plan=second).state == PassageState.SKIPPED
    assert DispatchCommand.objects.filter(kind="SUBMIT").count() == 1


def test_work_that_has_left_is_not_planned_again(engines, grid, approved, runner, dear_home):
    running_plan(grid, approved, runner, engines.now)
    turn(engines.now)

    assert situation(dear_home, slots=24, risk_quantile=0.9).demand.running_ids == frozenset()
