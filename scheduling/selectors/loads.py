"""Reads what holds each pool: telemetry, running workloads, and what is promised to come."""

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING

from monitoring import selectors as grid
from monitoring.domain.inventory import PoolInfo
from scheduling.domain.availability import PoolLoad
from scheduling.domain.lifecycle import GONE_PASSAGES, OPEN_PLAN_STATES, PassageState
from scheduling.domain.workloads import WorkloadState
from scheduling.models import Passage, Workload

if TYPE_CHECKING:
    from django.db.models import QuerySet


def passages_of_open_plans() -> "QuerySet[Passage]":
    """Passages whose workload an open plan still means to move."""
    return Passage.objects.filter(
        move__plan__state__in=[state.value for state in OPEN_PLAN_STATES],
        state__in=[
            PassageState.BOUND,
            PassageState.WITHDRAWING,
            PassageState.SUBMITTING,
            PassageState.RELEASING,
        ],
    )


def gone_workloads() -> "QuerySet[Passage, int]":
    """Workloads that have left home, even where home has not said so yet."""
    return Passage.objects.filter(state__in=[state.value for state in GONE_PASSAGES]).values_list(
        "workload_id", flat=True
    )


def pool_loads(now: dt.datetime, pools: tuple[PoolInfo, ...]) -> dict[str, PoolLoad | None]:
    """This function will read what holds each pool's capacity now.

    Returns:
        A load per pool code, or None where the newest telemetry is too old to be believed.
    """
    readings = {reading.pool: reading for reading in grid.pool_states(now)}
    seen_at = {code: reading.measured_at for code, reading in readings.items()}
    running = _running(now, seen_at)
    waiting = _waiting_units()
    promised = _promised(seen_at)
    loads: dict[str, PoolLoad | None] = {}
    for pool in pools:
        reading = readings.get(pool.code)
        if (
            reading is None
            or reading.capacity is None
            or reading.allocated is None
            or reading.queued is None
        ):
            loads[pool.code] = None
            continue
        loads[pool.code] = PoolLoad(
            capacity=reading.capacity,
            contract=pool.contract,
            reserve=pool.reserve,
            allocated=reading.allocated,
            queued=reading.queued,
            running=tuple(running[pool.code]),
            waiting_units=waiting[pool.code],
            promised=tuple(promised[pool.code]),
        )
    return loads


Holds = dict[str, list[tuple[float, float]]]
SeenAt = dict[str, dt.datetime | None]


def _running(now: dt.datetime, seen_at: SeenAt) -> Holds:
    """Running workloads that telemetry shows: announced ones, and those that were moved here."""
    held: Holds = defaultdict(list)
    own = Workload.objects.filter(state=WorkloadState.RUNNING).values_list(
        "pool__code", "units", "requested_duration_s", "started_at"
    )
    for pool, units, duration_s, started_at in own:
        ran_s = (now - started_at).total_seconds() if started_at else 0.0
        # one that ran past its request is taken to end within the hour
        held[pool].append((float(units), max(1.0, (duration_s - ran_s) / 3600.0)))
    for pool, units, duration_s, placed_at, started_at in _moved():
        if _is_seen(placed_at, seen_at.get(pool)):
            ran_s = (now - started_at).total_seconds() if started_at else 0.0
            held[pool].append((float(units), max(1.0, (duration_s - ran_s) / 3600.0)))
    return held


def _waiting_units() -> dict[str, float]:
    units: dict[str, float] = defaultdict(float)
    rows = Workload.objects.filter(state=WorkloadState.QUEUED).values_list("pool__code", "units")
    for pool, count in rows:
        units[pool] += count
    return units


def _promised(seen_at: SeenAt) -> Holds:
    """Workloads on their way to each pool, and those there that its telemetry cannot show yet."""
    promised: Holds = defaultdict(list)
    on_their_way = passages_of_open_plans().values_list(
        "move__destination_pool__code", "workload__units", "move__requested_duration_s"
    )
    for pool, units, duration_s in on_their_way:
        promised[pool].append((float(units), duration_s / 3600.0))
    for pool, units, duration_s, placed_at, _ in _moved():
        if not _is_seen(placed_at, seen_at.get(pool)):
            promised[pool].append((float(units), duration_s / 3600.0))
    return promised


def _moved() -> "QuerySet[Passage, tuple[str, int, float, dt.datetime | None, dt.datetime | None]]":
    return Passage.objects.filter(
        state__in=[PassageState.PLACED, PassageState.RUNNING]
    ).values_list(
        "move__destination_pool__code",
        "workload__units",
        "move__requested_duration_s",
        "placed_at",
        "started_at",
    )


def _is_seen(placed_at: dt.datetime | None, seen_at: dt.datetime | None) -> bool:
    return placed_at is not None and seen_at is not None and placed_at < seen_at
