"""Reads how fairly capacity was divided among tenants and regions, lately and day by day."""

import datetime as dt
from dataclasses import asdict
from typing import Any

from django.db.models import Q

from controlplane.lib.units import HOUR
from scheduling.domain.fair import (
    LOOK_BACK,
    Fairness,
    Stay,
    asked_unit_h,
    coming_unit_h,
    fairness_of_past,
    fairness_of_plan,
    owed_unit_h,
    used_unit_h,
)
from scheduling.domain.lifecycle import PassageState
from scheduling.domain.planner.outcome import PlanOutcome
from scheduling.domain.planner.problem import PlanningProblem
from scheduling.domain.workloads import WorkloadKind, WorkloadState
from scheduling.models import Passage, Workload
from scheduling.selectors.limits import FairWeights, fair_weights

DAY = 24 * HOUR


def used_by_tenant(now: dt.datetime) -> dict[str, float]:
    """This function will sum up the unit-hours that each tenant's work ran in the last week."""
    return used_unit_h(_stays(now - LOOK_BACK, by_region=False), since=now - LOOK_BACK, until=now)


def owed_by_tenant(
    problem: PlanningProblem, weights: FairWeights, used: dict[str, float]
) -> dict[str, float]:
    """This function will say what a plan owes to tenants; nothing where nobody set a weight.

    Args:
        problem: the situation without fair shares.
        weights: of tenants and regions. A tenant's weight is multiplied by the mean weight of the
            home regions of what it asks for now.
        used: unit-hours of the last week by tenant.

    Returns:
        Unit-hours by tenant, everybody without a weight together under the empty name.
    """
    if not weights.tenants and not weights.regions:
        return {}
    names = {g: group.tenant for g, group in enumerate(problem.groups)}
    asked = asked_unit_h(problem, names)
    lately = {who: used.get(who, 0.0) for who in asked if who}
    return owed_unit_h(asked, lately, _weights(problem, weights), coming_unit_h(problem))


def _weights(problem: PlanningProblem, weights: FairWeights) -> dict[str, float]:
    regional: dict[str, list[tuple[float, float]]] = {}
    for group in problem.groups:
        size = group.jobs * group.units * group.duration_h
        weight = weights.regions.get(problem.pools[group.home].region, 1.0)
        regional.setdefault(group.tenant, []).append((size, weight))
    return {
        tenant: weights.tenants.get(tenant, 1.0)
        * sum(size * weight for size, weight in parts)
        / sum(size for size, _ in parts)
        for tenant, parts in regional.items()
    }


def plan_fairness(
    problem: PlanningProblem, plan: PlanOutcome, weights: FairWeights
) -> dict[str, Any]:
    """This function will say how fairly a plan serves tenants and home regions.

    Returns:
        JSON-able `{"tenants": {index, owed_unit_h, served_unit_h}, "regions": {…}}`; tenants are
        those of the problem's fair shares, regions are compared with their own weights.
    """
    by_tenant = {g: group.tenant for g, group in enumerate(problem.groups)}
    by_region = {g: problem.pools[group.home].region for g, group in enumerate(problem.groups)}
    owed = owed_unit_h(
        asked_unit_h(problem, by_region), {}, weights.regions, coming_unit_h(problem)
    )
    return {
        "tenants": told(fairness_of_plan(problem, plan, by_tenant, problem.fair_unit_h)),
        "regions": told(fairness_of_plan(problem, plan, by_region, owed)),
    }


def past_fairness(now: dt.datetime, *, days: int) -> dict[str, Any]:
    """This function will measure the fairness of the last days by what waited and what ran.

    Args:
        now: grid time.
        days: how many, the running one included.

    Returns:
        JSON-able `{"as_of", "tenants": {…, "days": [{"until", "index"}]}, "regions": {…}}`, the
        index over all days first.
    """
    weights = fair_weights()
    since = now - days * DAY
    found: dict[str, Any] = {"as_of": now.isoformat(), "days": days}
    for name, by_region, own in (
        ("tenants", False, weights.tenants),
        ("regions", True, weights.regions),
    ):
        stays = _stays(since, by_region=by_region)
        whole = fairness_of_past(stays, own, since=since, until=now)
        ends = [now - n * DAY for n in range(days)]
        by_day = [fairness_of_past(stays, own, since=end - DAY, until=end) for end in ends]
        found[name] = told(whole) | {
            "days": [
                {"until": end.isoformat(), "index": round(day.index, 4)}
                for end, day in zip(ends, by_day, strict=True)
                if day.served_unit_h
            ]
        }
    return found


def told(fairness: Fairness) -> dict[str, Any]:
    """This function will round a measure of fairness for people."""
    found = asdict(fairness)
    for name in ("owed_unit_h", "served_unit_h"):
        found[name] = {who: round(hours, 2) for who, hours in sorted(found[name].items())}
    found["index"] = round(fairness.index, 4)
    return found


def _stays(since: dt.datetime, *, by_region: bool) -> list[Stay]:
    """What waited or ran since a moment, at home or where it was moved to."""
    who = "pool__site__region_id" if by_region else "tenant"
    rows = (
        Workload.objects.filter(kind=WorkloadKind.BATCH)
        .filter(Q(finished_at__isnull=True) | Q(finished_at__gt=since))
        .exclude(state=WorkloadState.WITHDRAWN)
        .values_list(who, "units", "submitted_at", "started_at", "finished_at")
    )
    moved = (
        Passage.objects.filter(
            workload__kind=WorkloadKind.BATCH,
            state__in=[PassageState.PLACED, PassageState.RUNNING, PassageState.FINISHED],
        )
        .filter(Q(finished_at__isnull=True) | Q(finished_at__gt=since))
        .values_list(
            f"workload__{who}", "workload__units", "workload__submitted_at", "started_at",
            "finished_at",
        )
    )  # fmt: skip
    return [Stay(*row) for row in (*rows, *moved)]
