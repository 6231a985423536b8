"""Every step of the chain is really taken, for its own reason."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from forecasting.domain.fallback import forecast_demand, run_state
from forecasting.domain.forecasters import fit_model
from forecasting.domain.quality import (
    FallbackReason,
    Method,
    QualityRules,
    Verdict,
    count_reasons,
    judge_series,
)
from forecasting.domain.runs import RunState
from tests.unit.forecasting.series import SMALL, panel_of, wandering

NAN = np.nan


@pytest.fixture(scope="module")
def model():
    return fit_model(panel_of(wandering()), SMALL)


def with_last(row, values):
    changed = wandering()
    changed[row, -len(values) :] = values
    return changed


def unknown(row, window):
    changed = wandering()
    changed[row, window] = NAN
    return changed


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(wandering(), (Method.MODEL, None), id="good data"),
        pytest.param(unknown(0, slice(-2, None)), (Method.MODEL, None), id="two hours late"),
        pytest.param(
            unknown(0, slice(-3, None)),
            (Method.LAST_VALUE, FallbackReason.STALE),
            id="three hours silent",
        ),
        pytest.param(
            unknown(0, slice(-23, None)),
            (Method.LAST_VALUE, FallbackReason.STALE),
            id="silent for most of a day",
        ),
        pytest.param(
            unknown(0, slice(-24, None)),
            (Method.NONE, FallbackReason.UNKNOWN),
            id="silent for a day",
        ),
        pytest.param(
            unknown(0, slice(None)), (Method.NONE, FallbackReason.UNKNOWN), id="never heard of"
        ),
        pytest.param(
            unknown(0, slice(None, -3)),
            (Method.LAST_VALUE, FallbackReason.TOO_LITTLE_HISTORY),
            id="three points of history",
        ),
        pytest.param(
            unknown(0, slice(None, -23)),
            (Method.LAST_VALUE, FallbackReason.TOO_LITTLE_HISTORY),
            id="not a day of history",
        ),
        pytest.param(
            unknown(0, slice(None, -26)),
            (Method.MODEL, None),
            id="a day of history",
        ),
        pytest.param(
            unknown(0, slice(-100, -50)),
            (Method.SEASONAL_NAIVE, FallbackReason.GAP),
            id="a gap in the week, yesterday known",
        ),
        pytest.param(
            unknown(0, slice(-60, -5)),
            (Method.LAST_VALUE, FallbackReason.GAP),
            id="a gap that reaches into yesterday",
        ),
        pytest.param(
            with_last(0, [33.0] * 60),
            (Method.LAST_VALUE, FallbackReason.FLAT_LINE),
            id="stuck out of character",
        ),
        pytest.param(with_last(0, [0.0] * 60), (Method.MODEL, None), id="idle is believed"),
        pytest.param(with_last(0, [33.0] * 40), (Method.MODEL, None), id="a quiet day and a half"),
    ],
)
def test_each_state_of_the_data_has_its_method_and_reason(model, rows, expected):
    forecast = forecast_demand(panel_of(rows), model)

    assert (forecast.verdicts[0].method, forecast.verdicts[0].reason) == expected
    assert np.isnan(forecast.demand[0]).all() == (expected[0] is Method.NONE)
    assert np.isfinite(forecast.demand[1:]).all()
    assert {verdict.method for verdict in forecast.verdicts[1:]} == {Method.MODEL}


def test_standing_still_in_character_is_no_fault():
    rows = np.repeat(np.random.default_rng(2).integers(1, 9, (1, 7)), 60, axis=1).astype(float)

    assert judge_series(panel_of(rows), QualityRules()) == [Verdict(Method.MODEL)]


def test_a_constant_series_is_forecast_exactly(model):
    rows = wandering()
    rows[0] = 37.5

    forecast = forecast_demand(panel_of(rows), model)

    assert (forecast.demand[0] == 37.5).all()


def test_without_a_model_the_seasonal_naive_serves_and_says_why():
    rows = wandering()

    forecast = forecast_demand(panel_of(rows), None)

    assert set(forecast.verdicts) == {Verdict(Method.SEASONAL_NAIVE, FallbackReason.NO_MODEL)}
    np.testing.assert_array_equal(forecast.demand[:, :, 2], rows[:, -24:])
    assert run_state(forecast.verdicts) is RunState.DEGRADED


def test_a_model_that_answers_nonsense_is_passed_over(model):
    broken = replace(model, forest=replace(model.forest, table=model.forest.table * np.nan))

    forecast = forecast_demand(panel_of(wandering()), broken)

    assert {verdict.reason for verdict in forecast.verdicts} == {FallbackReason.MODEL_FAILED}
    assert np.isfinite(forecast.demand).all()


def test_a_model_of_too_short_a_horizon_is_passed_over(model):
    forecast = forecast_demand(panel_of(wandering()), model, horizon_h=48)

    assert {verdict.reason for verdict in forecast.verdicts} == {FallbackReason.MODEL_FAILED}
    assert forecast.demand.shape == (4, 48, 5)


def test_the_last_value_and_its_errors_make_the_band():
    rows = wandering()[:, -60:]
    rows[:, -5:-1] = np.nan

    forecast = forecast_demand(panel_of(rows), None)

    assert {verdict.method for verdict in forecast.verdicts} == {Method.LAST_VALUE}
    assert (forecast.demand[:, :, 2] == rows[:, -1:]).all()
    assert (forecast.demand[:, :, 0] < forecast.demand[:, :, 2]).any()
    assert (np.diff(forecast.demand, axis=2) >= 0).all()


@pytest.mark.parametrize(
    ("methods", "state"),
    [
        ([Method.MODEL, Method.MODEL], RunState.READY),
        ([Method.MODEL, Method.NONE], RunState.DEGRADED),
        ([Method.LAST_VALUE], RunState.DEGRADED),
        ([Method.NONE, Method.NONE], RunState.FAILED),
    ],
)
def test_a_run_is_ready_only_when_all_of_it_is_by_the_model(methods, state):
    assert run_state([Verdict(method) for method in methods]) is state


def test_reasons_are_counted_most_frequent_first():
    verdicts = [
        Verdict(Method.NONE, FallbackReason.UNKNOWN),
        Verdict(Method.LAST_VALUE, FallbackReason.STALE),
        Verdict(Method.LAST_VALUE, FallbackReason.STALE),
        Verdict(Method.MODEL),
    ]

    assert list(count_reasons(verdicts).items()) == [("stale", 2), ("all-unknown", 1)]


def test_an_empty_grid_has_an_empty_forecast():
    empty = panel_of(np.empty((0, 0)), codes=())
    empty = replace(empty, codes=(), start_at=dt.datetime(2023, 5, 1, tzinfo=dt.UTC))

    forecast = forecast_demand(empty, None)

    assert forecast.demand.shape == (0, 24, 5)
