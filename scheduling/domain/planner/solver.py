"""Solves a planning problem and its do-nothing counterpart, and types how it ended.

Pools and groups are first put in name order, so the same situation gives the same plan however it
was listed.
"""

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scheduling.domain.planner.costs import plan_parts, unplaced_jobs
from scheduling.domain.planner.exact.conflicts import stuck_rules
from scheduling.domain.planner.exact.search import relative_gap, search_plan, status_of
from scheduling.domain.planner.order import Order
from scheduling.domain.planner.outcome import Placement, PlanMemory, PlanOutcome, PlanStatus
from scheduling.domain.planner.problem import PlanningProblem
from scheduling.domain.planner.rules.quotas import quota_rows
from scheduling.domain.planner.sanity import check_problem

if TYPE_CHECKING:
    from scheduling.domain.planner.scale.search import ScaleAnswer

BASELINE_SHARE = 0.2
# Up to the first the whole problem goes to the solver library; above the second only prices are
# used; between them prices come first, and the library when their gap is not small enough.
FEW_STARTS = 15_000
MANY_STARTS = 40_000
SCALE_GAP = 0.01
_WORSE = (PlanStatus.OPTIMAL, PlanStatus.WITHIN_GAP, PlanStatus.TIME_LIMIT)


def solve(
    problem: PlanningProblem,
    *,
    time_limit_s: float = 20.0,
    gap: float = 1e-4,
    baseline: PlanOutcome | None = None,
    memory: PlanMemory | None = None,
) -> PlanOutcome:
    """This function will find the cheapest placements, moves included.

    The same problem gives the same plan unless the time limit cuts the search short. A plan never
    costs more than the baseline, and no single workload, and no pair of alike ones, could be
    brought home at no loss.

    Args:
        problem: the situation.
        time_limit_s: upper limit of the time spent in the solver library, s, > 0. A problem of
            national size is limited by steps instead.
        gap: relative distance to the bound at which to stop, >= 0; at national size 1 % is enough.
        baseline: outcome of `do_nothing` on the same problem, if it is there already.
        memory: what the outcome before left, for a problem of national size.

    Returns:
        Status, placements, bound and parts. See `PlanOutcome`.

    Raises:
        ProblemNotSane: the problem's arrays do not fit together or hold nonsense.

    Source: docs/model.md; docs/decisions/0006-planner-formulation-and-checker.md.
    """
    check_problem(problem)
    conflicts = contradictions(problem)
    if conflicts or not problem.groups:
        return _empty(problem, conflicts)
    order = Order.by_name(problem)
    stuck = () if needs_scale(problem) else stuck_rules(order.problem)
    if stuck:
        return _empty(problem, stuck)
    stay = order.sorted_placements(baseline.placements) if baseline else ()
    by_prices = _by_prices(order.problem, stay, gap=gap, memory=memory)
    if by_prices and (needs_scale(problem) or by_prices.gap <= gap):
        return order.restored(by_prices)
    if by_prices:
        stay = by_prices.placements
    elif baseline is None:
        baseline = do_nothing(problem, time_limit_s=BASELINE_SHARE * time_limit_s, gap=gap)
        time_limit_s *= 1 - BASELINE_SHARE
        stay = order.sorted_placements(baseline.placements)
    outcome = search_plan(order.problem, stay, with_guests=True, time_limit_s=time_limit_s, gap=gap)
    if outcome.status is PlanStatus.TIME_LIMIT:
        # prices may have a better plan or a better bound
        other = by_prices or _solve_at_scale(order.problem, gap=gap, memory=None)
        best = min(outcome, other, key=lambda one: one.objective)
        bound_usd = max(outcome.bound, other.bound)
        outcome = _outcome_of(order.problem, best.placements, bound_usd, gap=gap)
    return order.restored(outcome)


