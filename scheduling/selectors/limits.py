"""Reads what people set for plans: maintenance, quotas, carbon caps, accelerators, fair shares."""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from controlplane.lib.units import floor_hour
from monitoring import selectors as grid
from scheduling.domain.availability import PoolLoad, busy_units
from scheduling.domain.limits import Closure, carbon_room
from scheduling.domain.planner.problem import CarbonCap, FloatArray, PoolFacts, Quota
from scheduling.domain.workloads import WorkloadState
from scheduling.models import (
    AcceleratorRow,
    CarbonCapRow,
    FairShareRow,
    MaintenanceWindow,
    QuotaRow,
    SpeedRow,
    Workload,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet


def pool_rows() -> "QuerySet[Any]":
    """This function will give the pools that a maintenance window or an accelerator may name."""
    return _target(MaintenanceWindow, "pool").select_related("site")


def site_rows() -> "QuerySet[Any]":
    """This function will give the sites that a maintenance window may name."""
    return _target(MaintenanceWindow, "site")


def region_rows() -> "QuerySet[Any]":
    """This function will give the regions that a carbon cap or a fair share may name."""
    return _target(CarbonCapRow, "region")


def _target(model: type[Any], name: str) -> "QuerySet[Any]":
    rows: QuerySet[Any] = model._meta.get_field(name).related_model.objects.all()  # noqa: SLF001
    return rows


def closures(now: dt.datetime, until: dt.datetime) -> list[Closure]:
    """This function will read the maintenance windows that touch a stretch of time."""
    rows = MaintenanceWindow.objects.filter(ends_at__gt=now, starts_at__lt=until).values_list(
        "starts_at", "ends_at", "pool__code", "site_id"
    )
    return [Closure(start, end, pool or "", site or "") for start, end, pool, site in rows]


def quotas() -> tuple[Quota, ...]:
    """This function will read the quotas, each with the units that running work holds of it."""
    rows = list(QuotaRow.objects.order_by("name"))
    held = _units_by_tenant([row.name for row in rows])
    return tuple(
        Quota(
            name=row.name,
            parent=row.parent,
            nominal_units=row.nominal_units,
            borrowing_units=math.inf if row.borrowing_units is None else row.borrowing_units,
            lending_units=math.inf if row.lending_units is None else row.lending_units,
            regions=frozenset(row.regions),
            in_use_units=sum(
                units
                for region, units in held[row.name].items()
                if not row.regions or region in row.regions
            ),
        )
        for row in rows
    )


def carbon_caps(
    now: dt.datetime,
    *,
    pools: Sequence[PoolFacts],
    loads: dict[str, PoolLoad | None],
    carbon_kg_per_unit_h: FloatArray,
    staying_units: FloatArray,
) -> tuple[CarbonCap, ...]:
    """This function will read the carbon caps and say what each leaves for planned work.

    Args:
        now: start of slot 0.
        pools: P pools.
        loads: what holds each pool; one that is unknown counts as idle.
        carbon_kg_per_unit_h: (P, T) carbon of a unit-hour.
        staying_units: (P, T) held by running work that the plan may move, if it stays.
    """
    most_kg = dict(CarbonCapRow.objects.values_list("region_id", "most_kg_per_day"))
    if not most_kg:
        return ()
    busy = np.zeros_like(carbon_kg_per_unit_h)
    for row, pool in enumerate(pools):
        load = loads[pool.code]
        if load is not None:
            busy[row] = busy_units(load, busy.shape[1])
    return carbon_room(
        most_kg,
        pools=pools,
        emitted_kg=_emitted_today(now, pools, busy[:, 0] * carbon_kg_per_unit_h[:, 0]),
        busy_units=busy,
        carbon_kg_per_unit_h=carbon_kg_per_unit_h,
        starts_at=now,
        staying_units=staying_units,
    )


@dataclass(frozen=True)
class Speeds:
    """Which accelerator each pool has, and how fast requirements run on accelerators.

    Attributes:
        accelerators: type by pool code; a pool that nobody described has none.
        factors: by requirement and type; 1 for requirements that are not in it.
    """

    accelerators: dict[str, str]
    factors: dict[tuple[str, str], float]

    def of(self, requirement: str, pool: str) -> float:
        """This function will say how fast a requirement runs on a pool; 0 is not at all."""
        return self.factors.get((requirement, self.accelerators.get(pool, "")), 1.0)

    def asked_factor(self, requirement: str, home: str) -> float:
        """This function will turn hours asked for at home into hours at speed 1.

        Work that waits where the table says that it cannot run is taken at its word.
        """
        return self.of(requirement, home) or 1.0


def speeds() -> Speeds:
    """This function will read the accelerators of pools and the factors of requirements.

    A requirement that is in the table runs on the types listed for it and on no others; one that
    is not in the table runs everywhere alike.
    """
    accelerators = dict(AcceleratorRow.objects.values_list("pool__code", "accelerator"))
    listed = {
        (requirement, accelerator): factor
        for requirement, accelerator, factor in SpeedRow.objects.values_list(
            "requirement", "accelerator", "factor"
        )
    }
    kinds = {"", *accelerators.values()}
    nowhere = {(requirement, kind): 0.0 for requirement, _ in listed for kind in kinds}
    return Speeds(accelerators, nowhere | listed)


@dataclass(frozen=True)
class FairWeights:
    """Weights by tenant and by home region; 1 where nothing is said."""

    tenants: dict[str, float]
    regions: dict[str, float]


def fair_weights() -> FairWeights:
    """This function will read the weights of fair shares."""
    rows = FairShareRow.objects.values_list("tenant", "region_id", "weight")
    return FairWeights(
        tenants={tenant: weight for tenant, _, weight in rows if tenant},
        regions={region: weight for _, region, weight in rows if region},
    )


def _emitted_today(
    now: dt.datetime, pools: Sequence[PoolFacts], kg_per_h: FloatArray
) -> dict[str, float]:
    midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    emitted: dict[str, float] = defaultdict(float)
    frame = grid.energy_frame(since=midnight, until=floor_hour(now))
    kg = (frame["power_kw"] * frame["carbon_g_per_kwh"] / 1000.0).fillna(0.0)
    for region, amount in zip(frame["region"], kg, strict=True):
        emitted[str(region)] += float(amount)
    # the hour that runs has no mean yet: it counts as what holds the pools now
    part_h = (now - floor_hour(now)).total_seconds() / 3600.0
    for pool, rate in zip(pools, kg_per_h, strict=True):
        emitted[pool.region] += float(rate) * part_h
    return emitted


def _units_by_tenant(tenants: Sequence[str]) -> dict[str, dict[str, float]]:
    held: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    rows = Workload.objects.filter(state=WorkloadState.RUNNING, tenant__in=tenants).values_list(
        "tenant", "pool__site__region_id", "units"
    )
    for tenant, region, units in rows:
        held[tenant][region] += units
    return held
