"""Forecasting as it runs: a week ahead, sums, electricity, drift, colliding trainings, exports."""

import csv
import datetime as dt
import io

import numpy as np
import pytest

from controlplane.lib.units import HOUR
from forecasting import selectors, services
from forecasting.domain.forecasters import ModelSettings
from forecasting.domain.runs import Target
from forecasting.models import ForecastModel, ForecastPath, ForecastRun
from forecasting.services import TrainingRules, training
from forecasting.urls import urlpatterns
from tests.factories import PoolFactory, SiteFactory, make_pool, report, sample
from tests.integration.forecasting.grids import ISSUED_AT, NOW, stored_pools, wandering

pytestmark = pytest.mark.django_db

DAYS = 20
SMALL = TrainingRules(
    model=ModelSettings(
        horizon_h=168,
        trees=4,
        min_leaf=20,
        units=8,
        prior_epochs=1,
        own_epochs=1,
        max_rows=300,
        prior_rows=100,
        prior_tree_rows=100,
    )
)


@pytest.fixture(scope="module")
def stored_grid(module_db):
    with module_db():
        site = SiteFactory(code="twin", region__code="CN-BJ", provider__code="beiyun")
        pools = [
            PoolFactory(code="twin-a", site=site),
            PoolFactory(code="twin-b", site=site),
            make_pool("haidian-gpu", region="CN-BJ", provider="beiyun"),
            make_pool("horinger-gpu", region="CN-NM", provider="huadong"),
        ]
        for seed, pool in enumerate(pools):
            report_with_energy(pool, wandering(30.0 + 8 * seed, seed, days=DAYS))


@pytest.fixture
def grid(stored_grid, db):
    """Two pools of one site, one more in its region, and one elsewhere."""
    return stored_pools()


def report_with_energy(pool, demand):
    """One sample an hour; electricity costs more by day and its carbon is a yearly constant."""
    since = ISSUED_AT - len(demand) * HOUR
    rows = [
        sample(
            pool.code,
            since + hour * HOUR,
            allocated=units,
            price_per_unit_h=0.03 if hour % 24 < 12 else 0.05,
            carbon_g_per_kwh=540.0,
        )
        for hour, units in enumerate(demand)
    ]
    report(pool.site.provider_id, rows, now=ISSUED_AT)


def q(run, scope, code, level=0.5, hours=168):
    frame = selectors.quantile_frame(run.id, [level], scope=scope, code=code, hours=hours)
    return frame.iloc[:, 3].to_numpy()


def test_a_week_is_issued_every_six_hours_and_a_day_every_hour(grid):
    runs = [services.refresh(NOW + hour * HOUR) for hour in range(8)]

    assert [run.horizon_h for run in runs] == [168, 24, 24, 24, 24, 24, 168, 24]


def test_beyond_a_day_a_series_goes_on_with_the_run_of_a_week(grid):
    long_run = services.refresh(NOW)
    newest = services.refresh(NOW + HOUR)

    points = selectors.series("grid", "grid", NOW + HOUR, hours=168)["forecast"]["points"]

    # the run of a week is an hour older: it reaches an hour less far
    assert len(points) == 167
    assert points[23][3] == pytest.approx(q(newest, "grid", "grid")[23], abs=1e-3)
    assert points[24][3] == pytest.approx(q(long_run, "grid", "grid")[25], abs=1e-3)
    assert len(selectors.series("grid", "grid", NOW + HOUR)["forecast"]["points"]) == 24


def test_medians_of_pools_sites_regions_and_the_grid_add_up(grid):
    run = services.refresh(NOW)

    site = q(run, "pool", "twin-a") + q(run, "pool", "twin-b")
    assert q(run, "site", "twin") == pytest.approx(site)
    region = q(run, "site", "twin") + q(run, "pool", "haidian-gpu")
    assert q(run, "region", "CN-BJ") == pytest.approx(region)
    assert q(run, "grid", "grid") == pytest.approx(region + q(run, "region", "CN-NM"))
    assert "reconciled" in run.steps


def test_a_region_is_never_above_its_pools_worst_together(grid):
    run = services.refresh(NOW)

    parts = sum(q(run, "pool", code, 0.9) for code in ("twin-a", "twin-b", "haidian-gpu"))
    assert (q(run, "region", "CN-BJ", 0.9) <= parts + 1e-6).all()


def test_price_and_carbon_are_forecast_per_zone_and_read_per_pool(grid):
    run = services.refresh(NOW)

    scopes = set(run.paths.filter(scope__in=["price", "carbon"]).values_list("scope", "code"))
    assert {scope for scope, _ in scopes} == {"price", "carbon"}
    usd, grams = selectors.energy_quantile(["twin-a", "nowhere"], ISSUED_AT, 24)
    assert usd[0] == pytest.approx([0.03] * 12 + [0.05] * 12, rel=0.02)
    assert grams[0] == pytest.approx([540.0] * 24)
    assert np.isnan(usd[1]).all()


