"""Makes a stored planning run with one draft plan, whole and hashed as the planner leaves it."""

import datetime as dt
from collections.abc import Mapping

from controlplane.lib.units import HOUR
from monitoring.models import Pool
from scheduling.domain.lifecycle import MoveState, PlanState
from scheduling.models import Move, PlanningRun, RebalancingPlan
from scheduling.selectors.rules import rules_in_force
from scheduling.services.drafts import content_hash

UNITS_PER_JOB = 8
REASON = ("因为", "Because.")


def make_draft(
    now: dt.datetime,
    source: Pool,
    target: Pool,
    *,
    jobs: int,
    saving_usd: float,
    parts: Mapping[str, float],
    decide_by: dt.datetime,
    data_class: str = "open",
    reason: tuple[str, str] = REASON,
    run: PlanningRun | None = None,
) -> RebalancingPlan:
    """Store a draft that moves jobs of eight units from one pool to another.

    Args:
        now: when it was made.
        source: where the jobs wait.
        target: where they are to go.
        jobs: how many.
        saving_usd: what the plan saves.
        parts: of the saving, by name.
        decide_by: until when it may be decided on.
        data_class: of the jobs.
        reason: in Chinese and in English.
        run: which made it; a new one unless given.
    """
    plan = RebalancingPlan(
        run=run or make_planning_run(now, saving_usd=saving_usd, parts=parts),
        state=PlanState.DRAFT,
        source_region=source.site.region_id,
        destination_region=target.site.region_id,
        created_at=now,
        decide_by=decide_by,
        units=float(UNITS_PER_JOB * jobs),
        jobs=jobs,
        saving_usd=saving_usd,
        parts=parts,
        capacities={pool.code: pool.installed for pool in (source, target)},
    )
    move = Move(
        position=0,
        state=MoveState.PENDING,
        group_key="g",
        data_class=data_class,
        source_pool=source,
        destination_pool=target,
        jobs=jobs,
        units_per_job=UNITS_PER_JOB,
        requested_duration_s=4 * 3600,
        window_start=now,
        window_end=now + 12 * HOUR,
        saving_usd=saving_usd,
        parts=parts,
        reason_code="SHORTAGE_AT_HOME",
        reason_zh=reason[0],
        reason_en=reason[1],
        predicted={"home": parts, "away": parts},
    )
    plan.content_hash = content_hash(plan, [move])
    plan.save()
    move.plan = plan
    move.save()
    return plan


def make_planning_run(
    now: dt.datetime,
    *,
    saving_usd: float,
    parts: Mapping[str, float],
    objective_usd: float = 1.0,
    gap: float = 0.0,
) -> PlanningRun:
    """Store a run that ended well, as of a moment of its own."""
    return PlanningRun.objects.create(
        as_of=now + dt.timedelta(microseconds=PlanningRun.objects.count()),
        created_at=now,
        snapshot_hash="s",
        rules_version=rules_in_force().version,
        risk_quantile=0.9,
        slots=24,
        status="OPTIMAL",
        objective_usd=objective_usd,
        bound_usd=objective_usd * (1.0 - gap),
        gap=gap,
        do_nothing_usd=objective_usd + saving_usd,
        parts=parts,
        do_nothing_parts=parts,
        residual_usd=0.0,
        waiting=[],
        statistics={},
        solve_s=0.1,
    )
