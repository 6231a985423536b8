"""Stores what a plan proposes as drafts, one per pair of regions, with the work that they bind."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from zoneinfo import ZoneInfo

from django.conf import settings

from controlplane.lib import clock
from scheduling.domain.announcements import RESERVED
from scheduling.domain.lifecycle import MovedWork, MoveState, PassageState, PlanState
from scheduling.domain.planner.costs import all_group_costs
from scheduling.domain.planner.moves import (
    MoveDraft,
    MoveSet,
    corridors,
    share_of_residuals,
    staying_cost,
)
from scheduling.domain.planner.outcome import CostParts, PlanOutcome
from scheduling.domain.planner.reasons import MoveExplanation, PoolName, explain_moves
from scheduling.domain.serving import PlannedMove, planned_moves
from scheduling.domain.workloads import WorkloadKind, WorkloadState
from scheduling.models import Move, Passage, PlanningRun, RebalancingPlan, Service, Workload
from scheduling.selectors.situation import Situation

WINDOW_AFTER_DECISION = dt.timedelta(hours=6)
ZONE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True)
class _Drafting:
    """What every draft of one run needs."""

    run: PlanningRun
    seen: Situation
    decide_by: dt.datetime
    planned: Mapping[MoveDraft, PlannedMove]
    why: Mapping[MoveDraft, MoveExplanation]
    members: list[list[int]]


def store_drafts(
    run: PlanningRun,
    seen: Situation,
    plan: PlanOutcome,
    baseline: PlanOutcome,
    *,
    move_set: MoveSet,
    names: Mapping[str, PoolName],
) -> None:
    """This function will store one draft per pair of regions, in the caller's transaction.

    Args:
        run: the stored run.
        seen: the situation that was planned for.
        plan: its answer.
        baseline: doing nothing in the same situation.
        move_set: moves of the plan.
        names: what people call each pool, by code.
    """
    problem = seen.problem
    costs = all_group_costs(problem)
    staying = staying_cost(problem, baseline, costs)
    planned = planned_moves(problem, move_set, costs, staying)
    moves = tuple(one.draft for one in planned)
    explained = explain_moves(
        problem, plan, moves, names=names, tz=ZONE, risk_quantile=settings.PLAN_RISK_QUANTILE
    )
    # people decide in wall time, however fast grid time runs
    window_s = settings.DECISION_WINDOW_S * max(1.0, clock.grid_clock().rate)
    drafting = _Drafting(
        run=run,
        seen=seen,
        decide_by=seen.as_of + dt.timedelta(seconds=window_s),
        planned=dict(zip(moves, planned, strict=True)),
        why=dict(zip(moves, explained, strict=True)),
        members=[list(ids) for ids in seen.demand.members],
    )
    together = replace(move_set, moves=moves)
    for (source, destination), corridor in corridors(moves).items():
        draft = _draft_of(drafting, corridor, share_of_residuals(together, corridor))
        draft.source_region, draft.destination_region = source, destination
        rows = [_move_row(drafting, move, n) for n, move in enumerate(corridor)]
        draft.content_hash = content_hash(draft, rows)
        draft.save()
        for row, move in zip(rows, corridor, strict=True):
            row.plan = draft
            row.save()
            _bind(drafting, row, move)


def _bind(drafting: _Drafting, row: Move, move: MoveDraft) -> None:
    if row.work == MovedWork.SERVICE:
        bound = [_replica(drafting, row, move).pk]
    else:
        members = drafting.members[move.group]
        bound, drafting.members[move.group] = members[: move.jobs], members[move.jobs :]
    Passage.objects.bulk_create(
        Passage(move=row, workload_id=pk, state=PassageState.BOUND, updated_at=drafting.seen.as_of)
        for pk in bound
    )


def _replica(drafting: _Drafting, row: Move, move: MoveDraft) -> Workload:
    """The job that serves a service's users elsewhere; it never waits at home."""
    provider, name, users = move.group_key.split("/")
    service = Service.objects.get(provider_code=provider, external_id=name)
    return Workload.objects.create(
        provider_code=provider,
        external_id=f"{RESERVED}{name}/{users}/{drafting.run.pk}.{row.pk}",
        pool_id=row.source_pool_id,
        kind=WorkloadKind.SERVICE,
        tenant=service.tenant,
        units=move.units,
        requested_duration_s=row.requested_duration_s,
        submitted_at=drafting.seen.as_of,
        deadline_at=row.window_end,
        data_class=service.data_class,
        data_gb=0.0,
        requirement=service.requirement,
        spec={**service.spec, "service": name, "users": users},
        state=WorkloadState.WITHDRAWN,
        updated_at=drafting.seen.as_of,
    )


