"""Forecast runs, models, alerts and reads on the real database."""

import datetime as dt
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from controlplane.auth.models import AuditEntry
from forecasting import selectors, services, tasks
from forecasting.domain.forecasters import MODEL_NAME, ModelSettings
from forecasting.domain.runs import RunState
from forecasting.models import ForecastModel, ForecastPath, ForecastRun
from forecasting.services import TrainingRules, training
from monitoring import selectors as monitoring
from monitoring.models import Alert
from tests.factories import make_pool, report_hours

pytestmark = pytest.mark.django_db

DAYS = 18
ISSUED_AT = dt.datetime(2023, 5, 26, 0, tzinfo=dt.UTC)
NOW = ISSUED_AT + dt.timedelta(minutes=12)
HOUR = dt.timedelta(hours=1)
SMALL = TrainingRules(
    model=ModelSettings(trees=10, min_leaf=20, max_rows=800, prior_rows=300, prior_tree_rows=200)
)


def daily_wave(level, seed):
    """Demand that only the hour of the day explains."""
    noise = np.random.default_rng(seed).normal(0, 0.05 * level, DAYS * 24)
    wave = level + 12.0 * np.sin(2 * np.pi * np.arange(DAYS * 24) / 24)
    return np.maximum(0.0, wave + noise).tolist()


def wandering(level, seed):
    """Demand that strays from its level and comes back, whatever the hour."""
    shocks = np.random.default_rng(seed).normal(0, 0.06 * level, DAYS * 24)
    away = np.zeros(DAYS * 24)
    for hour in range(1, DAYS * 24):
        away[hour] = 0.93 * away[hour - 1] + shocks[hour]
    return np.maximum(0.0, level + away).tolist()


def make_grid(demand_of):
    since = ISSUED_AT - dt.timedelta(days=DAYS)
    pools = [
        make_pool("beijing-gpu", region="CN-BJ", provider="beiyun"),
        make_pool("haidian-gpu", region="CN-BJ", provider="beiyun"),
        make_pool("horinger-gpu", region="CN-NM", provider="huadong"),
    ]
    for seed, pool in enumerate(pools):
        report_hours(pool, since, demand_of(30.0 + 10 * seed, seed))
    return pools


@pytest.fixture
def grid(db):
    return make_grid(wandering)


@pytest.fixture
def wavy_grid(db):
    return make_grid(daily_wave)


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


def test_the_first_run_that_is_due_waits_for_the_first_model(grid):
    services.refresh(NOW - HOUR)

    run = services.refresh_if_due(NOW)

    assert ForecastRun.objects.count() == 2
    assert ForecastModel.objects.count() == 1
    assert (run.state, run.model) == (RunState.READY, ForecastModel.objects.get())


def test_nothing_is_issued_before_anything_is_known(db):
    assert services.refresh(NOW) is None
    assert services.train(NOW, rules=SMALL) is None
    assert selectors.latest_run(NOW) is None


def test_a_trained_model_is_promoted_and_declared_on_the_run(grid):
    model = services.train(NOW, rules=SMALL)

    run = services.refresh(NOW)

    assert model.is_champion
    assert model.trained_until == ISSUED_AT - dt.timedelta(hours=SMALL.gate_h)
    assert (run.state, run.degraded_reason) == (RunState.READY, "")
    assert (run.model_name, run.model_version) == (MODEL_NAME, model.version)
    assert run.trained_until == model.trained_until
    assert set(run.paths.values_list("method", flat=True)) == {"model"}
    entry = AuditEntry.objects.get(action="promote-model")
    assert entry.payload["sha256"] == model.artifact_sha256


def test_training_is_due_once_a_day(grid):
    first = services.train_if_due(NOW, rules=SMALL)

    assert first is not None
    assert services.train_if_due(NOW + 23 * HOUR, rules=SMALL) is None
    assert services.train_if_due(NOW + 24 * HOUR, rules=SMALL) is not None