def test_a_second_training_that_ends_later_does_not_replace_an_unknown_champion(grid, monkeypatch):
    judged = training._judgement
    first = []

    def another_training_ends_first(scores):
        if not first:
            first.append(None)
            first[0] = training.train(NOW - HOUR, rules=SMALL)
        return judged(scores)

    monkeypatch.setattr(training, "_judgement", another_training_ends_first)
    second = training.train(NOW, rules=SMALL)

    assert first[0].is_champion
    assert (second.is_champion, second.scores["declined_because"]) == (False, "champion-changed")
    assert ForecastModel.objects.filter(is_champion=True).count() == 1


def test_a_training_that_dies_leaves_nothing(grid, monkeypatch):
    def killed(_model):
        raise SystemExit

    monkeypatch.setattr(training, "dump_model", killed)

    with pytest.raises(SystemExit):
        services.train(NOW, rules=SMALL)

    assert not ForecastModel.objects.exists()
    assert services.refresh(NOW).model is None


def test_drift_calls_for_a_training_before_its_time(grid):
    first = services.train(NOW - 8 * HOUR, rules=SMALL, trigger="first")
    services.refresh(NOW)
    ForecastRun.objects.update(drift={"signs": ["loss-rises"]})

    early = services.train_if_due(NOW - 3 * HOUR, rules=SMALL)
    made = services.train_if_due(NOW, rules=SMALL)

    assert early is None
    assert (first.trigger, made.trigger) == ("first", "loss-rises")


def test_the_watch_sees_the_runs_of_the_present_model(grid):
    services.train(ISSUED_AT - 30 * HOUR, rules=SMALL)
    ForecastModel.objects.update(is_champion=True)
    for hours in range(28, 0, -4):
        services.refresh(ISSUED_AT - hours * HOUR)

    run = services.refresh(NOW)

    assert len(run.drift["ratio"]) >= 5
    assert set(run.drift["coverage"]) <= {share for share in run.drift["coverage"] if share <= 1}
    assert {"region", "grid"} <= set(run.accuracy["scopes"])
    assert run.accuracy["scopes"]["region"]["overall"]["hours"] > 0


def test_each_target_has_a_champion_of_its_own(grid):
    services.train_if_due(NOW, rules=SMALL)

    champions = ForecastModel.objects.filter(is_champion=True).values_list("target", flat=True)
    assert set(champions) <= {target.value for target in Target}
    assert len(set(champions)) == len(champions)


QUESTIONS = {
    "forecast-series": "?scope=grid",
    "forecast-past": "?scope=grid&lead_h=1",
    "forecast-energy": "?scope=carbon&code=CN-BJ",
}
WITHOUT_FIGURES = {"forecast-zones", "forecast-models"}


@pytest.mark.usefixtures("grid_at_now")
class TestDeclaration:
    """Nothing leaves without what made it."""

    @pytest.mark.parametrize(
        "name",
        sorted(
            route.name
            for route in urlpatterns
            if str(route.pattern).startswith("forecasts") and route.name not in WITHOUT_FIGURES
        ),
    )
    def test_every_way_out_carries_the_declaration(self, name, grid, client_of, auditor):
        run = services.refresh(NOW)
        route = next(route for route in urlpatterns if route.name == name)

        address = f"/api/v1/{route.pattern}{QUESTIONS.get(name, '')}"
        text = client_of(auditor).get(address).content.decode()

        for wanted in ("model_name", run.model_name, "model_version", "trained_until", "issued_at"):
            assert wanted in text
        assert "steps" in text
        assert "automated" in text

    def test_the_export_is_csv_that_no_spreadsheet_runs(self, grid, client_of, auditor):
        services.refresh(NOW)
        ForecastPath.objects.filter(code="twin-a").update(code='=HYPERLINK("http://x","y")')

        response = client_of(auditor).get("/api/v1/forecasts/export.csv?scope=pool")

        rows = list(csv.reader(io.StringIO(response.content.decode())))
        assert rows[0] == ["# automated", "True"]
        head = next(place for place, row in enumerate(rows) if row[0] == "scope")
        assert len(rows) - head - 1 == 4 * 24
        assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
        assert any(cell.startswith("'=HYPERLINK") for row in rows for cell in row)

    def test_hours_and_history_have_limits(self, grid, client_of, auditor):
        services.refresh(NOW)
        client = client_of(auditor)

        for bad in ("hours=0", "hours=169", "hours=x", "history_h=337", "hours=-1"):
            answer = client.get(f"/api/v1/forecasts/series?scope=grid&{bad}")
            assert answer.json()["code"] == "invalid-field"
        week = client.get("/api/v1/forecasts/series?scope=grid&hours=168&history_h=48").json()
        assert (len(week["forecast"]["points"]), len(week["history"])) == (168, 48)

    def test_what_was_said_lies_beside_what_came(self, grid, client_of, auditor):
        services.refresh(ISSUED_AT - 5 * HOUR)
        services.refresh(ISSUED_AT - 2 * HOUR)

        body = client_of(auditor).get("/api/v1/forecasts/past?scope=grid&lead_h=2").json()

        times = [dt.datetime.fromisoformat(row[0]) for row in body["points"]]
        assert times == [ISSUED_AT - 4 * HOUR, ISSUED_AT - HOUR]
        assert len(body["history"]) == 72


@pytest.fixture
def grid_at_now(grid_time):
    grid_time.set(NOW)
