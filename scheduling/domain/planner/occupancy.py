"""Where and when a workload may start, and how much room pools and region limits leave."""

import math
from collections.abc import Mapping

import numpy as np

from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray, PlanningProblem
from scheduling.domain.planner.terms import (
    ROUNDING,
    Terms,
    running_profile,
    terms_of,
    usable_pools,
)


def whole_capacity(problem: PlanningProblem) -> tuple[FloatArray, FloatArray]:
    """This function will return the units that guests, and guests with locals, may hold.

    Units and workloads are whole, so capacity is rounded down without losing a plan. What the
    plan's own running work holds is free for locals when it leaves, never for guests: a guest is
    promised room that does not hang on another move. In a slot of maintenance only running work
    that stays may hold units.

    Args:
        problem: the situation.

    Returns:
        Two (P, T) arrays of whole numbers: guests, and everybody (at least as much).
    """
    guests = np.floor(problem.available + ROUNDING)
    everybody = np.floor(np.maximum(problem.available, problem.home_available) + ROUNDING)
    if problem.closed is not None:
        guests[problem.closed] = 0.0
        everybody[problem.closed] = 0.0
    return guests, everybody + running_profile(problem)


def window_minimum(capacity: FloatArray, slots_held: int) -> FloatArray:
    """This function will return (P, T) the least capacity over the slots held from each start."""
    least = capacity.copy()
    for offset in range(1, min(slots_held, capacity.shape[1])):
        np.minimum(least[:, :-offset], capacity[:, offset:], out=least[:, :-offset])
    return least


def start_allowed(
    problem: PlanningProblem, group: int, *, pools: BoolArray | None = None
) -> BoolArray:
    """This function will return (P, T) where a group may start, whether there is room or not.

    Args:
        problem: the situation.
        group: index g.
        pools: (P,) pools to take instead of those that the rules allow.

    Returns:
        True where pool, data transfer, cool-down and deadline allow a start.
    """
    usable = usable_pools(problem, group) if pools is None else pools
    terms = terms_of(problem, group)
    slot = np.arange(problem.slots)
    is_in_time = (slot >= terms.earliest[:, None]) & (slot <= terms.latest[:, None])
    allowed: BoolArray = usable[:, None] & is_in_time
    return allowed & ~_meets_maintenance(problem, group, terms)


def _meets_maintenance(problem: PlanningProblem, group: int, terms: Terms) -> BoolArray:
    """(P, T) whether a start would hold units in a slot of maintenance; running work may stay."""
    if problem.closed is None:
        return np.zeros((len(problem.pools), problem.slots), dtype=np.bool_)
    is_open = np.where(problem.closed, 0.0, 1.0)
    meets: BoolArray = held_minimum(is_open, terms.slots) < 1.0
    if problem.groups[group].is_running:
        meets[problem.groups[group].home] = False
    return meets


def held_minimum(capacity: FloatArray, slots: IntArray) -> FloatArray:
    """This function will return (A, T) the least capacity over each row's own slots held."""
    least = np.empty_like(capacity)
    for held in np.unique(slots):
        same = slots == held
        least[same] = window_minimum(capacity[same], int(held))
    return least


def movable_units(
    problem: PlanningProblem,
    group: int,
    out_units: Mapping[str, float],
    in_units: Mapping[str, float],
) -> FloatArray:
    """This function will return (P,) the units that limits per region let a group move.

    Args:
        problem: the situation.
        group: index g.
        out_units: per region, units that may still leave; a region that is not named has no limit.
        in_units: per region, units that may still come.

    Returns:
        Units by destination, infinite within the group's own region.
    """
    source = problem.pools[problem.groups[group].home].region
    leaving = out_units.get(source, math.inf)
    return np.array(
        [
            math.inf if pool.region == source else min(leaving, in_units.get(pool.region, math.inf))
            for pool in problem.pools
        ]
    )


def whole_limits(limits: Mapping[str, float]) -> dict[str, float]:
    """This function will round limits down to whole units and leave out infinite ones."""
    return {
        code: float(math.floor(units + ROUNDING))
        for code, units in limits.items()
        if math.isfinite(units)
    }
