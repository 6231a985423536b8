"""Says what tenants are owed of the coming hours, and how fair plans and past days were."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduling.domain.planner.occupancy import whole_capacity
from scheduling.domain.planner.outcome import PlanOutcome
from scheduling.domain.planner.problem import PlanningProblem
from scheduling.domain.planner.rules.fairness import fair_shares, fairness_index

LOOK_BACK = dt.timedelta(days=7)


@dataclass(frozen=True)
class Stay:
    """One workload's life as far as it is known.

    Attributes:
        who: tenant, or home region.
        units: units that it holds while it runs.
        submitted_at: when it began to wait.
        started_at, finished_at: None while it has not.
    """

    who: str
    units: float
    submitted_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


@dataclass(frozen=True)
class Fairness:
    """How evenly a division served those who asked.

    Attributes:
        index: Jain's index of served by owed, 0..1.
        owed_unit_h, served_unit_h: by tenant or region.
    """

    index: float
    owed_unit_h: dict[str, float]
    served_unit_h: dict[str, float]


def owed_unit_h(
    asked: Mapping[str, float],
    used: Mapping[str, float],
    weights: Mapping[str, float],
    coming: float,
) -> dict[str, float]:
    """This function will say what everybody is owed of the coming unit-hours.

    What was used lately and what comes are divided together, so who got little lately is owed more
    now; what somebody has had already is not asked for again.

    Args:
        asked: unit-hours that each asks for now, >= 0.
        used: unit-hours that each had lately, >= 0.
        weights: weight of each, > 0; 1 where nothing is said.
        coming: unit-hours that can be given, >= 0.

    Returns:
        Unit-hours by who asks, 0..asked.

    >>> owed_unit_h({"a": 10.0, "b": 10.0}, {"a": 6.0}, {}, 10.0)
    {'a': 2.0, 'b': 8.0}
    """
    wanted = {who: asked[who] + used.get(who, 0.0) for who in asked}
    total = coming + sum(used.get(who, 0.0) for who in asked)
    shares = fair_shares(wanted, weights, total)
    return {who: min(asked[who], max(0.0, shares[who] - used.get(who, 0.0))) for who in asked}


def asked_unit_h(problem: PlanningProblem, names: Mapping[int, str]) -> dict[str, float]:
    """This function will sum up the hours that all work of a plan asks for.

    Args:
        problem: the situation.
        names: who asks, by group index; groups that are not named are left out.
    """
    asked: dict[str, float] = defaultdict(float)
    for g, who in names.items():
        group = problem.groups[g]
        asked[who] += group.jobs * group.units * group.duration_h
    return dict(sorted(asked.items()))


def coming_unit_h(problem: PlanningProblem) -> float:
    """This function will return the unit-hours that pools have left over the horizon."""
    _, everybody = whole_capacity(problem)
    return float(everybody.sum())


def fairness_of_plan(
    problem: PlanningProblem, plan: PlanOutcome, names: Mapping[int, str], owed: Mapping[str, float]
) -> Fairness:
    """This function will measure how fairly a plan serves those who ask, by the hours asked for.

    Args:
        problem: the situation.
        plan: its answer.
        names: who asks, by group index.
        owed: unit-hours by who asks.
    """
    served: dict[str, float] = defaultdict(float)
    for placed in plan.placements:
        if placed.group in names:
            group = problem.groups[placed.group]
            served[names[placed.group]] += placed.jobs * group.units * group.duration_h
    rounded = {who: round(served.get(who, 0.0), 3) for who in owed}
    return Fairness(fairness_index(rounded, owed), dict(owed), rounded)


def fairness_of_past(
    stays: Iterable[Stay],
    weights: Mapping[str, float],
    *,
    since: dt.datetime,
    until: dt.datetime,
) -> Fairness:
    """This function will measure how fairly a stretch of the past served those who asked.

    Somebody asks for the units of work that waits or runs, hour for hour, and is served with those
    of work that runs. What was served together is what could be divided.

    Args:
        stays: workloads that touch the stretch.
        weights: weight of each, > 0; 1 where nothing is said.
        since: begin of the stretch.
        until: its end.
    """
    asked: dict[str, float] = defaultdict(float)
    served: dict[str, float] = defaultdict(float)
    for stay in stays:
        end = stay.finished_at or until
        ran = 0.0
        if stay.started_at is not None:
            ran = _overlap_h(stay.started_at, end, since, until)
        waited = _overlap_h(stay.submitted_at, stay.started_at or end, since, until)
        served[stay.who] += stay.units * ran
        asked[stay.who] += stay.units * (ran + waited)
    owed = fair_shares(dict(asked), weights, sum(served.values()))
    return Fairness(fairness_index(served, owed), owed, dict(served))


def used_unit_h(
    stays: Iterable[Stay], *, since: dt.datetime, until: dt.datetime
) -> dict[str, float]:
    """This function will sum up the unit-hours that everybody's work ran in a stretch of time."""
    used: dict[str, float] = defaultdict(float)
    for stay in stays:
        if stay.started_at is not None:
            end = stay.finished_at or until
            used[stay.who] += stay.units * _overlap_h(stay.started_at, end, since, until)
    return dict(used)


def _overlap_h(
    begin: dt.datetime, end: dt.datetime, since: dt.datetime, until: dt.datetime
) -> float:
    return max(0.0, (min(end, until) - max(begin, since)).total_seconds() / 3600.0)
