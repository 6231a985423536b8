"""Reads the work that plans may place: what waits, what runs and can be moved, and services."""

import datetime as dt
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from controlplane.lib.units import HOUR
from monitoring.domain.inventory import PoolInfo
from scheduling.domain.lifecycle import PassageState
from scheduling.domain.limits import COOL_DOWN
from scheduling.domain.planner.rules.services import ServiceDemand
from scheduling.domain.serving import Replica, ServiceUsers, service_demand
from scheduling.domain.workloads import (
    CHECKPOINTING_ENGINES,
    GroupedDemand,
    WaitingWorkload,
    WorkloadKind,
    WorkloadState,
    group_workloads,
    worth_moving,
)
from scheduling.models import Passage, Service, Workload
from scheduling.selectors.limits import Speeds
from scheduling.selectors.loads import gone_workloads, passages_of_open_plans

if TYPE_CHECKING:
    from django.db.models import QuerySet


def work_to_place(
    now: dt.datetime,
    pools: Sequence[PoolInfo],
    *,
    slots: int,
    speeds: Speeds,
    limited: Set[str],
    weighted: Set[str],
) -> GroupedDemand:
    """This function will read what waits and what runs and can be moved, as demand groups.

    Args:
        now: start of slot 0.
        pools: in the order of the problem's index p.
        slots: number of hourly slots T.
        speeds: hours asked for at home are told at speed 1.
        limited: tenants with a quota.
        weighted: tenants with a weight of their own.
    """
    tenants = limited | weighted
    work = [
        *waiting_workloads(now, tenants=tenants),
        *running_workloads(now, tenants=tenants, without=limited),
    ]
    at_speed_one = (
        replace(
            one,
            requested_duration_s=one.requested_duration_s
            * speeds.asked_factor(one.requirement, one.pool),
        )
        for one in work
    )
    index = {pool.code: position for position, pool in enumerate(pools)}
    return group_workloads(at_speed_one, index, slots)


def services_to_place(
    now: dt.datetime,
    pools: Sequence[PoolInfo],
    *,
    slots: int,
    zones: Mapping[str, int],
    tenants: Set[str],
) -> tuple[ServiceDemand, ...]:
    """This function will read what users ask of services, less what replicas elsewhere serve."""
    return service_demand(
        service_users(tenants=tenants),
        replicas(now),
        pool_index={pool.code: position for position, pool in enumerate(pools)},
        zone_index=zones,
        starts_at=now,
        slots=slots,
    )


def waiting_workloads(now: dt.datetime, *, tenants: Set[str]) -> list[WaitingWorkload]:
    """This function will read the workloads that wait and that no open plan has taken.

    Args:
        now: the moment.
        tenants: those that are told apart; work of others counts as nobody's.
    """
    rows = _untaken().filter(state=WorkloadState.QUEUED)
    back = _came_back_at(now)
    return [
        _movable(row, now, back, tenants, asked_s=row.requested_duration_s)
        for row in rows.order_by("submitted_at", "pk")
    ]


def running_workloads(
    now: dt.datetime, *, tenants: Set[str], without: Set[str] = frozenset()
) -> list[WaitingWorkload]:
    """This function will read the running work that can be stopped at a checkpoint and moved.

    Only where the provider says how often it keeps a checkpoint and the engine can stop at one.

    Args:
        now: the moment.
        tenants: those that are told apart.
        without: tenants whose running work stays: it counts in what their quotas hold already.
    """
    rows = _untaken().filter(
        state=WorkloadState.RUNNING,
        checkpointable=True,
        checkpoint_every_s__isnull=False,
        started_at__isnull=False,
        pool__engine__in=sorted(CHECKPOINTING_ENGINES),
    )
    back = _came_back_at(now)
    found = []
    for row in rows.exclude(tenant__in=sorted(without)).order_by("started_at", "pk"):
        ran_s = max(0.0, (now - (row.started_at or now)).total_seconds())
        left_s = row.requested_duration_s - ran_s
        if left_s > 0:
            found.append(_movable(row, now, back, tenants, asked_s=left_s, ran_s=ran_s))
    return worth_moving(found)


def service_users(*, tenants: Set[str]) -> list[ServiceUsers]:
    """This function will read what the users of all running services ask for."""
    return [
        ServiceUsers(
            key=f"{row.provider_code}/{row.external_id}/{users['region']}",
            pool=row.pool.code,
            region=users["region"],
            units_by_hour=tuple(users["units"]),
            latency_bound_ms=users["latency_bound_ms"],
            data_class=row.data_class,
            tenant=row.tenant if row.tenant in tenants else "",
            requirement=row.requirement,
        )
        for row in Service.objects.filter(is_running=True).select_related("pool")
        for users in row.users
    ]


def replicas(now: dt.datetime) -> list[Replica]:
    """This function will read the replicas of services that are on their way or serve elsewhere."""
    here = Passage.objects.filter(
        state__in=[PassageState.PLACED, PassageState.RUNNING],
    ) | (passages_of_open_plans())
    rows = here.filter(workload__kind=WorkloadKind.SERVICE).select_related("move", "workload")
    return [
        Replica(row.move.group_key, float(row.workload.units), row.move.window_end)
        for row in rows.distinct()
        if row.move.window_end > now
    ]


def _untaken() -> "QuerySet[Workload]":
    taken = passages_of_open_plans().values("workload_id")
    return (
        Workload.objects.filter(kind=WorkloadKind.BATCH)
        .exclude(pk__in=taken)
        .exclude(pk__in=gone_workloads())
        .select_related("pool")
    )


def _movable(
    row: Workload,
    now: dt.datetime,
    back: dict[int, dt.datetime],
    tenants: Set[str],
    *,
    asked_s: float,
    ran_s: float | None = None,
) -> WaitingWorkload:
    rests_h = (back[row.pk] + COOL_DOWN - now) / HOUR if row.pk in back else 0.0
    lost_h = 0.0
    if ran_s is not None and row.checkpoint_every_s is not None:
        lost_h = row.checkpoint_every_s / 3600.0
    return WaitingWorkload(
        id=row.pk,
        pool=row.pool.code,
        data_class=row.data_class,
        units=row.units,
        requested_duration_s=asked_s,
        hours_to_latest_start=((row.deadline_at - now).total_seconds() - asked_s) / 3600.0,
        data_gb=row.data_gb,
        hours_to_move=rests_h,
        tenant=row.tenant if row.tenant in tenants else "",
        requirement=row.requirement,
        members=row.members,
        is_running=ran_s is not None,
        lost_h=lost_h,
    )


def _came_back_at(now: dt.datetime) -> dict[int, dt.datetime]:
    """When workloads came back from a move that did not end well: they rest before the next."""
    rows = Passage.objects.filter(
        state=PassageState.RETURNED, updated_at__gt=now - COOL_DOWN
    ).values_list("workload_id", "updated_at")
    newest: dict[int, dt.datetime] = {}
    for pk, at in rows:
        newest[pk] = max(at, newest.get(pk, at))
    return newest
