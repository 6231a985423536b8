"""Prices on everything that is scarce, and what work costs and holds under them.

Every rule but "each job once" is an upper limit on a sum. Charging a price per unit of each sum
instead leaves every group alone with its cheapest start. The sum of those costs, less the prices
times the limits, is a bound that no plan can beat, whatever the prices are (weak duality).
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scheduling.domain.planner.occupancy import whole_limits
from scheduling.domain.planner.problem import FloatArray, IntArray, PlanningProblem
from scheduling.domain.planner.rules.carbon import cap_places
from scheduling.domain.planner.scale.arcs import ArcTable
from scheduling.domain.planner.scale.compiled.climbing import dot
from scheduling.domain.planner.scale.compiled.spread import ArcTerms


@dataclass(frozen=True)
class PriceSpace:
    """Where each price stands in one vector, and which rides pay it.

    The vector holds, in this order: capacity[p,t], guests[p,t], quota rows [q,t], max_out[r],
    max_in[r], carbon caps, fair shares of tenants.

    Attributes:
        limits: limit of each row; for a fair share minus the unit-hours owed.
        most: highest price; finite for fair shares only, whose limits are soft.
        slots: T.
        rows: number of rows that have a price per slot.
        rates: (Q, rows) which rows a rate pays; rides of one pool, kind and tenant share a rate.
        rate_of: (K,) rate of each ride.
        carbon_kg: (Q, T) kg of one unit-hour, by rate.
        cap_of: (Q, T) place of the carbon cap, the number of caps where there is none.
        caps: number of carbon caps.
        regions: number of regions.
        fair_of: (G,) place of the group's fair share, their number where there is none.
        fair: number of fair shares.
    """

    limits: FloatArray
    most: FloatArray
    slots: int
    rows: int
    rates: sparse.csr_array
    rate_of: IntArray
    carbon_kg: FloatArray
    cap_of: IntArray
    caps: int
    regions: int
    fair_of: IntArray
    fair: int

    def parts(self, prices: FloatArray) -> tuple[FloatArray, ...]:
        """This function will cut a vector into (rows, T), out, in, caps, fair shares."""
        by_slot = self.rows * self.slots
        marks = np.cumsum([by_slot, self.regions, self.regions, self.caps])
        slotted, out, into, caps, fair = np.split(prices, marks)
        return slotted.reshape(self.rows, self.slots), out, into, caps, fair


def build_prices(problem: PlanningProblem, arcs: ArcTable) -> PriceSpace:
    """This function will lay out the prices of all limits of a problem.

    Args:
        problem: the situation.
        arcs: `build_arcs(problem)`.

    Returns:
        The space; limits that are infinite stand at 1e12, where no sum reaches them.
    """
    rides = arcs.rides
    pools, slots = arcs.guests.shape
    key = (rides.pool * 2 + rides.is_away) * len(arcs.tenants) + rides.tenant
    _, sample, rate_of = np.unique(key, return_index=True, return_inverse=True)
    rates = _incidence(problem, arcs, sample)
    place = cap_places(problem)
    fair = {tenant: n for n, tenant in enumerate(sorted(problem.fair_unit_h))}
    fair_of = [fair.get(group.tenant, len(fair)) for group in problem.groups]
    quotas = np.array([row.most_units for row in arcs.quotas], dtype=np.float64)
    limits = [
        arcs.everybody.ravel(),
        arcs.guests.ravel(),
        np.repeat(np.floor(quotas), slots),
        _region_limits(problem, problem.max_out_units),
        _region_limits(problem, problem.max_in_units),
        np.array([min(cap.most_kg, 1e12) for cap in problem.carbon_caps], dtype=np.float64),
        np.array([-problem.fair_unit_h[tenant] for tenant in fair], dtype=np.float64),
    ]
    most = np.full(sum(map(len, limits)), np.inf)
    most[len(most) - len(fair) :] = problem.weights.fairness_usd_per_unit_h
    return PriceSpace(
        limits=np.concatenate(limits),
        most=most,
        slots=slots,
        rows=2 * pools + len(arcs.quotas),
        rates=rates,
        rate_of=rate_of.astype(np.int64),
        carbon_kg=problem.carbon_kg_per_unit_h[rides.pool[sample]],
        cap_of=place[rides.pool[sample]],
        caps=len(problem.carbon_caps),
        regions=len(problem.regions),
        fair_of=np.array(fair_of, dtype=np.int64),
        fair=len(fair),
    )


def _region_limits(problem: PlanningProblem, limits: dict[str, float]) -> FloatArray:
    whole = whole_limits(limits)
    return np.array([whole.get(region, 1e12) for region in problem.regions], dtype=np.float64)


def _incidence(problem: PlanningProblem, arcs: ArcTable, sample: IntArray) -> sparse.csr_array:
    """(Q, rows): a ride pays for its pool's capacity, as a guest for that too, and for quotas."""
    pools, rides = len(problem.pools), arcs.rides
    pool, tenant = rides.pool[sample], rides.tenant[sample]
    rate = np.arange(len(sample))
    away = np.flatnonzero(rides.is_away[sample])
    ones, columns = [rate, rate[away]], [pool, pools + pool[away]]
    for n, row in enumerate(arcs.quotas):
        in_region = np.array([not row.regions or r in row.regions for r in problem.regions])
        named = np.array([one in row.tenants for one in arcs.tenants])
        paying = np.flatnonzero(in_region[problem.region_of[pool]] & named[tenant])
        ones.append(paying)
        columns.append(np.full(len(paying), 2 * pools + n))
    row_index, column = np.concatenate(ones), np.concatenate(columns)
    shape = (len(sample), 2 * pools + len(arcs.quotas))
    return sparse.csr_array((np.ones(len(row_index)), (row_index, column)), shape=shape)


