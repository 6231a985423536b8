"""Searches a plan of national size: prices first, then whole jobs, and the gap between them."""

from dataclasses import dataclass

import numpy as np

from scheduling.domain.planner.outcome import Placement, PlanMemory
from scheduling.domain.planner.problem import FloatArray, PlanningProblem
from scheduling.domain.planner.scale.arcs import build_arcs
from scheduling.domain.planner.scale.ascent import climb
from scheduling.domain.planner.scale.block import promising
from scheduling.domain.planner.scale.blocks import place_in_blocks
from scheduling.domain.planner.scale.gangs import place_gangs
from scheduling.domain.planner.scale.memory import recall_prices, recall_starts, remember
from scheduling.domain.planner.scale.prices import Market, build_prices
from scheduling.domain.planner.scale.rounding import (
    Rounding,
    better,
    bring_home,
    place_by_prices,
    place_left,
    single_jobs,
    stay_running,
)
from scheduling.domain.planner.scale.smooth import SmoothBound, cheapest

# Temperature as a share of what a unit of work is worth, and most steps at it: hot first, because
# smooth slopes show the way far; each stage starts where the last one ended.
STAGES = ((0.1, 40), (0.03, 40), (0.01, 50), (0.003, 90), (0.001, 120), (0.0003, 180))
WARM_STAGES = ((0.0003, 40),)
TOLERANCE = 1e-5
# Entries of the tables over rides and arcs that the steps above are meant for.
USUAL_WORK = 300_000
# Starts that cost this share of a unit's worth more than the best are favored; fewer of them where
# there would be more than programmes can hold.
SLACK = 0.012
MOST_WORK = 4_000_000
# How often each pool is rebuilt, and how many rebuilds there are at most.
SWEEPS, WARM_SWEEPS = 20, 4
MOST_REBUILDS = 50_000


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
            same question is always the same. Large problems get fewer of them.

    Returns:
        The answer; its bound holds whatever the effort.

    Source: docs/model.md, "At national size"; docs/decisions/0015-planner-at-scale.md.
    """
    arcs = build_arcs(problem)
    market = Market(problem, arcs, build_prices(problem, arcs))
    work = max(1, len(arcs) + arcs.rides.usd.size)
    smooth = SmoothBound(market)
    effort *= min(1.0, max(0.6, (USUAL_WORK / work) ** 0.5))
    prices, bound_usd = _best_prices(smooth, memory, effort)
    plan = Rounding(market)
    signs = plan.signs(prices)
    # what runs at home has its room first: nothing else may take it
    stay_running(plan)
    if memory is not None:
        recall_starts(plan, memory)
    place_gangs(plan, signs)
    slack = SLACK * min(1.0, (MOST_WORK / work) ** 2)
    cells = promising(plan, signs, single_jobs(market), slack)
    arc_units = smooth.at(prices, STAGES[-1][0]).arc_units
    place_in_blocks(plan, signs, cells, arc_units if memory is None else None)
    place_by_prices(plan, signs)
    place_left(plan, signs)
    pools = len(problem.pools)
    sweeps = SWEEPS if memory is None else WARM_SWEEPS
    better(plan, signs, np.arange(min(sweeps * pools, MOST_REBUILDS)) % pools)
    bring_home(plan)
    placements = plan.placements()
    cost_usd = plan.cost_usd()
    return ScaleAnswer(
        placements=placements,
        cost_usd=cost_usd,
        bound_usd=min(bound_usd, cost_usd),
        prices=prices,
        memory=remember(market, prices, placements),
    )


def _best_prices(
    smooth: SmoothBound, memory: PlanMemory | None, effort: float
) -> tuple[FloatArray, float]:
    """Return the prices that prove the highest bound, and that bound."""
    market = smooth.market
    prices = np.zeros(len(market.space.limits)) if memory is None else recall_prices(market, memory)
    best, bound_usd = prices, cheapest(market, prices)
    for temperature, steps in STAGES if memory is None else WARM_STAGES:
        prices = _climb(smooth, prices, temperature, max(1, round(steps * effort)))
        reached_usd = cheapest(market, prices)
        if reached_usd > bound_usd:
            best, bound_usd = prices, reached_usd
    return best, bound_usd


def _climb(smooth: SmoothBound, prices: FloatArray, temperature: float, steps: int) -> FloatArray:
    space = smooth.market.space

    def height(point: FloatArray) -> tuple[float, FloatArray]:
        spread = smooth.at(point, temperature)
        return spread.bound_usd, spread.slope

    # A limit that is large in units has a price that is small per unit; the power is by trial.
    scale = np.maximum(np.abs(space.limits), 1.0) ** -0.25
    found = climb(height, prices, most=space.most, scale=scale, steps=steps, tolerance=TOLERANCE)
    return found.point
