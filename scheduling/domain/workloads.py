"""Workload states, and how workloads that are alike become demand groups."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from scheduling.domain.planner.problem import DemandGroup

START_STEP_SLOTS = 6


class WorkloadKind(StrEnum):
    """Whether a workload ends by itself or serves users."""

    BATCH = "batch"
    SERVICE = "service"


class DataClass(StrEnum):
    """How freely a workload's data may travel."""

    OPEN = "open"
    INTERNAL = "internal"
    RESTRICTED = "restricted"


class WorkloadState(StrEnum):
    """Where a workload stands at its home engine."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True)
class WaitingWorkload:
    """One waiting workload as the planner sees it.

    Attributes:
        id: key of the workload.
        pool: code of its home pool.
        data_class: open, internal or restricted.
        units: whole units that it asks for.
        requested_duration_s: seconds that it asks for.
        hours_to_latest_start: hours until it must start to meet its deadline; may be negative.
        data_gb: data that would move with it.
        hours_to_move: hours until it may move again, 0 where it may now (cool-down).
        tenant: whose quota it counts in; empty where no quota names its tenant.
    """

    id: int
    pool: str
    data_class: str
    units: int
    requested_duration_s: float
    hours_to_latest_start: float
    data_gb: float
    hours_to_move: float = 0.0
    tenant: str = ""


@dataclass(frozen=True)
class GroupedDemand:
    """Demand groups and, for each, the ids of its workloads in order of arrival."""

    groups: tuple[DemandGroup, ...]
    members: tuple[tuple[int, ...], ...]


def group_workloads(
    waiting: Iterable[WaitingWorkload], pool_index: Mapping[str, int], slots: int
) -> GroupedDemand:
    """This function will put workloads that are alike into demand groups.

    Alike are workloads of one home pool, data class, size, requested duration and tenant whose
    latest start falls into the same six hours and that may move from the same hour on. A workload
    that can no longer meet its deadline is not forgotten: it may start at any time, since late is
    better than never.

    Args:
        waiting: workloads in order of arrival.
        pool_index: index of each pool's code; workloads of other pools are left out.
        slots: number of slots T.

    Returns:
        Groups in order of their key, each with its members in order of arrival.
    """
    rows: dict[_Key, list[WaitingWorkload]] = defaultdict(list)
    for workload in waiting:
        if workload.pool in pool_index:
            latest = _latest_start(workload.hours_to_latest_start, slots)
            away_from = min(slots, max(0, math.ceil(workload.hours_to_move)))
            key = _Key(
                workload.pool,
                workload.data_class,
                workload.units,
                workload.requested_duration_s,
                latest,
                away_from,
                workload.tenant,
            )
            rows[key].append(workload)
    ordered = sorted(rows.items())
    return GroupedDemand(
        groups=tuple(_group(key, members, pool_index) for key, members in ordered),
        members=tuple(tuple(member.id for member in members) for _, members in ordered),
    )


def _latest_start(hours: float, slots: int) -> int:
    if hours < 0 or hours >= slots:
        return slots - 1
    return min(slots - 1, max(0, int(hours) // START_STEP_SLOTS * START_STEP_SLOTS))


class _Key(NamedTuple):
    pool: str
    data_class: str
    units: int
    duration_s: float
    latest: int
    away_from: int
    tenant: str


def _group(key: _Key, members: list[WaitingWorkload], pool_index: Mapping[str, int]) -> DemandGroup:
    hours = key.duration_s / 3600.0
    name = f"{key.pool}/{key.data_class}/{key.units}u/{hours:g}h/L{key.latest}"
    name += f"/A{key.away_from}" if key.away_from else ""
    name += f"/{key.tenant}" if key.tenant else ""
    return DemandGroup(
        key=name,
        home=pool_index[key.pool],
        data_class=key.data_class,
        units=key.units,
        jobs=len(members),
        duration_slots=max(1, math.ceil(hours)),
        duration_h=hours,
        latest_start=key.latest,
        data_gb=sum(member.data_gb for member in members) / len(members),
        away_from=key.away_from,
        tenant=key.tenant,
    )