def counted(place: IntArray, amount: FloatArray, size: int) -> FloatArray:
    """This function will add up amounts by place; (size,) floats."""
    sums: FloatArray = np.bincount(place, amount, size).astype(np.float64, copy=False)
    return sums


class Market:
    """A problem's arcs and prices, with the tables that every pricing needs.

    Tables over rides lie slot-major, (T, K), because prices are summed up slot by slot.
    """

    def __init__(self, problem: PlanningProblem, arcs: ArcTable, space: PriceSpace) -> None:
        self.problem, self.arcs, self.space = problem, arcs, space
        self.usd = np.ascontiguousarray(arcs.rides.usd.T)
        self.value = arcs.jobs * arcs.units
        self.cap_of_pool = cap_places(problem)
        self.paid_by = space.rates.T.tocsr()
        last_at = arcs.latest_of_arc.astype(np.int64) * len(arcs.rides) + arcs.ride
        self.arc_terms = ArcTerms(
            first=arcs.first,
            counts=arcs.counts,
            groups=arcs.groups,
            last_at=last_at.astype(np.int32),
            once_usd=arcs.once_usd.astype(np.float32),
            lane=arcs.lane,
        )

    def price_sums(self, prices: FloatArray) -> FloatArray:
        """This function will return (Q, T + 1) what a unit pays from slot 0 on, by rate."""
        space = self.space
        slotted, _, _, caps, _ = space.parts(prices)
        per_slot = space.rates @ slotted
        if space.caps:
            per_slot += np.append(caps, 0.0)[space.cap_of] * space.carbon_kg
        sums = np.zeros((len(per_slot), space.slots + 1))
        np.cumsum(per_slot, axis=1, out=sums[:, 1:])
        return sums

    def ride_usd(self, prices: FloatArray) -> FloatArray:
        """This function will return (T, K) what a unit costs by start slot and ride, priced."""
        sums, rates = self.price_sums(prices), self.space.rate_of
        usd = self.usd.copy()
        for slot, ends in enumerate(self.arcs.rides.ends.T):
            usd[slot] += sums[rates, ends] - sums[rates, slot]
        return usd

    def lane_usd(self, prices: FloatArray) -> FloatArray:
        """This function will return what a unit pays to leave and to come, by lane."""
        _, out, into, _, _ = self.space.parts(prices)
        lanes = out[:, None] + into[None, :]
        np.fill_diagonal(lanes, 0.0)
        lanes.ravel()[0] = 0.0
        return lanes.ravel()

    def owed_usd(self, prices: FloatArray) -> FloatArray:
        """This function will return (G,) what a unit placed earns by its tenant's fair share."""
        *_, fair = self.space.parts(prices)
        owed: FloatArray = np.append(fair, 0.0)[self.space.fair_of] * self.arcs.hours
        return owed

    def aim_usd(self, prices: FloatArray) -> FloatArray:
        """This function will return (G,) the cost that a unit's start must stay below."""
        aim: FloatArray = self.arcs.unplaced_usd + self.arcs.offset_usd + self.owed_usd(prices)
        return aim

    def total_usd(self, unit_usd: FloatArray, prices: FloatArray) -> float:
        """This function will turn (G,) costs of units, as starts are compared, into a bound."""
        own = unit_usd - self.arcs.offset_usd - self.owed_usd(prices)
        return dot(self.value, own) - dot(prices, self.space.limits)

    def sums(self, change: FloatArray, lanes: FloatArray, served: FloatArray) -> FloatArray:
        """This function will add up each limited sum.

        Args:
            change: (Q, T + 1) units that begin less those that end, by rate and slot.
            lanes: (R * R,) units that move from region to region.
            served: (G,) units placed.

        Returns:
            One number per price.
        """
        space, regions = self.space, self.space.regions
        occupied = np.cumsum(change[:, :-1], axis=1)
        caps = counted(space.cap_of.ravel(), (occupied * space.carbon_kg).ravel(), space.caps + 1)
        by_lane = lanes.reshape(regions, regions)
        by_share = counted(space.fair_of, -served * self.arcs.hours, space.fair + 1)
        return np.concatenate(
            [
                (self.paid_by @ occupied).ravel(),
                by_lane.sum(axis=1),
                by_lane.sum(axis=0),
                caps[: space.caps],
                by_share[: space.fair],
            ]
        )
