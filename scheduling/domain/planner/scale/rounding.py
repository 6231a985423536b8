"""Makes a plan of whole jobs out of prices: cheapest starts first, hardest groups first."""

import numpy as np

from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.prices import Market
from scheduling.domain.planner.scale.room import Room

WORTH_USD = 1e-9


class Rounding:
    """A plan in the making: how many jobs start on which arc in which slot.

    Attributes:
        market: arcs and limits.
        room: what is left of the limits.
        placed: per group, jobs by (arc, slot).
        left: (G,) jobs without a place.
    """

    def __init__(self, market: Market) -> None:
        self.market, self.room = market, Room(market)
        self.placed: list[dict[tuple[int, int], int]] = [{} for _ in market.problem.groups]
        self.left = market.arcs.jobs.astype(np.int64)

    def put(self, group: int, arc: int, slot: int, jobs: int) -> None:
        """This function will place some jobs; fewer than 0 takes them back."""
        held = self.placed[group].get((arc, slot), 0) + jobs
        self.placed[group][arc, slot] = held
        if not held:
            del self.placed[group][arc, slot]
        self.left[group] -= jobs
        self.room.take(group, arc, slot, jobs)

    def costs(
        self,
        usd: FloatArray,
        lane_usd: FloatArray,
        group: int,
        chosen: IntArray | None = None,
    ) -> tuple[IntArray, FloatArray]:
        """This function will return a group's arcs, and (A, T) what a unit costs on each.

        Args:
            usd: (T, K) by slot and ride, priced or not.
            lane_usd: by lane.
            group: index g.
            chosen: (A,) some of its arcs; all without it.
        """
        arcs, rides = self.market.arcs, self.market.arcs.rides
        if chosen is None:
            chosen = np.arange(*self.room.arcs_of(group).indices(len(arcs)))
        ride = arcs.ride[chosen]
        cost = usd[:, ride].T + (arcs.once_usd[chosen] + lane_usd[arcs.lane[chosen]])[:, None]
        cost[np.arange(len(chosen)), rides.earliest[ride]] += arcs.late_usd[chosen]
        slot = np.arange(cost.shape[1])
        cost[slot > arcs.latest_of_arc[chosen][:, None]] = np.inf
        return chosen, cost

    def fill(
        self,
        group: int,
        chosen: IntArray,
        cost: FloatArray,
        below_usd: float,
        *,
        most: int | None = None,
    ) -> None:
        """This function will place a group's jobs, cheapest start first, while it pays.

        Args:
            group: index g.
            chosen: (A,) its arcs.
            cost: (A, T) of a unit.
            below_usd: starts that cost as much or more are left.
            most: most jobs to place, all that are left without it.
        """
        wanted = int(self.left[group]) if most is None else min(most, int(self.left[group]))
        cost = np.where(cost < below_usd - WORTH_USD, cost, np.inf)
        useful = np.flatnonzero(np.isfinite(cost).any(axis=1))
        if not len(useful):
            return
        chosen, cost = chosen[useful], cost[useful]
        fits = self.room.jobs_that_fit(group, chosen)
        cost[fits < 1] = np.inf
        while wanted:
            row, slot = divmod(int(cost.argmin()), cost.shape[1])
            if not np.isfinite(cost[row, slot]):
                return
            jobs = int(min(fits[row, slot], wanted))
            self.put(group, int(chosen[row]), slot, jobs)
            wanted -= jobs
            if wanted:
                self._recount(group, chosen, cost, fits, row)

    def _recount(
        self, group: int, chosen: IntArray, cost: FloatArray, fits: FloatArray, row: int
    ) -> None:
        """Count again what fits where something was placed, and wherever limits are shared."""
        shares_limits = bool(self.market.arcs.lane[chosen[row]]) or self.room.has_shared_limits
        again = np.arange(len(chosen)) if shares_limits else np.array([row])
        fits[again] = self.room.jobs_that_fit(group, chosen[again])
        cost[fits < 1] = np.inf

    def placements(self) -> tuple[Placement, ...]:
        """This function will return the plan, sorted."""
        pool = self.market.arcs.pool
        return tuple(
            sorted(
                Placement(group, int(pool[arc]), slot, jobs)
                for group, starts in enumerate(self.placed)
                for (arc, slot), jobs in starts.items()
            )
        )


def stay_running(plan: Rounding) -> None:
    """This function will let running jobs that have no place yet go on where they are."""
    arcs = plan.market.arcs
    for group, demand in enumerate(plan.market.problem.groups):
        if demand.is_running and plan.left[group]:
            own = plan.room.arcs_of(group)
            arc = own.start + int(np.searchsorted(arcs.pool[own], demand.home))
            plan.put(group, arc, 0, int(plan.left[group]))


def place_by_prices(plan: Rounding, prices: FloatArray) -> None:
    """This function will place what is left where it is cheapest under prices, while it pays.

    Args:
        plan: the plan so far.
        prices: one per limit.
    """
    market = plan.market
    usd, lane_usd = market.ride_usd(prices), market.lane_usd(prices)
    aim = market.aim_usd(prices)
    for group in single_jobs(market):
        if plan.left[group]:
            chosen, cost = plan.costs(usd, lane_usd, int(group))
            # at the right prices many starts cost exactly as much as having no place
            plan.fill(int(group), chosen, cost, float(aim[group]) + 10 * WORTH_USD)


