"""Moves account for the whole difference to doing nothing, and any part of them fits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.domain.planner.checks import verify
from scheduling.domain.planner.moves import corridors, draft_moves, share_of_residuals
from scheduling.domain.planner.outcome import CostParts
from scheduling.domain.planner.solver import do_nothing, solve
from tests.builders import a_group, a_home_freed_for_another, a_problem, a_short_home
from tests.strategies_planning import problems


@settings(max_examples=20)
@given(problem=problems())
def test_moves_and_residual_add_up_to_the_whole_saving(problem):
    plan, stay = solve(problem), do_nothing(problem)

    drafted = draft_moves(problem, plan, stay)

    assert drafted.saving_usd == pytest.approx(stay.objective - plan.objective, abs=1e-6)
    total = sum((move.change for move in drafted.moves), drafted.residual)
    assert total.carbon_kg == pytest.approx(plan.parts.carbon_kg - stay.parts.carbon_kg, abs=1e-6)


@settings(max_examples=20)
@given(problem=problems(), seed=st.randoms(use_true_random=False))
def test_any_subset_of_the_moves_fits(problem, seed):
    plan = solve(problem)
    homes = [problem.groups[one.group].home for one in plan.placements]
    kept = [
        one
        for one, home in zip(plan.placements, homes, strict=True)
        if one.pool == home or seed.random() < 0.5
    ]

    assert verify(problem, kept) == []


@settings(max_examples=20)
@given(problem=problems())
def test_every_move_is_drafted_and_nothing_else(problem):
    plan = solve(problem)

    drafted = draft_moves(problem, plan, do_nothing(problem))

    moved = {
        (one.group, one.pool, one.slot, one.jobs)
        for one in plan.placements
        if one.pool != problem.groups[one.group].home
    }
    assert {(m.group, m.destination, m.start_slot, m.jobs) for m in drafted.moves} == moved
    assert len(drafted.moves) == len(moved)


def test_a_move_says_who_goes_where_and_what_it_saves():
    problem = a_short_home(available=[0.0, 8.0, 0.0], slots=2, egress=0.05)

    drafted = draft_moves(problem, solve(problem), do_nothing(problem))

    (move,) = drafted.moves
    assert (move.source_pool, move.destination_pool) == ("beijing-gpu", "horinger-gpu")
    assert (move.source_region, move.destination_region) == ("CN-BJ", "CN-NM")
    assert (move.jobs, move.units, move.start_slot, move.duration_h) == (1, 8, 0, 2.0)
    assert move.change.energy_usd == pytest.approx(8 * 2 * 0.02)
    assert move.change.egress_usd == pytest.approx(0.05)
    assert move.change.delay_usd == pytest.approx(-8 * 2 * 0.5)
    assert move.change.unmet_usd == pytest.approx(-8 * 2 * 1.0)
    assert move.saving_usd == pytest.approx(8 + 16 - 0.32 - 0.05 - 0.25 - 8 * 2 * 0.2 * 0.05)


def test_a_move_may_cost_more_so_that_those_who_stay_gain():
    problem = a_home_freed_for_another()

    drafted = draft_moves(problem, solve(problem), do_nothing(problem))

    (move,) = drafted.moves
    assert (move.group_key, move.saving_usd) == ("open", pytest.approx(-0.25))
    assert drafted.residual.unmet_usd == pytest.approx(-8 * 1.5 * 1.0)
    assert drafted.saving_usd > 0


def test_corridors_hold_every_move_of_a_pair_of_regions():
    problem = a_short_home()
    drafted = draft_moves(problem, solve(problem), do_nothing(problem))

    grouped = corridors(drafted.moves)

    assert list(grouped) == [("CN-BJ", "CN-GZ"), ("CN-BJ", "CN-NM")]
    assert {move.destination_pool for move in grouped["CN-BJ", "CN-NM"]} == {"horinger-gpu"}
    assert sum(len(moves) for moves in grouped.values()) == len(drafted.moves)


def test_a_corridor_is_credited_with_the_gain_it_makes_possible():
    problem = a_home_freed_for_another()
    drafted = draft_moves(problem, solve(problem), do_nothing(problem))

    share = share_of_residuals(drafted, drafted.moves)

    assert share == drafted.residuals[0]
    assert drafted.moves[0].saving_usd - share.total_usd > 0


def test_the_largest_saving_comes_first():
    drafted = draft_moves(a_short_home(), solve(a_short_home()), do_nothing(a_short_home()))

    savings = [move.saving_usd for move in drafted.moves]
    assert savings == sorted(savings, reverse=True)


def test_an_empty_problem_has_no_moves():
    problem = a_problem()

    drafted = draft_moves(problem, solve(problem), do_nothing(problem))

    assert drafted.moves == ()
    assert drafted.residual == CostParts()


@settings(max_examples=20)
@given(problem=problems())
def test_shares_of_the_residuals_add_up_over_the_corridors(problem):
    drafted = draft_moves(problem, solve(problem), do_nothing(problem))
    left = {move.source for move in drafted.moves}

    shares = [share_of_residuals(drafted, part) for part in corridors(drafted.moves).values()]

    owed = sum(drafted.residuals[pool].total_usd for pool in left)
    assert sum(share.total_usd for share in shares) == pytest.approx(owed, abs=1e-6)


def test_a_workload_whose_data_take_minutes_need_not_wait_an_hour():
    problem = a_problem(a_group(data_gb=1.0), available=[0.0, 16.0, 0.0], transfer_h_per_gb=0.25)

    [placement] = solve(problem).placements

    assert (placement.pool, placement.slot) == (1, 0)