def test_a_challenger_that_is_worse_on_later_data_is_declined(grid, monkeypatch):
    champion = services.train(NOW, rules=SMALL)
    other = TrainingRules(model=replace(SMALL.model, seed=7))
    honest = training.forecast_demand

    def the_new_one_says_twice_too_much(panel, model, **options):
        made = honest(panel, model, **options)
        return replace(made, demand=made.demand * (2.0 if model.settings.seed == 7 else 1.0))

    monkeypatch.setattr(training, "forecast_demand", the_new_one_says_twice_too_much)

    challenger = services.train(NOW + 24 * HOUR, rules=other)

    champion.refresh_from_db()
    ours = challenger.scores["models"]["ours"]["overall"]["pinball"]["mean"]
    theirs = challenger.scores["models"]["champion"]["overall"]["pinball"]["mean"]
    assert ours > theirs
    assert (champion.is_champion, challenger.is_champion) == (True, False)
    assert AuditEntry.objects.filter(action="decline-model").count() == 1


def test_the_gate_shows_the_skill_against_the_best_naive_forecast(grid):
    scores = services.train(NOW, rules=SMALL).scores

    wape = {name: part["overall"]["wape"] for name, part in scores["models"].items()}
    naive = {name: error for name, error in wape.items() if name != "ours"}
    assert scores["best_naive"] == min(naive, key=naive.get)
    expected = 1 - wape["ours"] / min(naive.values())
    assert scores["skill_wape"] == pytest.approx(expected, abs=1e-5)


def test_a_damaged_model_is_not_used_and_the_chain_goes_on(grid):
    model = services.train(NOW, rules=SMALL)
    broken = bytes(model.artifact)[:-1] + b"x"
    ForecastModel.objects.filter(pk=model.pk).update(artifact=broken)

    run = services.refresh(NOW)

    assert run.state == RunState.DEGRADED
    assert "no-model 9" in run.degraded_reason


def test_a_silent_pool_falls_back_with_its_reason_and_then_has_no_forecast(grid):
    services.train(NOW, rules=SMALL)
    later, much_later = NOW + 5 * HOUR, NOW + 30 * HOUR
    for pool in grid[:2]:
        report_hours(pool, ISSUED_AT, [35.0, 36.0, 37.0, 36.0, 35.0] * 6)

    stale, unknown = services.refresh(later), services.refresh(much_later)

    assert stale.fallbacks["pool:horinger-gpu"] == {"method": "last-value", "reason": "stale"}
    assert stale.fallbacks["region:CN-NM"] == {"method": "last-value", "reason": "stale"}
    assert stale.state == RunState.DEGRADED
    assert unknown.fallbacks["pool:horinger-gpu"] == {"method": "none", "reason": "all-unknown"}
    assert not unknown.paths.filter(code="horinger-gpu").exists()
    assert "pool:beijing-gpu" not in stale.fallbacks


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


def test_a_shortage_to_come_raises_one_alert_and_calm_settles_it(wavy_grid):
    # two pools that together peak above 90 units may be planned on for 76
    for pool in wavy_grid[:2]:
        pool.contract = 38.0
        pool.save()
    at = ISSUED_AT - HOUR + dt.timedelta(minutes=10)
    quiet = [30.0] * 3

    services.refresh(at)

    alert = Alert.objects.get(kind="FORECAST_SHORTAGE", region_code="CN-BJ")
    assert alert.scope == "region:CN-BJ"
    assert alert.detail["usable_units"] == 76.0
    assert alert.detail["lead_h"] >= 0
    assert alert.detail["short_units"] > 0
    assert 0.05 <= alert.detail["probability"] <= 0.95
    assert dt.datetime.fromisoformat(alert.detail["from_at"]) > at - HOUR
    for pool in wavy_grid[:2]:
        pool.contract = 1000.0
        pool.save()
        report_hours(pool, ISSUED_AT, quiet, capacity=1000.0)
    services.refresh(NOW + HOUR)
    services.refresh(NOW + 2 * HOUR)
    alert.refresh_from_db()
    assert alert.state == "RESOLVED"