def place_left(plan: Rounding) -> None:
    """This function will place what is left where it is cheapest, prices apart, while it pays."""
    market, arcs = plan.market, plan.market.arcs
    no_lane = np.zeros(market.space.regions**2)
    for group in single_jobs(market):
        if plan.left[group]:
            chosen, cost = plan.costs(market.usd, no_lane, int(group))
            aim = float(arcs.unplaced_usd[group] + arcs.offset_usd[group])
            plan.fill(int(group), chosen, cost, aim + plan.room.fair_usd(int(group)))


def bring_home(plan: Rounding) -> None:
    """This function will bring home every moved job that costs no more there."""
    market, arcs = plan.market, plan.market.arcs
    no_lane = np.zeros(market.space.regions**2)
    home = plan.room.home
    for group, starts in enumerate(plan.placed):
        away = [start for start in starts if arcs.pool[start[0]] != home[group]]
        own = plan.room.arcs_of(group)
        arc = own.start + int(np.searchsorted(arcs.pool[own], home[group]))
        if (
            market.problem.groups[group].is_site_gang
            or not away
            or arc >= own.stop
            or arcs.pool[arc] != home[group]
        ):
            continue
        chosen, cost = plan.costs(market.usd, no_lane, group)
        for start in sorted(away):
            jobs = starts[start]
            price = float(cost[start[0] - own.start, start[1]])
            plan.put(group, *start, -jobs)
            before = int(plan.left[group])
            row = cost[arc - own.start : arc - own.start + 1]
            plan.fill(group, chosen[arc - own.start :][:1], row, price + 2 * WORTH_USD, most=jobs)
            back = jobs - (before - int(plan.left[group]))
            if back:
                plan.put(group, *start, back)


def largest_first(market: Market) -> IntArray:
    """This function will order groups by what one job holds, largest first."""
    arcs = market.arcs
    slots = np.zeros(len(arcs.units))
    np.maximum.at(slots, arcs.group, arcs.rides.slots[arcs.ride].astype(np.float64))
    return np.lexsort((np.arange(len(slots)), -arcs.units * slots))


def single_jobs(market: Market) -> IntArray:
    """This function will return the groups whose jobs start alone, largest first."""
    is_gang = np.array([group.is_site_gang for group in market.problem.groups], dtype=np.bool_)
    order = largest_first(market)
    return order[~is_gang[order]]


def place_gangs(plan: Rounding, prices: FloatArray) -> None:
    """This function will place site gangs whole, each where it is cheapest under prices.

    Args:
        plan: the plan so far.
        prices: one per limit.
    """
    market, arcs = plan.market, plan.market.arcs
    usd, lane_usd = market.ride_usd(prices), market.lane_usd(prices)
    aim = market.aim_usd(prices)
    site = np.unique([pool.site for pool in market.problem.pools], return_inverse=True)[1]
    for group in largest_first(market):
        if not market.problem.groups[group].is_site_gang or not plan.left[group]:
            continue
        chosen, cost = plan.costs(usd, lane_usd, int(group))
        options = []
        for place in np.unique(site[arcs.pool[chosen]]):
            here = np.flatnonzero(site[arcs.pool[chosen]] == place)
            options += _gang_options(plan, int(group), chosen[here], cost[here])
        jobs = int(plan.left[group])
        for total, slot, starts in sorted(options, key=lambda one: (one[0], one[1])):
            if total >= jobs * float(aim[group]) - WORTH_USD or _put_gang(
                plan, int(group), slot, starts
            ):
                break


def _gang_options(
    plan: Rounding, group: int, chosen: IntArray, cost: FloatArray
) -> list[tuple[float, int, list[tuple[int, int]]]]:
    """By slot: cost per unit of all jobs, and how many start on which arc of one site."""
    fits = np.where(np.isfinite(cost), plan.room.jobs_that_fit(group, chosen), 0.0)
    options = []
    for slot in np.flatnonzero(fits.sum(axis=0) >= plan.left[group]):
        left, total, starts = int(plan.left[group]), 0.0, []
        for row in np.argsort(cost[:, slot], kind="stable"):
            count = int(min(left, fits[row, slot]))
            if count:
                starts.append((int(chosen[row]), count))
                total += count * float(cost[row, slot])
                left -= count
        options.append((total, int(slot), starts))
    return options


def _put_gang(plan: Rounding, group: int, slot: int, starts: list[tuple[int, int]]) -> bool:
    """Place a gang, or nothing of it where limits that pools share do not let all of it in."""
    done = []
    for arc, jobs in starts:
        if plan.room.fits_at(group, arc, slot) < jobs:
            break
        plan.put(group, arc, slot, jobs)
        done.append((arc, jobs))
    if len(done) == len(starts):
        return True
    for arc, jobs in done:
        plan.put(group, arc, slot, -jobs)
    return False


def plan_cost(plan: Rounding) -> float:
    """This function will price a plan, jobs without a place and fair shares included."""
    market, arcs = plan.market, plan.market.arcs
    no_lane = np.zeros(market.space.regions**2)
    total = 0.0
    for group, starts in enumerate(plan.placed):
        unit_usd = float(plan.left[group]) * arcs.unplaced_usd[group]
        if starts:
            chosen, cost = plan.costs(market.usd, no_lane, group)
            first = int(chosen[0])
            unit_usd += sum(
                jobs * (cost[arc - first, slot] - arcs.offset_usd[group])
                for (arc, slot), jobs in starts.items()
            )
        total += float(unit_usd * arcs.units[group])
    owed = np.maximum(0.0, plan.room.owed_unit_h)
    return total + float(owed.sum()) * market.problem.weights.fairness_usd_per_unit_h
