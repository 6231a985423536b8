"""Draws up the account of every finished plan: what was promised against what came of it."""

import datetime as dt
import math
from dataclasses import asdict
from typing import Any

from django.db import transaction

from controlplane.auth import audit
from controlplane.lib import events
from controlplane.lib.units import HOUR, ceil_hour, floor_hour
from monitoring import selectors as grid
from scheduling.domain.lifecycle import (
    ARRIVED_PASSAGES,
    MovedWork,
    PassageState,
    PlanEvent,
    PlanState,
)
from scheduling.domain.planner.problem import Weights
from scheduling.domain.settlement import Passage as Account
from scheduling.domain.settlement import SettlementReport, Stay, settle
from scheduling.models import Passage, RebalancingPlan, Settlement
from scheduling.selectors.rules import rules_in_force
from scheduling.services.states import change_plan

SETTLE_AFTER = dt.timedelta(hours=24)
REFRESH_EVERY = dt.timedelta(minutes=30)


def settle_plans(now: dt.datetime) -> int:
    """This function will measure every finished plan, and settle those that can be closed.

    An account is kept up to date while workloads still run. It is closed when all have ended, or a
    day after the plan's end, with what was measured by then, and says which of the two it was.

    Returns:
        How many plans were settled for good.
    """
    settled = 0
    finished = RebalancingPlan.objects.filter(state__in=[PlanState.COMPLETED, PlanState.PARTIAL])
    for plan in finished.select_related("settlement", "run"):
        held = getattr(plan, "settlement", None)
        if held is not None and now - held.measured_at < REFRESH_EVERY:
            continue
        settled += _measure(plan, now)
    return settled


def _measure(plan: RebalancingPlan, now: dt.datetime) -> int:
    passages = list(
        Passage.objects.filter(
            move__plan=plan, state__in=[state.value for state in ARRIVED_PASSAGES]
        ).select_related("workload", "move__destination_pool__site", "move__plan__run")
    )
    weights = rules_in_force().weights
    ended = sum(passage.state == PassageState.FINISHED for passage in passages)
    report = settle([_account(p, now, weights) for p in passages], weights, finished=ended)
    is_final = ended == len(passages)
    is_due = plan.finished_at is not None and now - plan.finished_at >= SETTLE_AFTER
    with transaction.atomic():
        locked = RebalancingPlan.objects.select_for_update().get(pk=plan.pk)
        _write(locked, report, now, is_final=is_final)
        if not (is_final or is_due):
            return 0
        why = "all workloads ended" if is_final else "a day has passed"
        change_plan(locked, PlanEvent.SETTLE, now, why)
        facts = {
            "predicted_usd": round(report.predicted_saving_usd, 2),
            "realised_usd": round(report.realised_saving_usd, 2),
        }
        audit.record("system", "settle-plan", f"plan:{plan.pk}", facts)
        events.publish("grid", {"plan": plan.pk})
    return 1


def _write(
    plan: RebalancingPlan, report: SettlementReport, now: dt.datetime, *, is_final: bool
) -> None:
    Settlement.objects.update_or_create(
        plan=plan,
        defaults={
            "measured_at": now,
            "is_final": is_final,
            "report": asdict(report),
            "predicted_saving_usd": report.predicted_saving_usd,
            "realised_saving_usd": report.realised_saving_usd,
        },
    )


def _account(passage: Passage, now: dt.datetime, weights: Weights) -> Account:
    move, workload = passage.move, passage.workload
    units = float(workload.units)
    realised, hours = None, 0.0
    if passage.started_at is not None:
        until = passage.finished_at or now
        hours = max(0.0, (until - passage.started_at).total_seconds() / 3600.0)
        energy, carbon = _measured(passage, units, passage.started_at, until)
        # a service is not late before the hours in which it is to serve
        due_at = move.window_start if move.work == MovedWork.SERVICE else move.plan.run.as_of
        waited = (passage.started_at - due_at).total_seconds() / 3600.0
        away = move.predicted["away"]
        realised = Stay(
            energy_usd=energy,
            carbon_kg=carbon,
            egress_usd=float(away["egress_usd"]),  # the data that moved is what was ordered
            delay_h=max(0.0, waited),
        )
    return Account(
        units=units,
        predicted_home=_stay(move.predicted["home"], units, weights),
        predicted_away=_stay(move.predicted["away"], units, weights),
        realised=realised,
        predicted_h=move.requested_duration_s / 3600.0,
        realised_h=hours,
    )


def _stay(parts: dict[str, Any], units: float, weights: Weights) -> Stay:
    per_h = units * weights.delay_usd_per_unit_h
    return Stay(
        energy_usd=float(parts["energy_usd"]),
        carbon_kg=float(parts["carbon_kg"]),
        egress_usd=float(parts["egress_usd"]),
        delay_h=float(parts["delay_usd"]) / per_h if per_h > 0 else 0.0,
        unmet_usd=float(parts["unmet_usd"]),
    )


def _measured(
    passage: Passage, units: float, start: dt.datetime, until: dt.datetime
) -> tuple[float, float]:
    """Energy in USD and carbon in kg from the prices that the destination reported hour by hour."""
    pool = passage.move.destination_pool
    frame = grid.energy_frame(since=floor_hour(start), until=ceil_hour(until) + HOUR)
    rows = frame[frame["pool"] == pool.code]
    kwh = pool.kw_per_unit * pool.site.pue
    energy = carbon = 0.0
    columns = ("hour_at", "price_per_unit_h", "carbon_g_per_kwh")
    for hour_at, price, grams in zip(*(rows[name].tolist() for name in columns), strict=True):
        begin, end = max(start, hour_at), min(until, hour_at + HOUR)
        hours = max(0.0, (end - begin).total_seconds() / 3600.0)
        energy += units * hours * (0.0 if math.isnan(price) else price)
        carbon += units * hours * kwh * (0.0 if math.isnan(grams) else grams) / 1000.0
    return energy, carbon
