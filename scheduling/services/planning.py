"""Makes plans: reads the situation, solves it, checks the answer, stores drafts per corridor."""

import datetime as dt
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from controlplane.lib import clock, events
from controlplane.lib.errors import ErrorKind, GridError
from forecasting import selectors as forecasts
from monitoring import selectors as grid
from scheduling.domain.lifecycle import MoveState, PassageState, PlanEvent, PlanState
from scheduling.domain.planner import checks, solver
from scheduling.domain.planner.costs import all_group_costs
from scheduling.domain.planner.moves import (
    MoveDraft,
    MoveSet,
    corridors,
    draft_moves,
    share_of_residuals,
    staying_cost,
)
from scheduling.domain.planner.outcome import CostParts, PlanOutcome
from scheduling.domain.planner.reasons import (
    MoveExplanation,
    PoolName,
    explain_moves,
    explain_waiting,
)
from scheduling.domain.planner.sanity import check_problem
from scheduling.models import Move, Passage, PlanningRun, RebalancingPlan
from scheduling.selectors.situation import Situation, situation
from scheduling.services.states import change_plan

logger = logging.getLogger(__name__)

SLOTS = 24
SOLVE_LIMIT_S = 20.0
COST_TOLERANCE = 1e-6
KEEP_DRAFTS = dt.timedelta(hours=24)
WINDOW_AFTER_DECISION = dt.timedelta(hours=6)
ZONE = ZoneInfo("Asia/Shanghai")


class NothingKnown(GridError):
    """No pool's telemetry is fresh enough to plan on."""

    code = "nothing-known"
    kind = ErrorKind.CONFLICT


def plan_if_due(now: dt.datetime) -> PlanningRun | None:
    """This function will plan when the planning interval has passed since the last run.

    Returns:
        The new run, or None when none was due, or there is no forecast or telemetry yet.
    """
    if forecasts.latest_run(now) is None:
        return None  # without a forecast nothing may be promised to anybody
    last = PlanningRun.objects.order_by("-as_of").first()
    if last and (now - last.as_of).total_seconds() < settings.PLAN_INTERVAL_S:
        return None
    try:
        return plan_now(now, actor="system")
    except NothingKnown:
        return None


def plan_now(now: dt.datetime, *, actor: str, request_key: str | None = None) -> PlanningRun:
    """This function will make a plan for the present situation and store its drafts.

    Args:
        now: grid time; slot 0 begins here.
        actor: who asked, for the log.
        request_key: name of the request; the same name again gives the same run.

    Returns:
        The stored run; its drafts supersede all earlier drafts that nobody proposed.

    Raises:
        NothingKnown: no pool's telemetry is fresh.
        ProblemNotSane: the inputs contradict each other.
    """
    if request_key:
        made = PlanningRun.objects.filter(request_key=request_key).first()
        if made is not None:
            return made
    seen = situation(now, slots=SLOTS, risk_quantile=settings.PLAN_RISK_QUANTILE)
    if not any(pool.is_known for pool in seen.problem.pools):
        raise NothingKnown("No pool has reported lately, so there is nothing to plan on.")
    check_problem(seen.problem)
    began = time.perf_counter()
    baseline = solver.do_nothing(seen.problem, time_limit_s=SOLVE_LIMIT_S)
    plan = solver.solve(seen.problem, time_limit_s=SOLVE_LIMIT_S, baseline=baseline)
    solve_s = time.perf_counter() - began
    violations = _verify(seen, plan)
    move_set = draft_moves(seen.problem, plan, baseline)
    run = _store(
        seen,
        plan,
        baseline,
        move_set,
        violations=violations,
        solve_s=solve_s,
        request_key=request_key,
    )
    facts = {"snapshot": seen.snapshot_hash, "status": plan.status, "plans": run.plans.count()}
    logger.info("plan.made", extra={"run": run.pk, "actor": actor, **facts})
    return run


