"""The whole model without its columns: arcs from groups to pools, on rides that many arcs share.

A column is (group, pool, start). All columns of one pool that run equally long cost the same per
unit, but for a constant per arc; so start slots are priced once per ride and never per column.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scheduling.domain.planner.costs import held_sum
from scheduling.domain.planner.occupancy import whole_capacity, window_minimum
from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray, PlanningProblem
from scheduling.domain.planner.rules.quotas import QuotaRow, quota_rows
from scheduling.domain.planner.starts import KG_PER_T
from scheduling.domain.planner.terms import terms_of, unplaced_wait_h, usable_pools

Short = NDArray[np.int32]


@dataclass(frozen=True)
class Rides:
    """Equal ways to use a pool, K of them, shared by many arcs.

    Attributes:
        pool: (K,) index p.
        is_away: (K,) whether the work is a guest there.
        tenant: (K,) place in `ArcTable.tenants`, 0 for tenants without a quota.
        earliest: (K,) first slot in which it may start.
        slots: (K,) slots held.
        ends: (K, T) first slot after those held, by start slot, at most T.
        scale_usd: (K,) what a unit of this work is worth, the same for all rides of a group.
        usd: (K, T) energy, carbon and delay of one unit by start slot; infinite where no start is
            possible, because it is too early or not one job fits into the empty pool.
    """

    pool: IntArray
    is_away: BoolArray
    tenant: IntArray
    earliest: IntArray
    slots: IntArray
    ends: IntArray
    scale_usd: FloatArray
    usd: FloatArray

    def __len__(self) -> int:
        return len(self.pool)


@dataclass(frozen=True)
class ArcTable:
    """All arcs, N of them, sorted by group.

    Attributes:
        group, pool, ride: (N,) indices.
        latest_of_arc: (N,) last slot in which a job may start.
        late_usd: (N,) per unit, what a start in the first possible slot costs more because the
            data arrive within that slot.
        once_usd: (N,) per unit, egress, move and latency.
        first, groups: (S,) where each group that has arcs begins, and which it is.
        counts: (S,) arcs of each of them.
        lane: (N,) source region * regions + destination region; 0 where both are the same.
        rides: the rides.
        units, jobs: (G,) units of a job, jobs of a group.
        unplaced_usd: (G,) per unit, what having no place costs.
        offset_usd: (G,) per unit, delay that counts from later than slot 0, to be taken off.
        hours: (G,) requested hours, for fair shares.
        tenants: names that rows of quotas speak of, "" first.
        quotas: rows of quotas.
        guests, everybody: (P, T) whole units.
        out_units, in_units: (R,) limits, infinite where there is none.
    """

    group: Short
    pool: Short
    ride: Short
    latest_of_arc: Short
    late_usd: NDArray[np.float32]
    once_usd: FloatArray
    first: IntArray
    groups: IntArray
    counts: IntArray
    lane: Short
    rides: Rides
    units: FloatArray
    jobs: FloatArray
    unplaced_usd: FloatArray
    offset_usd: FloatArray
    hours: FloatArray
    tenants: tuple[str, ...]
    quotas: tuple[QuotaRow, ...]
    guests: FloatArray
    everybody: FloatArray

    def __len__(self) -> int:
        return len(self.group)


@dataclass(frozen=True)
class _Way:
    """How long work runs somewhere, and who asks for how much: what rides differ by, but pools."""

    hours: float
    slots: int
    asked_h: float
    tenant: int


@dataclass(frozen=True)
class _Listed:
    """What is collected group by group before rides are found, N rows; small numbers for size."""

    group: Short
    pool: Short
    is_away: BoolArray
    earliest: Short
    latest: Short
    way: Short
    late_usd: NDArray[np.float32]
    once_usd: FloatArray
    ways: tuple[_Way, ...]


def build_arcs(problem: PlanningProblem) -> ArcTable:
    """This function will list all arcs of a problem and the rides that they share.

    Args:
        problem: the situation, with its groups.

    Returns:
        The table. Arcs on which no start is possible are left out.
    """
    groups = problem.groups
    units = np.array([group.units for group in groups], dtype=np.float64)
    rows = quota_rows(problem)
    tenants = ("", *sorted({tenant for row in rows for tenant in row.tenants}))
    place = {tenant: n for n, tenant in enumerate(tenants)}
    listed = _list_arcs(problem, [place.get(group.tenant, 0) for group in groups])
    guests, everybody = whole_capacity(problem)
    rides, ride = _share_rides(problem, listed, units, guests, everybody)
    first = np.flatnonzero(np.r_[True, listed.group[1:] != listed.group[:-1]][: len(listed.group)])
    home = np.array([group.home for group in groups], dtype=np.int64)
    lane = problem.region_of[home][listed.group] * len(problem.regions)
    lane += problem.region_of[listed.pool]
    lane[lane // len(problem.regions) == lane % len(problem.regions)] = 0
    weights = problem.weights
    wait_h = np.array([unplaced_wait_h(problem, g) for g in range(len(groups))], dtype=np.float64)
    hours = np.array([group.duration_h for group in groups], dtype=np.float64)
    begins = np.array([group.first_start for group in groups], dtype=np.float64)
    delay_usd = weights.delay_usd_per_unit_h
    return ArcTable(
        group=listed.group,
        pool=listed.pool,
        ride=ride,
        latest_of_arc=listed.latest,
        late_usd=listed.late_usd,
        once_usd=listed.once_usd,
        first=first,
        groups=listed.group[first].astype(np.int64),
        counts=np.diff(np.r_[first, len(listed.group)]),
        lane=lane.astype(np.int32),
        rides=rides,
        units=units,
        jobs=np.array([group.jobs for group in groups], dtype=np.float64),
        unplaced_usd=delay_usd * wait_h + hours * weights.unmet_usd_per_unit_h,
        offset_usd=delay_usd * begins,
        hours=hours,
        tenants=tenants,
        quotas=rows,
        guests=guests,
        everybody=everybody,
    )


def _list_arcs(problem: PlanningProblem, tenants: list[int]) -> _Listed:
    columns: list[tuple[NDArray[Any], ...]] = []
    ways: dict[_Way, int] = {}
    delay_usd = problem.weights.delay_usd_per_unit_h
    for g, demand in enumerate(problem.groups):
        terms = terms_of(problem, g, np.flatnonzero(usable_pools(problem, g)))
        keep = terms.earliest <= terms.latest
        hours, slots = terms.hours[keep], terms.slots[keep]
        way = np.empty(len(hours), dtype=np.int32)
        # hours decide slots: both are what is asked for, at the speed there
        for run_h in np.unique(hours):
            same = hours == run_h
            one = _Way(float(run_h), int(slots[same][0]), demand.duration_h, tenants[g])
            way[same] = ways.setdefault(one, len(ways))
        once = terms.egress_usd + terms.churn_usd + terms.latency_usd
        late_h = np.maximum(0.0, terms.travel_h - terms.earliest)
        columns.append(
            (
                np.full(len(way), g, dtype=np.int32),
                terms.pools[keep].astype(np.int32),
                terms.is_away[keep],
                terms.earliest[keep].astype(np.int32),
                terms.latest[keep].astype(np.int32),
                way,
                (delay_usd * late_h[keep]).astype(np.float32),
                once[keep] / demand.units,
            )
        )
    group, pool, is_away, earliest, latest, way, late_usd, once_usd = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    return _Listed(
        group, pool, is_away, earliest, latest, way, late_usd, once_usd, ways=tuple(ways)
    )


def _share_rides(
    problem: PlanningProblem,
    listed: _Listed,
    units: FloatArray,
    guests: FloatArray,
    everybody: FloatArray,
) -> tuple[Rides, Short]:
    """Find the different rides among the arcs, and price their starts."""
    # Where every job fits at any time, its size makes no difference.
    least = np.where(
        listed.is_away, guests.min(axis=1)[listed.pool], everybody.min(axis=1)[listed.pool]
    )
    size = np.where(units[listed.group] > least, units[listed.group], 0.0)
    sizes, size_place = np.unique(size, return_inverse=True)
    pools, slots = len(problem.pools), problem.slots
    # Pools of a kind side by side: the arcs of a group then read their rides one after the other.
    by_kind = sorted(range(pools), key=lambda p: (problem.pools[p].kind, p))
    rank = np.empty(pools, dtype=np.int64)
    rank[by_kind] = np.arange(pools)
    # Keys are mixed radix numbers: far smaller than 2**63 for any grid that fits into memory.
    key = (listed.way * 2 + listed.is_away).astype(np.int64)
    key = ((key * (slots + 1) + listed.earliest) * len(sizes) + size_place) * pools
    key += rank[listed.pool]
    _, sample, ride = np.unique(key, return_index=True, return_inverse=True)
    pool, is_away = listed.pool[sample].astype(np.int64), listed.is_away[sample]
    earliest = listed.earliest[sample].astype(np.int64)
    start = np.arange(slots)
    way = listed.way[sample]
    held = np.array([one.slots for one in listed.ways], dtype=np.int64)[way]
    room = np.where(is_away[:, None], guests[pool], everybody[pool])
    is_possible = _window_by_row(room, held) >= np.maximum(1.0, size[sample])[:, None]
    is_possible &= start >= earliest[:, None]
    usd = _unit_usd(problem, pool, np.array([one.hours for one in listed.ways]), way)
    asked_h = np.array([one.asked_h for one in listed.ways], dtype=np.float64)
    rides = Rides(
        pool=pool,
        is_away=is_away,
        tenant=np.array([one.tenant for one in listed.ways], dtype=np.int64)[way],
        earliest=earliest,
        slots=held,
        ends=np.minimum(start + held[:, None], slots),
        scale_usd=_worth(problem, asked_h)[way],
        usd=np.where(is_possible, usd, np.inf),
    )
    return rides, ride.astype(np.int32)


def _unit_usd(
    problem: PlanningProblem, pool: IntArray, run_h: FloatArray, run_place: Short
) -> FloatArray:
    """(K, T) energy, carbon, surplus and delay of one unit, by start slot."""
    weights = problem.weights
    rate = problem.energy_usd_per_unit_h + problem.carbon_kg_per_unit_h * (
        weights.carbon_usd_per_t / KG_PER_T
    )
    if problem.surplus is not None:
        rate = rate - weights.surplus_usd_per_unit_h * problem.surplus
    usd = np.empty((len(pool), problem.slots))
    for place, hours in enumerate(run_h):
        chosen = run_place == place
        usd[chosen] = held_sum(rate, float(hours))[pool[chosen]]
    usd += weights.delay_usd_per_unit_h * np.arange(problem.slots)
    return usd


def _worth(problem: PlanningProblem, hours: FloatArray) -> FloatArray:
    """Return what a unit of work of these hours is worth: waiting to the end, unmet, or powered."""
    weights = problem.weights
    rate = float(np.abs(problem.energy_usd_per_unit_h).mean()) + weights.unmet_usd_per_unit_h
    worth: FloatArray = hours * rate + weights.delay_usd_per_unit_h * problem.slots
    return np.maximum(worth, 1e-6)


def _window_by_row(room: FloatArray, slots: IntArray) -> FloatArray:
    """(K, T) the least room over the slots held from each start, slots differing by row."""
    least = np.empty_like(room)
    for held in np.unique(slots):
        chosen = slots == held
        least[chosen] = window_minimum(room[chosen], int(held))
    return least
