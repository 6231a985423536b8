"""Naive forecasts say what they should, with bands from their own past errors."""

import numpy as np
import pytest

from forecasting.domain.baselines import Baseline, predict_baseline
from tests.unit.forecasting.series import panel_of, wandering

LEVELS = (0.1, 0.5, 0.9)


def predict(rows, baseline, horizon_h=24):
    return predict_baseline(panel_of(rows), baseline, horizon_h=horizon_h, quantiles=LEVELS)


@pytest.mark.parametrize(
    ("baseline", "horizon_h", "expected"),
    [
        (Baseline.LAST, 3, [399.0] * 3),
        (Baseline.SAME_HOUR_YESTERDAY, 26, [*range(376, 400), 376, 377]),
        (Baseline.SAME_HOUR_LAST_WEEK, 3, [232.0, 233.0, 234.0]),
        (Baseline.MEAN_OF_WEEK, 2, [315.5] * 2),
    ],
)
def test_each_rule_gives_its_own_value(baseline, horizon_h, expected):
    rows = np.arange(400.0)[None]

    demand = predict(rows, baseline, horizon_h)

    assert demand[0, :, 1].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("baseline", list(Baseline))
def test_the_band_holds_what_it_says_on_series_that_go_on_as_they_were(baseline):
    rows = wandering(series=60, hours=724, level=1000.0)

    demand = predict(rows[:, :-24], baseline)

    truth = rows[:, -24:]
    assert (truth <= demand[..., 2]).mean() == pytest.approx(0.9, abs=0.06)
    assert (truth >= demand[..., 0]).mean() == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize("baseline", list(Baseline))
def test_a_constant_series_is_exact(baseline):
    assert (predict(np.full((1, 400), 12.5), baseline) == 12.5).all()


@pytest.mark.parametrize(
    ("baseline", "hours", "is_known"),
    [
        (Baseline.LAST, 1, True),
        (Baseline.SAME_HOUR_YESTERDAY, 23, False),
        (Baseline.SAME_HOUR_YESTERDAY, 24, True),
        (Baseline.SAME_HOUR_LAST_WEEK, 167, False),
        (Baseline.MEAN_OF_WEEK, 168, True),
    ],
)
def test_a_rule_without_enough_history_says_nothing(baseline, hours, is_known):
    demand = predict(wandering(hours=hours), baseline)

    assert np.isfinite(demand).all() == is_known
    assert np.isnan(demand).all() != is_known
