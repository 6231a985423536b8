"""Announced demand over HTTP, in forecasts, and until the telemetry shows it."""

import datetime as dt

import pytest

from controlplane.auth.models import AuditEntry
from controlplane.lib.units import HOUR
from forecasting import selectors, services
from forecasting.models import DemandDeclaration, ForecastPath
from tests.factories import make_pool, report_hours
from tests.integration.forecasting.grids import ISSUED_AT, NOW, stored_pools

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid_at_now")]

ADDRESS = "/api/v1/demand-declarations"


@pytest.fixture
def grid_at_now(grid_time):
    grid_time.set(NOW)


@pytest.fixture(scope="module")
def stored_grid(module_db):
    with module_db():
        for code, region, provider in (
            ("beijing-gpu", "CN-BJ", "beiyun"),
            ("haidian-gpu", "CN-BJ", "beiyun"),
            ("horinger-gpu", "CN-NM", "huadong"),
        ):
            pool = make_pool(code, region=region, provider=provider)
            report_hours(pool, ISSUED_AT - 72 * HOUR, [30.0, 31.0, 32.0] * 24)


@pytest.fixture
def grid(stored_grid, db):
    """Three pools in two regions with three days of hardly any change."""
    return stored_pools()


def wish(**changes):
    return {
        "code": "beijing-gpu",
        "kind": "job",
        "units": 40.0,
        "starts_at": (ISSUED_AT + 4 * HOUR).isoformat(),
        "ends_at": (ISSUED_AT + 10 * HOUR).isoformat(),
        "probability": 1.0,
        "external_id": "train-7",
    } | changes


def announce(client, key="one", **changes):
    return client.post(ADDRESS, wish(**changes), format="json", HTTP_IDEMPOTENCY_KEY=key)


def medians(run, scope, code):
    return selectors.quantile_frame(run.id, scope=scope, code=code)["q50"].to_numpy()


def test_a_provider_announces_for_its_own_pool_and_the_record_has_it(grid, provider_client):
    response = announce(provider_client("beiyun"))

    body = response.json()
    assert response.status_code == 201
    assert (body["state"], body["version"], response["ETag"]) == ("ANNOUNCED", 1, '"1"')
    assert body["created_by"] == "provider:beiyun"
    assert AuditEntry.objects.get(action="declare-demand").payload["units"] == 40.0


def test_the_same_key_again_is_the_same_announcement(grid, provider_client):
    client = provider_client("beiyun")
    first = announce(client)

    again, other = announce(client), announce(client, units=80.0)

    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert (other.status_code, other.json()["code"]) == (409, "declaration-clash")
    assert DemandDeclaration.objects.count() == 1


