"""What one plan leaves to the next: prices and starts by name, so that little is done twice."""

import numpy as np

from scheduling.domain.planner.outcome import Placement, PlanMemory
from scheduling.domain.planner.problem import FloatArray, PlanningProblem
from scheduling.domain.planner.scale.compiled.board import NONE
from scheduling.domain.planner.scale.prices import Market
from scheduling.domain.planner.scale.rounding import Rounding


def remember(market: Market, prices: FloatArray, placements: tuple[Placement, ...]) -> PlanMemory:
    """This function will keep prices and starts under names that the next problem has too.

    Args:
        market: arcs and limits.
        prices: one per limit.
        placements: the plan.

    Returns:
        What `recall_prices` and `recall_starts` read.
    """
    problem, space = market.problem, market.space
    slotted, *rest = space.parts(prices)
    slot_names, single_names = _names(market)
    return PlanMemory(
        starts_at=problem.starts_at,
        slotted=dict(zip(slot_names, slotted, strict=True)),
        single=dict(zip(single_names, np.concatenate(rest).tolist(), strict=True)),
        starts=tuple(
            (problem.groups[one.group].key, problem.pools[one.pool].code, one.slot, one.jobs)
            for one in placements
        ),
    )


def recall_prices(market: Market, memory: PlanMemory) -> FloatArray:
    """This function will return the remembered prices, moved by the hours that have passed."""
    slots = market.space.slots
    passed = _passed_slots(market.problem, memory)
    take = np.minimum(np.arange(slots) + passed, slots - 1)
    slot_names, single_names = _names(market)
    nothing = np.zeros(slots)
    slotted = [memory.slotted.get(name, nothing) for name in slot_names]
    moved = [row[np.minimum(take, len(row) - 1)] for row in slotted]
    single = [memory.single.get(name, 0.0) for name in single_names]
    prices = np.concatenate([*moved, np.array(single, dtype=np.float64)])
    within: FloatArray = np.minimum(prices, market.space.most)
    return within


def recall_starts(plan: Rounding, memory: PlanMemory) -> None:
    """This function will place again what was placed before, as far as it is there and fits."""
    problem = plan.market.problem
    group_of = {group.key: g for g, group in enumerate(problem.groups)}
    pool_of = {pool.code: p for p, pool in enumerate(problem.pools)}
    passed = _passed_slots(problem, memory)
    for key, code, slot, jobs in memory.starts:
        group, pool, now = group_of.get(key), pool_of.get(code), slot - passed
        if group is None or pool is None or now < 0:
            continue
        arc = plan.arc_to(group, pool)
        if arc != NONE:
            _put_again(plan, group, arc, now, min(jobs, int(plan.left[group])))


def _put_again(plan: Rounding, group: int, arc: int, slot: int, jobs: int) -> None:
    arcs = plan.market.arcs
    if not np.isfinite(arcs.rides.usd[arcs.ride[arc], slot]) or slot > arcs.latest_of_arc[arc]:
        return
    fits = int(min(jobs, plan.fits_at(group, arc, slot)))
    if fits > 0:
        plan.put(group, arc, slot, fits)


def _passed_slots(problem: PlanningProblem, memory: PlanMemory) -> int:
    hours = (problem.starts_at - memory.starts_at).total_seconds() / 3600.0
    return max(0, min(problem.slots, round(hours)))


def _names(market: Market) -> tuple[list[str], list[str]]:
    problem = market.problem
    slotted = [f"capacity[{pool.code}]" for pool in problem.pools]
    slotted += [f"guests[{pool.code}]" for pool in problem.pools]
    slotted += [row.name for row in market.arcs.quotas]
    single = [f"max_out[{region}]" for region in problem.regions]
    single += [f"max_in[{region}]" for region in problem.regions]
    single += [f"carbon[{cap.region},{cap.day}]" for cap in problem.carbon_caps]
    single += [f"fair[{tenant}]" for tenant in sorted(problem.fair_unit_h)]
    return slotted, single
