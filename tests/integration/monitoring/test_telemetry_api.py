"""The telemetry door: who may push, what is taken, what each refusal says."""

import json

import pytest
from django.db import OperationalError
from prometheus_client import REGISTRY

from controlplane.auth.keys import issue_key, revoke_keys
from monitoring.models import PoolHour, PoolState, ProviderTally, Sample
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, make_pool, sample

pytestmark = pytest.mark.django_db
URL = "/api/v1/telemetry"


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""


@pytest.fixture
def push(provider_client):
    client = provider_client("beiyun")

    def send(document, **headers):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return client.post(URL, body, **{"content_type": "application/json", **headers})

    return send


def account():
    tally = ProviderTally.objects.get(provider_id="beiyun")
    assert tally.received == tally.accepted + tally.duplicate + tally.conflict + tally.rejected
    return tally


def test_rows_are_stored_and_counted(push):
    PoolFactory()

    answer = push({"samples": [sample("beijing-gpu", GRID_NOW)]})

    assert answer.status_code == 200
    assert answer.json() == {
        "received": 1,
        "accepted": 1,
        "duplicate": 0,
        "conflict": 0,
        "rejected": 0,
        "errors": [],
        "errors_total": 0,
    }
    assert Sample.objects.get().source == "provider"


def test_columns_sent_twice_are_duplicates_the_second_time(push):
    PoolFactory()
    columns = {name: [value] for name, value in sample("beijing-gpu", GRID_NOW).items()}

    first, second = push({"columns": columns}), push({"columns": columns})

    assert (first.json()["accepted"], second.json()["duplicate"]) == (1, 1)
    assert second.status_code == 200


@pytest.mark.parametrize("position", [0, 499, 999])
def test_one_bad_sample_among_a_thousand_is_refused_alone(push, position):
    PoolFactory()
    step = (GRID_NOW - GRID_NOW.replace(hour=0, minute=0)) / 1000
    rows = [sample("beijing-gpu", GRID_NOW - number * step) for number in range(1000)]
    rows[position]["queued"] = True

    answer = push({"samples": rows})

    body = answer.json()
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert (body["code"], body["received"], body["accepted"]) == ("samples-refused", 1000, 999)
    assert body["rejected"] == body["errors_total"] == 1
    (error,) = body["errors"]
    assert (error["index"], error["field"], error["code"]) == (position, "queued", "not-a-number")
    assert account().rejected_by_reason == {"not-a-number": 1}


def test_the_list_of_errors_is_capped_and_counted(push):
    PoolFactory()

    answer = push({"samples": [{} for _ in range(250)]})

    body = answer.json()
    assert (len(body["errors"]), body["errors_total"]) == (100, 250)
    assert account().rejected == 250


def test_a_conflict_is_a_400_that_leaves_the_first_value(push):
    PoolFactory()
    push({"samples": [sample("beijing-gpu", GRID_NOW, allocated=1.0)]})

    answer = push({"samples": [sample("beijing-gpu", GRID_NOW, allocated=2.0)]})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "conflict"
    assert Sample.objects.get().allocated == 1.0


def test_a_pool_of_another_provider_answers_like_one_that_does_not_exist(push):
    PoolFactory()
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")

    answers = [
        push({"samples": [sample(code, GRID_NOW)]}).content.replace(code.encode(), b"")
        for code in ("wuhan-gpu", "never-gpu")
    ]

    assert answers[0] == answers[1]