def test_an_own_name_stands_for_one_announcement(grid, provider_client):
    client = provider_client("beiyun")
    announce(client)

    assert announce(client, key="two").json()["code"] == "declaration-clash"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"code": "horinger-gpu"}, "code", id="another-providers-pool"),
        pytest.param({"code": "nowhere"}, "code", id="no-pool"),
        pytest.param({"scope": "region", "code": "CN-BJ"}, "scope", id="a-region"),
        pytest.param({"ends_at": ISSUED_AT.isoformat()}, "ends_at", id="ends-first"),
        pytest.param({"ends_at": "2024-01-01T00:00Z"}, "ends_at", id="too-long"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(changes, field, grid, provider_client):
    response = announce(provider_client("beiyun"), **changes)

    assert (response.status_code, response.json()["field"]) == (400, field)


@pytest.mark.parametrize("units", [0, -3, 1e12, "nan", "inf", "many", None])
def test_units_must_be_a_number_that_is_one(units, grid, provider_client):
    assert announce(provider_client("beiyun"), units=units).status_code == 400


def test_who_may_announce_and_see(grid, client_of, provider_client, operator, auditor, outsider):
    mine = announce(provider_client("beiyun")).json()["id"]

    assert announce(client_of(operator), key="2", external_id="op").status_code == 201
    assert announce(client_of(auditor), key="3", external_id="au").status_code == 403
    assert announce(client_of(outsider), key="4").status_code == 403
    assert len(client_of(auditor).get(ADDRESS).json()["declarations"]) == 2
    stranger = provider_client("huadong")
    assert stranger.get(ADDRESS).json()["declarations"] == []
    foreign, missing = stranger.get(f"{ADDRESS}/{mine}"), stranger.get(f"{ADDRESS}/999999")
    assert foreign.status_code == missing.status_code == 404


def test_a_change_names_the_version_it_is_about(grid, provider_client):
    client = provider_client("beiyun")
    made = announce(client).json()["id"]
    change = {"units": 10.0}

    unnamed = client.patch(f"{ADDRESS}/{made}", change, format="json")
    done = client.patch(f"{ADDRESS}/{made}", change, format="json", HTTP_IF_MATCH='"1"')
    late = client.patch(f"{ADDRESS}/{made}", change, format="json", HTTP_IF_MATCH='"1"')

    assert (unnamed.status_code, late.status_code) == (428, 412)
    assert (done.json()["units"], done["ETag"]) == (10.0, '"2"')


def test_what_is_withdrawn_stays_so(grid, provider_client):
    client = provider_client("beiyun")
    made = announce(client).json()["id"]
    client.patch(f"{ADDRESS}/{made}", {"state": "WITHDRAWN"}, format="json", HTTP_IF_MATCH='"1"')

    back = client.patch(
        f"{ADDRESS}/{made}", {"state": "ARRIVED"}, format="json", HTTP_IF_MATCH='"2"'
    )

    assert back.json()["code"] == "declaration-closed"


def test_announced_demand_is_in_the_forecast_of_its_pool_region_and_grid(grid, client_of, operator):
    plain = services.refresh(NOW - HOUR)
    announce(client_of(operator))

    run = services.refresh(NOW)

    for scope, code in (("pool", "beijing-gpu"), ("region", "CN-BJ"), ("grid", "grid")):
        # the first run begins an hour earlier
        rise = medians(run, scope, code)[4:10] - medians(plain, scope, code)[5:11]
        assert rise == pytest.approx([40.0] * 6, abs=3.0)
    assert medians(run, "pool", "haidian-gpu")[4:10] == pytest.approx(
        medians(plain, "pool", "haidian-gpu")[5:11], abs=3.0
    )
    assert run.declared[0]["series"] == "pool:beijing-gpu"
    assert "announced-demand" in run.steps
    path = ForecastPath.objects.get(run=run, scope="pool", code="beijing-gpu")
    assert path.declared[:12] == [0.0] * 4 + [40.0] * 6 + [0.0] * 2


def test_demand_that_showed_up_is_not_counted_twice(grid, client_of, operator):
    announce(client_of(operator))
    arrived = ISSUED_AT + 6 * HOUR
    for pool in grid:
        more = 40.0 if pool.code == "beijing-gpu" else 0.0
        report_hours(pool, ISSUED_AT, [31.0] * 4 + [31.0 + more] * 2)

    run = services.refresh(arrived + dt.timedelta(minutes=5))

    row = DemandDeclaration.objects.get()
    assert (row.state, row.seen_units) == ("ARRIVED", 40.0)
    path = ForecastPath.objects.get(run=run, scope="pool", code="beijing-gpu")
    # nothing is added within its window; after it, what was seen is expected to leave
    assert path.declared[:6] == [0.0, 0.0, 0.0, 0.0, -40.0, -40.0]


def test_a_workload_of_that_name_makes_it_arrive(grid, provider_client):
    announce(provider_client("beiyun"))

    others = services.note_workloads("huadong", ["train-7"], NOW)
    own = services.note_workloads("beiyun", ["train-7", "x"], NOW)

    assert (others, own) == (0, 1)
    assert DemandDeclaration.objects.get().state == "ARRIVED"


def test_demand_that_never_comes_lapses(grid, client_of, operator):
    announce(client_of(operator), ends_at=(ISSUED_AT + 90 * HOUR).isoformat())
    for pool in grid:
        report_hours(pool, ISSUED_AT, [31.0] * 29)

    services.refresh(ISSUED_AT + 29 * HOUR)

    assert DemandDeclaration.objects.get().state == "LAPSED"
