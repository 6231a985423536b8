"""Plans as people see them: cards with their consent, flows on the map, the newest run."""

import datetime as dt
from typing import Any

from django.db.models import Count, Prefetch, Q

from scheduling.domain.lifecycle import PassageState, PlanState
from scheduling.domain.policy import Seat, required_seats
from scheduling.models import Move, PlanningRun, RebalancingPlan

SHOWN_STATES = (
    PlanState.DRAFT,
    PlanState.PROPOSED,
    PlanState.APPROVED,
    PlanState.DISPATCHING,
)
ENDED_STATES = (
    PlanState.COMPLETED,
    PlanState.PARTIAL,
    PlanState.FAILED,
    PlanState.SETTLED,
    PlanState.REJECTED,
    PlanState.CANCELLED,
)
SHOW_ENDED_FOR = dt.timedelta(hours=24)
_FLOW_STATE = {
    PlanState.DRAFT: "DRAFT",
    PlanState.PROPOSED: "PROPOSED",
    PlanState.APPROVED: "APPROVED",
    PlanState.DISPATCHING: "RUNNING",
    PlanState.COMPLETED: "RUNNING",
    PlanState.PARTIAL: "RUNNING",
}


def plan_cards(now: dt.datetime, *, ended: int = 6) -> list[dict[str, Any]]:
    """This function will list the plans that matter now, those to decide on first.

    Args:
        now: grid time.
        ended: how many of the last day's ended plans to add.

    Returns:
        One JSON-able card per plan, as `plan_card` describes.
    """
    shown = _rows().filter(state__in=SHOWN_STATES).order_by("-saving_usd")
    recent = (
        _rows()
        .filter(
            Q(state__in=ENDED_STATES)
            | Q(state__in=[PlanState.EXPIRED, PlanState.SUPERSEDED], proposer__isnull=False),
            decided_at__gte=now - SHOW_ENDED_FOR,
        )
        .order_by("-decided_at")[:ended]
    )
    order = [PlanState.PROPOSED, PlanState.APPROVED, PlanState.DISPATCHING, PlanState.DRAFT]
    live = sorted(shown, key=lambda plan: order.index(PlanState(plan.state)))
    return [plan_card(plan) for plan in (*live, *recent)]


def plan_by_id(plan_id: int) -> RebalancingPlan | None:
    """This function will read one plan with everything that its card needs, or None."""
    found: RebalancingPlan | None = _rows().filter(pk=plan_id).first()
    return found


def plans_in(states: list[str] | None = None, *, limit: int = 100) -> list[RebalancingPlan]:
    """This function will list plans, newest first, at most `limit`."""
    rows = _rows().order_by("-pk")
    return list(rows.filter(state__in=states)[:limit] if states else rows[:limit])


def plan_card(plan: RebalancingPlan) -> dict[str, Any]:
    """This function will describe one plan for the page and the API.

    Args:
        plan: as read by this module.

    Returns:
        JSON-able mapping: who must agree and who has, what is saved and by which parts (change
        of cost, moved less stayed: negative saves), the run's gap and cost of doing nothing, and
        each move with its words.
    """
    run = plan.run
    moves = list(plan.moves.all())
    first = moves[0] if moves else None
    return {
        "id": plan.pk,
        "run_id": run.pk,
        "state": plan.state,
        "state_reason": plan.state_reason,
        "source_region": plan.source_region,
        "destination_region": plan.destination_region,
        "units": plan.units,
        "workloads": plan.jobs,
        "saving_usd": round(plan.saving_usd, 2),
        "parts": _rounded(plan.parts),
        "gap": run.gap,
        "status": run.status,
        "objective_usd": round(run.objective_usd, 2),
        "do_nothing_usd": round(run.do_nothing_usd, 2),
        "reason_zh": first.reason_zh if first else "",
        "reason_en": first.reason_en if first else "",
        "created_at": _iso(plan.created_at),
        "decide_by": _iso(plan.decide_by),
        "window_end": _iso(max((move.window_end for move in moves), default=None)),
        "content_hash": plan.content_hash,
        "proposer": plan.proposer.get_username() if plan.proposer else None,
        "approvals": _approvals(plan),
        "moves": [_move(move) for move in moves],
        "progress": _progress(moves),
        "realised": _realised(plan),
    }