def test_a_region_with_an_unknown_pool_keeps_its_alerts_as_they_are(wavy_grid):
    for pool in wavy_grid[:2]:
        pool.contract = 38.0
        pool.save()
    services.refresh(ISSUED_AT - HOUR + dt.timedelta(minutes=10))
    before = Alert.objects.get(kind="FORECAST_SHORTAGE", region_code="CN-BJ")

    services.refresh(NOW + 5 * HOUR)

    after = Alert.objects.get(pk=before.pk)
    assert (after.state, after.detail) == (before.state, before.detail)


def test_a_region_that_is_short_already_gets_no_alert_of_things_to_come(wavy_grid):
    for pool in wavy_grid[:2]:
        pool.contract = 20.0
        pool.save()

    services.refresh(ISSUED_AT - HOUR + dt.timedelta(minutes=10))

    assert not Alert.objects.filter(kind="FORECAST_SHORTAGE").exists()


@pytest.mark.usefixtures("grid_time")
class TestApi:
    """The API over HTTP."""

    def test_a_series_has_its_history_and_its_declared_forecast(self, grid, client_of, operator):
        services.train(NOW, rules=SMALL)
        run = services.refresh(NOW)

        response = client_of(operator).get("/api/v1/forecasts/series?scope=grid&code=grid")

        body = response.json()
        assert response.status_code == 200
        assert len(body["history"]) == 24
        assert len(body["forecast"]["points"]) == 24
        assert body["forecast"]["run_id"] == run.pk
        assert body["forecast"]["model"] == MODEL_NAME
        assert body["forecast"]["version"] == run.model_version
        assert body["forecast"]["method"] == "model"
        first = body["forecast"]["points"][0]
        assert dt.datetime.fromisoformat(first[0]) == ISSUED_AT
        assert first[1:] == sorted(first[1:])

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

    def test_there_is_a_404_before_the_first_run(self, client_of, operator):
        assert client_of(operator).get("/api/v1/forecasts").status_code == 404

    def test_points_runs_and_accuracy_are_served(self, grid, client_of, auditor):
        services.train(NOW, rules=SMALL)
        services.refresh(ISSUED_AT - 12 * HOUR)
        services.refresh(NOW)
        client = client_of(auditor)

        points = client.get("/api/v1/forecasts?scope=pool&code=beijing-gpu").json()
        runs = client.get("/api/v1/forecasts/runs").json()["runs"]
        accuracy = client.get("/api/v1/forecasts/accuracy").json()

        assert len(points["points"]) == 24
        assert [run["state"] for run in runs] == ["READY", "READY"]
        assert runs[0]["age_s"] == 12 * 60
        assert accuracy["live"]["overall"]["hours"] == 3 * 12
        assert accuracy["model"]["scores"]["best_naive"]

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


def test_history_on_the_chart_is_what_monitoring_knows(grid):
    chart = selectors.series("pool", "beijing-gpu", NOW)

    known = monitoring.series("pool", "beijing-gpu", ISSUED_AT - 24 * HOUR, until=NOW)
    assert [row[1] for row in chart["history"]] == [round(x, 4) for x in known["demand"]]
    assert chart["forecast"] is None


def test_the_loops_find_their_work_by_the_grid_clock(grid, grid_time):
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


def test_the_same_training_twice_keeps_one_model(grid):
    first = services.train(NOW, rules=SMALL)

    again = services.train(NOW, rules=SMALL)

    assert again == first
    assert AuditEntry.objects.filter(subject__startswith="forecast-model").count() == 1


def test_models_and_runs_are_shown_to_a_grid_admin_and_edited_by_nobody(grid, admin_client):
    services.train(NOW, rules=SMALL)
    run = services.refresh(NOW)

    pages = [
        admin_client.get(f"/admin/forecasting/{page}")
        for page in ("forecastmodel/", "forecastrun/", f"forecastrun/{run.pk}/change/")
    ]

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert admin_client.get("/admin/forecasting/forecastrun/add/").status_code == 403
