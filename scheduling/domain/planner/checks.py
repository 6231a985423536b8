"""Verifies a plan by plain counting, and prices it anew.

Shares no code with the formulation, the solver or their costs, so that a mistake there is seen
here. Slow and simple on purpose.
"""

import enum
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import DemandGroup, FloatArray, PlanningProblem

TOLERANCE = 1e-6


class Rule(enum.StrEnum):
    """What a plan must keep."""

    INDEX_UNKNOWN = "INDEX_UNKNOWN"
    NOT_WHOLE = "NOT_WHOLE"
    JOB_COUNT = "JOB_COUNT"
    NOT_ALLOWED = "NOT_ALLOWED"
    POOL_UNKNOWN = "POOL_UNKNOWN"
    LATEST_START = "LATEST_START"
    TRANSFER_TIME = "TRANSFER_TIME"
    GUEST_CAPACITY = "GUEST_CAPACITY"
    CAPACITY = "CAPACITY"
    MAX_OUT = "MAX_OUT"
    MAX_IN = "MAX_IN"


@dataclass(frozen=True)
class Violation:
    """One rule that a plan breaks, and where in words."""

    rule: Rule
    detail: str


def verify(problem: PlanningProblem, placements: Iterable[Placement]) -> list[Violation]:
    """This function will return every rule that the placements break.

    Fewer workloads than a group has are no violation: the others wait at home.

    Args:
        problem: the situation.
        placements: what is to be checked; may be a part of a plan.

    Returns:
        All violations found; empty when every rule is kept. Placements whose indices or counts
        make no sense are named and left out of the sums.
    """
    found: list[Violation] = []
    counted: list[Placement] = []
    for placement in placements:
        nonsense = _check_values(problem, placement)
        found += nonsense
        if not nonsense:
            counted.append(placement)
            found += _check_start(problem, placement)
    for check in (_check_jobs, _check_capacity, _check_regions):
        found += check(problem, counted)
    return found


def recompute_cost(problem: PlanningProblem, placements: Iterable[Placement]) -> float:
    """This function will add up the objective of placements anew.

    Args:
        problem: the situation.
        placements: valid placements.

    Returns:
        USD, workloads without a place included.
    """
    weights = problem.weights
    left = {g: group.jobs for g, group in enumerate(problem.groups)}
    total = 0.0
    for placement in placements:
        group = problem.groups[placement.group]
        left[placement.group] -= placement.jobs
        energy = _held(problem.energy_usd_per_unit_h, placement, group)
        carbon_kg = _held(problem.carbon_kg_per_unit_h, placement, group)
        one = group.units * (energy + carbon_kg / 1000 * weights.carbon_usd_per_t)
        travel_h = group.data_gb * float(problem.transfer_h_per_gb[group.home, placement.pool])
        waited_h = max(float(placement.slot), travel_h)
        one += group.units * waited_h * weights.delay_usd_per_unit_h
        if placement.pool != group.home:
            per_gb = float(problem.egress_usd_per_gb[group.home, placement.pool])
            one += weights.churn_usd_per_job + group.data_gb * per_gb
        total += placement.jobs * one
    for g, jobs in left.items():
        group = problem.groups[g]
        waiting = problem.slots * weights.delay_usd_per_unit_h
        unmet = group.duration_h * weights.unmet_usd_per_unit_h
        total += jobs * group.units * (waiting + unmet)
    return total


def _held(rate: FloatArray, placement: Placement, group: DemandGroup) -> float:
    """Sum an hourly rate over the hours one unit runs; after the horizon at its mean."""
    row = [float(value) for value in rate[placement.pool]]
    mean = sum(row) / len(row)
    total, hours_left, slot = 0.0, group.duration_h, placement.slot
    while hours_left > 0:
        total += min(1.0, hours_left) * (row[slot] if slot < len(row) else mean)
        hours_left -= 1.0
        slot += 1
    return total


