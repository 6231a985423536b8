"""Workload states, and how workloads that are alike become demand groups."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from scheduling.domain.planner.problem import DemandGroup

START_STEP_SLOTS = 6
# moving running work pays only while some of it is left, and only if it is soon
LEAST_LEFT_H = 2.0
MOVES_WITHIN_SLOTS = 3
MOST_RUNNING = 40
CHECKPOINTING_ENGINES = frozenset({"simulated"})


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
    """One workload that a plan may place: it waits, or it runs and can be stopped and resumed.

    Attributes:
        id: key of the workload.
        pool: code of its home pool.
        data_class: open, internal or restricted.
        units: whole units that it asks for; of a gang, those of all its members.
        requested_duration_s: seconds that it asks for; of running work, what is left of them.
        hours_to_latest_start: hours until it must start to meet its deadline; may be negative.
        data_gb: data that would move with it.
        hours_to_move: hours until it may move again, 0 where it may now (cool-down).
        tenant: whose quota and fair share it counts in; empty where its tenant has neither.
        requirement: what it asks of an accelerator; empty is any.
        members: workloads of a gang that start together or not at all.
        is_running: whether it runs at home now.
        lost_h: most hours of work that it repeats after a move, because no checkpoint holds them.
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
    requirement: str = ""
    members: int = 1
    is_running: bool = False
    lost_h: float = 0.0


@dataclass(frozen=True)
class GroupedDemand:
    """Demand groups and, for each, the ids of its workloads in order of arrival."""

    groups: tuple[DemandGroup, ...]
    members: tuple[tuple[int, ...], ...]

    @property
    def running_ids(self) -> frozenset[int]:
        """Workloads that run at home now and that the plan may move."""
        return frozenset(
            pk
            for group, members in zip(self.groups, self.members, strict=True)
            if group.is_running
            for pk in members
        )


def group_workloads(
    waiting: Iterable[WaitingWorkload], pool_index: Mapping[str, int], slots: int
) -> GroupedDemand:
    """This function will put workloads that are alike into demand groups.

    Alike are workloads of one home pool, data class, requirement, size, gang size, requested
    duration and tenant whose latest start falls into the same six hours and that may move from the
    same hour on; running work only with running work that loses as much by a move. A workload that
    can no longer meet its deadline is not forgotten: it may start at any time, since late is
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
            rows[_key(workload, slots)].append(workload)
    ordered = sorted(rows.items())
    return GroupedDemand(
        groups=tuple(_group(key, members, pool_index) for key, members in ordered),
        members=tuple(tuple(member.id for member in members) for _, members in ordered),
    )


def worth_moving(running: Iterable[WaitingWorkload]) -> list[WaitingWorkload]:
    """This function will choose which running work a plan looks at.

    Args:
        running: work that runs and can be stopped and resumed.

    Returns:
        Those with two hours or more left, at most 40, those with most unit-hours left first; what
        is left is rounded up to whole hours, as plans count it.
    """
    left = [
        replace(one, requested_duration_s=math.ceil(one.requested_duration_s / 3600.0) * 3600.0)
        for one in running
        if one.requested_duration_s >= LEAST_LEFT_H * 3600.0
    ]
    left.sort(key=lambda one: (-one.units * one.requested_duration_s, one.id))
    return left[:MOST_RUNNING]


def _key(workload: WaitingWorkload, slots: int) -> "_Key":
    latest = _latest_start(workload.hours_to_latest_start, slots)
    return _Key(
        workload.pool,
        workload.data_class,
        workload.units,
        workload.requested_duration_s,
        min(slots, MOVES_WITHIN_SLOTS) - 1 if workload.is_running else latest,
        min(slots, max(0, math.ceil(workload.hours_to_move))),
        workload.tenant,
        workload.requirement,
        workload.members,
        workload.is_running,
        workload.lost_h,
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
    requirement: str
    members: int
    is_running: bool
    lost_h: float

    @property
    def name(self) -> str:
        hours = self.duration_s / 3600.0
        text = f"{self.pool}/{self.data_class}/{self.units}u/{hours:g}h/L{self.latest}"
        parts = {
            f"/A{self.away_from}": self.away_from,
            f"/{self.tenant}": self.tenant,
            f"/on-{self.requirement}": self.requirement,
            f"/gang-of-{self.members}": self.members > 1,
            f"/running-{self.lost_h:g}h-lost": self.is_running,
        }
        return text + "".join(part for part, is_told in parts.items() if is_told)


def _group(key: _Key, members: list[WaitingWorkload], pool_index: Mapping[str, int]) -> DemandGroup:
    hours = key.duration_s / 3600.0
    return DemandGroup(
        key=key.name,
        home=pool_index[key.pool],
        data_class=key.data_class,
        units=key.units,
        jobs=len(members),
        duration_slots=max(1, math.ceil(hours)),
        duration_h=hours,
        latest_start=key.latest,
        data_gb=sum(member.data_gb for member in members) / len(members),
        away_from=key.away_from,
        requirement=key.requirement,
        tenant=key.tenant,
        members=key.members,
        is_running=key.is_running,
        lost_h=key.lost_h,
    )
