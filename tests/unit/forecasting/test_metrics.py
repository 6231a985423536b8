"""Measures against figures worked out by hand."""

import numpy as np
import pytest

from forecasting.domain.metrics import pinball_loss, score_forecasts, skill

NAN = np.nan


def test_measures_of_a_small_case_are_those_worked_out_by_hand():
    actual = np.array([[10.0, 20.0], [30.0, NAN]])
    predicted = np.array([[[8.0, 12.0, 14.0], [10.0, 15.0, 18.0]], [[20.0, 33.0, 40.0], [1, 1, 1]]])

    score = score_forecasts(
        actual,
        predicted,
        (0.1, 0.5, 0.9),
        day_change=np.array([2.0, 0.0]),
        peak_above=np.array([11.0, 100.0]),
    )

    assert score.hours == 3
    assert score.wape == pytest.approx((2 + 5 + 3) / 60)
    # the second series never changed from day to day and has no scale
    assert score.mase == pytest.approx((2 / 2 + 5 / 2) / 2)
    assert score.pinball["0.1"] == pytest.approx((0.2 + 1.0 + 1.0) / 3 / 20)
    assert score.pinball["0.5"] == pytest.approx((1.0 + 2.5 + 1.5) / 3 / 20)
    assert score.pinball["0.9"] == pytest.approx((0.4 + 1.8 + 1.0) / 3 / 20)
    assert score.pinball["mean"] == pytest.approx(sum([2.2, 5.0, 3.2]) / 9 / 20)
    assert score.coverage["0.9"] == pytest.approx(2 / 3)
    assert score.coverage["band_10_90"] == pytest.approx(2 / 3)
    # 20 was a peak and foreseen; 12 was foreseen and none
    assert (score.peak_recall, score.peak_precision) == (1.0, 0.5)


def test_pinball_weighs_being_below_and_above_by_the_level():
    actual, predicted = np.array([10.0, 10.0]), np.array([6.0, 14.0])

    assert pinball_loss(actual, predicted, 0.9).tolist() == pytest.approx([3.6, 0.4])


def test_where_nothing_is_known_there_is_no_figure():
    score = score_forecasts(np.full((2, 3), NAN), np.ones((2, 3, 1)), (0.5,))

    assert (score.wape, score.pinball, score.coverage, score.hours) == (None, {}, {}, 0)


def test_without_any_demand_there_is_no_relative_figure():
    score = score_forecasts(np.zeros((1, 3)), np.zeros((1, 3, 1)), (0.5,))

    assert score.wape is None
    assert score.coverage == {"0.5": 1.0}


@pytest.mark.parametrize(
    ("ours", "naive", "expected"),
    [(0.5, 1.0, 0.5), (1.2, 1.0, -0.2), (1.0, 0.0, None), (None, 1.0, None)],
)
def test_skill_is_negative_when_the_naive_is_better(ours, naive, expected):
    assert skill(ours, naive) == expected