def _check_values(problem: PlanningProblem, placement: Placement) -> list[Violation]:
    values = (placement.group, placement.pool, placement.slot, placement.jobs)
    if any(value != int(value) for value in values) or placement.jobs < 1:
        return [Violation(Rule.NOT_WHOLE, f"{placement} is not made of whole, positive numbers.")]
    sizes = (len(problem.groups), len(problem.pools), problem.slots)
    if any(not 0 <= value < size for value, size in zip(values, sizes, strict=False)):
        return [Violation(Rule.INDEX_UNKNOWN, f"{placement} names what the problem does not have.")]
    return []


def _check_start(problem: PlanningProblem, placement: Placement) -> list[Violation]:
    group, pool = problem.groups[placement.group], problem.pools[placement.pool]
    found = []
    if not problem.allowed[placement.group, placement.pool]:
        found.append(Violation(Rule.NOT_ALLOWED, f"{group.key} may not run on {pool.code}."))
    if not (pool.is_known and problem.pools[group.home].is_known):
        found.append(
            Violation(Rule.POOL_UNKNOWN, f"{group.key} on {pool.code}: state of a pool is unknown.")
        )
    if placement.slot > group.latest_start:
        detail = f"{group.key} starts in slot {placement.slot}, after {group.latest_start}."
        found.append(Violation(Rule.LATEST_START, detail))
    transfer_h = group.data_gb * float(problem.transfer_h_per_gb[group.home, placement.pool])
    # the data must be there before the start slot, which is an hour, has passed
    if placement.pool != group.home and placement.slot + 1 <= transfer_h - TOLERANCE:
        detail = f"{group.key} starts in slot {placement.slot}, its data needs {transfer_h:.2f} h."
        found.append(Violation(Rule.TRANSFER_TIME, detail))
    return found


def _check_jobs(problem: PlanningProblem, placements: list[Placement]) -> list[Violation]:
    placed: dict[int, int] = defaultdict(int)
    for placement in placements:
        placed[placement.group] += placement.jobs
    return [
        Violation(
            Rule.JOB_COUNT,
            f"{problem.groups[g].key}: {jobs} placed, {problem.groups[g].jobs} there.",
        )
        for g, jobs in placed.items()
        if jobs > problem.groups[g].jobs
    ]


def _check_capacity(problem: PlanningProblem, placements: list[Placement]) -> list[Violation]:
    guests: dict[tuple[int, int], int] = defaultdict(int)
    everybody: dict[tuple[int, int], int] = defaultdict(int)
    for placement in placements:
        group = problem.groups[placement.group]
        end = min(problem.slots, placement.slot + group.duration_slots)
        for slot in range(placement.slot, end):
            everybody[placement.pool, slot] += placement.jobs * group.units
            if placement.pool != group.home:
                guests[placement.pool, slot] += placement.jobs * group.units

    def most_for_guests(pool: int, slot: int) -> float:
        return float(problem.available[pool, slot])

    def most(pool: int, slot: int) -> float:
        return max(most_for_guests(pool, slot), float(problem.home_available[pool, slot]))

    return _over(problem, Rule.GUEST_CAPACITY, guests, most_for_guests) + _over(
        problem, Rule.CAPACITY, everybody, most
    )


def _over(
    problem: PlanningProblem,
    rule: Rule,
    held: dict[tuple[int, int], int],
    most: Callable[[int, int], float],
) -> list[Violation]:
    return [
        Violation(rule, f"{problem.pools[p].code}, slot {t}: {units} held, {most(p, t):g} there.")
        for (p, t), units in held.items()
        if units > most(p, t) + TOLERANCE
    ]


def _check_regions(problem: PlanningProblem, placements: list[Placement]) -> list[Violation]:
    leaving: dict[str, int] = defaultdict(int)
    coming: dict[str, int] = defaultdict(int)
    for placement in placements:
        group = problem.groups[placement.group]
        source = problem.pools[group.home].region
        destination = problem.pools[placement.pool].region
        if source != destination:
            leaving[source] += placement.jobs * group.units
            coming[destination] += placement.jobs * group.units
    return [
        Violation(rule, f"{region}: {units} units, limit {limits[region]:g}.")
        for rule, moved, limits in (
            (Rule.MAX_OUT, leaving, problem.max_out_units),
            (Rule.MAX_IN, coming, problem.max_in_units),
        )
        for region, units in moved.items()
        if units > limits.get(region, float("inf")) + TOLERANCE
    ]
