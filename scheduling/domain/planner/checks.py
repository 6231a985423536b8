"""Verifies a plan by plain counting, and prices it anew.

Shares no code with the formulation, the solver or their costs, so that a mistake there is seen
here. Slow and simple on purpose.
"""

import enum
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scheduling.domain.planner.checks_shared import broken_caps, broken_quotas
from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import FloatArray, PlanningProblem

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
    TOO_EARLY = "TOO_EARLY"
    COOL_DOWN = "COOL_DOWN"
    MAINTENANCE = "MAINTENANCE"
    REQUIREMENT = "REQUIREMENT"
    LATENCY = "LATENCY"
    GANG = "GANG"
    RUNNING = "RUNNING"
    QUOTA = "QUOTA"
    CARBON_CAP = "CARBON_CAP"


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
        placements: what is to be checked; may be a part of a plan. Running work that it does not
            name goes on at home.

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
    for check in (_check_jobs, _check_capacity, _check_regions, _check_gangs):
        found += check(problem, counted)
    return found + shared_limits(problem, counted)


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
    served: dict[str, float] = defaultdict(float)
    total = 0.0
    for placement in placements:
        left[placement.group] -= placement.jobs
        tenant = problem.groups[placement.group]
        served[tenant.tenant] += placement.jobs * tenant.units * tenant.duration_h
        total += placement.jobs * _one_job(problem, placement)
    for g, jobs in left.items():
        group = problem.groups[g]
        waiting = (problem.slots - group.first_start) * weights.delay_usd_per_unit_h
        unmet = group.duration_h * weights.unmet_usd_per_unit_h
        total += jobs * group.units * (waiting + unmet)
    for tenant_name, fair in problem.fair_unit_h.items():
        total += max(0.0, fair - served[tenant_name]) * weights.fairness_usd_per_unit_h
    return total


def _one_job(problem: PlanningProblem, placement: Placement) -> float:
    """Price one job of a placement."""
    weights, group = problem.weights, problem.groups[placement.group]
    hours = run_hours(problem, placement.group, placement.pool)
    energy = _held(problem.energy_usd_per_unit_h, placement, hours)
    carbon_kg = _held(problem.carbon_kg_per_unit_h, placement, hours)
    one = group.units * (energy + carbon_kg / 1000 * weights.carbon_usd_per_t)
    if problem.surplus is not None:
        credit = _held(problem.surplus, placement, hours) * weights.surplus_usd_per_unit_h
        one -= group.units * credit
    travel_h = _travel_h(problem, placement)
    waited_h = max(float(placement.slot), travel_h) - group.first_start
    one += group.units * waited_h * weights.delay_usd_per_unit_h
    if placement.pool != group.home:
        source, destination = _zone(problem, group.home), _zone(problem, placement.pool)
        one += group.data_gb * float(problem.egress_usd_per_gb[source, destination])
        one += group.members * weights.churn_usd_per_job
    round_trip_ms = _round_trip_ms(problem, placement)
    return one + group.units * hours * round_trip_ms * weights.latency_usd_per_unit_h_ms


def _zone(problem: PlanningProblem, pool: int) -> int:
    return pool if problem.zones is None else int(problem.zones[pool])


def _travel_h(problem: PlanningProblem, placement: Placement) -> float:
    group = problem.groups[placement.group]
    if placement.pool == group.home:
        return 0.0
    source, destination = _zone(problem, group.home), _zone(problem, placement.pool)
    return group.data_gb * float(problem.transfer_h_per_gb[source, destination])


def _round_trip_ms(problem: PlanningProblem, placement: Placement) -> float:
    user_zone = problem.groups[placement.group].user_zone
    if user_zone is None or problem.rtt_ms is None:
        return 0.0
    return float(problem.rtt_ms[user_zone, _zone(problem, placement.pool)])


