"""Makes a plan of whole jobs out of prices: cheapest starts first, hardest groups first."""

import numpy as np

from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.compiled import board as boards
from scheduling.domain.planner.scale.compiled import filling, rebuild
from scheduling.domain.planner.scale.compiled.board import NONE, Board, Tables
from scheduling.domain.planner.scale.compiled.filling import Desk, Signs
from scheduling.domain.planner.scale.compiled.rebuild import Shop
from scheduling.domain.planner.scale.prices import Market

NEVER_USD = 1e18
# Starts that the board has room for, per group; a full board takes no more of them.
STARTS_A_GROUP = 24
SEED = 20_240_229


class Rounding:
    """A plan in the making: how many jobs start on which arc in which slot.

    Attributes:
        market: arcs and limits.
        tables, board: the same for compiled loops; `board.left` are the jobs without a place.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self.tables, self.board = _tables_of(market), _board_of(market)
        most = int(np.diff(self.tables.arcs_first).max(initial=0)) * market.space.slots
        index = (np.empty(most, dtype=np.int64) for _ in range(2))
        self.desk = Desk(np.empty(most), *index)

    @property
    def left(self) -> IntArray:
        """(G,) jobs without a place."""
        return self.board.left

    def put(self, group: int, arc: int, slot: int, jobs: int) -> None:
        """This function will place some jobs; fewer than 0 takes them back."""
        self.board.tally[1] = 0
        boards.put(self.tables, self.board, group, arc, slot, jobs)

    def fits_at(self, group: int, arc: int, slot: int) -> int:
        """This function will count how many more jobs of a group fit at one start."""
        return boards.jobs_that_fit(self.tables, self.board, group, arc, slot)

    def arcs_of(self, group: int) -> range:
        """This function will return a group's arcs."""
        first = self.tables.arcs_first
        return range(int(first[group]), int(first[group + 1]))

    def arc_to(self, group: int, pool: int) -> int:
        """This function will return the arc from a group to a pool, -1 where there is none."""
        return boards.arc_at(self.tables, group, pool)

    def signs(self, prices: FloatArray) -> Signs:
        """This function will prepare prices for reading."""
        market = self.market
        return Signs(market.price_sums(prices), market.lane_usd(prices), market.owed_usd(prices))

    def starts(self) -> IntArray:
        """This function will return (E, 4) group, arc, slot and jobs of all starts, in order."""
        start = np.delete(self.board.start, self.board.free[: self.board.tally[0]], axis=0)
        return start[np.lexsort((start[:, 2], start[:, 1], start[:, 0]))]

    def placements(self) -> tuple[Placement, ...]:
        """This function will return the plan, sorted."""
        pool = self.market.arcs.pool
        return tuple(
            Placement(group, int(pool[arc]), slot, jobs)
            for group, arc, slot, jobs in self.starts().tolist()
        )

    def cost_usd(self) -> float:
        """This function will price the plan, jobs without a place and fair shares included."""
        market, arcs = self.market, self.market.arcs
        owed = sum(market.problem.fair_unit_h.values())
        none_usd = float((market.value * (arcs.unplaced_usd + _must_run_usd(market))).sum())
        none_usd += owed * market.problem.weights.fairness_usd_per_unit_h
        return none_usd + float(self.board.total_usd[0])


def _tables_of(market: Market) -> Tables:
    problem, arcs, space = market.problem, market.arcs, market.space
    rides = arcs.rides
    is_fixed = [group.is_site_gang for group in problem.groups]
    return Tables(
        usd=np.minimum(rides.usd, NEVER_USD),
        rate=space.rate_of,
        slots=rides.slots,
        earliest=rides.earliest,
        pool=rides.pool,
        rows_first=space.rates.indptr.astype(np.int64),
        rows=space.rates.indices.astype(np.int64),
        carbon_kg=space.carbon_kg,
        cap_of=space.cap_of,
        arcs_first=np.searchsorted(arcs.group, np.arange(len(problem.groups) + 1)),
        ride=arcs.ride,
        latest=arcs.latest_of_arc,
        once_usd=arcs.once_usd,
        late_usd=arcs.late_usd,
        lane=arcs.lane,
        units=arcs.units,
        aim_usd=arcs.unplaced_usd + arcs.offset_usd + _must_run_usd(market),
        hours=arcs.hours,
        share=space.fair_of,
        is_fixed=np.array(is_fixed, dtype=np.bool_),
        fair_usd=float(problem.weights.fairness_usd_per_unit_h),
    )