def _by_prices(
    problem: PlanningProblem,
    stay: tuple[Placement, ...],
    *,
    gap: float,
    memory: PlanMemory | None,
) -> PlanOutcome | None:
    """Plan by prices where there are many starts; never dearer than a baseline that is there."""
    if starts_to_weigh(problem) <= FEW_STARTS:
        return None
    gap = max(gap, SCALE_GAP) if needs_scale(problem) else gap
    outcome = _solve_at_scale(problem, gap=gap, memory=memory)
    if stay and plan_parts(problem, stay).total_usd < outcome.objective:
        return _outcome_of(problem, stay, outcome.bound, gap=gap)
    return outcome


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
    order = Order.by_name(problem)
    if needs_scale(problem):
        home = np.array([group.home for group in order.problem.groups])
        at_home = order.problem.allowed & (home[:, None] == np.arange(len(problem.pools)))
        stays = replace(order.problem, allowed=at_home)
        outcome = _solve_at_scale(stays, gap=max(gap, SCALE_GAP), memory=None)
        return order.restored(outcome)
    if problem.quotas or problem.carbon_caps or problem.fair_unit_h:
        outcome = search_plan(
            order.problem, (), with_guests=False, time_limit_s=time_limit_s, gap=gap
        )
        return order.restored(outcome)
    # Nothing that stays shares a pool with another pool's workloads: one search per home pool.
    homes = sorted({group.home for group in order.problem.groups})
    outcomes = [
        _search_home(order.problem, home, time_limit_s=time_limit_s / len(homes), gap=gap)
        for home in homes
    ]
    placements = tuple(sorted(one for outcome in outcomes for one in outcome.placements))
    parts = plan_parts(order.problem, placements)
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


def starts_to_weigh(problem: PlanningProblem) -> int:
    """This function will count the starts that rules and deadlines allow."""
    starts = np.array(
        [group.latest_start - group.first_start + 1 for group in problem.groups], dtype=np.int64
    )
    return int((problem.allowed.sum(axis=1) * starts).sum())


def needs_scale(problem: PlanningProblem) -> bool:
    """This function will say whether a problem has more starts than an exact search can hold."""
    return starts_to_weigh(problem) > MANY_STARTS


def contradictions(problem: PlanningProblem) -> tuple[str, ...]:
    """This function will name the limits that not even an empty plan keeps.

    All others bound sums of placed workloads from above by 0 or more, so placing nothing keeps
    them; each named constraint is a smallest conflicting set of its own.
    """
    limits = [
        (f"{name}[{code}]", units[code])
        for name, units in (("max_out", problem.max_out_units), ("max_in", problem.max_in_units))
        for code in sorted(units)
    ]
    limits += [(row.name, row.most_units) for row in quota_rows(problem)]
    limits += [(f"carbon[{cap.region},{cap.day}]", cap.most_kg) for cap in problem.carbon_caps]
    return tuple(name for name, most in limits if most < 0)


def _solve_at_scale(
    problem: PlanningProblem, *, gap: float, memory: PlanMemory | None
) -> PlanOutcome:
    # compiled loops take half a second to import, which smaller problems need not wait for
    search = importlib.import_module("scheduling.domain.planner.scale.search")
    answer: ScaleAnswer = search.search_at_scale(problem, memory=memory)
    outcome = _outcome_of(problem, answer.placements, answer.bound_usd, gap=gap)
    return replace(outcome, memory=answer.memory)


def _outcome_of(
    problem: PlanningProblem, placements: tuple[Placement, ...], bound_usd: float, *, gap: float
) -> PlanOutcome:
    parts = plan_parts(problem, placements)
    bound_usd = min(bound_usd, parts.total_usd)
    return PlanOutcome(
        status=status_of(parts.total_usd, bound_usd, gap),
        objective=parts.total_usd,
        bound=bound_usd,
        gap=relative_gap(parts.total_usd, bound_usd),
        placements=placements,
        unplaced=unplaced_jobs(problem, placements),
        parts=parts,
    )


def _empty(problem: PlanningProblem, conflicts: tuple[str, ...]) -> PlanOutcome:
    parts = plan_parts(problem, ())
    return PlanOutcome(
        status=PlanStatus.INFEASIBLE if conflicts else PlanStatus.NOTHING_TO_DO,
        objective=parts.total_usd,
        bound=parts.total_usd,
        unplaced=unplaced_jobs(problem, ()),
        parts=parts,
        conflicts=conflicts,
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
