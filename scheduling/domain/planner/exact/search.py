"""Searches the cheapest placements between a relaxation's bound and an integer programme's plan.

The relaxation (a linear programme) gives a bound and, per column, by how much the cost rises at
least when the column is used. A small integer programme over the most promising columns gives a
plan; columns that cannot better it any more drop out, which is exact; what remains is solved
again, with more columns each time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse

from scheduling.domain.planner.costs import GroupCosts, all_group_costs, plan_parts, unplaced_jobs
from scheduling.domain.planner.exact.formulation import Columns, build_columns
from scheduling.domain.planner.exact.improve import improve
from scheduling.domain.planner.exact.programme import build_programme
from scheduling.domain.planner.outcome import Placement, PlanOutcome, PlanStatus
from scheduling.domain.planner.problem import BoolArray, FloatArray, PlanningProblem

EXACT_USD = 1e-6
RELAXATION_SHARE = 0.15
# Columns of each integer programme, and its share of the time after the relaxation. One that holds
# all columns that matter is the last, and takes the shares of those it makes needless.
CORE_SIZES = (300, 600, 1_200, 2_400, 4_800, None)
CORE_SHARES = (0.02, 0.03, 0.05, 0.1, 0.2, 0.6)


@dataclass(frozen=True)
class _Relaxation:
    """`bound_usd`, and per column the value and the least rise of the cost when it is used."""

    bound_usd: float
    jobs: FloatArray
    rise_usd: FloatArray


@dataclass(frozen=True)
class _Search:
    """What stays the same while one situation is searched."""

    problem: PlanningProblem
    costs: tuple[GroupCosts, ...]
    columns: Columns
    with_guests: bool
    time_limit_s: float
    gap: float

    def cost_usd(self, placements: tuple[Placement, ...]) -> float:
        return plan_parts(self.problem, placements, self.costs).total_usd

    def improved(self, placements: Iterable[Placement]) -> tuple[Placement, ...]:
        return improve(self.problem, placements, self.costs, with_guests=self.with_guests)

    def is_close(self, cost_usd: float, bound_usd: float) -> bool:
        return cost_usd - bound_usd <= max(EXACT_USD, self.gap * abs(cost_usd))


def search_plan(
    problem: PlanningProblem,
    stay: tuple[Placement, ...],
    *,
    with_guests: bool,
    time_limit_s: float,
    gap: float,
) -> PlanOutcome:
    """This function will search one situation that has groups and no contradiction.

    Args:
        problem: the situation.
        stay: valid placements that the plan must not cost more than; may be none.
        with_guests: False keeps every workload at home.
        time_limit_s: upper limit of the time spent in the solver library, s.
        gap: relative distance to the bound at which to stop.

    Returns:
        The outcome; never INFEASIBLE, because placing nothing is always allowed.
    """
    costs = all_group_costs(problem)
    columns = build_columns(problem, costs, with_guests=with_guests)
    search = _Search(problem, costs, columns, with_guests, time_limit_s, gap)
    best = search.improved(stay)
    relaxation = _relax(search)
    if relaxation is None:
        return _outcome(search, best, _loose_bound(search))
    best = min(best, search.improved(_rounded_down(columns, relaxation.jobs)), key=search.cost_usd)
    best, bound_usd = _close_gap(search, relaxation, best)
    # An empty baseline stops running work, which no plan may do.
    is_valid = bool(stay) or not any(group.is_running for group in problem.groups)
    if is_valid and search.cost_usd(stay) <= search.cost_usd(best):
        best = stay
    return _outcome(search, best, bound_usd)


def _outcome(search: _Search, placements: tuple[Placement, ...], bound_usd: float) -> PlanOutcome:
    parts = plan_parts(search.problem, placements, search.costs)
    total = parts.total_usd
    bound_usd = min(bound_usd, total)
    status = status_of(total, bound_usd, search.gap)
    return PlanOutcome(
        status=status,
        objective=total,
        bound=bound_usd,
        gap=relative_gap(total, bound_usd),
        placements=placements,
        unplaced=unplaced_jobs(search.problem, placements),
        parts=parts,
    )


def status_of(cost_usd: float, bound_usd: float, gap: float) -> PlanStatus:
    """This function will type how near a valid plan came to its bound."""
    if cost_usd - bound_usd <= EXACT_USD:
        return PlanStatus.OPTIMAL
    is_close = cost_usd - bound_usd <= gap * abs(cost_usd)
    return PlanStatus.WITHIN_GAP if is_close else PlanStatus.TIME_LIMIT


def relative_gap(cost_usd: float, bound_usd: float) -> float:
    """This function will return (cost - bound) / |cost|, 0 for a cost of 0."""
    return (cost_usd - bound_usd) / abs(cost_usd) if cost_usd else 0.0


def _close_gap(
    search: _Search, relaxation: _Relaxation, best: tuple[Placement, ...]
) -> tuple[tuple[Placement, ...], float]:
    """Solve ever larger integer programmes until the plan is close enough to the bound."""
    bound_usd = relaxation.bound_usd
    step, is_exact, has_stalled = 0, False, False
    while not is_exact and not search.is_close(search.cost_usd(best), bound_usd):
        cost_usd = search.cost_usd(best)
        can_better = relaxation.rise_usd <= cost_usd - bound_usd + EXACT_USD
        core = _core(relaxation, can_better, None if has_stalled else CORE_SIZES[step])
        is_exact = int(core.sum()) == int(can_better.sum())
        shares = CORE_SHARES[step:] if is_exact else CORE_SHARES[step : step + 1]
        limit_s = (1 - RELAXATION_SHARE) * sum(shares) * search.time_limit_s
        found, found_bound_usd = _branch(
            search, search.columns.only(core), limit_s, search.gap if is_exact else search.gap / 2
        )
        best = min(best, search.improved(found), key=search.cost_usd)
        if is_exact:
            # Dropped columns lead to plans of at least `cost_usd`, the others to the bound found.
            bound_usd = max(bound_usd, min(found_bound_usd, cost_usd))
        # More columns did not help: the bound is weak then, and only all of them raise it.
        has_stalled = step > 1 and search.is_close(cost_usd, search.cost_usd(best))
        step += 1
    return best, bound_usd


def _core(relaxation: _Relaxation, can_better: BoolArray, size: int | None) -> BoolArray:
    if size is None or int(can_better.sum()) <= size:
        return can_better
    core = (relaxation.jobs > 0) & can_better
    rise_usd = np.where(can_better, relaxation.rise_usd, np.inf)
    core[np.argsort(rise_usd, kind="stable")[:size]] = True
    return core


def _relax(search: _Search) -> _Relaxation | None:
    """Solve the linear relaxation; None when the time limit came first."""
    programme = build_programme(search.problem, search.columns, search.costs)
    matrix, lower, upper = programme.rows.matrix, programme.rows.lower, programme.rows.upper
    is_equal = lower == upper
    from_above = np.isfinite(upper) & ~is_equal
    from_below = np.isfinite(lower) & ~is_equal
    # linprog takes sparse matrices and an array of bounds; its stubs know neither.
    result = optimize.linprog(  # type: ignore[call-overload]
        programme.cost,
        A_ub=sparse.vstack([matrix[from_above], -matrix[from_below]], format="csr"),
        b_ub=np.concatenate([upper[from_above], -lower[from_below]]),
        A_eq=matrix[is_equal],
        b_eq=upper[is_equal],
        bounds=np.column_stack([np.zeros_like(programme.most), programme.most]),
        method="highs-ds",
        options={"time_limit": RELAXATION_SHARE * search.time_limit_s},
    )
    if not result.success:
        return None
    size = len(search.columns)
    return _Relaxation(float(result.fun), result.x[:size], result.lower.marginals[:size])


def _branch(
    search: _Search, columns: Columns, time_limit_s: float, gap: float
) -> tuple[list[Placement], float]:
    """Solve the integer programme over some columns; its placements and its bound."""
    programme = build_programme(search.problem, columns, search.costs)
    rows = programme.rows
    result = optimize.milp(
        programme.cost,
        integrality=programme.is_whole.astype(np.int64),
        bounds=optimize.Bounds(0.0, programme.most),
        constraints=optimize.LinearConstraint(rows.matrix, rows.lower, rows.upper),
        options={"time_limit": time_limit_s, "mip_rel_gap": gap},
    )
    bound = -np.inf if result.mip_dual_bound is None else float(result.mip_dual_bound)
    # The time limit may come before any plan; placing nothing is one.
    jobs = np.zeros(len(columns)) if result.x is None else result.x[: len(columns)]
    return _rounded_down(columns, jobs), bound


def _rounded_down(columns: Columns, jobs: FloatArray) -> list[Placement]:
    whole = np.floor(jobs + 1e-5).astype(np.int64)
    return [
        Placement(int(columns.group[n]), int(columns.pool[n]), int(columns.slot[n]), int(whole[n]))
        for n in np.flatnonzero(whole > 0)
    ]


def _loose_bound(search: _Search) -> float:
    """Return the cost when every workload had its cheapest start to itself."""
    cheapest = np.array([cost.unplaced.total_usd for cost in search.costs])
    np.minimum.at(cheapest, search.columns.group, search.columns.cost_usd)
    return float(sum(g.jobs * c for g, c in zip(search.problem.groups, cheapest, strict=True)))
