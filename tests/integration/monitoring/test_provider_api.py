"""The providers' side: standing, keys, self-test; and who may see and do what."""

import datetime as dt
import json

import pyarrow as pa
import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from controlplane.auth import keys
from controlplane.auth.key_cache import known_keys
from controlplane.auth.models import AuditEntry, ProviderKey
from controlplane.lib import clock
from monitoring.models import PoolState, ProviderHealth, ProviderTally, Sample
from monitoring.watch import health
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, make_pool, sample
from tests.wire import PROTOBUF, V2_TYPE, V2Request, snappy, write_v1

pytestmark = pytest.mark.django_db
STATUS = "/api/v1/provider/status"
KEYS = "/api/v1/providers/beiyun/keys"
CHECK = "/api/v1/telemetry/check"


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""
    cache.clear()
    known_keys.forget()


@pytest.fixture
def pool():
    return PoolFactory()


def push(client, *samples):
    return client.post("/api/v1/telemetry", {"samples": list(samples)}, format="json")


def test_a_provider_sees_its_account_its_refusals_and_its_keys(provider_client, pool):
    client = provider_client("beiyun")
    push(client, sample("beijing-gpu", GRID_NOW), sample("nowhere-gpu", GRID_NOW))
    push(client, sample("beijing-gpu", GRID_NOW, allocated=9.0))

    body = client.get(STATUS).json()

    assert body["tally"]["received"] == 3
    assert body["tally"]["rejected_by_reason"] == {"unknown-pool": 1}
    assert [entry["code"] for entry in body["refusals"]] == ["conflict", "unknown-pool"]
    assert body["refusals"][1]["subject"] == "nowhere-gpu"
    assert body["refusals"][0]["measured_at"] == GRID_NOW.isoformat()
    assert [key["is_live"] for key in body["keys"]] == [True]
    assert body["pools"][0]["pool"] == "beijing-gpu"


def test_what_was_shed_is_in_the_account_and_the_account_holds(provider_client, pool):
    client = provider_client("beiyun")
    push(client, sample("beijing-gpu", GRID_NOW))
    for _ in range(3):
        health.note_shed("beiyun", "grid-busy")
    health.note_shed("nobody", "grid-busy")
    health.flush()

    tally = ProviderTally.objects.get(provider_id="beiyun")

    assert (tally.shed, tally.received, tally.accepted) == (3, 4, 1)
    assert client.get(STATUS).json()["tally"]["shed"] == 3


@pytest.mark.parametrize(
    ("ahead_s", "state"),
    [(0, "good"), (4, "good"), (7, "ahead"), (300, "ahead"), (-7, "behind-or-late")],
)
def test_a_clock_that_is_off_is_measured_and_flagged(
    provider_client, pool, grid_time, ahead_s, state
):
    client = provider_client("beiyun")
    for _ in range(6):
        now = grid_time.advance(seconds=60)
        push(client, sample("beijing-gpu", now + dt.timedelta(seconds=ahead_s)))

    assert client.get(STATUS).json()["clock"] == {"skew_s": pytest.approx(ahead_s), "state": state}


def test_clocks_of_others_never_change_what_an_honest_provider_gets_stored(
    provider_client, pool, grid_time
):
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")
    honest, skewed = provider_client("beiyun"), provider_client("jingchu")
    for minute in range(5):
        now = grid_time.advance(seconds=60)
        for offset in (-7200, -100_000, 90, 500, 86_400):
            push(skewed, sample("wuhan-gpu", now + dt.timedelta(seconds=offset + minute)))
        assert push(honest, sample("beijing-gpu", now)).json()["accepted"] == 1

    assert Sample.objects.filter(pool=pool).count() == 5
    assert ProviderHealth.objects.get(provider_id="jingchu").skew_s > 400


@pytest.mark.parametrize("person", ["operator", "auditor", "grid_admin"])
def test_people_who_see_the_grid_see_every_provider(request, client_of, person, pool):
    client = client_of(request.getfixturevalue(person))

    listed = client.get("/api/v1/providers").json()["providers"]
    one = client.get("/api/v1/providers/beiyun/status")

    assert [row["provider"] for row in listed] == ["beiyun"]
    assert one.json()["provider"] == "beiyun"
    assert client.get("/api/v1/providers/nobody/status").status_code == 404
    assert client.get(STATUS).status_code == 403


