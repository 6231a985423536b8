"""Makes plans: reads the situation, solves it, checks the answer, stores drafts per corridor."""

import datetime as dt
import logging
import time
from dataclasses import asdict
from itertools import compress
from typing import Any

from django.conf import settings
from django.db import transaction

from controlplane.lib import clock, events
from controlplane.lib.errors import ErrorKind, GridError
from forecasting import selectors as forecasts
from monitoring import selectors as grid
from scheduling.domain.lifecycle import PlanEvent, PlanState
from scheduling.domain.planner import checks, solver
from scheduling.domain.planner.moves import MoveSet, draft_moves
from scheduling.domain.planner.outcome import PlanMemory, PlanOutcome
from scheduling.domain.planner.reasons import PoolName, explain_waiting
from scheduling.domain.planner.sanity import check_problem
from scheduling.domain.remembering import pack_memory, unpack_memory
from scheduling.domain.serving import served_hours
from scheduling.models import PlanningRun, RebalancingPlan
from scheduling.selectors.fairness import plan_fairness
from scheduling.selectors.limits import fair_weights
from scheduling.selectors.situation import Situation, situation
from scheduling.services.drafts import store_drafts
from scheduling.services.states import change_plan

logger = logging.getLogger(__name__)

SLOTS = 24
SOLVE_LIMIT_S = 20.0
COST_TOLERANCE = 1e-6
KEEP_DRAFTS = dt.timedelta(hours=24)


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
    plan = solver.solve(
        seen.problem, time_limit_s=SOLVE_LIMIT_S, baseline=baseline, memory=_memory()
    )
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


def _memory() -> PlanMemory | None:
    """What the newest plan left; only that one keeps its memory."""
    packed = (
        PlanningRun.objects.filter(memory__isnull=False)
        .order_by("-as_of")
        .values_list("memory", flat=True)
        .first()
    )
    return unpack_memory(bytes(packed)) if packed else None


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
    # hours of a service that nobody serves are told in its own line of the statistics
    waiting = [
        line
        for line in explain_waiting(seen.problem, plan, names=names)
        if not seen.problem.groups[line.group].service
    ]
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
        memory=pack_memory(plan.memory) if plan.memory else None,
    )
    PlanningRun.objects.filter(memory__isnull=False).exclude(pk=run.pk).update(memory=None)
    _supersede_drafts(run)
    if not violations:
        store_drafts(run, seen, plan, baseline, move_set=move_set, names=names)
    events.publish("grid", {"run": run.pk})
    return run


def _statistics(seen: Situation, plan: PlanOutcome) -> dict[str, Any]:
    # what waits; running work and services have lines of their own
    is_waiting = [not (group.is_running or group.service) for group in seen.problem.groups]
    groups = list(compress(seen.problem.groups, is_waiting))
    return {
        "pools": len(seen.pools),
        "unknown_pools": [code for code, load in seen.loads.items() if load is None],
        "groups": len(groups),
        "workloads": sum(group.jobs for group in groups),
        "units": sum(group.jobs * group.units for group in groups),
        "unplaced_workloads": sum(compress(plan.unplaced, is_waiting)),
        "running_workloads": len(seen.demand.running_ids),
        "services": [asdict(one) for one in served_hours(seen.problem, plan)],
        "fairness": plan_fairness(seen.problem, plan, fair_weights()),
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