def _held(rate: FloatArray, placement: Placement, hours: float) -> float:
    """Sum an hourly rate over the hours one unit runs; after the horizon at its mean."""
    row = [float(value) for value in rate[placement.pool]]
    mean = sum(row) / len(row)
    total, hours_left, slot = 0.0, hours, placement.slot
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
    if group.is_running and placement.pool == group.home:
        if placement.slot == 0:
            return []
        return [Violation(Rule.RUNNING, f"{group.key} stops and starts again on {pool.code}.")]
    what, slot = f"{group.key} on {pool.code}", placement.slot
    away = placement.pool != group.home
    travel_h = _travel_h(problem, placement)
    round_trip_ms = _round_trip_ms(problem, placement)
    closed = problem.closed is not None and any(
        bool(problem.closed[placement.pool, t]) for t in _slots_held(problem, placement)
    )
    speed = problem.throughput.get((group.requirement, pool.kind), 1.0)
    is_known = pool.is_known and problem.pools[group.home].is_known
    is_allowed = bool(problem.allowed[placement.group, placement.pool])
    # the data must be there before the start slot, which is an hour, has passed
    is_late = away and slot + 1 <= travel_h - TOLERANCE
    broken = (
        (Rule.NOT_ALLOWED, not is_allowed, "is not allowed"),
        (Rule.POOL_UNKNOWN, not is_known, "the state of a pool is unknown"),
        (Rule.LATEST_START, slot > group.latest_start, f"starts in slot {slot}, too late"),
        (Rule.TOO_EARLY, slot < group.first_start, f"starts in slot {slot}, too early"),
        (Rule.COOL_DOWN, away and slot < group.away_from, "moved too short a time ago"),
        (Rule.TRANSFER_TIME, is_late, f"starts in slot {slot}, its data need {travel_h:.2f} h"),
        (Rule.MAINTENANCE, closed, "holds units in a slot of maintenance"),
        (Rule.REQUIREMENT, speed <= 0, "does not run on this kind of pool"),
        (Rule.LATENCY, round_trip_ms > group.latency_bound_ms, f"{round_trip_ms:.1f} ms away"),
    )
    return [Violation(rule, f"{what}: {why}.") for rule, is_broken, why in broken if is_broken]


def run_hours(problem: PlanningProblem, group: int, pool: int) -> float:
    """This function will say how long a job runs on a pool, lost work and speed included."""
    demand = problem.groups[group]
    lost_h = demand.lost_h if pool != demand.home else 0.0
    speed = problem.throughput.get((demand.requirement, problem.pools[pool].kind), 1.0)
    return (demand.duration_h + lost_h) / (speed if speed > 0 else 1.0)


def _slots_held(problem: PlanningProblem, placement: Placement) -> range:
    group = problem.groups[placement.group]
    longer = run_hours(problem, placement.group, placement.pool) / group.duration_h
    slots = max(1, math.ceil(group.duration_slots * longer - TOLERANCE))
    return range(placement.slot, min(problem.slots, placement.slot + slots))


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
    released: dict[tuple[int, int], int] = defaultdict(int)
    for placement in placements:
        group = problem.groups[placement.group]
        for slot in _slots_held(problem, placement):
            everybody[placement.pool, slot] += placement.jobs * group.units
            if placement.pool != group.home:
                guests[placement.pool, slot] += placement.jobs * group.units
    # what running work holds where it runs is in no figure of room, so it counts as room here
    for g, group in enumerate(problem.groups):
        if group.is_running:
            for slot in _slots_held(problem, Placement(g, group.home, 0, group.jobs)):
                released[group.home, slot] += group.jobs * group.units

    def is_open(pool: int, slot: int) -> float:
        return 0.0 if problem.closed is not None and problem.closed[pool, slot] else 1.0

    def most_for_guests(pool: int, slot: int) -> float:
        return is_open(pool, slot) * float(problem.available[pool, slot])

    def most(pool: int, slot: int) -> float:
        more = is_open(pool, slot) * float(problem.home_available[pool, slot])
        return max(most_for_guests(pool, slot), more) + released[pool, slot]

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


def _check_gangs(problem: PlanningProblem, placements: list[Placement]) -> list[Violation]:
    """A site gang starts whole, in one slot, at one site."""
    found = []
    for g, group in enumerate(problem.groups):
        own = [one for one in placements if one.group == g]
        if not group.is_site_gang or not own:
            continue
        starts = {(problem.pools[one.pool].site, one.slot) for one in own}
        if len(starts) > 1 or sum(one.jobs for one in own) < group.jobs:
            found.append(Violation(Rule.GANG, f"{group.key} does not start together: {starts}."))
    return found


def shared_limits(problem: PlanningProblem, placements: list[Placement]) -> list[Violation]:
    """This function will return the violations of quotas and carbon caps.

    Running work that the placements do not name goes on at home and counts there.
    """
    if not (problem.quotas or problem.carbon_caps):
        return []
    named: dict[int, int] = defaultdict(int)
    for one in placements:
        named[one.group] += one.jobs
    staying = [
        Placement(g, group.home, 0, group.jobs - named[g])
        for g, group in enumerate(problem.groups)
        if group.is_running and named[g] < group.jobs
    ]
    everything = [*placements, *staying]

    def held(one: Placement) -> range:
        return _slots_held(problem, one)

    quotas = broken_quotas(problem, everything, held)
    caps = broken_caps(problem, everything, held)
    return [Violation(Rule.QUOTA, detail) for detail in quotas] + [
        Violation(Rule.CARBON_CAP, detail) for detail in caps
    ]
