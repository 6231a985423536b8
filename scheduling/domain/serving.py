"""Turns announced services into demand per slot, and the hours served away into whole replicas.

A service goes on at home. What a plan serves elsewhere becomes replicas: jobs that hold units at
the destination for the hours in which traffic is sent there, and then end.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from scheduling.domain.planner.costs import GroupCosts
from scheduling.domain.planner.moves import MoveDraft, MoveSet
from scheduling.domain.planner.outcome import CostParts, PlanOutcome
from scheduling.domain.planner.problem import FloatArray, PlanningProblem
from scheduling.domain.planner.rules.services import ServiceDemand, service_groups
from scheduling.domain.workloads import GroupedDemand

HOUR = dt.timedelta(hours=1)
HOURS_PER_DAY = 24


@dataclass(frozen=True)
class ServiceUsers:
    """What the users of one region ask of one service.

    Attributes:
        key: stable name of the service and its users, such as `beiyun/chat/CN-BJ`.
        pool: code of the pool that serves them at home.
        region: where the users are.
        units_by_hour: 24 units asked for, one per hour of the UTC day, >= 0.
        latency_bound_ms: most round trip between users and pool.
        data_class, tenant, requirement: as of other work.
    """

    key: str
    pool: str
    region: str
    units_by_hour: tuple[float, ...]
    latency_bound_ms: float
    data_class: str
    tenant: str = ""
    requirement: str = ""


@dataclass(frozen=True)
class Replica:
    """Units that serve users of a service away from its home until a moment."""

    key: str
    units: float
    ends_at: dt.datetime


def asked_units(users: ServiceUsers, starts_at: dt.datetime, slots: int) -> FloatArray:
    """This function will return (T,) units that users ask for, by the hour each slot begins in."""
    first = starts_at.astimezone(dt.UTC).hour
    return np.array([users.units_by_hour[(first + t) % HOURS_PER_DAY] for t in range(slots)])


def service_demand(
    users: Iterable[ServiceUsers],
    replicas: Iterable[Replica],
    *,
    pool_index: Mapping[str, int],
    zone_index: Mapping[str, int],
    starts_at: dt.datetime,
    slots: int,
) -> tuple[ServiceDemand, ...]:
    """This function will say what users ask for that no replica elsewhere serves already.

    Args:
        users: of all services that run.
        replicas: on their way or running; several may serve the same users.
        pool_index: index of each pool's code; services of other pools are left out.
        zone_index: network zone of each region; users of other regions are left out.
        starts_at: start of slot 0.
        slots: number of hourly slots T.

    Returns:
        Demand in order of the keys.
    """
    served: dict[str, FloatArray] = defaultdict(lambda: np.zeros(slots))
    for one in replicas:
        served[one.key][: max(0, -((starts_at - one.ends_at) // HOUR))] += one.units
    return tuple(
        ServiceDemand(
            key=one.key,
            home=pool_index[one.pool],
            data_class=one.data_class,
            units=np.maximum(0.0, asked_units(one, starts_at, slots) - served[one.key]),
            user_zone=zone_index[one.region],
            latency_bound_ms=one.latency_bound_ms,
            requirement=one.requirement,
            tenant=one.tenant,
        )
        for one in sorted(users, key=lambda one: one.key)
        if one.pool in pool_index and one.region in zone_index
    )


def with_services(work: GroupedDemand, services: Iterable[ServiceDemand]) -> GroupedDemand:
    """This function will put the hours of services beside other work, in order of the keys."""
    hourly = tuple(group for service in services for group in service_groups(service))
    groups = tuple(sorted((*work.groups, *hourly), key=lambda group: group.key))
    ids = dict(zip((group.key for group in work.groups), work.members, strict=True))
    return GroupedDemand(groups, tuple(ids.get(group.key, ()) for group in groups))


def layers(units: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """This function will cut units per slot into blocks that each hold the same units throughout.

    Args:
        units: whole units by slot; slots that are not named hold none.

    Returns:
        (first slot, slots, units) in order; in every slot the blocks add up to its units.

    >>> layers({3: 2, 4: 3, 5: 2, 7: 1})
    [(3, 3, 2), (4, 1, 1), (7, 1, 1)]
    """
    blocks: list[tuple[int, int, int]] = []
    held: list[tuple[int, int]] = []  # (first slot, units) of what is open, oldest first
    for slot in range(min(units, default=0), max(units, default=-1) + 2):
        excess = sum(size for _, size in held) - units.get(slot, 0)
        while excess > 0:
            first, size = held.pop()
            closing = min(size, excess)
            blocks.append((first, slot - first, closing))
            if size > closing:
                held.append((first, size - closing))
            excess -= closing
        if excess < 0:
            held.append((slot, -excess))
    return sorted(blocks)


@dataclass(frozen=True)
class ServedHours:
    """What a plan does with the users of one service, for people.

    Attributes:
        key: of the service and its users.
        asked_unit_h, home_unit_h, unserved_unit_h: over the horizon.
        away_unit_h: by pool.
    """

    key: str
    asked_unit_h: float
    home_unit_h: float
    unserved_unit_h: float
    away_unit_h: dict[str, float]


def served_hours(problem: PlanningProblem, plan: PlanOutcome) -> tuple[ServedHours, ...]:
    """This function will sum up per service and users where a plan serves them."""
    asked: dict[str, float] = defaultdict(float)
    unserved: dict[str, float] = defaultdict(float)
    home: dict[str, float] = defaultdict(float)
    away: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for group, left in zip(problem.groups, plan.unplaced, strict=True):
        if group.service:
            asked[group.service] += group.jobs
            unserved[group.service] += left
    for placed in plan.placements:
        group = problem.groups[placed.group]
        if group.service and placed.pool == group.home:
            home[group.service] += placed.jobs
        elif group.service:
            away[group.service][problem.pools[placed.pool].code] += placed.jobs
    return tuple(
        ServedHours(key, asked[key], home[key], unserved[key], dict(sorted(away[key].items())))
        for key in sorted(asked)
    )


@dataclass(frozen=True)
class PlannedMove:
    """A move with what one of its jobs is predicted to cost at home and at the destination."""

    draft: MoveDraft
    home: CostParts
    away: CostParts


def planned_moves(
    problem: PlanningProblem,
    move_set: MoveSet,
    costs: tuple[GroupCosts, ...],
    staying: tuple[CostParts, ...],
) -> tuple[PlannedMove, ...]:
    """This function will put the hours of services that are served away together into replicas.

    Args:
        problem: the situation.
        move_set: moves of a plan of it, one per slot for services.
        costs: `costs.all_group_costs(problem)`.
        staying: `moves.staying_cost` of the problem.

    Returns:
        All moves, largest saving first; the changes add up to those of the set.
    """
    planned = []
    hours: dict[tuple[str, int], dict[int, MoveDraft]] = defaultdict(dict)
    for move in move_set.moves:
        service = problem.groups[move.group].service
        if service:
            hours[service, move.destination][move.start_slot] = move
            continue
        away = costs[move.group].placed(move.destination, move.start_slot)
        planned.append(PlannedMove(move, staying[move.group], away))
    for (service, _), by_slot in hours.items():
        for first, length, units in layers({slot: move.jobs for slot, move in by_slot.items()}):
            own = [by_slot[slot] for slot in range(first, first + length)]
            planned.append(_replica(service, own, units, costs=costs, staying=staying))
    planned.sort(
        key=lambda one: (
            -round(one.draft.saving_usd, 9),
            one.draft.start_slot,
            one.draft.group_key,
            one.draft.destination_pool,
            one.draft.duration_h,
        )
    )
    return tuple(planned)


def _replica(
    service: str,
    own: list[MoveDraft],
    units: int,
    *,
    costs: tuple[GroupCosts, ...],
    staying: tuple[CostParts, ...],
) -> PlannedMove:
    home = sum((staying[move.group] for move in own), CostParts()).times(units)
    away = sum(
        (costs[move.group].placed(move.destination, move.start_slot) for move in own), CostParts()
    ).times(units)
    draft = replace(
        own[0],
        group_key=service,
        jobs=1,
        units=units,
        duration_h=float(len(own)),
        change=away - home,
    )
    return PlannedMove(draft, home, away)
