"""Single changes and exchanges only ever better a plan, and respect every limit."""

from dataclasses import replace

from hypothesis import given, settings

from scheduling.domain.planner.checks import recompute_cost, verify
from scheduling.domain.planner.costs import all_group_costs
from scheduling.domain.planner.exact.improve import improve
from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import PlanningProblem, Weights
from scheduling.domain.planner.solver import do_nothing
from tests.builders import a_group, a_problem, a_short_home
from tests.strategies_planning import problems


def improved(problem: PlanningProblem, *placements: Placement, **options: object) -> tuple:
    return improve(problem, placements, all_group_costs(problem), **options)


@settings(max_examples=30)
@given(problem=problems())
def test_the_result_is_valid_and_costs_no_more(problem):
    stay = do_nothing(problem).placements

    better = improved(problem, *stay)

    assert verify(problem, better) == []
    assert recompute_cost(problem, better) <= recompute_cost(problem, stay) + 1e-9


def test_workloads_without_a_place_take_the_cheapest_room():
    assert improved(a_short_home(), with_guests=True) == (
        Placement(0, 1, 0, 2),
        Placement(0, 1, 2, 1),
        Placement(0, 2, 0, 1),
    )


def test_without_guests_nothing_leaves_home():
    assert improved(a_short_home(), with_guests=False) == ()


def test_a_plan_is_left_as_it_is_when_no_sweep_is_allowed():
    dear = Placement(0, 2, 3, 1)

    assert improved(a_short_home(), dear, most_sweeps=0) == (dear,)


def test_a_useless_move_comes_home():
    problem = a_problem(a_group(), weights=Weights(churn_usd_per_job=0.0))

    assert improved(problem, Placement(0, 1, 0, 1)) == (Placement(0, 0, 0, 1),)


def test_two_alike_guests_of_each_other_both_come_home():
    groups = (a_group("a"), a_group("b", home=1))
    problem = a_problem(*groups, available=[8.0, 8.0, 0.0], slots=4)
    problem = replace(problem, groups=tuple(replace(g, latest_start=0) for g in groups))

    better = improved(problem, Placement(0, 1, 0, 1), Placement(1, 0, 0, 1))

    assert better == (Placement(0, 0, 0, 1), Placement(1, 1, 0, 1))


def test_an_exchange_that_makes_a_guest_where_none_may_be_is_taken_back():
    groups = (
        a_group("longer", latest_start=0),
        a_group("shorter", latest_start=0, home=1, duration_h=1.5),
    )
    problem = a_problem(
        *groups,
        available=[0.0, 8.0, 0.0],
        home_available=8.0,
        energy=[2.0, 0.5, 0.0],
        weights=Weights(unmet_usd_per_unit_h=9.0),
    )
    stay = (Placement(0, 0, 0, 1), Placement(1, 1, 0, 1))

    assert improved(problem, *stay) == stay


def test_an_exchange_is_made_where_both_may_be_guests():
    groups = (
        a_group("longer", latest_start=0),
        a_group("shorter", latest_start=0, home=1, duration_h=1.5),
    )
    problem = a_problem(
        *groups,
        available=[8.0, 8.0, 0.0],
        energy=[2.0, 0.5, 0.0],
        weights=Weights(unmet_usd_per_unit_h=9.0),
    )

    better = improved(problem, Placement(0, 0, 0, 1), Placement(1, 1, 0, 1))

    assert better == (Placement(0, 1, 0, 1), Placement(1, 0, 0, 1))
