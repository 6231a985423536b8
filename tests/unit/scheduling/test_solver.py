"""The planner finds the cheapest plan, keeps every rule and types how it ended."""

import itertools
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.domain.planner.checks import recompute_cost, verify
from scheduling.domain.planner.outcome import CostParts, Placement, PlanOutcome, PlanStatus
from scheduling.domain.planner.problem import PlanningProblem, Weights
from scheduling.domain.planner.solver import do_nothing, solve
from tests.builders import a_grid, a_group, a_problem, a_short_home
from tests.strategies_planning import problems

GAP = 1e-4


def choices(problem: PlanningProblem, group: int) -> Iterator[tuple[Placement, ...]]:
    """Every way to spread the workloads of a group over starts that keep the rules alone."""
    starts = [
        one
        for pool in range(len(problem.pools))
        for slot in range(problem.slots)
        if not verify(problem, [one := Placement(group, pool, slot, 1)])
    ]
    for jobs in range(problem.groups[group].jobs + 1):
        for chosen in itertools.combinations_with_replacement(starts, jobs):
            yield tuple(replace(one, jobs=chosen.count(one)) for one in dict.fromkeys(chosen))


def cheapest_by_enumeration(problem: PlanningProblem) -> float:
    """Try all plans; the checker alone says what is allowed and what it costs."""
    plans: list[tuple[Placement, ...]] = [()]
    for group in range(len(problem.groups)):
        plans = [
            (*plan, *more)
            for plan in plans
            for more in choices(problem, group)
            if not verify(problem, (*plan, *more))
        ]
    return min(recompute_cost(problem, plan) for plan in plans)


@settings(max_examples=50)
@given(problem=problems())
def test_no_plan_found_by_enumeration_is_cheaper(problem):
    outcome = solve(problem, gap=0.0)

    assert outcome.objective == pytest.approx(cheapest_by_enumeration(problem), abs=2e-6)
    assert outcome.status is PlanStatus.OPTIMAL


@settings(max_examples=30)
@given(problem=problems())
def test_the_checker_accepts_every_plan_and_finds_the_same_cost(problem):
    plan, stay = solve(problem), do_nothing(problem)

    for outcome in (plan, stay):
        assert verify(problem, outcome.placements) == []
        assert recompute_cost(problem, outcome.placements) == pytest.approx(
            outcome.objective, abs=1e-6
        )
        assert outcome.parts.total_usd == pytest.approx(outcome.objective)
        assert outcome.bound <= outcome.objective
    assert plan.objective <= stay.objective
    assert all(one.pool == problem.groups[one.group].home for one in stay.placements)


@settings(max_examples=25)
@given(problem=problems(), more=st.sampled_from([1.0, 3.0]))
def test_more_capacity_never_costs_more(problem, more):
    roomier = replace(
        problem,
        available=problem.available + more,
        home_available=problem.home_available + more,
    )

    before, after = solve(problem, gap=0.0), solve(roomier, gap=0.0)

    assert after.objective <= before.objective + 2e-6


@settings(max_examples=25)
@given(problem=problems(), factor=st.sampled_from([2, 8]))
def test_scaling_units_scales_the_cost(problem, factor):
    problem = replace(
        problem,
        available=np.floor(problem.available),
        home_available=np.floor(problem.home_available),
        max_out_units={r: np.floor(u) for r, u in problem.max_out_units.items()},
        max_in_units={r: np.floor(u) for r, u in problem.max_in_units.items()},
    )
    weights = problem.weights
    larger = replace(
        problem,
        groups=tuple(replace(group, units=group.units * factor) for group in problem.groups),
        available=problem.available * factor,
        home_available=problem.home_available * factor,
        max_out_units={r: u * factor for r, u in problem.max_out_units.items()},
        max_in_units={r: u * factor for r, u in problem.max_in_units.items()},
        egress_usd_per_gb=problem.egress_usd_per_gb * factor,
        weights=replace(weights, churn_usd_per_job=weights.churn_usd_per_job * factor),
    )

    small, large = solve(problem, gap=0.0), solve(larger, gap=0.0)

    assert large.objective == pytest.approx(factor * small.objective, abs=1e-5)


@settings(max_examples=25)
@given(problem=problems(), seed=st.integers(0, 99))
def test_listing_pools_and_groups_in_another_order_gives_the_same_plan(problem, seed):
    rng = np.random.default_rng(seed)
    pools, groups = rng.permutation(len(problem.pools)), rng.permutation(len(problem.groups))
    shuffled = shuffle(problem, pools, groups)

    plan, other = solve(problem), solve(shuffled)

    renamed = sorted(
        replace(one, group=int(groups[one.group]), pool=int(pools[one.pool]))
        for one in other.placements
    )
    assert tuple(renamed) == plan.placements
    assert [plan.unplaced[g] for g in groups] == list(other.unplaced)
    assert (other.objective, other.bound) == (plan.objective, plan.bound)


def shuffle(problem: PlanningProblem, pools: np.ndarray, groups: np.ndarray) -> PlanningProblem:
    """The same situation listed otherwise: new place n holds old pool pools[n]."""
    place = {int(old): new for new, old in enumerate(pools)}
    by_pool = (
        "available",
        "home_available",
        "energy_usd_per_unit_h",
        "carbon_kg_per_unit_h",
    )
    return replace(
        problem,
        pools=tuple(problem.pools[p] for p in pools),
        groups=tuple(
            replace(problem.groups[g], home=place[problem.groups[g].home]) for g in groups
        ),
        allowed=problem.allowed[np.ix_(groups, pools)],
        egress_usd_per_gb=problem.egress_usd_per_gb[np.ix_(pools, pools)],
        transfer_h_per_gb=problem.transfer_h_per_gb[np.ix_(pools, pools)],
        **{name: getattr(problem, name)[pools] for name in by_pool},
    )


