"""Puts pools and groups in name order, so that plans do not depend on how they were listed."""

from dataclasses import dataclass, replace

import numpy as np

from scheduling.domain.planner.outcome import Placement, PlanOutcome
from scheduling.domain.planner.problem import IntArray, PlanningProblem


@dataclass(frozen=True)
class Order:
    """A problem in name order, and the way back to the order it came in."""

    problem: PlanningProblem
    pools: IntArray
    groups: IntArray

    @classmethod
    def by_name(cls, problem: PlanningProblem) -> "Order":
        """This function will put a problem in name order."""
        pools = np.argsort(np.array([pool.code for pool in problem.pools]), kind="stable")
        groups = np.argsort(np.array([group.key for group in problem.groups]), kind="stable")
        place = np.argsort(pools)
        ordered = replace(
            problem,
            pools=tuple(problem.pools[p] for p in pools),
            groups=tuple(
                replace(problem.groups[g], home=int(place[problem.groups[g].home])) for g in groups
            ),
            available=problem.available[pools],
            home_available=problem.home_available[pools],
            energy_usd_per_unit_h=problem.energy_usd_per_unit_h[pools],
            carbon_kg_per_unit_h=problem.carbon_kg_per_unit_h[pools],
            allowed=problem.allowed[np.ix_(groups, pools)],
            zones=problem.zone_of[pools],
            closed=None if problem.closed is None else problem.closed[pools],
            surplus=None if problem.surplus is None else problem.surplus[pools],
        )
        return cls(ordered, pools, groups)

    def sorted_placements(self, placements: tuple[Placement, ...]) -> tuple[Placement, ...]:
        """This function will rename placements of the listed problem to name order."""
        group, pool = np.argsort(self.groups), np.argsort(self.pools)
        return tuple(
            replace(one, group=int(group[one.group]), pool=int(pool[one.pool]))
            for one in placements
        )

    def restored(self, outcome: PlanOutcome) -> PlanOutcome:
        """This function will rename an outcome in name order to the order that was listed."""
        placements = sorted(
            replace(one, group=int(self.groups[one.group]), pool=int(self.pools[one.pool]))
            for one in outcome.placements
        )
        unplaced = np.empty(len(self.groups), dtype=np.int64)
        unplaced[self.groups] = outcome.unplaced
        return replace(
            outcome, placements=tuple(placements), unplaced=tuple(int(jobs) for jobs in unplaced)
        )
