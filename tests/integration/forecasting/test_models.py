"""Models on the real database: trained, promoted or declined, in service, damaged, and shown."""

import datetime as dt
from dataclasses import replace

import pytest

from controlplane.auth.models import AuditEntry
from controlplane.lib.units import HOUR
from forecasting import services
from forecasting.domain.forecasters import MODEL_NAME
from forecasting.domain.runs import RunState
from forecasting.models import ForecastModel
from forecasting.services import TrainingRules, training
from tests.factories import report_hours
from tests.integration.forecasting.grids import ISSUED_AT, NOW, SMALL

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def trained(stored_grid, module_db):
    with module_db():
        services.train(NOW, rules=SMALL)


@pytest.fixture
def model(trained, db):
    """The first model of the grid, trained just now."""
    return ForecastModel.objects.get()


def test_a_trained_model_is_promoted_and_declared_on_the_run(grid, model):
    run = services.refresh(NOW)

    assert model.is_champion
    assert model.trained_until == ISSUED_AT - dt.timedelta(hours=SMALL.gate_h)
    assert (run.state, run.degraded_reason) == (RunState.READY, "")
    assert (run.model_name, run.model_version) == (MODEL_NAME, model.version)
    assert run.trained_until == model.trained_until
    assert set(run.paths.values_list("method", flat=True)) == {"model"}
    entry = AuditEntry.objects.get(action="promote-model")
    assert entry.payload["sha256"] == model.artifact_sha256


def test_training_is_due_once_a_day(grid, model):
    early = services.train_if_due(NOW + 23 * HOUR, rules=SMALL)
    made = services.train_if_due(NOW + 24 * HOUR, rules=SMALL)

    assert early is None
    assert made.trained_at == NOW + 24 * HOUR


def test_a_challenger_that_is_worse_on_later_data_is_declined(grid, model, monkeypatch):
    other = TrainingRules(model=replace(SMALL.model, seed=7))
    honest = training.forecast_demand

    def the_new_one_says_twice_too_much(panel, fitted, **options):
        made = honest(panel, fitted, **options)
        return replace(made, demand=made.demand * (2.0 if fitted.settings.seed == 7 else 1.0))

    monkeypatch.setattr(training, "forecast_demand", the_new_one_says_twice_too_much)

    challenger = services.train(NOW + 24 * HOUR, rules=other)

    model.refresh_from_db()
    ours = challenger.scores["models"]["ours"]["overall"]["pinball"]["mean"]
    theirs = challenger.scores["models"]["champion"]["overall"]["pinball"]["mean"]
    assert ours > theirs
    assert (model.is_champion, challenger.is_champion) == (True, False)
    assert AuditEntry.objects.filter(action="decline-model").count() == 1


def test_the_gate_shows_the_skill_against_the_best_naive_forecast(model):
    scores = model.scores

    wape = {name: part["overall"]["wape"] for name, part in scores["models"].items()}
    naive = {name: error for name, error in wape.items() if name != "ours"}
    assert scores["best_naive"] == min(naive, key=naive.get)
    expected = 1 - wape["ours"] / min(naive.values())
    assert scores["skill_wape"] == pytest.approx(expected, abs=1e-5)


def test_a_damaged_model_is_not_used_and_the_chain_goes_on(grid, model):
    broken = bytes(model.artifact)[:-1] + b"x"
    ForecastModel.objects.filter(pk=model.pk).update(artifact=broken)

    run = services.refresh(NOW)

    assert run.state == RunState.DEGRADED
    assert "no-model 9" in run.degraded_reason


def test_a_silent_pool_falls_back_with_its_reason_and_then_has_no_forecast(grid, model):
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


def test_the_same_training_twice_keeps_one_model(grid, model):
    again = services.train(NOW, rules=SMALL)

    assert again == model
    assert AuditEntry.objects.filter(subject__startswith="forecast-model").count() == 1


def test_a_series_has_its_history_and_its_declared_forecast(
    grid, model, client_of, operator, grid_time
):
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


@pytest.mark.usefixtures("grid", "grid_time")
def test_points_runs_and_accuracy_are_served(model, client_of, auditor):
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


def test_models_and_runs_are_shown_to_a_grid_admin_and_edited_by_nobody(grid, model, admin_client):
    run = services.refresh(NOW)

    pages = [
        admin_client.get(f"/admin/forecasting/{page}")
        for page in ("forecastmodel/", "forecastrun/", f"forecastrun/{run.pk}/change/")
    ]

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert admin_client.get("/admin/forecasting/forecastrun/add/").status_code == 403