@settings(max_examples=30)
@given(problem=problems())
def test_no_moved_workload_could_come_home_at_no_loss(problem):
    plan = solve(problem)

    for moved in plan.placements:
        home = problem.groups[moved.group].home
        if moved.pool == home:
            continue
        others = [one for one in plan.placements if one != moved]
        if moved.jobs > 1:
            others.append(replace(moved, jobs=moved.jobs - 1))
        for slot in range(problem.slots):
            back = [*others, Placement(moved.group, home, slot, 1)]
            if not verify(problem, back):
                assert recompute_cost(problem, back) > plan.objective


def test_nothing_moves_when_all_pools_are_alike_and_home_has_room():
    problem = a_problem(a_group(jobs=2), weights=Weights(churn_usd_per_job=0.0))

    outcome = solve(problem)

    assert outcome.placements == (Placement(0, 0, 0, 2),)


def test_alike_workloads_do_not_change_places():
    groups = (a_group("a", units=4), a_group("b", units=4, home=1))
    problem = a_problem(*groups, available=4.0, weights=Weights(churn_usd_per_job=0.0))

    outcome = solve(problem)

    assert {(one.group, one.pool) for one in outcome.placements} == {(0, 0), (1, 1)}


def test_a_full_home_sends_workloads_to_the_cheapest_room_first():
    outcome = solve(a_short_home())

    assert outcome.placements == (
        Placement(0, 1, 0, 2),
        Placement(0, 1, 2, 1),
        Placement(0, 2, 0, 1),
    )
    assert outcome.unplaced == (0,)


def test_a_move_that_costs_more_than_waiting_is_not_made():
    problem = a_short_home(weights=Weights(churn_usd_per_job=1000.0))

    outcome = solve(problem)

    assert outcome.placements == ()
    assert outcome.unplaced == (4,)


def test_workloads_of_a_pool_whose_state_is_unknown_stay_unplanned():
    problem = a_short_home()
    unknown = (replace(problem.pools[0], is_known=False), *problem.pools[1:])

    outcome = solve(replace(problem, pools=unknown))

    assert outcome.unplaced == (4,)


def test_parts_name_everything_that_a_moved_workload_costs():
    group = a_group(duration_h=1.5)
    problem = a_problem(group, available=[0.0, 8.0, 0.0], egress=0.05)

    parts = solve(problem).parts

    expected = CostParts(
        energy_usd=8 * 1.5 * 0.02,
        carbon_kg=8 * 1.5 * 0.2,
        carbon_usd=8 * 1.5 * 0.2 * 0.05,
        egress_usd=0.05,
        churn_usd=0.25,
    )
    for part in fields(CostParts):
        assert getattr(parts, part.name) == pytest.approx(getattr(expected, part.name))


def test_hours_after_the_horizon_count_at_its_mean_price():
    group = a_group(duration_slots=6, duration_h=6.0, latest_start=0)
    problem = a_problem(group, energy=np.array([[1.0, 2.0, 3.0, 6.0]] * 3) / 100)

    parts = solve(problem).parts

    assert parts.energy_usd == pytest.approx(8 * (0.12 + 2 * 0.03))


def test_no_group_means_nothing_to_do():
    outcome = solve(a_problem())

    assert outcome.status is PlanStatus.NOTHING_TO_DO
    assert do_nothing(a_problem()).status is PlanStatus.NOTHING_TO_DO
    assert (outcome.objective, outcome.placements) == (0.0, ())


def test_a_limit_below_zero_is_infeasible_and_named():
    problem = a_short_home(max_in_units={"CN-NM": -1.0, "CN-GZ": 5.0})

    outcome = solve(problem)

    assert outcome.status is PlanStatus.INFEASIBLE
    assert outcome.conflicts == ("max_in[CN-NM]",)
    assert outcome.unplaced == (4,)


def test_an_infinite_limit_is_none():
    limited = a_short_home(max_out_units={"CN-BJ": np.inf})

    assert solve(limited).placements == solve(a_short_home()).placements


def test_a_grid_is_planned_within_the_gap_and_the_same_way_twice():
    grid = a_grid(pools=6, slots=12, groups=20, seed=7)

    first, second = solve(grid), solve(grid)

    assert first.status in {PlanStatus.OPTIMAL, PlanStatus.WITHIN_GAP}
    assert first.gap <= GAP
    assert verify(grid, first.placements) == []
    assert first == second


@pytest.fixture(scope="module")
def hard_grid() -> tuple[PlanningProblem, PlanOutcome, PlanOutcome]:
    """A grid whose relaxation is far from any plan; its best plan, and doing nothing."""
    grid = a_grid(pools=6, slots=12, groups=20, seed=3)
    return grid, solve(grid), do_nothing(grid)


@pytest.mark.parametrize(
    "limit_s",
    [
        pytest.param(1e-9, id="before the relaxation is solved"),
        pytest.param(0.2, id="while plans are searched"),
    ],
)
def test_a_time_limit_ends_in_a_valid_plan_with_an_honest_bound(hard_grid, limit_s):
    grid, best, stay = hard_grid

    outcome = solve(grid, time_limit_s=limit_s, baseline=stay)

    assert verify(grid, outcome.placements) == []
    assert outcome.bound <= best.objective + 1e-6
    assert best.bound <= outcome.objective <= stay.objective
    if outcome.gap > GAP:
        assert outcome.status is PlanStatus.TIME_LIMIT
