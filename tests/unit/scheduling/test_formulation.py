"""Rows and columns say what the planning problem says, under names that stay."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from scheduling.domain.planner.costs import all_group_costs, held_sum
from scheduling.domain.planner.exact.formulation import (
    Columns,
    assignment_rows,
    build_columns,
    build_rows,
    capacity_rows,
    objective,
    region_rows,
    tighten,
)
from scheduling.domain.planner.problem import PlanningProblem
from tests.builders import a_group, a_problem, a_short_home
from tests.strategies_planning import problems


def columns_of(problem: PlanningProblem, **options: bool) -> Columns:
    return build_columns(problem, all_group_costs(problem), **options)


def starts(columns: Columns) -> set[tuple[int, int]]:
    return set(zip(columns.pool.tolist(), columns.slot.tolist(), strict=True))


def test_columns_are_left_out_where_no_workload_fits():
    problem = a_problem(a_group(), available=np.array([[8, 8, 0, 8], [7] * 4, [8] * 4]))

    columns = columns_of(problem)

    assert starts(columns) == {(0, 0), (0, 3), (2, 0), (2, 1), (2, 2), (2, 3)}


def test_columns_start_after_the_data_arrives_and_before_the_deadline():
    problem = a_problem(a_group(latest_start=2, data_gb=5.0), transfer_h_per_gb=0.5)

    columns = columns_of(problem)

    assert starts(columns) == {(0, 0), (0, 1), (0, 2), (1, 2), (2, 2)}


def test_columns_that_cost_no_less_than_waiting_are_left_out():
    problem = a_problem(a_group(), energy=[0.02, 0.02, 99.0])

    columns = columns_of(problem)

    assert 2 not in columns.pool


def test_no_column_moves_more_than_a_region_may():
    problem = a_short_home(max_out_units={"CN-BJ": 7.0})

    assert len(columns_of(problem)) == 0


def test_without_guests_only_home_is_left():
    columns = columns_of(a_problem(a_group()), with_guests=False)

    assert set(columns.pool) == {0}
    assert not columns.is_guest.any()


def test_every_row_has_a_name_of_its_own():
    problem = a_short_home(max_out_units={"CN-BJ": 16.0}, max_in_units={"CN-NM": 16.0})

    names = build_rows(problem, columns_of(problem)).names

    assert len(set(names)) == len(names)
    assert names[0] == "jobs[beijing-gpu/open/8u]"
    assert "guests[horinger-gpu,t=1]" in names
    assert "capacity[guian-gpu,t=3]" in names
    assert names[-2:] == ("max_out[CN-BJ]", "max_in[CN-NM]")


def test_the_assignment_row_counts_placed_and_unplaced_workloads():
    problem = a_short_home()
    columns = columns_of(problem)

    rows = assignment_rows(problem, columns)

    assert rows.matrix.toarray().tolist() == [[1.0] * (len(columns) + 1)]
    assert rows.lower.tolist() == rows.upper.tolist() == [4.0]


def test_a_capacity_row_counts_the_units_held_in_its_slot():
    problem = a_problem(a_group(jobs=3, latest_start=1), available=8.0, home_available=9.5)
    columns = columns_of(problem)

    rows = capacity_rows(problem, columns)

    guests = rows.names.index("guests[horinger-gpu,t=1]")
    held = rows.matrix.toarray()[guests, : len(columns)]
    assert held.tolist() == [8.0 * (pool == 1) for pool in columns.pool]
    assert rows.upper[guests] == 8.0
    assert rows.upper[rows.names.index("capacity[horinger-gpu,t=1]")] == 9.0


def test_a_region_row_leaves_out_moves_within_the_region():
    problem = a_short_home(max_out_units={"CN-BJ": 16.0})
    same = replace(problem.pools[1], region="CN-BJ")
    problem = replace(problem, pools=(problem.pools[0], same, problem.pools[2]))
    columns = columns_of(problem)

    rows = region_rows(problem, columns)

    held = rows.matrix.toarray()[0, : len(columns)]
    assert held.tolist() == [8.0 * (pool == 2) for pool in columns.pool]


def test_limits_are_rounded_down_to_whole_workloads():
    problem = a_short_home(max_out_units={"CN-BJ": 21.6})
    rows = region_rows(problem, columns_of(problem))

    assert rows.upper.tolist() == [21.0]
    assert tighten(rows).upper.tolist() == [16.0]


def test_the_objective_prices_every_column_and_what_waits():
    problem = a_short_home()
    costs = all_group_costs(problem)
    columns = build_columns(problem, costs)

    prices = objective(columns, costs)

    expected = [costs[0].total_usd[p, t] for p, t in zip(columns.pool, columns.slot, strict=True)]
    assert prices[:-1].tolist() == expected
    assert prices[-1] == 8 * 4 * 0.5 + 8 * 2 * 1.0


@given(problem=problems())
def test_every_column_alone_fits_as_often_as_it_says(problem):
    columns = columns_of(problem)
    if not len(columns):
        return
    rows = build_rows(problem, columns)

    alone = rows.matrix[:, : len(columns)].multiply(columns.upper[None, :]).toarray()

    assert (alone <= rows.upper[:, None] + 1e-9).all()
    assert (columns.upper >= 1).all()


@pytest.mark.parametrize(
    ("duration_h", "expected"),
    [
        pytest.param(0.5, [0.5, 1.0, 1.5], id="part of an hour"),
        pytest.param(1.5, [2.0, 3.5, 4.0], id="last hour by its share"),
        pytest.param(3.0, [6.0, 7.0, 7.0], id="after the horizon at its mean"),
        pytest.param(10.0, [20.0, 21.0, 21.0], id="long after the horizon"),
    ],
)
def test_hours_held_are_summed_from_each_start(duration_h, expected):
    total = held_sum(np.array([[1.0, 2.0, 3.0]]), duration_h)

    assert total[0] == pytest.approx(expected)
