"""Verifies the limits that pools share, by plain counting: quotas and carbon caps.

Shares no code with the rules, the formulation or the solver.
"""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterator

from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import PlanningProblem, Quota

TOLERANCE = 1e-6
Held = Callable[[Placement], range]


class _Use:
    """What tenants and cohorts hold, slot by slot."""

    def __init__(self, problem: PlanningProblem, placements: list[Placement], held: Held) -> None:
        self.units: dict[tuple[str, str, int], float] = defaultdict(float)
        for one in placements:
            group = problem.groups[one.group]
            for slot in held(one):
                key = (group.tenant, problem.pools[one.pool].region, slot)
                self.units[key] += one.jobs * group.units
        self.members: dict[str, list[Quota]] = defaultdict(list)
        for quota in problem.quotas:
            self.members[quota.parent].append(quota)

    def owned(self, quota: Quota) -> float:
        return quota.nominal_units + sum(self.owned(one) for one in self.members[quota.name])

    def used(self, quota: Quota, slot: int, where: frozenset[str]) -> float:
        if self.members[quota.name]:
            below = sum(self.used(one, slot, where) for one in self.members[quota.name])
            return quota.in_use_units + below
        return quota.in_use_units + sum(
            count
            for (tenant, region, when), count in self.units.items()
            if tenant == quota.name and when == slot and (not where or region in where)
        )

    def taken(self, quota: Quota, slot: int) -> float:
        """What the members take of the cohort's total, kept units included."""
        total = 0.0
        for one in self.members[quota.name]:
            keeps = self.owned(one) - one.lending_units if math.isfinite(one.lending_units) else 0
            total += max(self.used(one, slot, quota.regions), keeps)
        return total


def broken_quotas(
    problem: PlanningProblem, placements: list[Placement], held: Held
) -> Iterator[str]:
    """This function will tell every quota that is passed in a slot.

    A node uses what its members use, but of a cohort's total each member takes at least what it
    keeps for itself (nominal less lending).

    Args:
        problem: the situation.
        placements: the plan.
        held: the slots that a placement holds.
    """
    use = _Use(problem, placements, held)
    for quota in sorted(problem.quotas, key=lambda one: one.name):
        total = use.owned(quota) + (quota.borrowing_units if quota.parent else 0.0)
        for slot in range(problem.slots):
            units = use.used(quota, slot, quota.regions)
            if units > total + TOLERANCE:
                yield f"{quota.name}, slot {slot}: {units:g} units, at most {total:g}."
            elif units > 0 and use.taken(quota, slot) > total + TOLERANCE:
                yield f"{quota.name}, slot {slot}: units are lent that a member keeps."


def broken_caps(problem: PlanningProblem, placements: list[Placement], held: Held) -> Iterator[str]:
    """This function will tell every carbon cap that is passed; arguments as `broken_quotas`."""
    caused: dict[tuple[str, dt.date], float] = defaultdict(float)
    for one in placements:
        units = one.jobs * problem.groups[one.group].units
        for slot in held(one):
            day = (problem.starts_at + dt.timedelta(hours=slot)).date()
            kg = units * float(problem.carbon_kg_per_unit_h[one.pool, slot])
            caused[problem.pools[one.pool].region, day] += kg
    for cap in problem.carbon_caps:
        kg = caused[cap.region, cap.day]
        if kg > cap.most_kg + TOLERANCE * max(1.0, cap.most_kg):
            yield f"{cap.region} on {cap.day}: {kg:.3f} kg, at most {cap.most_kg:.3f}."