def _must_run_usd(market: Market) -> FloatArray:
    """(G,) what stopping a unit of running work costs beyond no place: more than any start."""
    rides = market.arcs.rides
    dearest = float(np.abs(rides.usd[np.isfinite(rides.usd)]).max(initial=0.0))
    dearest += float(np.abs(market.arcs.once_usd).max(initial=0.0)) + 1.0
    is_running = np.array([group.is_running for group in market.problem.groups], dtype=np.bool_)
    return np.where(is_running, 10.0 * dearest, 0.0)


def _board_of(market: Market) -> Board:
    problem, space = market.problem, market.space
    room, out, into, caps_kg, owed = space.parts(space.limits.copy())
    groups, pools = len(problem.groups), len(problem.pools)
    entries = STARTS_A_GROUP * groups + 4 * space.rows + 1_000
    nothing = [np.full(size, NONE, dtype=np.int64) for size in (groups, entries, pools, entries)]
    return Board(
        room=np.ascontiguousarray(room),
        out=out,
        into=into,
        caps_kg=caps_kg,
        owed_unit_h=-owed,
        left=market.arcs.jobs.astype(np.int64),
        head=nothing[0],
        after=nothing[1],
        pool_head=nothing[2],
        pool_after=nothing[3],
        pool_before=np.full(entries, NONE, dtype=np.int64),
        start=np.zeros((entries, 4), dtype=np.int64),
        free=np.arange(entries)[::-1].copy(),
        log=np.empty((3 * entries, 4), dtype=np.int64),
        tally=np.array([entries, 0], dtype=np.int64),
        total_usd=np.zeros(1),
    )


def stay_running(plan: Rounding) -> None:
    """This function will let running jobs that have no place yet go on where they are."""
    for group, demand in enumerate(plan.market.problem.groups):
        if demand.is_running and plan.left[group]:
            plan.put(group, plan.arc_to(group, demand.home), 0, int(plan.left[group]))


def place_by_prices(plan: Rounding, signs: Signs) -> None:
    """This function will place what is left where it is cheapest under prices, while it pays."""
    groups = single_jobs(plan.market)
    filling.fill_all(plan.tables, plan.board, signs, plan.desk, groups, 1.0)


def place_left(plan: Rounding, signs: Signs) -> None:
    """This function will place what is left where it is cheapest, prices apart, while it pays."""
    groups = single_jobs(plan.market)
    filling.fill_all(plan.tables, plan.board, signs, plan.desk, groups, 0.0)


def better(plan: Rounding, signs: Signs, pools: IntArray) -> None:
    """This function will rebuild pairs of pools where that makes the plan cheaper.

    Args:
        plan: the plan, bettered.
        signs: prices.
        pools: pools to begin with, in turn; each may come several times.
    """
    arcs, pools_of = plan.market.arcs, plan.market.problem.pools
    groups, order = len(arcs.units), np.argsort(arcs.pool, kind="stable")
    shop = Shop(
        guests_first=np.searchsorted(arcs.pool[order], np.arange(len(pools_of) + 1)),
        guests=arcs.group[order].astype(np.int64),
        sizes=held_by_job(plan.market),
        marks=np.zeros(groups, dtype=np.int64),
        noted=np.zeros(groups + 1, dtype=np.int64),
        order_by=np.zeros(groups),
        state=np.array([SEED], dtype=np.int64),
    )
    begin = pools.astype(np.int64)
    rebuild.rebuild(plan.tables, plan.board, signs, plan.desk, shop, begin)


def bring_home(plan: Rounding) -> None:
    """This function will bring home every moved job that costs no more there."""
    problem = plan.market.problem
    home = [
        NONE if group.is_site_gang else plan.arc_to(g, group.home)
        for g, group in enumerate(problem.groups)
    ]
    starts = np.empty_like(plan.board.start)
    filling.bring_home(plan.tables, plan.board, np.array(home, dtype=np.int64), starts)


def held_by_job(market: Market) -> FloatArray:
    """This function will return (G,) the unit-slots that a job holds at most."""
    arcs = market.arcs
    slots = np.zeros(len(arcs.units))
    held = np.minimum(arcs.rides.slots, market.space.slots).astype(np.float64)
    if len(arcs):
        slots[arcs.groups] = np.maximum.reduceat(held[arcs.ride], arcs.first)
    return slots * arcs.units


def single_jobs(market: Market) -> IntArray:
    """This function will return the groups whose jobs start alone, largest first."""
    is_gang = np.array([group.is_site_gang for group in market.problem.groups], dtype=np.bool_)
    order = largest_first(market)
    return order[~is_gang[order]]


def largest_first(market: Market) -> IntArray:
    """This function will order groups by what one job holds, largest first."""
    held = held_by_job(market)
    return np.lexsort((np.arange(len(held)), -held))