def test_a_field_that_attracts_work_is_no_telemetry(push):
    PoolFactory()

    answer = push({"samples": [sample("beijing-gpu", GRID_NOW, region="CN-GZ", contract=999)]})

    assert answer.json()["errors"][0]["code"] == "unknown-field"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"[" * 100_000, "malformed-body", id="100,000 brackets"),
        pytest.param(b'{"samples":[{"pool":"\xff"}]}', "malformed-body", id="not UTF-8"),
        pytest.param(b"", "malformed-body", id="empty"),
        pytest.param(b'{"samples": 7}', "malformed-batch", id="no samples"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_and_nothing_counted(push, body, code):
    PoolFactory()

    answer = push(body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not ProviderTally.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"content_type": "text/plain"}, id="text"),
        pytest.param({"content_type": "application/x-www-form-urlencoded"}, id="form"),
        pytest.param({"content_type": "multipart/form-data; boundary=x"}, id="multipart"),
        pytest.param({"content_type": "application/json; charset=latin-1"}, id="charset"),
        pytest.param({"content_type": " "}, id="none"),
        pytest.param({"HTTP_CONTENT_ENCODING": "gzip"}, id="gzip"),
        pytest.param({"HTTP_CONTENT_ENCODING": "gzip, gzip"}, id="gzip twice"),
    ],
)
def test_only_plain_json_is_taken(push, headers):
    answer = push({"samples": []}, **headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-format")


def test_json_may_say_that_it_is_utf8(push):
    answer = push({"samples": []}, content_type='application/json; charset="UTF-8"')

    assert answer.status_code == 200


def test_a_body_above_the_limit_is_refused_by_what_its_length_claims(push, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    answer = push(b" " * 101)

    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


def test_a_batch_above_the_limit_of_samples_is_refused(push):
    answer = push({"samples": [0] * 50_001})

    assert (answer.status_code, answer.json()["code"]) == (413, "too-many-samples")


def test_without_a_key_the_body_is_not_looked_at(client):
    answer = client.post(URL, b"[" * 100_000, content_type="application/json")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["", "cg_live_", "cg_live_" + "0" * 56, "x" * 10_000])
def test_a_key_that_is_none_is_refused(client, key):
    answer = client.post(
        URL, b"{}", content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}"
    )

    assert answer.status_code == 401


def test_a_revoked_key_is_refused_at_once(client):
    key = issue_key("beiyun", actor="system")
    revoke_keys("beiyun", actor="system")

    answer = client.post(
        URL, b"{}", content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}"
    )

    assert answer.status_code == 401


@pytest.mark.parametrize("person", ["operator", "provider", "auditor", "grid_admin", "outsider"])
def test_no_person_pushes_telemetry(request, client_of, person):
    client = client_of(request.getfixturevalue(person))

    answer = client.post(URL, b'{"samples": []}', content_type="application/json")

    assert answer.status_code == 403


def test_a_database_that_is_away_is_a_503_that_stores_nothing(push, monkeypatch):
    PoolFactory()

    def away(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr("monitoring.ingest.batches.account_for", away)
    answer = push({"samples": [sample("beijing-gpu", GRID_NOW)]})
    monkeypatch.undo()

    assert (answer.status_code, answer.json()["code"]) == (503, "database-away")
    assert 1 <= int(answer["Retry-After"]) <= 5
    assert not Sample.objects.exists()
    assert not PoolState.objects.exists()
    assert not PoolHour.objects.exists()
    again = push({"samples": [sample("beijing-gpu", GRID_NOW)]})
    assert again.json()["accepted"] == 1


def test_outcomes_and_reasons_are_metrics(push):
    PoolFactory()
    labels = {"provider": "beiyun", "reason": "negative"}
    before = REGISTRY.get_sample_value("tiaodu_ingest_rejected_total", labels) or 0.0

    push({"samples": [sample("beijing-gpu", GRID_NOW, queued=-1)]})

    assert REGISTRY.get_sample_value("tiaodu_ingest_rejected_total", labels) == before + 1


def test_a_provider_sees_how_its_own_stands(push, provider_client, grid_time):
    PoolFactory()
    make_pool("silent-gpu", region="CN-HE", provider="beiyun")
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")
    push({"samples": [sample("beijing-gpu", GRID_NOW), sample("wuhan-gpu", GRID_NOW)]})
    grid_time.advance(minutes=2)

    body = provider_client("beiyun").get("/api/v1/provider/status").json()

    assert body["provider"] == "beiyun"
    assert [(pool["pool"], pool["age_s"], pool["quality"]) for pool in body["pools"]] == [
        ("beijing-gpu", 120.0, "good"),
        ("silent-gpu", None, "unknown"),
    ]
    assert body["tally"]["rejected_by_reason"] == {"unknown-pool": 1}


def test_a_person_of_a_provider_sees_the_same_status(client_of, provider, operator):
    PoolFactory()

    own = client_of(provider).get("/api/v1/provider/status")
    refused = client_of(operator).get("/api/v1/provider/status")

    assert own.json()["pools"][0]["pool"] == "beijing-gpu"
    assert refused.status_code == 403
