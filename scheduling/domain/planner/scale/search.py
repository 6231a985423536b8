"""Searches a plan of national size: prices first, then whole jobs, and the gap between them."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from scheduling.domain.planner.outcome import Placement, PlanMemory
from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray, PlanningProblem
from scheduling.domain.planner.scale.arcs import build_arcs
from scheduling.domain.planner.scale.ascent import climb
from scheduling.domain.planner.scale.block import Cells, Guide, place_cells, promising
from scheduling.domain.planner.scale.memory import recall_prices, recall_starts, remember
from scheduling.domain.planner.scale.prices import Market, build_prices
from scheduling.domain.planner.scale.rounding import (
    Rounding,
    bring_home,
    place_by_prices,
    place_gangs,
    place_left,
    plan_cost,
    stay_running,
)
from scheduling.domain.planner.scale.smooth import SmoothBound, cheapest

# Temperature as a share of what a unit of work is worth, and most steps at it: hot first, because
# smooth slopes show the way far; each stage starts where the last one ended.
STAGES = ((0.1, 40), (0.03, 40), (0.01, 50), (0.003, 90), (0.001, 120), (0.0003, 180))
WARM_STAGES = ((0.001, 10), (0.0003, 10))
TOLERANCE = 1e-5
# Entries of the tables over rides and arcs that the steps above are meant for.
USUAL_WORK = 300_000
SLACK = 0.015
MOST_CELLS = 40_000
NODES = 20


@dataclass(frozen=True)
class ScaleAnswer:
    """A plan, a bound that no plan can beat, and what the next plan may begin with."""

    placements: tuple[Placement, ...]
    cost_usd: float
    bound_usd: float
    prices: FloatArray
    memory: PlanMemory


def search_at_scale(
    problem: PlanningProblem, *, memory: PlanMemory | None = None, effort: float = 1.0
) -> ScaleAnswer:
    """This function will search a plan for as many groups and pools as fit into memory.

    Args:
        problem: the situation, with groups, in name order.
        memory: of an earlier plan of nearly the same situation.
        effort: factor on the steps of each stage; steps, not seconds, so that the answer to the
            same question is always the same. Small problems get more of them, large ones fewer.

    Returns:
        The answer; its bound holds whatever the effort.

    Source: docs/model-plan.md, "At national size"; docs/decisions/0015-planner-at-scale.md.
    """
    arcs = build_arcs(problem)
    market = Market(problem, arcs, build_prices(problem, arcs))
    smooth = SmoothBound(market)
    stages = STAGES if memory is None else WARM_STAGES
    work = len(arcs) + arcs.rides.usd.size
    effort *= min(1.5, max(0.3, (USUAL_WORK / max(1, work)) ** 0.5))
    prices = np.zeros(len(market.space.limits)) if memory is None else recall_prices(market, memory)
    best, bound_usd = prices, cheapest(market, prices).bound_usd
    for temperature, steps in stages:
        prices = _climb(smooth, prices, temperature, max(1, round(steps * effort)))
        reached_usd = cheapest(market, prices).bound_usd
        if reached_usd > bound_usd:
            best, bound_usd = prices, reached_usd
    plan = Rounding(market)
    if memory is not None:
        recall_starts(plan, memory)
    stay_running(plan)
    place_gangs(plan, best)
    guide = Guide.of(market, best)
    if memory is None:
        arc_units = smooth.at(best, stages[-1][0]).arc_units
        _place_in_blocks(plan, guide, arc_units)
    place_by_prices(plan, best)
    place_left(plan)
    bring_home(plan)
    placements = plan.placements()
    cost_usd = plan_cost(plan)
    return ScaleAnswer(
        placements=placements,
        cost_usd=cost_usd,
        bound_usd=min(bound_usd, cost_usd),
        prices=best,
        memory=remember(market, best, placements),
    )


def _climb(smooth: SmoothBound, prices: FloatArray, temperature: float, steps: int) -> FloatArray:
    space = smooth.market.space

    def height(point: FloatArray) -> tuple[float, FloatArray]:
        spread = smooth.at(point, temperature)
        return spread.bound_usd, -spread.slope * -1.0

    # A limit that is large in units has a price that is small per unit; the power is by trial.
    scale = np.maximum(np.abs(space.limits), 1.0) ** -0.25
    found = climb(height, prices, most=space.most, scale=scale, steps=steps, tolerance=TOLERANCE)
    return found.point


def _place_in_blocks(plan: Rounding, guide: Guide, arc_units: FloatArray) -> None:
    """Solve the favored starts at once where that is small enough, else in blocks by shares."""
    cells = promising(plan, guide, np.flatnonzero(plan.left), SLACK)
    if len(cells) <= MOST_CELLS:
        place_cells(plan, cells, nodes=NODES)
        return
    block_of = _blocks(plan, cells)
    room = plan.room
    for block in range(int(block_of.max()) + 1):
        chosen = cells.only(block_of[cells.group] == block)
        out, into = room.out.copy(), room.into.copy()
        own_out, own_in = _shares(plan, arc_units, block_of == block)
        room.out[:], room.into[:] = np.minimum(out, own_out), np.minimum(into, own_in)
        given_out, given_in = room.out.copy(), room.into.copy()
        place_cells(plan, chosen, nodes=NODES)
        room.out[:], room.into[:] = out - given_out + room.out, into - given_in + room.into


def _shares(
    plan: Rounding, arc_units: FloatArray, is_own: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return the units that the groups of a block may move out of and into each region."""
    arcs, regions = plan.market.arcs, plan.market.space.regions
    crossing = np.flatnonzero((arcs.lane > 0) & is_own[arcs.group])
    lanes = np.bincount(arcs.lane[crossing], arc_units[crossing], regions * regions)
    by_lane = lanes.reshape(regions, regions)
    return np.ceil(by_lane.sum(axis=1)), np.ceil(by_lane.sum(axis=0))


def _blocks(plan: Rounding, cells: Cells) -> IntArray:
    """(G,) block of each group: what shares pools stays together as far as a block has room."""
    groups, pools = len(plan.left), len(plan.market.problem.pools)
    pool = plan.market.arcs.pool[cells.arc]
    links = sparse.csr_array(
        (np.ones(len(cells)), (cells.group, groups + pool)), shape=(groups + pools,) * 2
    )
    _, part = csgraph.connected_components(links, directed=False)
    order = np.lexsort((np.arange(groups), part[:groups]))
    size = np.bincount(cells.group, minlength=groups)[order]
    block = np.empty(groups, dtype=np.int64)
    block[order] = np.cumsum(size) // MOST_CELLS
    return block
