"""With every further rule in force, no plan found by trying all of them is cheaper."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scheduling.domain.planner.checks import Rule, recompute_cost, verify
from scheduling.domain.planner.order import Order
from scheduling.domain.planner.outcome import Placement, PlanStatus
from scheduling.domain.planner.problem import PlanningProblem
from scheduling.domain.planner.scale.search import search_at_scale
from scheduling.domain.planner.solver import do_nothing, solve
from tests.strategies_planning import problems
from tests.strategies_rules import (
    ruled_problems,
    with_caps,
    with_cool_down,
    with_fair_shares,
    with_latency,
    with_maintenance,
    with_quotas,
    with_running_work,
    with_site_gang,
    with_speeds,
    with_surplus,
)

KINDS = (
    with_caps,
    with_cool_down,
    with_fair_shares,
    with_latency,
    with_maintenance,
    with_quotas,
    with_running_work,
    with_site_gang,
    with_speeds,
    with_surplus,
)


def whole_choices(problem: PlanningProblem, group: int) -> Iterator[tuple[Placement, ...]]:
    """Every way to spread the workloads of a group, whatever the rules say of it."""
    cells = itertools.product(range(len(problem.pools)), range(problem.slots))
    starts = [Placement(group, pool, slot, 1) for pool, slot in cells]
    demand = problem.groups[group]
    least = demand.jobs if demand.is_running else 0
    for jobs in range(least, demand.jobs + 1):
        for chosen in itertools.combinations_with_replacement(starts, jobs):
            plan = tuple(replace(one, jobs=chosen.count(one)) for one in dict.fromkeys(chosen))
            if not any(v.rule is not Rule.CAPACITY for v in verify(problem, plan)):
                yield plan


def cheapest_by_enumeration(problem: PlanningProblem) -> float | None:
    """Try all plans; the checker alone says what is allowed and what it costs."""
    choices = [list(whole_choices(problem, group)) for group in range(len(problem.groups))]
    costs = [
        recompute_cost(problem, plan)
        for parts in itertools.product(*choices)
        if not verify(problem, plan := tuple(itertools.chain(*parts)))
    ]
    return min(costs, default=None)


@pytest.mark.parametrize("add", KINDS, ids=lambda add: add.__name__)
@settings(max_examples=4)
@given(data=st.data())
def test_no_plan_found_by_enumeration_is_cheaper_under_the_rule(add, data):
    problem = data.draw(add(data.draw(problems())))

    outcome = solve(problem, gap=0.0)

    best = cheapest_by_enumeration(problem)
    if best is None:
        assert outcome.status is PlanStatus.INFEASIBLE
        return
    assert verify(problem, outcome.placements) == []
    assert outcome.objective == pytest.approx(best, abs=2e-6)
    assert outcome.status is PlanStatus.OPTIMAL


@settings(max_examples=10)
@given(problem=ruled_problems())
def test_rules_in_pairs_agree_with_enumeration_too(problem):
    outcome = solve(problem, gap=0.0)

    best = cheapest_by_enumeration(problem)
    if best is None:
        assert outcome.status is PlanStatus.INFEASIBLE
        return
    assert verify(problem, outcome.placements) == []
    assert recompute_cost(problem, outcome.placements) == pytest.approx(outcome.objective)
    assert outcome.objective == pytest.approx(best, abs=2e-6)


@settings(max_examples=12)
@given(problem=ruled_problems())
def test_plans_by_prices_keep_all_rules_and_their_bound_is_below_every_plan(problem):
    assume(solve(problem).status is not PlanStatus.INFEASIBLE)
    ordered = Order.by_name(problem).problem

    answer = search_at_scale(ordered)

    assert verify(ordered, answer.placements) == []
    assert recompute_cost(ordered, answer.placements) == pytest.approx(answer.cost_usd, abs=1e-6)
    best = cheapest_by_enumeration(ordered)
    assert best is not None
    assert answer.bound_usd <= best + 1e-6
    assert answer.cost_usd >= best - 1e-6


@settings(max_examples=8)
@given(problem=ruled_problems())
def test_doing_nothing_keeps_all_rules_at_home(problem):
    assume(solve(problem).status is not PlanStatus.INFEASIBLE)

    stay = do_nothing(problem)

    broken = {violation.rule for violation in verify(problem, stay.placements)}
    assert broken <= {Rule.QUOTA, Rule.CARBON_CAP}
    assert all(one.pool == problem.groups[one.group].home for one in stay.placements)
