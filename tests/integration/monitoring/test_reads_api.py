"""What people read and acknowledge over HTTP, and who may not."""

import datetime as dt

import pytest
from django.urls import reverse

from controlplane.auth.models import AuditEntry
from monitoring import services
from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerts import Finding, Severity
from monitoring.models import Alert
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, make_pool, report, sample

pytestmark = pytest.mark.django_db
TICK = dt.timedelta(minutes=5)
READS = ["regions", "sites", "pools", "alerts"]


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""


@pytest.fixture
def firing_alert():
    finding = Finding("region:CN-BJ", Severity.WARNING, "CN-BJ", {"short_units": 7.0})
    (rule,) = (rule for rule in DEFAULT_RULES if rule.name == "FORECAST_SHORTAGE")
    services.sync_alerts(rule, [finding], GRID_NOW)
    return Alert.objects.get()


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("person", ["operator", "auditor", "grid_admin"])
def test_people_of_the_grid_read_everything(request, client_of, person, name):
    PoolFactory()

    answer = client_of(request.getfixturevalue(person)).get(reverse(name))

    assert answer.status_code == 200


@pytest.mark.parametrize("name", READS)
def test_others_read_nothing(client, client_of, outsider, provider, provider_client, name):
    answers = [
        client.get(reverse(name)),
        client_of(outsider).get(reverse(name)),
        client_of(provider).get(reverse(name)),
        provider_client("beiyun").get(reverse(name)),
    ]

    assert [answer.status_code for answer in answers] == [401, 403, 403, 403]


def test_a_region_shows_its_load_and_an_empty_one_shows_null(client_of, operator, demo_inventory):
    report("huadong", [sample("nanjing-gpu", GRID_NOW, capacity=16, allocated=4)], now=GRID_NOW)

    body = client_of(operator).get("/api/v1/regions").json()

    regions = {region["code"]: region for region in body["regions"]}
    assert len(regions) == 34
    assert regions["CN-JS"]["now"]["headroom"] == 12.0
    assert regions["CN-JS"]["now"]["quality"] == "good"
    assert regions["CN-BJ"]["now"]["capacity"] is None
    assert (regions["CN-XZ"]["now"]["pools"], regions["CN-XZ"]["now"]["capacity"]) == (0, None)


def test_pools_are_chosen_by_region_and_provider(client_of, operator, demo_inventory):
    body = client_of(operator).get("/api/v1/pools?region=CN-GD&provider=lingnan").json()

    assert [pool["code"] for pool in body["pools"]] == ["shaoguan-gpu", "shenzhen-gpu"]
    assert "engine_url" not in body["pools"][0]


def test_one_pool_is_shown_and_an_unknown_one_is_a_404(client_of, operator):
    PoolFactory()
    report("beiyun", [sample("beijing-gpu", GRID_NOW - TICK)], now=GRID_NOW)

    found = client_of(operator).get("/api/v1/pools/beijing-gpu")
    unknown = client_of(operator).get("/api/v1/pools/never-gpu")

    assert found.json()["now"]["age_s"] == 300.0
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not-found")


def test_samples_are_read_in_pages(client_of, operator):
    PoolFactory()
    rows = [sample("beijing-gpu", GRID_NOW - step * TICK, queued=step) for step in range(5)]
    report("beiyun", rows, now=GRID_NOW)
    client, since = client_of(operator), (GRID_NOW - 3 * TICK).isoformat()

    url = "/api/v1/pools/beijing-gpu/samples"
    first = client.get(url, {"since": since, "limit": 3}).json()
    second = client.get(url, {"since": first["next_since"], "limit": 3}).json()

    assert [row["queued"] for row in first["samples"] + second["samples"]] == [3, 2, 1, 0]
    assert second["next_since"] is None


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2023-05-26T00:00:00", "limit=0", "limit=5001", "limit=٣"]
)
def test_a_question_that_is_not_clear_is_refused(client_of, operator, query):
    PoolFactory()

    answer = client_of(operator).get(f"/api/v1/pools/beijing-gpu/samples?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-field")


def test_an_operator_acknowledges_an_alert_once(client_of, operator, firing_alert):
    url = reverse("alert-acknowledge", args=[firing_alert.pk])
    client = client_of(operator)

    first = client.post(url, {"comment": "calling them"}, format="json")
    again = client.post(url, {"comment": "calling them"}, format="json")

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["acknowledged_by"] == "operator"
    assert again.json() == first.json()
    entry = AuditEntry.objects.get(action="acknowledge-alert")
    assert (entry.actor, entry.payload["comment"]) == ("operator", "calling them")


def test_a_second_operator_is_told_who_was_first(client_of, operator, operator2, firing_alert):
    url = reverse("alert-acknowledge", args=[firing_alert.pk])
    client_of(operator).post(url, {}, format="json")

    answer = client_of(operator2).post(url, {}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "alert-not-acknowledgeable")
    assert "operator has acknowledged" in answer.json()["detail"]


@pytest.mark.parametrize("person", ["auditor", "grid_admin", "provider", "outsider"])
def test_nobody_else_acknowledges(request, client_of, person, firing_alert):
    client = client_of(request.getfixturevalue(person))

    answer = client.post(reverse("alert-acknowledge", args=[firing_alert.pk]), {}, format="json")

    assert answer.status_code == 403
    firing_alert.refresh_from_db()
    assert firing_alert.acknowledged_by == ""


def test_an_alert_that_does_not_exist_is_a_404(client_of, operator):
    answer = client_of(operator).post("/api/v1/alerts/12345/acknowledge", {}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (404, "alert-not-found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"comment": "' + b"x" * 501 + b'"}', 400),
        (b'{"comment": "\\u0000"}', 400),
        (b'{"comment": "a", "comment": "b"}', 400),
        (b"[" * 50_000, 400),
        (b"[]", 400),
    ],
)
def test_a_hostile_comment_is_refused(client_of, operator, firing_alert, body, status):
    url = reverse("alert-acknowledge", args=[firing_alert.pk])

    answer = client_of(operator).post(url, body, content_type="application/json")

    assert answer.status_code == status
    assert AuditEntry.objects.filter(action="acknowledge-alert").count() == 0


def test_alerts_are_listed_by_state(client_of, operator, firing_alert):
    client = client_of(operator)

    listed = {
        state: len(client.get(f"/api/v1/alerts?state={state}").json()["alerts"])
        for state in ("firing", "open", "all")
    }
    unclear = client.get("/api/v1/alerts?state=some")

    assert listed == {"firing": 1, "open": 1, "all": 1}
    assert unclear.status_code == 400


@pytest.mark.parametrize("name", READS)
def test_a_read_asks_the_same_number_of_questions_however_many_pools(
    client_of, operator, django_assert_max_num_queries, name
):
    for number in range(12):
        make_pool(f"p{number}-gpu", region=f"CN-{number}", provider="beiyun")
    rows = [sample(f"p{number}-gpu", GRID_NOW) for number in range(12)]
    report("beiyun", rows, now=GRID_NOW)
    client = client_of(operator)

    with django_assert_max_num_queries(7):
        answer = client.get(reverse(name))

    assert answer.status_code == 200


def test_the_schema_describes_telemetry_with_examples(client_of, operator):
    schema = client_of(operator).get("/api/v1/schema/?format=json").json()

    post = schema["paths"]["/api/v1/telemetry"]["post"]
    assert set(post["responses"]) == {"200", "400", "401", "413", "415", "429", "503"}
    assert set(post["requestBody"]["content"]["application/json"]["examples"]) == {
        "Rows",
        "Columns",
    }
