"""The model: no leakage, ordered quantiles, invariances, exactness where it is due."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.artifacts import dump_model
from forecasting.domain.backtest import BacktestPlan, our_trainer, run_backtest
from forecasting.domain.ensemble.rows import Center, describe_rows
from forecasting.domain.ensemble.rules import lead_grid
from forecasting.domain.ensemble.tracks import follow
from forecasting.domain.fallback import forecast_demand
from forecasting.domain.forecasters import (
    ModelSettings,
    fit_model,
    predict_with,
    with_horizon,
    with_quantiles,
)
from tests.unit.forecasting.series import SMALL, START, panel_of, wandering

ORIGIN = 360


@pytest.fixture(scope="module")
def model():
    return fit_model(panel_of(wandering()), SMALL)


@pytest.mark.slow
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([0.0, 1.0, 1e6]),
    unknown_share=st.sampled_from([0.0, 0.3, 1.0]),
)
@settings(max_examples=10)
def test_whatever_happens_from_the_issue_on_changes_not_one_bit(seed, size, unknown_share):
    chance = np.random.default_rng(seed)
    future = size * chance.random((3, 4, 40))
    future[chance.random(future.shape) < unknown_share] = np.nan
    demand, queued, capacity = (wandering(seed=seed) for seed in (1, 2, 3))
    whole = panel_of(demand, queued=queued, capacity=capacity)
    changed = replace(
        whole,
        **{
            name: np.concatenate([getattr(whole, name)[:, :ORIGIN], future[place]], axis=1)
            for place, name in enumerate(("demand", "queued", "capacity"))
        },
    )

    results = []
    for panel in (whole, changed):
        known = panel.head(ORIGIN)
        fitted = fit_model(known, SMALL)
        results.append((predict_with(fitted, known).tobytes(), _features_at(panel).tobytes()))

    assert results[0] == results[1]


def _features_at(panel):
    track = follow(panel.head(ORIGIN + 40), lead_grid(24), stride_h=8, since_h=200)
    place = int(np.flatnonzero(track.origins == ORIGIN)[0])
    series = np.arange(4)
    rows = describe_rows(panel, track, row=series, place=np.full(4, place), about=Center.COMBINED)
    return np.concatenate([rows.values.ravel(), rows.center.ravel(), rows.spread.ravel()])


def test_a_backtest_gives_its_forecasters_nothing_after_the_origin():
    seen = []

    def trainer(history):
        seen.append(history.hours)

        def predict(known):
            seen.append(known.hours)
            return np.zeros((4, 24, 4))

        return predict

    plan = BacktestPlan(origins=2, step_h=10, min_train_h=300)
    run_backtest(panel_of(wandering()), plan, {"spy": trainer}, stopwatch=lambda: 0.0)

    assert seen == [366, 366, 376, 376]


def test_quantiles_never_cross_and_are_never_negative(model):
    burst = wandering(seed=9)
    burst[:, -3:] *= [[0.0], [5.0], [0.1], [30.0]]

    demand = predict_with(model, panel_of(burst))

    assert demand.shape == (4, 24, 5)
    assert (np.diff(demand, axis=2) >= 0).all()
    assert (demand >= 0).all()


def test_permuting_the_series_permutes_the_forecasts(model):
    rows = wandering(seed=5)
    order = [2, 0, 3, 1]
    names = [f"pool:{row:02d}" for row in order]

    straight = predict_with(model, panel_of(rows))
    permuted = predict_with(model, panel_of(rows[order], codes=names))

    np.testing.assert_array_equal(permuted, straight[order])


@pytest.mark.parametrize("factor", [0.125, 4.0, 1024.0])
def test_scaling_the_unit_scales_the_forecast(factor):
    rows = wandering()

    fitted = [
        fit_model(panel_of(k * rows, capacity=np.full_like(rows, k * 100)), SMALL)
        for k in (1.0, factor)
    ]
    demand = [
        predict_with(one, panel_of(k * rows, capacity=np.full_like(rows, k * 100)))
        for one, k in zip(fitted, (1.0, factor), strict=True)
    ]

    np.testing.assert_array_equal(demand[1], factor * demand[0])


def test_the_same_data_and_seed_give_the_same_model_to_the_bit():
    first, second = (fit_model(panel_of(wandering()), SMALL) for _ in range(2))

    assert dump_model(first) == dump_model(second)


def test_an_idle_series_is_forecast_to_stay_idle(model):
    rows = wandering(seed=3)
    rows[1] = 0.0

    demand = predict_with(model, panel_of(rows))

    assert (demand[1] == 0.0).all()
    assert (demand[0] > 0.0).any()


def test_all_idle_series_leave_nothing_to_learn_and_nothing_to_fail():
    panel = panel_of(np.zeros((3, 400)))

    assert fit_model(panel, SMALL) is None
    forecast = forecast_demand(panel, None)
    assert (forecast.demand == 0.0).all()


@pytest.mark.parametrize("hours", [0, 1, 3, 24])
def test_too_short_a_history_gives_no_model(hours):
    assert fit_model(panel_of(wandering(hours=max(hours, 1))[:, :hours]), SMALL) is None


@pytest.mark.parametrize(
    "issued_at",
    [
        pytest.param(dt.datetime(2023, 3, 26, 0, tzinfo=dt.UTC), id="clocks go forward in Europe"),
        pytest.param(dt.datetime(2023, 10, 29, 0, tzinfo=dt.UTC), id="clocks go back in Europe"),
        pytest.param(dt.datetime(2024, 2, 28, 20, tzinfo=dt.UTC), id="leap day"),
        pytest.param(dt.datetime(2023, 12, 31, 18, tzinfo=dt.UTC), id="end of the year"),
    ],
)
def test_the_horizon_has_24_hours_on_every_day(model, issued_at):
    panel = panel_of(wandering(), start_at=issued_at - dt.timedelta(hours=400))

    demand = predict_with(model, panel)

    assert panel.end_at == issued_at
    assert demand.shape[1] == 24
    assert np.isfinite(demand).all()


def test_a_forecast_knows_the_calendar():
    week = np.tile(20.0 + 15.0 * (np.arange(168) >= 120), 12)
    rows = np.vstack([week, 2 * week])
    settings_ = replace(SMALL, trees=20, min_leaf=5, max_rows=4000)

    fitted = fit_model(panel_of(rows), settings_)
    demand = predict_with(fitted, panel_of(rows[:, : 11 * 168 + 110]))

    # in ten hours the weekend begins and demand jumps, as in the weeks before
    assert demand[0, 5, 2] == pytest.approx(20.0, abs=1.5)
    assert demand[0, 20, 2] == pytest.approx(35.0, abs=1.5)


def test_bridged_gaps_are_learned_around(model):
    rows = wandering()
    rows[0, 350:353] = np.nan
    rows[1, 100:200] = np.nan

    fitted = fit_model(panel_of(rows), SMALL)

    assert np.isfinite(predict_with(fitted, panel_of(rows))).all()


@pytest.mark.parametrize("known_h", [1, 3, 24, 50])
def test_a_young_series_is_forecast_and_one_that_nobody_knows_is_not(model, known_h):
    rows = wandering()
    rows[2, :-known_h] = np.nan
    rows[3] = np.nan

    demand = predict_with(model, panel_of(rows))

    assert np.isfinite(demand[:3]).all()
    assert np.isnan(demand[3]).all()


def test_other_levels_bring_their_mirror_and_the_median():
    assert with_quantiles(ModelSettings(), [0.95, 0.8]).quantiles == (0.05, 0.2, 0.5, 0.8, 0.95)
    assert with_horizon(ModelSettings(), 48).horizon_h == 48


def test_a_longer_horizon_is_forecast_when_asked_for():
    settings_ = with_horizon(SMALL, 48)

    demand = predict_with(fit_model(panel_of(wandering()), settings_), panel_of(wandering()))

    assert demand.shape == (4, 48, 5)


def test_the_model_beats_the_last_value_where_demand_returns_to_its_level():
    panel = panel_of(wandering(series=6, hours=600))
    plan = BacktestPlan(origins=10, step_h=10, min_train_h=336, train_every=10)
    settings_ = with_quantiles(ModelSettings(trees=20, min_leaf=20, max_rows=2000), plan.quantiles)

    scores = run_backtest(
        panel,
        plan,
        {
            "ours": our_trainer(settings_, plan),
            "last": lambda _: (
                lambda known: np.repeat(
                    np.repeat(known.demand[:, -1:, None], 24, axis=1), 4, axis=2
                )
            ),
        },
        stopwatch=lambda: 0.0,
    )

    assert scores["ours"].overall.wape < 0.95 * scores["last"].overall.wape
    assert scores["ours"].overall.coverage["band_10_90"] == pytest.approx(0.8, abs=0.12)


def test_start_is_a_monday():
    assert START.weekday() == 0
