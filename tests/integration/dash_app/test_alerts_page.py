"""The Alerts page before any script has run: who sees it, and what is in it."""

import json
import re

import pytest

from monitoring import services
from monitoring.models import WebhookTarget
from tests.conftest import GRID_NOW
from tests.factories import make_pool, report, sample

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""


@pytest.fixture
def trouble():
    pool = make_pool("a", region="CN-BJ", provider="beiyun")
    report("beiyun", [sample(pool.code, GRID_NOW, allocated=100.0, queued=30.0)], now=GRID_NOW)
    services.evaluate_alerts(GRID_NOW)
    WebhookTarget.objects.create(
        name="on-call",
        url="https://hooks.example.org/services/secret",
        form="webhook",
        resend_s=60,
        group_interval_s=30,
        salt="s",
        changed_at=GRID_NOW,
        changed_by="grid-admin",
    )


def first_picture(answer):
    found = re.search(r'<script id="al-first"[^>]*>(.*?)</script>', answer.content.decode())
    return json.loads(found[1])


def test_the_first_picture_has_alerts_rules_and_targets(client_of, auditor, trouble):
    answer = client_of(auditor).get("/alerts/", HTTP_ACCEPT_LANGUAGE="en")

    assert answer.status_code == 200
    assert "'nonce-" in answer["Content-Security-Policy"]
    first = first_picture(answer)
    (alert,) = first["open"]
    assert alert["en"] == "CN-BJ is short of 30 GPU (30 queued)"
    assert alert["state"] == "PENDING"
    pending, *others = [rule["state"] for rule in first["rules"]]
    assert pending == "PENDING"
    assert set(others) == {"INACTIVE"}
    assert first["targets"][0]["url"] == "hooks.example.org"
    assert (first["may_edit"], first["may_acknowledge"]) == (False, False)


def test_the_data_is_what_the_page_began_with(client_of, grid_admin, trouble):
    client = client_of(grid_admin)
    first = first_picture(client.get("/alerts/"))

    answer = client.get("/alerts/data.json")

    assert answer.json() == first
    assert answer["Cache-Control"] == "private, no-store"
    assert first["targets"][0]["url"] == "https://hooks.example.org/services/secret"
    assert first["may_edit"] is True


def test_strangers_log_in_and_others_are_refused(client, client_of, outsider, provider):
    assert client.get("/alerts/").status_code == 302
    assert client.get("/alerts/data.json").status_code == 401
    assert client_of(outsider).get("/alerts/").status_code == 403
    # a provider's people have a page of their own
    assert client_of(provider).get("/alerts/")["Location"] == "/providers/"
    for person in (outsider, provider):
        assert client_of(person).get("/alerts/data.json").status_code == 403


def test_the_pages_questions_do_not_grow_with_the_alerts(
    client_of, auditor, trouble, django_assert_max_num_queries
):
    for number in range(5):
        pool = make_pool(f"b{number}", region=f"CN-{number}", provider="beiyun")
        report("beiyun", [sample(pool.code, GRID_NOW, allocated=100.0, queued=9.0)], now=GRID_NOW)
    services.evaluate_alerts(GRID_NOW)
    client = client_of(auditor)

    with django_assert_max_num_queries(16):
        answer = client.get("/alerts/data.json")

    assert len(answer.json()["open"]) == 6