def flows() -> list[dict[str, Any]]:
    """This function will list what the map draws: one arrow per pair of sites and state.

    Ended plans are drawn as running while workloads that they moved still hold units there.
    """
    rows = (
        Move.objects.filter(plan__state__in=[state.value for state in _FLOW_STATE])
        .annotate(
            here=Count(
                "passages",
                filter=Q(passages__state__in=[PassageState.PLACED, PassageState.RUNNING]),
            )
        )
        .select_related("plan", "source_pool", "destination_pool")
    )
    arrows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for move in rows:
        state = _FLOW_STATE[PlanState(move.plan.state)]
        jobs = move.here if state == "RUNNING" else move.jobs
        if jobs == 0:
            continue
        key = (move.source_pool.site_id, move.destination_pool.site_id, state)
        arrow = arrows.setdefault(
            key,
            {"plan": move.plan_id, "from": key[0], "to": key[1], "units": 0, "state": state},
        )
        arrow["units"] += jobs * move.units_per_job
    return [arrows[key] for key in sorted(arrows)]


def newest_run(now: dt.datetime) -> dict[str, Any] | None:
    """This function will describe the newest planning run, or None before the first."""
    run = PlanningRun.objects.filter(as_of__lte=now).order_by("-as_of").first()
    return run_card(run) if run else None


def run_card(run: PlanningRun) -> dict[str, Any]:
    """This function will describe one planning run for the page and the API."""
    return {
        "id": run.pk,
        "as_of": _iso(run.as_of),
        "status": run.status,
        "objective_usd": round(run.objective_usd, 2),
        "bound_usd": round(run.bound_usd, 2),
        "gap": run.gap,
        "do_nothing_usd": round(run.do_nothing_usd, 2),
        "parts": _rounded(run.parts),
        "do_nothing_parts": _rounded(run.do_nothing_parts),
        "residual_usd": round(run.residual_usd, 2),
        "risk_quantile": run.risk_quantile,
        "rules_version": run.rules_version,
        "snapshot_hash": run.snapshot_hash,
        "forecast_run_id": run.forecast_run_id,
        "statistics": run.statistics,
        "waiting": run.waiting,
        "violations": run.violations,
        "solve_s": round(run.solve_s, 3),
        "plans": [plan.pk for plan in run.plans.all()],
    }


def _rows() -> Any:
    moves = Move.objects.order_by("position").select_related("source_pool", "destination_pool")
    counted = moves.annotate(
        **{
            f"n_{state.value.lower()}": Count(
                "passages", filter=Q(passages__state=state.value), distinct=True
            )
            for state in PassageState
        }
    )
    return RebalancingPlan.objects.select_related("run", "proposer", "settlement").prefetch_related(
        Prefetch("moves", queryset=counted), "approvals__user"
    )


def _approvals(plan: RebalancingPlan) -> list[dict[str, Any]]:
    given = {
        Seat(row.role, row.region_code or None): row
        for row in plan.approvals.all()
        if row.content_hash == plan.content_hash
    }
    lines = []
    for seat in required_seats((plan.source_region, plan.destination_region)):
        row = given.get(seat)
        lines.append(
            {
                "role": seat.role,
                "region": seat.region,
                "decision": row.decision if row else None,
                "user": row.user.get_username() if row else None,
                "reason_code": row.reason_code if row else "",
                "comment": row.comment if row else "",
            }
        )
    return lines


def _move(move: Move) -> dict[str, Any]:
    return {
        "id": move.pk,
        "state": move.state,
        "state_reason": move.state_reason,
        "source_pool": move.source_pool.code,
        "destination_pool": move.destination_pool.code,
        "units": move.jobs * move.units_per_job,
        "workloads": move.jobs,
        "units_per_job": move.units_per_job,
        "work": move.work,
        "data_class": move.data_class,
        "requested_duration_h": move.requested_duration_s / 3600.0,
        "window_start": _iso(move.window_start),
        "window_end": _iso(move.window_end),
        "saving_usd": round(move.saving_usd, 2),
        "parts": _rounded(move.parts),
        "reason_code": move.reason_code,
        "reason_zh": move.reason_zh,
        "reason_en": move.reason_en,
        "runner_up": move.runner_up,
        "passages": _counts(move),
    }


def _counts(move: Any) -> dict[str, int]:
    counts = {state.value: getattr(move, f"n_{state.value.lower()}", 0) for state in PassageState}
    return {state: count for state, count in counts.items() if count}


def _progress(moves: list[Any]) -> dict[str, int]:
    total: dict[str, int] = {}
    for move in moves:
        for state, count in _counts(move).items():
            total[state] = total.get(state, 0) + count
    return total


def _realised(plan: RebalancingPlan) -> dict[str, Any] | None:
    settlement = getattr(plan, "settlement", None)
    if settlement is None:
        return None
    return {
        "measured_at": _iso(settlement.measured_at),
        "is_final": settlement.is_final,
        "predicted_saving_usd": round(settlement.predicted_saving_usd, 2),
        "realised_saving_usd": round(settlement.realised_saving_usd, 2),
        "report": settlement.report,
    }


def _rounded(parts: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in parts.items()}


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
