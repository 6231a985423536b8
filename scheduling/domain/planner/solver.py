"""Solves a planning problem and its do-nothing counterpart, and types how it ended.

Pools and groups are first put in name order, so the same situation gives the same plan however it
was listed.
"""

from dataclasses import dataclass, replace

import numpy as np

from scheduling.domain.planner.costs import all_group_costs, plan_parts, unplaced_jobs
from scheduling.domain.planner.formulation import IntArray
from scheduling.domain.planner.outcome import Placement, PlanOutcome, PlanStatus
from scheduling.domain.planner.problem import PlanningProblem, check_problem
from scheduling.domain.planner.search import relative_gap, search_plan

BASELINE_SHARE = 0.2
_WORSE = (PlanStatus.OPTIMAL, PlanStatus.WITHIN_GAP, PlanStatus.TIME_LIMIT)


def solve(
    problem: PlanningProblem,
    *,
    time_limit_s: float = 20.0,
    gap: float = 1e-4,
    baseline: PlanOutcome | None = None,
) -> PlanOutcome:
    """This function will find the cheapest placements, moves included.

    The same problem gives the same plan unless the time limit cuts the search short. A plan never
    costs more than the baseline, and no single workload, and no pair of alike ones, could be
    brought home at no loss.

    Args:
        problem: the situation.
        time_limit_s: upper limit of the time spent in the solver library, s, > 0.
        gap: relative distance to the bound at which to stop, >= 0.
        baseline: outcome of `do_nothing` on the same problem, if it is there already.

    Returns:
        Status, placements, bound and parts. See `PlanOutcome`.

    Raises:
        ProblemNotSane: the problem's arrays do not fit together or hold nonsense.

    Source: docs/model-plan.md; docs/decisions/0006-planner-formulation-and-checker.md.
    """
    check_problem(problem)
    conflicts = contradictions(problem)
    if conflicts or not problem.groups:
        return _empty(problem, conflicts)
    order = _Order.by_name(problem)
    if baseline is None:
        baseline = do_nothing(problem, time_limit_s=BASELINE_SHARE * time_limit_s, gap=gap)
        time_limit_s *= 1 - BASELINE_SHARE
    stay = order.sorted_placements(baseline.placements)
    outcome = search_plan(order.problem, stay, with_guests=True, time_limit_s=time_limit_s, gap=gap)
    return order.restored(outcome)


def do_nothing(
    problem: PlanningProblem, *, time_limit_s: float = 20.0, gap: float = 1e-4
) -> PlanOutcome:
    """This function will find the cheapest placements when every workload stays at home.

    Args:
        problem: the situation.
        time_limit_s: upper limit of the time spent in the solver library, s, > 0.
        gap: relative distance to the bound at which to stop, >= 0.

    Returns:
        As `solve`; all placements are at home, and `bound` holds for staying only.

    Raises:
        ProblemNotSane: the problem's arrays do not fit together or hold nonsense.
    """
    check_problem(problem)
    if not problem.groups:
        return _empty(problem, ())
    order = _Order.by_name(problem)
    # Nothing that stays shares a pool with another pool's workloads: one search per home pool.
    homes = sorted({group.home for group in order.problem.groups})
    outcomes = [
        _search_home(order.problem, home, time_limit_s=time_limit_s / len(homes), gap=gap)
        for home in homes
    ]
    placements = tuple(sorted(one for outcome in outcomes for one in outcome.placements))
    parts = plan_parts(order.problem, placements, all_group_costs(order.problem))
    bound_usd = min(parts.total_usd, sum(outcome.bound for outcome in outcomes))
    joined = PlanOutcome(
        status=max((outcome.status for outcome in outcomes), key=_WORSE.index),
        objective=parts.total_usd,
        bound=bound_usd,
        gap=relative_gap(parts.total_usd, bound_usd),
        placements=placements,
        unplaced=unplaced_jobs(order.problem, placements),
        parts=parts,
    )
    return order.restored(joined)


def contradictions(problem: PlanningProblem) -> tuple[str, ...]:
    """This function will name the constraints that not even an empty plan keeps.

    All others bound sums of placed workloads from above by 0 or more, so placing nothing keeps
    them; each named constraint is a smallest conflicting set of its own.
    """
    limits = (("max_out", problem.max_out_units), ("max_in", problem.max_in_units))
    return tuple(
        f"{name}[{code}]" for name, units in limits for code in sorted(units) if units[code] < 0
    )


def _empty(problem: PlanningProblem, conflicts: tuple[str, ...]) -> PlanOutcome:
    parts = plan_parts(problem, (), all_group_costs(problem))
    return PlanOutcome(
        status=PlanStatus.INFEASIBLE if conflicts else PlanStatus.NOTHING_TO_DO,
        objective=parts.total_usd,
        bound=parts.total_usd,
        unplaced=unplaced_jobs(problem, ()),
        parts=parts,
        conflicts=conflicts,
    )


@dataclass(frozen=True)
class _Order:
    """A problem in name order, and the way back to the order it came in."""

    problem: PlanningProblem
    pools: IntArray
    groups: IntArray

    @classmethod
    def by_name(cls, problem: PlanningProblem) -> "_Order":
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
            egress_usd_per_gb=problem.egress_usd_per_gb[np.ix_(pools, pools)],
            transfer_h_per_gb=problem.transfer_h_per_gb[np.ix_(pools, pools)],
        )
        return cls(ordered, pools, groups)

    def sorted_placements(self, placements: tuple[Placement, ...]) -> tuple[Placement, ...]:
        group, pool = np.argsort(self.groups), np.argsort(self.pools)
        return tuple(
            replace(one, group=int(group[one.group]), pool=int(pool[one.pool]))
            for one in placements
        )

    def restored(self, outcome: PlanOutcome) -> PlanOutcome:
        placements = sorted(
            replace(one, group=int(self.groups[one.group]), pool=int(self.pools[one.pool]))
            for one in outcome.placements
        )
        unplaced = np.empty(len(self.groups), dtype=np.int64)
        unplaced[self.groups] = outcome.unplaced
        return replace(
            outcome, placements=tuple(placements), unplaced=tuple(int(jobs) for jobs in unplaced)
        )


def _search_home(
    problem: PlanningProblem, home: int, *, time_limit_s: float, gap: float
) -> PlanOutcome:
    """Search the groups of one home pool, all at home; placements keep the problem's indices."""
    groups = [g for g, group in enumerate(problem.groups) if group.home == home]
    alone = replace(
        problem,
        groups=tuple(problem.groups[g] for g in groups),
        allowed=problem.allowed[groups],
    )
    outcome = search_plan(alone, (), with_guests=False, time_limit_s=time_limit_s, gap=gap)
    placements = tuple(replace(one, group=groups[one.group]) for one in outcome.placements)
    return replace(outcome, placements=placements)
