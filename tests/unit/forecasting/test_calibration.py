"""Corrections learned on later data: coverage comes right, the order stays."""

import numpy as np
import pytest

from forecasting.domain.calibration import (
    LEAD_BUCKETS,
    bucket_of_leads,
    calibrated,
    fit_calibration,
    no_calibration,
)

LEVELS = (0.1, 0.5, 0.9)


def test_leads_fall_into_the_named_buckets():
    names = [LEAD_BUCKETS[place][0] for place in bucket_of_leads(30)]

    assert names == ["1"] + ["2-6"] * 5 + ["7-12"] * 6 + ["13-24"] * 12 + ["25+"] * 6


def test_a_band_that_is_too_narrow_is_widened_to_its_coverage():
    chance = np.random.default_rng(0)
    happened = chance.normal(0.0, 1.0, (4000, 24))
    predicted = np.broadcast_to(np.array([-0.2, 0.0, 0.2]), (4000, 24, 3)).copy()

    correction = fit_calibration(predicted, happened, np.ones(4000), LEVELS)
    after = calibrated(predicted, correction)

    later = chance.normal(0.0, 1.0, (4000, 24))
    assert (later <= after[..., 2]).mean() == pytest.approx(0.9, abs=0.02)
    assert (later >= after[..., 0]).mean() == pytest.approx(0.9, abs=0.02)


def test_a_median_that_errs_more_than_no_change_is_not_used():
    happened = np.zeros((100, 6))
    predicted = np.tile([-0.5, 0.3, 0.5], (100, 6, 1))

    correction = fit_calibration(predicted, happened, np.ones(100), LEVELS)

    assert correction.median_share[:2].tolist() == [0.0, 0.0]
    assert (calibrated(predicted, correction)[..., 1] == 0.0).all()


def test_a_median_that_is_right_is_used_whole():
    happened = np.full((100, 6), 0.3)
    predicted = np.tile([0.1, 0.3, 0.5], (100, 6, 1))

    assert fit_calibration(predicted, happened, np.ones(100), LEVELS).median_share[1] == 1.0


def test_few_forecasts_move_a_quantile_less_than_many():
    predicted = np.tile([-0.5, 0.0, 0.5], (20, 6, 1))

    few, many = (
        fit_calibration(
            np.repeat(predicted, times, axis=0),
            np.full((20 * times, 6), 1.0),
            np.ones(20 * times),
            LEVELS,
        )
        for times in (1, 50)
    )

    assert 0 < few.offsets[0, 2] < many.offsets[0, 2] < 0.5


def test_a_shift_stops_at_no_change():
    correction = no_calibration(LEVELS)
    correction.offsets[:] = [0.4, 0.0, -0.4]
    predicted = np.tile([-0.1, 0.0, 0.1], (3, 6, 1))

    after = calibrated(predicted, correction)

    assert (after == 0.0).all()


def test_quantiles_come_out_in_order_whatever_is_added():
    correction = no_calibration(LEVELS)
    correction.offsets[:] = [3.0, 0.0, -3.0]
    predicted = np.random.default_rng(1).normal(size=(50, 24, 3))

    after = calibrated(np.sort(predicted, axis=-1), correction)

    assert (np.diff(after, axis=-1) >= 0).all()


def test_what_did_not_come_true_yet_teaches_nothing():
    correction = fit_calibration(np.zeros((5, 6, 3)), np.full((5, 6), np.nan), np.ones(5), LEVELS)

    assert (correction.offsets == 0).all()
    assert (correction.median_share == 1).all()
