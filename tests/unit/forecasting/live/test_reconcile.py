"""Forecasts of parts and wholes fit each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.domain.live.reconcile import NO_PARENT, parents_of, reconcile

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
MEMBERS = {"r1": ["a", "b"], "r2": ["c", "d"], "grid": ["a", "b", "c", "d"]}
CODES = ["a", "b", "c", "d", "r1", "r2", "grid"]


def fan(median, spread):
    """One hour of quantiles around a median."""
    return [max(0.0, median + spread * step) for step in (-2, -1, 0, 1, 2)]


def paths(*fans):
    return np.array([[each] for each in fans], dtype=float)


def test_the_parent_is_the_smallest_whole_that_holds_a_part():
    parent = parents_of(CODES, MEMBERS)

    assert parent.tolist() == [4, 4, 5, 5, 6, 6, NO_PARENT]


def test_a_whole_that_misses_a_part_stands_for_itself():
    parent = parents_of(["a", "r1", "grid", "c"], {"r1": ["a", "b"], "grid": ["a", "c"]})

    assert parent.tolist() == [2, NO_PARENT, NO_PARENT, 2]


def test_medians_add_up_at_every_level_of_the_tree():
    demand = paths(fan(10, 1), fan(20, 2), fan(5, 3), fan(8, 1), fan(40, 5), fan(10, 2), fan(60, 9))

    out = reconcile(demand, parents_of(CODES, MEMBERS), LEVELS)[:, 0, 2]

    assert out[4] == pytest.approx(out[0] + out[1])
    assert out[5] == pytest.approx(out[2] + out[3])
    assert out[6] == pytest.approx(out[4] + out[5])


def test_what_is_coherent_already_keeps_its_medians():
    demand = paths(fan(10, 1), fan(20, 2), fan(30, 2))

    out = reconcile(demand, np.array([2, 2, NO_PARENT]), LEVELS)

    assert out[:, 0, 2] == pytest.approx([10, 20, 30])


def test_the_more_uncertain_part_takes_more_of_the_difference():
    demand = paths(fan(10, 0.1), fan(10, 3), fan(30, 1))

    out = reconcile(demand, np.array([2, 2, NO_PARENT]), LEVELS)[:, 0, 2]

    assert abs(out[1] - 10) > 20 * abs(out[0] - 10)
    assert 20 < out[2] < 30


def test_it_is_the_least_squares_solution():
    demand = paths(fan(12, 2), fan(7, 1), fan(26, 3))
    variance = np.array([(path[-1] - path[0]) ** 2 for path in demand[:, 0]])
    sums = np.array([[1, 0], [0, 1], [1, 1]])
    weights = np.diag(1 / variance)

    out = reconcile(demand, np.array([2, 2, NO_PARENT]), LEVELS)[:, 0, 2]

    best = np.linalg.solve(sums.T @ weights @ sums, sums.T @ weights @ demand[:, 0, 2])
    assert out == pytest.approx(sums @ best)


def test_a_whole_is_never_below_its_largest_part_nor_above_all_its_parts_together():
    demand = paths(fan(10, 4), fan(10, 4), [19, 19.5, 20, 20.1, 20.2])
    wide = paths(fan(10, 1), fan(10, 1), fan(20, 9))
    parent = np.array([2, 2, NO_PARENT])

    narrow_out, wide_out = reconcile(demand, parent, LEVELS), reconcile(wide, parent, LEVELS)

    assert (narrow_out[2] >= narrow_out[:2].max(axis=0) - 1e-9).all()
    assert wide_out[2, 0, 3] <= wide_out[:2, 0, 3].sum() + 1e-9


def test_an_unknown_part_leaves_its_whole_as_it_was_forecast():
    demand = paths(fan(10, 1), [np.nan] * 5, fan(50, 4))

    out = reconcile(demand, np.array([2, 2, NO_PARENT]), LEVELS)

    assert out[0, 0].tolist() == demand[0, 0].tolist()
    assert out[2, 0].tolist() == demand[2, 0].tolist()
    assert np.isnan(out[1]).all()


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3)), min_size=7, max_size=7))
def test_any_tree_comes_out_ascending_summed_up_and_not_below_zero(shapes):
    demand = paths(*(fan(median, spread) for median, spread in shapes))

    out = reconcile(demand, parents_of(CODES, MEMBERS), LEVELS)

    assert (np.diff(out, axis=-1) >= -1e-9).all()
    assert (out >= 0).all()
    total = out[:4, 0, 2].sum()
    assert out[6, 0, 2] == pytest.approx(total, abs=1e-6 * max(1.0, total))
    for whole, parts in ((4, [0, 1]), (5, [2, 3])):
        assert (out[whole] >= out[parts].max(axis=0) - 1e-6).all()