def test_a_provider_sees_no_other_whether_it_exists_or_not(client_of, provider, pool):
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")
    client = client_of(provider)

    answers = [client.get(f"/api/v1/providers/{code}/status") for code in ("jingchu", "nobody")]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json() == answers[1].json()
    assert client.get("/api/v1/providers").status_code == 403
    assert client.get(STATUS).status_code == 200


def test_a_key_is_rotated_while_senders_go_on(client_of, provider, pool, client):
    old = keys.issue_key("beiyun", actor="system")
    person = client_of(provider)

    def opens(key):
        return client.get(STATUS, headers={"Authorization": f"Bearer {key}"}).status_code == 200

    answer = person.post(KEYS, {"label": "next"}, format="json")
    new = answer.json()
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    assert opens(old)
    assert opens(new["key"])
    first = person.get(KEYS).json()["keys"][-1]
    assert first["last_used_at"] is not None
    assert person.delete(f"{KEYS}/{first['id']}").json()["is_live"] is False
    assert not opens(old)
    assert opens(new["key"])
    actions = list(AuditEntry.objects.order_by("sequence").values_list("actor", "action"))
    assert actions == [
        ("system", "issue-key"),
        ("provider-beiyun", "issue-key"),
        ("provider-beiyun", "revoke-key"),
    ]
    assert new["key"] not in json.dumps(list(AuditEntry.objects.values_list("payload", flat=True)))