def _verify(seen: Situation, plan: PlanOutcome) -> list[str]:
    found = [f"{v.rule}: {v.detail}" for v in checks.verify(seen.problem, plan.placements)]
    cost = checks.recompute_cost(seen.problem, plan.placements)
    if abs(cost - plan.objective) > COST_TOLERANCE * max(1.0, abs(cost)):
        found.append(f"cost: the checker finds {cost}, the planner says {plan.objective}")
    if found:
        logger.error("plan.refused_by_checker", extra={"violations": found[:10]})
    return found


@transaction.atomic
def _store(
    seen: Situation,
    plan: PlanOutcome,
    baseline: PlanOutcome,
    move_set: MoveSet,
    *,
    violations: list[str],
    solve_s: float,
    request_key: str | None,
) -> PlanningRun:
    sites = {site.code: site for site in grid.sites()}
    names = {
        pool.code: PoolName(zh=sites[pool.site].name_zh, en=sites[pool.site].name_en)
        for pool in seen.pools
    }
    waiting = explain_waiting(seen.problem, plan, names=names)
    run = PlanningRun.objects.create(
        as_of=seen.as_of,
        created_at=clock.wall_now(),
        request_key=request_key,
        forecast_run_id=seen.forecast_run_id,
        snapshot_hash=seen.snapshot_hash,
        rules_version=seen.rules.version,
        risk_quantile=settings.PLAN_RISK_QUANTILE,
        slots=seen.problem.slots,
        status=plan.status,
        objective_usd=plan.objective,
        bound_usd=plan.bound,
        gap=plan.gap,
        do_nothing_usd=baseline.objective,
        parts=asdict(plan.parts),
        do_nothing_parts=asdict(baseline.parts),
        residual_usd=-move_set.residual.total_usd,
        waiting=[asdict(line) for line in waiting],
        statistics=_statistics(seen, plan),
        solve_s=solve_s,
        violations=violations,
    )
    _supersede_drafts(run)
    if not violations:
        _store_drafts(run, seen, plan, baseline, move_set, names)
    events.publish("grid", {"run": run.pk})
    return run


def _statistics(seen: Situation, plan: PlanOutcome) -> dict[str, Any]:
    groups = seen.problem.groups
    return {
        "pools": len(seen.pools),
        "unknown_pools": [code for code, load in seen.loads.items() if load is None],
        "groups": len(groups),
        "workloads": sum(group.jobs for group in groups),
        "units": sum(group.jobs * group.units for group in groups),
        "unplaced_workloads": sum(plan.unplaced),
        "set_aside": _set_aside(seen.as_of),
    }


def _set_aside(now: dt.datetime) -> dict[str, float]:
    """What this plan did not reckon with, because its quality is not good."""
    left_out = [standing.set_aside for standing in grid.provider_standings(now)]
    return {
        "samples": sum(one.set_aside for one in left_out),
        "pools": sum(one.pools for one in left_out),
        "capacity_units": sum(one.capacity for one in left_out),
    }


def _supersede_drafts(run: PlanningRun) -> None:
    for old in RebalancingPlan.objects.select_for_update().filter(state=PlanState.DRAFT):
        change_plan(old, PlanEvent.SUPERSEDE, run.as_of, f"by planning run {run.pk}")
    stale = RebalancingPlan.objects.filter(
        state__in=[PlanState.SUPERSEDED, PlanState.EXPIRED],
        proposer__isnull=True,
        created_at__lt=run.as_of - KEEP_DRAFTS,
    )
    stale.delete()


