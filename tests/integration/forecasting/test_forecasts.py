"""Forecast runs, alerts and reads on the real database, before there is a model."""

import datetime as dt
from contextlib import nullcontext

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from controlplane.lib.units import HOUR
from forecasting import selectors, services, tasks
from forecasting.domain.runs import RunState
from forecasting.models import ForecastModel, ForecastPath, ForecastRun
from forecasting.services import training
from monitoring import selectors as monitoring
from tests.factories import report_hours
from tests.integration.forecasting.grids import ISSUED_AT, NOW, SMALL

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_models(monkeypatch):
    """What the loops train is as small as what the tests train."""
    monkeypatch.setattr(training, "TrainingRules", lambda: SMALL)


def test_a_run_covers_every_pool_region_and_the_grid_for_a_day(grid):
    run = services.refresh(NOW)

    series = set(run.paths.values_list("scope", "code"))
    assert series == {
        ("pool", "beijing-gpu"),
        ("pool", "haidian-gpu"),
        ("pool", "horinger-gpu"),
        ("site", "beijing-gpu-site"),
        ("site", "haidian-gpu-site"),
        ("site", "horinger-gpu-site"),
        ("region", "CN-BJ"),
        ("region", "CN-NM"),
        ("grid", "grid"),
    }
    frame = selectors.quantile_frame(run.id, scope="grid")
    assert list(frame["valid_at"]) == [ISSUED_AT + hour * HOUR for hour in range(24)]


def test_without_a_model_a_run_is_degraded_and_says_so(grid):
    run = services.refresh(NOW)

    assert (run.state, run.model_name) == (RunState.DEGRADED, "seasonal-naive")
    assert run.degraded_reason == "9 of 9 series not by the model: no-model 9"
    assert set(run.paths.values_list("method", "fallback_reason")) == {
        ("seasonal-naive", "no-model")
    }


def test_the_same_hour_is_issued_once(grid):
    first = services.refresh(NOW)

    again = services.refresh(NOW + dt.timedelta(minutes=40))

    assert again == first
    assert services.refresh_if_due(NOW + dt.timedelta(minutes=40)) is None
    assert ForecastRun.objects.count() == 1


def test_the_first_run_that_is_due_waits_for_the_first_model(grid, small_models):
    services.refresh(NOW - HOUR)

    run = services.refresh_if_due(NOW)

    assert ForecastRun.objects.count() == 2
    assert ForecastModel.objects.count() == 1
    assert (run.state, run.model) == (RunState.READY, ForecastModel.objects.get())


def test_telemetry_of_the_running_hour_changes_no_forecast(grid):
    quiet = list(services.refresh(NOW).paths.order_by("pk").values_list("q50", "q90"))
    ForecastRun.objects.all().delete()
    report_hours(grid[0], ISSUED_AT, [99.0, 99.0])

    loud = list(services.refresh(NOW).paths.order_by("pk").values_list("q50", "q90"))

    assert loud == quiet


def test_the_database_refuses_crossed_quantiles(grid):
    run = services.refresh(NOW)

    with pytest.raises(IntegrityError), transaction.atomic():
        run.paths.filter(code="grid").update(q90=[0.0] * run.horizon_h)


def test_old_runs_are_forgotten_with_their_points(grid):
    services.refresh(NOW - dt.timedelta(days=6))
    report_hours(grid[0], ISSUED_AT + dt.timedelta(days=9), [30.0])

    services.refresh(NOW + dt.timedelta(days=9))

    assert ForecastRun.objects.count() == 1
    assert not ForecastPath.objects.filter(run__issued_at__lt=ISSUED_AT).exists()


def test_the_planner_reads_quantiles_per_pool_and_slot(grid):
    run = services.refresh(NOW)
    frame = selectors.quantile_frame(run.id, [0.5, 0.9], scope="pool", code="beijing-gpu")

    table = selectors.demand_quantile(["beijing-gpu", "nowhere"], ISSUED_AT, 24, 0.9)
    between = selectors.demand_quantile(["beijing-gpu"], ISSUED_AT, 1, 0.7)
    later = selectors.demand_quantile(["beijing-gpu"], NOW, 24, 0.9)

    assert table[0].tolist() == frame["q90"].tolist()
    assert np.isnan(table[1]).all()
    assert between[0, 0] == pytest.approx((frame["q50"][0] + frame["q90"][0]) / 2)
    # a slot from 00:12 to 01:12 touches two hours; the last one stands on past its end
    assert later[0, 0] == max(frame["q90"][0], frame["q90"][1])
    assert later[0, 23] == frame["q90"][23]