def test_a_third_live_key_is_refused(client_of, grid_admin, pool):
    client = client_of(grid_admin)

    answers = [client.post(KEYS, {}, format="json") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[2].json()["code"] == "too-many-live-keys"


def test_the_same_request_issues_one_key_and_shows_it_once(client_of, provider, pool):
    client = client_of(provider)
    headers = {"Idempotency-Key": "abc"}

    first, again = (client.post(KEYS, {}, format="json", headers=headers) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["key"].startswith("cg_live_")
    assert again.json()["key"] is None
    assert ProviderKey.objects.count() == 1


@pytest.mark.parametrize("person", ["operator", "auditor", "outsider"])
def test_nobody_else_handles_keys(request, client_of, person, pool):
    keys.issue_key("beiyun", actor="system")
    client = client_of(request.getfixturevalue(person))
    key_id = ProviderKey.objects.get().pk

    assert client.post(KEYS, {}, format="json").status_code == 403
    assert client.delete(f"{KEYS}/{key_id}").status_code == 403
    assert ProviderKey.objects.get().revoked_at is None


def test_a_key_cannot_make_keys(provider_client, pool):
    client = provider_client("beiyun")

    assert client.post(KEYS, {}, format="json").status_code == 403
    assert client.get(KEYS).status_code == 200


def test_an_expired_key_ends_even_while_it_is_remembered(client, pool, monkeypatch):
    key = keys.issue_key("beiyun", actor="system", life=dt.timedelta(days=1))
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get(STATUS, headers=headers).status_code == 200
    later = clock.wall_now() + dt.timedelta(days=2)
    monkeypatch.setattr(clock, "wall_now", lambda: later)

    assert client.get(STATUS, headers=headers).status_code == 401


def test_the_self_test_judges_rows_as_the_real_one_and_stores_nothing(provider_client, pool):
    client = provider_client("beiyun")
    rows = [
        sample("beijing-gpu", GRID_NOW),
        sample("beijing-gpu", GRID_NOW, allocated=120.0),
        sample("beijing-gpu", GRID_NOW - dt.timedelta(days=3)),
        sample("other-gpu", GRID_NOW),
        {"pool": "beijing-gpu", "measured_at": GRID_NOW.isoformat(), "capacity": "8"},
    ]

    body = client.post(CHECK, {"samples": rows}, format="json").json()

    assert (body["format"], body["received"], body["would_accept"]) == ("json", 5, 2)
    assert [landing["outcome"] for landing in body["landings"]] == ["row", "row", *["refused"] * 3]
    assert body["landings"][1]["rule"] == "allocated-above-capacity"
    assert [landing["code"] for landing in body["landings"][2:]] == [
        "too-old",
        "unknown-pool",
        "not-a-number",
    ]
    assert body["suspect"] == 1
    assert not Sample.objects.exists()
    assert not PoolState.objects.exists()
    assert not ProviderTally.objects.exists()


def test_the_self_test_takes_arrow(provider_client, pool):
    table = pa.table(
        {
            "pool": ["beijing-gpu"],
            "measured_at": pa.array([GRID_NOW], pa.timestamp("us", tz="UTC")),
            **{name: [1.0] for name in ("capacity", "allocated", "queued")},
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)

    answer = provider_client("beiyun").post(
        CHECK, sink.getvalue().to_pybytes(), content_type="application/vnd.apache.arrow.stream"
    )

    assert (answer.json()["format"], answer.json()["would_accept"]) == ("arrow", 1)


def test_the_self_test_shows_where_series_land(provider_client, pool):
    at_ms = int(GRID_NOW.timestamp() * 1000)
    body = snappy(
        write_v1(
            [
                ({"__name__": "tiaodu_capacity", "tiaodu_pool": "beijing-gpu"}, [(at_ms, 64.0)]),
                ({"__name__": "tiaodu_allocated", "tiaodu_pool": "mars-gpu"}, [(at_ms, 1.0)]),
                ({"__name__": "node_load1", "instance": "a"}, [(at_ms, 0.5), (1, 0.5)]),
            ]
        )
    )

    found = (
        provider_client("beiyun")
        .post(CHECK, body, content_type=PROTOBUF, HTTP_CONTENT_ENCODING="snappy")
        .json()
    )

    capacity, elsewhere, plain = found["landings"]
    assert (capacity["pool"], capacity["field"], capacity["value"]) == (
        "beijing-gpu",
        "capacity",
        64.0,
    )
    assert elsewhere["code"] == "unknown-pool"
    assert plain["outcome"] == "series"
    assert (found["received"], found["would_reject"]) == (4, 2)
    assert found["rejected_by_reason"] == {"unknown-pool": 1, "too-old": 1}


def test_the_self_test_takes_remote_write_2_and_otlp_json(provider_client, pool):
    client = provider_client("beiyun")
    message = V2Request()
    message.add({"__name__": "up"}, [(int(GRID_NOW.timestamp() * 1000), 1.0)])
    point = {"timeUnixNano": str(int(GRID_NOW.timestamp() * 1e9)), "asDouble": 1.0}
    metric = {"name": "up", "gauge": {"dataPoints": [point]}}
    otlp = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}

    write = client.post(
        CHECK, snappy(message.body()), content_type=V2_TYPE, HTTP_CONTENT_ENCODING="snappy"
    )
    json_form = client.post(CHECK, otlp, format="json")

    assert (write.json()["format"], write.json()["would_accept"]) == ("remote-write", 1)
    assert (json_form.json()["format"], json_form.json()["would_accept"]) == ("otlp", 1)


def test_draft_rules_are_tried_on_what_an_exporter_shows(provider_client, pool):
    document = {
        "rules": [
            {"preset": "slurm-vpenso-gpu", "pool": "beijing-gpu"},
            {
                "name": "power",
                "metric": "rack_watts",
                "pool": "{site}-gpu",
                "field": "power_kw",
                "factor": 0.001,
            },
        ],
        "exposition": 'slurm_gpus_total 128\nrack_watts{site="beijing"} 2500\nup 1\n',
    }

    found = provider_client("beiyun").post("/api/v1/mapping/check", document, format="json").json()

    landed = {entry["subject"]: entry for entry in found["landings"]}
    assert landed["slurm_gpus_total"]["field"] == "capacity"
    assert landed["rack_watts"]["pool"] == "beijing-gpu"
    assert landed["rack_watts"]["value"] == 2.5
    assert landed["up"]["outcome"] == "series"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"rules": [{"preset": "nothing", "pool": "x"}], "series": []}, "bad-mapping-rules"),
        ({"rules": [], "exposition": "a{b 1\n"}, "malformed-exposition"),
        ({"rules": "x"}, "invalid-request"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_a_reason(provider_client, pool, document, code):
    answer = provider_client("beiyun").post("/api/v1/mapping/check", document, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_people_who_see_all_must_say_for_whom_they_try(client_of, operator, pool):
    client = client_of(operator)
    rows = {"samples": [sample("beijing-gpu", GRID_NOW)]}

    assert client.post(CHECK, rows, format="json").status_code == 403
    assert client.post(f"{CHECK}?provider=beiyun", rows, format="json").json()["would_accept"] == 1
    assert client.post(f"{CHECK}?provider=nobody", rows, format="json").status_code == 404


def test_a_person_tries_a_push_with_the_pages_own_token(provider, pool):
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(provider)
    token = "a" * 32
    browser.cookies["csrftoken"] = token
    rows = {"samples": [sample("beijing-gpu", GRID_NOW)]}

    without = browser.post(CHECK, rows, format="json")
    with_token = browser.post(CHECK, rows, format="json", HTTP_X_CSRFTOKEN=token)

    assert without.status_code == 403
    assert with_token.json()["would_accept"] == 1
