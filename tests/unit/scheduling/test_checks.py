"""The verifier finds a breach of every rule, and prices plans by itself."""

from dataclasses import replace

import numpy as np
import pytest

from scheduling.domain.planner.checks import Rule, recompute_cost, verify
from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import PlanningProblem
from scheduling.domain.planner.solver import solve
from tests.builders import a_group, a_problem, a_short_home


def rules(problem: PlanningProblem, *placements: Placement) -> set[Rule]:
    return {violation.rule for violation in verify(problem, placements)}


@pytest.fixture
def problem() -> PlanningProblem:
    """Two workloads wait at full Beijing; their data need 2.5 h to any other pool."""
    group = a_group(jobs=2, data_gb=5.0, latest_start=2)
    limits = {"max_out_units": {"CN-BJ": 16.0}, "max_in_units": {"CN-NM": 16.0}}
    return a_problem(group, available=[0.0, 16.0, 8.0], transfer_h_per_gb=0.5, **limits)


def test_a_plan_of_the_solver_breaks_no_rule(problem):
    plan = solve(problem)

    assert plan.placements
    assert verify(problem, plan.placements) == []


def test_an_empty_plan_breaks_no_rule(problem):
    assert verify(problem, []) == []


@pytest.mark.parametrize(
    ("placement", "broken"),
    [
        pytest.param(Placement(1, 0, 0, 1), Rule.INDEX_UNKNOWN, id="no such group"),
        pytest.param(Placement(0, 3, 2, 1), Rule.INDEX_UNKNOWN, id="no such pool"),
        pytest.param(Placement(0, 1, 4, 1), Rule.INDEX_UNKNOWN, id="no such slot"),
        pytest.param(Placement(0, -1, 2, 1), Rule.INDEX_UNKNOWN, id="index below zero"),
        pytest.param(Placement(0, 1, 2, 1.5), Rule.NOT_WHOLE, id="half a workload"),
        pytest.param(Placement(0, 1, 2, 0), Rule.NOT_WHOLE, id="no workload"),
        pytest.param(Placement(0, 1, 2, -1), Rule.NOT_WHOLE, id="fewer than none"),
        pytest.param(Placement(0, 1, 2, 3), Rule.JOB_COUNT, id="more than wait"),
        pytest.param(Placement(0, 1, 3, 1), Rule.LATEST_START, id="after the last start"),
        pytest.param(Placement(0, 1, 1, 1), Rule.TRANSFER_TIME, id="before the data is there"),
        pytest.param(Placement(0, 0, 2, 1), Rule.CAPACITY, id="home is full"),
        pytest.param(Placement(0, 2, 2, 2), Rule.GUEST_CAPACITY, id="destination is full"),
    ],
)
def test_a_tampered_placement_is_named_by_its_rule(problem, placement, broken):
    assert broken in rules(problem, placement)


def test_a_start_that_keeps_every_rule_is_accepted(problem):
    assert rules(problem, Placement(0, 1, 2, 2)) == set()


def test_a_pool_that_is_not_allowed_is_named(problem):
    problem = replace(problem, allowed=np.array([[True, False, True]]))

    assert rules(problem, Placement(0, 1, 2, 1)) == {Rule.NOT_ALLOWED}


@pytest.mark.parametrize("unknown", [pytest.param(0, id="home"), pytest.param(1, id="destination")])
def test_a_pool_whose_state_is_unknown_is_named(problem, unknown):
    pools = list(problem.pools)
    pools[unknown] = replace(pools[unknown], is_known=False)

    assert rules(replace(problem, pools=tuple(pools)), Placement(0, 1, 2, 1)) == {Rule.POOL_UNKNOWN}


@pytest.mark.parametrize(
    ("limit", "broken"),
    [("max_out_units", Rule.MAX_OUT), ("max_in_units", Rule.MAX_IN)],
)
def test_a_region_limit_counts_the_units_of_all_moves(problem, limit, broken):
    region = "CN-BJ" if limit == "max_out_units" else "CN-NM"
    problem = replace(problem, **{limit: {region: 15.0}})

    assert rules(problem, Placement(0, 1, 2, 1)) == set()
    assert rules(problem, Placement(0, 1, 2, 2)) == {broken}


def test_a_move_inside_a_region_counts_in_no_limit(problem):
    same = replace(problem.pools[1], region="CN-BJ")
    pools = (problem.pools[0], same, problem.pools[2])
    problem = replace(problem, pools=pools, max_out_units={"CN-BJ": 0.0})

    assert rules(problem, Placement(0, 1, 2, 2)) == set()


def test_guests_and_locals_share_what_the_median_leaves():
    groups = (a_group("guest", jobs=1), a_group("local", jobs=2, home=1))
    problem = a_problem(*groups, available=8.0, home_available=16.0)

    assert rules(problem, Placement(0, 1, 0, 1), Placement(1, 1, 0, 1)) == set()
    assert rules(problem, Placement(0, 1, 0, 1), Placement(1, 1, 1, 2)) == {Rule.CAPACITY}


def test_units_are_held_until_the_horizon_ends():
    problem = a_problem(a_group(jobs=2, duration_slots=9, duration_h=9.0), available=8.0)

    assert rules(problem, Placement(0, 0, 0, 1), Placement(0, 0, 3, 1)) == {Rule.CAPACITY}


def test_the_cost_of_a_moved_and_a_waiting_workload_is_what_a_hand_computes():
    problem = a_short_home(egress=0.05)

    cost = recompute_cost(problem, [Placement(0, 1, 2, 1)])

    moved = 8 * 2 * 0.02 + 8 * 2 * 0.2 * 0.05 + 8 * 2 * 0.5 + 0.05 + 0.25
    waiting = 8 * 4 * 0.5 + 8 * 2 * 1.0
    assert cost == pytest.approx(moved + 3 * waiting)