def _store_drafts(
    run: PlanningRun,
    seen: Situation,
    plan: PlanOutcome,
    baseline: PlanOutcome,
    move_set: MoveSet,
    names: dict[str, PoolName],
) -> None:
    moves = move_set.moves
    explained = explain_moves(
        seen.problem,
        plan,
        moves,
        names=names,
        tz=ZONE,
        risk_quantile=settings.PLAN_RISK_QUANTILE,
    )
    why = dict(zip(map(id, moves), explained, strict=True))
    costs = all_group_costs(seen.problem)
    staying = staying_cost(seen.problem, baseline, costs)
    members = [list(ids) for ids in seen.demand.members]
    # people decide in wall time, however fast grid time runs
    window_s = settings.DECISION_WINDOW_S * max(1.0, clock.grid_clock().rate)
    decide_by = seen.as_of + dt.timedelta(seconds=window_s)
    for (source, destination), corridor in corridors(moves).items():
        staying_change = share_of_residuals(move_set, corridor)
        draft = _draft_of(run, seen, corridor, staying_change, decide_by)
        draft.source_region, draft.destination_region = source, destination
        rows = []
        for position, move in enumerate(corridor):
            away = costs[move.group].placed(move.destination, move.start_slot)
            row = _move_row(seen, move, why[id(move)], position, decide_by)
            row.predicted = {"home": asdict(staying[move.group]), "away": asdict(away)}
            rows.append(row)
        draft.content_hash = content_hash(draft, rows)
        draft.save()
        for row, move in zip(rows, corridor, strict=True):
            row.plan = draft
            row.save()
            bound, members[move.group] = (
                members[move.group][: move.jobs],
                members[move.group][move.jobs :],
            )
            Passage.objects.bulk_create(
                Passage(move=row, workload_id=pk, state=PassageState.BOUND, updated_at=seen.as_of)
                for pk in bound
            )


def _draft_of(
    run: PlanningRun,
    seen: Situation,
    corridor: Sequence[MoveDraft],
    staying_change: CostParts,
    decide_by: dt.datetime,
) -> RebalancingPlan:
    """A plan saves what its moves save, and what those gain who stay because others left."""
    total = sum((move.change for move in corridor), staying_change)
    touched = {move.source_pool for move in corridor} | {m.destination_pool for m in corridor}
    capacities = {code: load.capacity for code, load in seen.loads.items() if load is not None}
    return RebalancingPlan(
        run=run,
        state=PlanState.DRAFT,
        created_at=seen.as_of,
        decide_by=decide_by,
        units=sum(move.units for move in corridor),
        jobs=sum(move.jobs for move in corridor),
        saving_usd=-total.total_usd,
        parts={**asdict(total), "staying_usd": staying_change.total_usd},
        capacities={code: capacities[code] for code in sorted(touched)},
    )


def _move_row(
    seen: Situation,
    move: MoveDraft,
    why: MoveExplanation,
    position: int,
    decide_by: dt.datetime,
) -> Move:
    group = seen.problem.groups[move.group]
    start = seen.as_of + dt.timedelta(hours=move.start_slot)
    # data travel first: the command goes out early enough to start in the planned slot
    hours = group.data_gb * seen.problem.transfer_h_per_gb[move.source, move.destination]
    begins = max(seen.as_of, start - dt.timedelta(hours=float(hours)))
    return Move(
        position=position,
        state=MoveState.PENDING,
        group_key=move.group_key,
        data_class=group.data_class,
        source_pool_id=seen.pools[move.source].id,
        destination_pool_id=seen.pools[move.destination].id,
        jobs=move.jobs,
        units_per_job=group.units,
        requested_duration_s=group.duration_h * 3600.0,
        window_start=begins,
        window_end=max(decide_by, begins) + WINDOW_AFTER_DECISION,
        saving_usd=move.saving_usd,
        parts=asdict(move.change),
        reason_code=why.code,
        reason_zh=why.text_zh,
        reason_en=why.text_en,
        runner_up=asdict(why.runner_up) if why.runner_up else {},
    )


def content_hash(plan: RebalancingPlan, moves: Sequence[Move]) -> str:
    """This function will hash what people consent to: any edit of it gives another hash."""
    body = {
        "run": plan.run_id,
        "corridor": [plan.source_region, plan.destination_region],
        "decide_by": plan.decide_by.isoformat(),
        "capacities": plan.capacities,
        "moves": [
            [
                move.position,
                move.group_key,
                move.source_pool_id,
                move.destination_pool_id,
                move.jobs,
                move.units_per_job,
                move.requested_duration_s,
                move.window_start.isoformat(),
                move.window_end.isoformat(),
                move.parts,
            ]
            for move in moves
        ],
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
