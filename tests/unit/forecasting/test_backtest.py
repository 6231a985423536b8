"""The replay of past moments: which moments, what is measured, what is told apart."""

import numpy as np
import pytest

from forecasting.domain.backtest import (
    BacktestPlan,
    baseline_trainer,
    best_naive_of,
    our_trainer,
    run_backtest,
)
from forecasting.domain.baselines import Baseline
from forecasting.domain.forecasters import with_quantiles
from tests.unit.forecasting.series import SMALL, panel_of, wandering

PLAN = BacktestPlan(origins=3, step_h=24, min_train_h=300)


def test_origins_are_the_newest_that_leave_a_whole_horizon_and_enough_history():
    assert PLAN.places(400) == [328, 352, 376]
    assert PLAN.places(340) == [316]
    assert PLAN.places(300) == []


def test_a_forecast_that_is_always_right_scores_perfectly():
    rows = wandering()

    def knows_all(known):
        return np.repeat(rows[:, known.hours : known.hours + 24, None], 4, axis=2)

    scores = run_backtest(
        panel_of(rows), PLAN, {"oracle": lambda _: knows_all}, stopwatch=lambda: 0.0
    )

    overall = scores["oracle"].overall
    assert (overall.wape, overall.mase, overall.pinball["mean"]) == (0.0, 0.0, 0.0)
    assert overall.coverage["band_10_90"] == 1.0
    assert overall.hours == 3 * 4 * 24
    assert set(scores["oracle"].by_lead) == {"1", "2-6", "7-12", "13-24"}


def test_errors_grow_with_the_lead():
    panel = panel_of(wandering(series=10, hours=700))
    plan = BacktestPlan(origins=20, step_h=17)
    trainers = {"last": baseline_trainer(Baseline.LAST, plan)}

    scores = run_backtest(panel, plan, trainers, stopwatch=lambda: 0.0)

    by_lead = scores["last"].by_lead
    assert by_lead["1"].wape < by_lead["2-6"].wape < by_lead["13-24"].wape


def test_time_is_told_apart_into_training_and_forecasting():
    ticks = iter(range(100))

    scores = run_backtest(
        panel_of(wandering()),
        PLAN,
        {"last": baseline_trainer(Baseline.LAST, PLAN)},
        stopwatch=lambda: float(next(ticks)),
    )

    assert (scores["last"].train_s, scores["last"].predict_s) == (3.0, 3.0)


def test_a_trainer_is_asked_as_often_as_planned():
    asked = []

    def trainer(history):
        asked.append(history.hours)
        return lambda known: np.zeros((4, 24, 4))

    plan = BacktestPlan(origins=3, step_h=24, min_train_h=300, train_every=2)
    run_backtest(panel_of(wandering()), plan, {"spy": trainer}, stopwatch=lambda: 0.0)

    assert asked == [328, 376]


def test_our_model_falls_back_to_the_last_value_when_it_cannot_learn():
    short = BacktestPlan(origins=1, min_train_h=30)
    rows = wandering(series=1, hours=60)
    settings = with_quantiles(SMALL, short.quantiles)
    trainers = {
        "ours": our_trainer(settings, short),
        "last": baseline_trainer(Baseline.LAST, short),
    }

    scores = run_backtest(panel_of(rows), short, trainers, stopwatch=lambda: 0.0)

    assert scores["ours"].overall == scores["last"].overall


def test_no_origin_no_score():
    trainers = {"last": baseline_trainer(Baseline.LAST, PLAN)}

    assert run_backtest(panel_of([[1.0]]), PLAN, trainers, stopwatch=lambda: 0.0) == {}


@pytest.mark.parametrize(
    ("wape", "best"), [({"last": 0.2, "sn24": 0.1, "ours": 0.0}, "sn24"), ({"last": None}, None)]
)
def test_the_best_naive_is_the_one_that_errs_least(wape, best):
    assert best_naive_of(wape) == best
