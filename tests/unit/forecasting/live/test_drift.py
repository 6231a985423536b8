"""A model that gets worse is noticed; one that is as good as ever is left alone."""

import datetime as dt

import numpy as np
import pytest

from forecasting.domain.frames import DemandPanel
from forecasting.domain.live.drift import DriftRules, DriftSign, page_hinkley, relative_loss, watch

RULES = DriftRules()
START = dt.datetime(2023, 5, 1, tzinfo=dt.UTC)


def steady(count, seed, level=0.8):
    return (level + np.random.default_rng(seed).normal(0, 0.08, count)).tolist()


def judged(losses, covered=0.9, hours=288):
    return watch(losses, [covered] * len(losses), [hours] * len(losses), RULES).signs


def test_a_steady_model_raises_no_alarm():
    alarms = [seed for seed in range(200) if judged(steady(42, seed))]

    assert len(alarms) <= 2


def test_errors_that_rise_for_good_raise_one():
    found = [seed for seed in range(50) if judged(steady(24, seed) + steady(18, seed + 99, 1.3))]

    assert len(found) == 50


def test_a_few_runs_say_nothing():
    assert judged([0.5, 3.0, 3.0, 3.0, 3.0]) == ()


@pytest.mark.parametrize(
    ("covered", "signs"),
    [(0.9, ()), (0.7, (DriftSign.COVERAGE_LOW,)), (0.999, (DriftSign.COVERAGE_HIGH,))],
)
def test_coverage_is_watched_on_both_sides(covered, signs):
    assert judged(steady(20, 1), covered) == signs


def test_page_hinkley_counts_what_rises_above_the_mean():
    rise = page_hinkley([1.0, 1.0, 2.0], tolerated=0.0)

    assert rise.tolist() == pytest.approx([0.0, 0.0, 2.0 - 4.0 / 3.0])


def test_a_run_is_measured_against_the_best_naive_rule_of_the_same_hours():
    demand = np.tile(np.arange(24.0), 10)[None] + 1.0
    panel = DemandPanel(("a",), START, demand, demand, demand)
    truth = demand[:, 200:224]
    off = np.stack([truth + 2.0, truth + 3.0], axis=-1)

    # the same hour yesterday is perfect here: nothing can be told relative to it
    perfect = relative_loss(panel, 200, ["a"], off)
    noisy = demand + np.random.default_rng(3).normal(0, 4, demand.shape)
    close = np.stack([noisy[:, 200:224] + 0.5, noisy[:, 200:224] + 1.0], axis=-1)
    sharp = relative_loss(DemandPanel(("a",), START, noisy, noisy, noisy), 200, ["a"], close)

    assert np.isnan(perfect.ratio)
    assert (perfect.covered, perfect.hours) == (1.0, 24)
    assert 0 < sharp.ratio < 0.3