def _draft_of(
    drafting: _Drafting, corridor: Sequence[MoveDraft], staying_change: CostParts
) -> RebalancingPlan:
    """A plan saves what its moves save, and what those gain who stay because others left."""
    seen = drafting.seen
    total = sum((move.change for move in corridor), staying_change)
    touched = {move.source_pool for move in corridor} | {m.destination_pool for m in corridor}
    capacities = {code: load.capacity for code, load in seen.loads.items() if load is not None}
    return RebalancingPlan(
        run=drafting.run,
        state=PlanState.DRAFT,
        created_at=seen.as_of,
        decide_by=drafting.decide_by,
        units=sum(move.units for move in corridor),
        jobs=sum(move.jobs for move in corridor),
        saving_usd=-total.total_usd,
        parts={**asdict(total), "staying_usd": staying_change.total_usd},
        capacities={code: capacities[code] for code in sorted(touched)},
    )


def _move_row(drafting: _Drafting, move: MoveDraft, position: int) -> Move:
    seen, planned, why = drafting.seen, drafting.planned[move], drafting.why[move]
    group = seen.problem.groups[move.group]
    begins, ends = _window(drafting, move)
    return Move(
        position=position,
        state=MoveState.PENDING,
        group_key=move.group_key,
        work=_work(move, seen),
        data_class=group.data_class,
        source_pool_id=seen.pools[move.source].id,
        destination_pool_id=seen.pools[move.destination].id,
        jobs=move.jobs,
        units_per_job=move.units // move.jobs,
        requested_duration_s=_asked_at_home_h(seen, move) * 3600.0,
        window_start=begins,
        window_end=ends,
        saving_usd=move.saving_usd,
        parts=asdict(move.change),
        reason_code=why.code,
        reason_zh=why.text_zh,
        reason_en=why.text_en,
        runner_up=asdict(why.runner_up) if why.runner_up else {},
        predicted={"home": asdict(planned.home), "away": asdict(planned.away)},
    )


def _work(move: MoveDraft, seen: Situation) -> MovedWork:
    group = seen.problem.groups[move.group]
    if group.service:
        return MovedWork.SERVICE
    return MovedWork.RUNNING if group.is_running else MovedWork.WAITING


def _asked_at_home_h(seen: Situation, move: MoveDraft) -> float:
    """Groups count hours at speed 1; people and engines asked for hours at home."""
    group = seen.problem.groups[move.group]
    speed = float(seen.problem.speed[group.requirement][move.source]) or 1.0
    return move.duration_h if group.service else move.duration_h / speed


def _window(drafting: _Drafting, move: MoveDraft) -> tuple[dt.datetime, dt.datetime]:
    seen = drafting.seen
    group, problem = seen.problem.groups[move.group], seen.problem
    start = seen.as_of + dt.timedelta(hours=move.start_slot)
    if group.service:
        return start, start + dt.timedelta(hours=move.duration_h)
    # data travel first: the command goes out early enough to start in the planned slot
    zone = problem.zone_of
    hours = group.data_gb * problem.transfer_h_per_gb[zone[move.source], zone[move.destination]]
    begins = max(seen.as_of, start - dt.timedelta(hours=float(hours)))
    return begins, max(drafting.decide_by, begins) + WINDOW_AFTER_DECISION


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
                move.work,
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