def test_the_planner_knows_nothing_without_a_run_or_long_after_it(grid):
    assert np.isnan(selectors.demand_quantile(["beijing-gpu"], NOW, 24, 0.9)).all()
    services.refresh(NOW)

    late = selectors.demand_quantile(["beijing-gpu"], ISSUED_AT + 164 * HOUR, 24, 0.9)

    assert np.isnan(late[0]).tolist() == [False] * 7 + [True] * 17


def test_runs_that_came_true_are_measured_on_the_next_run(grid):
    services.refresh(ISSUED_AT - 24 * HOUR)
    services.refresh(ISSUED_AT - 12 * HOUR)

    accuracy = services.refresh(NOW).accuracy

    assert accuracy["runs"] == 2
    # one day and half a day of three pools came true
    assert accuracy["overall"]["hours"] == 3 * (24 + 12)
    naive = accuracy["overall"]["naive"]
    # what was issued then was the seasonal naive forecast itself
    assert accuracy["overall"]["wape"] == pytest.approx(naive["sn24"])
    assert accuracy["overall"]["best_naive"] == min(naive, key=naive.get)
    assert set(accuracy["by_lead"]) == {"1", "2-6", "7-12", "13-24"}


def test_history_on_the_chart_is_what_monitoring_knows(grid):
    chart = selectors.series("pool", "beijing-gpu", NOW)

    known = monitoring.series("pool", "beijing-gpu", ISSUED_AT - 24 * HOUR, until=NOW)
    assert [row[1] for row in chart["history"]] == [round(x, 4) for x in known["demand"]]
    assert chart["forecast"] is None


def test_the_loops_find_their_work_by_the_grid_clock(grid, grid_time, small_models):
    grid_time.set(NOW)

    tasks.refresh_if_due()
    tasks.refresh_if_due()
    tasks.train_if_due()

    assert ForecastRun.objects.get().issued_at == ISSUED_AT
    assert ForecastModel.objects.get().trained_at == NOW


def test_a_loop_that_runs_elsewhere_is_left_alone(grid, grid_time, monkeypatch):
    grid_time.set(NOW)
    monkeypatch.setattr(tasks, "one_at_a_time", lambda name: nullcontext(enter_result=False))

    tasks.refresh_if_due()
    tasks.train_if_due()

    assert not ForecastRun.objects.exists()
    assert not ForecastModel.objects.exists()


@pytest.mark.usefixtures("grid_time")
class TestApi:
    """The API over HTTP."""

    def test_a_fallback_is_marked_on_its_series(self, grid, client_of, operator):
        services.refresh(NOW)

        response = client_of(operator).get("/api/v1/forecasts/series?scope=region&code=CN-NM")

        forecast = response.json()["forecast"]
        assert (forecast["method"], forecast["fallback_reason"]) == ("seasonal-naive", "no-model")
        assert forecast["degraded_reason"]

    @pytest.mark.parametrize("query", ["scope=city&code=x", "scope=pool", ""])
    def test_a_bad_question_is_named(self, query, client_of, operator):
        response = client_of(operator).get(f"/api/v1/forecasts/series?{query}")

        assert response.status_code == 400
        assert response.json()["code"] == "invalid-field"

    @pytest.mark.parametrize("path", ["", "/runs", "/series?scope=grid", "/accuracy"])
    def test_only_people_of_the_grid_may_look(self, path, client_of, provider, outsider):
        for person in (provider, outsider):
            assert client_of(person).get(f"/api/v1/forecasts{path}").status_code == 403

    def test_the_number_of_queries_does_not_grow_with_the_rows(self, grid, client_of, operator):
        client = client_of(operator)
        counts = []
        for moment in (ISSUED_AT - 5 * HOUR, NOW):
            services.refresh(moment)
            with CaptureQueriesContext(
                connection,
            ) as captured:
                client.get("/api/v1/forecasts/series?scope=grid")
            counts.append(len(captured))

        assert counts[0] == counts[1] <= 8
