"""Turns maintenance windows and carbon caps into the arrays that the planner takes."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.domain.inventory import PoolInfo
from scheduling.domain.availability import PoolLoad
from scheduling.domain.planner.problem import BoolArray, CarbonCap, FloatArray, PoolFacts

HOUR = dt.timedelta(hours=1)
# a workload that came back from a move rests for so long before the next
COOL_DOWN = dt.timedelta(hours=6)
# sums of many hours differ in their last digits by the order in which they are added
SLACK_KG = 1e-6


@dataclass(frozen=True)
class Closure:
    """Hours in which a pool, or every pool of a site, takes no planned work."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    pool: str = ""
    site: str = ""


def closed_slots(
    closures: Iterable[Closure], pools: Sequence[PoolFacts], *, starts_at: dt.datetime, slots: int
) -> BoolArray | None:
    """This function will mark the slots in which pools are closed, even if only for a part of one.

    Args:
        closures: maintenance windows.
        pools: P pools.
        starts_at: start of slot 0.
        slots: number of hourly slots T.

    Returns:
        (P, T), or None where nothing is closed.
    """
    closed = np.zeros((len(pools), slots), bool)
    for closure in closures:
        first = max(0, (closure.starts_at - starts_at) // HOUR)
        last = min(slots, -((starts_at - closure.ends_at) // HOUR))
        for row, pool in enumerate(pools):
            if first < last and (pool.code == closure.pool or pool.site == closure.site):
                closed[row, first:last] = True
    return closed if closed.any() else None


def carbon_room(
    most_kg_per_day: Mapping[str, float],
    *,
    pools: Sequence[PoolFacts],
    emitted_kg: Mapping[str, float],
    busy_units: FloatArray,
    carbon_kg_per_unit_h: FloatArray,
    starts_at: dt.datetime,
    staying_units: FloatArray | float = 0.0,
) -> tuple[CarbonCap, ...]:
    """This function will say how much of each region's daily cap is left for planned work.

    What the region emitted today, and what the work that holds its pools already will emit, comes
    first; the plan may use what is left. Where they have used it up, waiting work waits.

    Args:
        most_kg_per_day: cap per region, kg CO2e a UTC day.
        pools: P pools.
        emitted_kg: per region, measured since midnight UTC.
        busy_units: (P, T) units held by running and promised work.
        carbon_kg_per_unit_h: (P, T) carbon of a unit-hour.
        starts_at: start of slot 0.
        staying_units: (P, T) what of the busy units is running work that the plan may move. It
            counts in the plan, and no cap stops it.

    Returns:
        A cap per region and UTC day of the horizon, never below what running work needs to go on.
    """
    slots = busy_units.shape[1]
    day_of = [(starts_at + slot * HOUR).astimezone(dt.UTC).date() for slot in range(slots)]
    today = day_of[0]
    caps = []
    for region, most_kg in sorted(most_kg_per_day.items()):
        rows = [row for row, pool in enumerate(pools) if pool.region == region]
        staying = (staying_units * carbon_kg_per_unit_h)[rows].sum(axis=0)
        expected = (busy_units * carbon_kg_per_unit_h)[rows].sum(axis=0) - staying
        for day in sorted(set(day_of)):
            of_day = np.array([one == day for one in day_of])
            used = float(expected[of_day].sum())
            if day == today:
                used += emitted_kg.get(region, 0.0)
            least_kg = float(staying[of_day].sum())
            least_kg += SLACK_KG if least_kg else 0.0
            caps.append(CarbonCap(region, day, max(least_kg, most_kg - used)))
    return tuple(caps)


def region_limits(
    pools: Iterable[PoolInfo],
    loads: Mapping[str, PoolLoad | None],
    *,
    share: float,
    least_units: float,
) -> tuple[dict[str, float], dict[str, float]]:
    """This function will say how many units one plan may move out of and into each region.

    Args:
        pools: with their regions.
        loads: what holds each pool; one that is unknown counts nothing.
        share: of the region's load that may leave, and of its capacity that may come.
        least_units: what may always move.

    Returns:
        Units per region out, and in.
    """
    out_of: dict[str, float] = defaultdict(float)
    into: dict[str, float] = defaultdict(float)
    for pool in pools:
        load = loads[pool.code]
        out_of[pool.region] += share * (load.allocated + load.queued) if load else 0.0
        into[pool.region] += share * load.capacity if load else 0.0
    return (
        {region: max(least_units, units) for region, units in out_of.items()},
        {region: max(least_units, units) for region, units in into.items()},
    )
