"""How alert rules are changed by two people, and how targets are set, over HTTP."""

import pytest
from django.db import IntegrityError, transaction

from controlplane.auth.models import AuditEntry
from controlplane.auth.roles import Role
from monitoring import services
from monitoring.models import AlertRule, AlertRuleChange, WebhookTarget
from tests.conftest import GRID_NOW
from tests.factories import make_person, make_pool, report, sample

pytestmark = pytest.mark.django_db
RULES, CHANGES, HOOKS = "/api/v1/alert-rules", "/api/v1/alert-rule-changes", "/api/v1/webhooks"
HOT = {
    "name": "POOL_HOT",
    "metric": "utilization",
    "level": "pool",
    "comparison": ">",
    "threshold": 0.8,
    "annotations": {"summary_en": "{name} is hot", "summary_zh": "{name} 过热"},
}


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    services.keep_default_rules(GRID_NOW)


@pytest.fixture
def admin(client_of, grid_admin):
    return client_of(grid_admin)


@pytest.fixture
def admin2(client_of):
    return client_of(make_person("grid-admin-2", Role.GRID_ADMIN))


def post(client, url, body=None, **headers):
    return client.post(url, body or {}, format="json", **headers)


def put(client, url, body, version):
    return client.put(url, body, format="json", HTTP_IF_MATCH=f'"{version}"')


def test_the_rules_are_listed_with_how_they_stand(client_of, auditor):
    pool = make_pool("a", region="CN-BJ", provider="beiyun")
    report("beiyun", [sample(pool.code, GRID_NOW, allocated=100.0, queued=30.0)], now=GRID_NOW)
    services.evaluate_alerts(GRID_NOW)

    rules = {rule["name"]: rule for rule in client_of(auditor).get(RULES).json()["rules"]}

    assert set(rules) == {
        "CAPACITY_SHORTAGE",
        "FORECAST_SHORTAGE",
        "PROVIDER_CLOCK_OFF",
        "PROVIDER_SILENT",
        "READINGS_SUSPECT",
        "WATCHDOG",
    }
    shortage = rules["CAPACITY_SHORTAGE"]
    assert (shortage["state"], shortage["pending"], shortage["firing"]) == ("PENDING", 1, 0)
    assert shortage["evaluated_at"] == "2023-05-26T00:12:00Z"
    assert rules["PROVIDER_SILENT"]["state"] == "INACTIVE"
    assert rules["WATCHDOG"]["evaluated_at"] is None


def test_a_new_rule_holds_when_a_second_admin_has_confirmed_it(admin, admin2):
    change = post(admin, RULES, HOT)
    before = AlertRule.objects.filter(name="POOL_HOT").count()

    answer = post(admin2, f"{CHANGES}/{change.json()['id']}/confirm")

    assert (change.status_code, change.json()["state"], before) == (202, "PROPOSED", 0)
    assert (answer.status_code, answer.json()["state"]) == (200, "APPLIED")
    assert admin.get(f"{RULES}/POOL_HOT").json()["threshold"] == 0.8
    pool = make_pool("a", region="CN-BJ", provider="beiyun")
    report("beiyun", [sample(pool.code, GRID_NOW, allocated=90.0)], now=GRID_NOW)
    services.evaluate_alerts(GRID_NOW)
    (alert,) = admin.get("/api/v1/alerts").json()["alerts"]
    assert alert["annotations"] == {"summary_en": "a is hot", "summary_zh": "a 过热"}
    actions = list(AuditEntry.objects.order_by("sequence").values_list("action", "actor"))
    assert actions == [
        ("propose-alert-rule", "grid-admin"),
        ("confirm-alert-rule", "grid-admin-2"),
    ]


def test_nobody_confirms_what_is_their_own(admin):
    change = post(admin, RULES, HOT).json()

    answer = post(admin, f"{CHANGES}/{change['id']}/confirm")

    assert (answer.status_code, answer.json()["code"]) == (409, "alert-rule-change-not-decidable")
    assert not AlertRule.objects.filter(name="POOL_HOT").exists()


def test_the_database_refuses_one_person_in_both_parts(admin):
    post(admin, RULES, HOT)
    change = AlertRuleChange.objects.get()
    change.state, change.decided_by = "APPLIED", change.proposed_by

    with pytest.raises(IntegrityError), transaction.atomic():
        change.save()


def test_a_change_names_the_version_that_was_looked_at(admin, admin2):
    address = f"{RULES}/CAPACITY_SHORTAGE"
    seen = admin.get(address)
    wanted = {
        name: seen.json()[name]
        for name in ("metric", "level", "comparison", "critical_threshold", "annotations")
    } | {"threshold": 0.1, "for_s": 60}

    missing = admin.put(address, wanted, format="json")
    stale = put(admin, address, wanted, 7)
    change = put(admin, address, wanted, seen["ETag"].strip('"'))
    second = put(admin, address, wanted, 1)
    post(admin2, f"{CHANGES}/{change.json()['id']}/confirm")

    assert (missing.status_code, stale.status_code) == (428, 412)
    assert change.status_code == 202
    assert (second.status_code, second.json()["code"]) == (412, "alert-rule-changed")
    after = admin.get(address)
    assert (after["ETag"], after.json()["threshold"], after.json()["for_s"]) == ('"2"', 0.1, 60.0)
    assert after.json()["changed_by"] == "grid-admin"


def test_what_was_proposed_from_an_older_version_is_not_confirmed(admin, admin2):
    change = post(admin, RULES, HOT).json()
    AlertRule.objects.filter(name="WATCHDOG").update(name="POOL_HOT", version=4)

    answer = post(admin2, f"{CHANGES}/{change['id']}/confirm")

    assert answer.status_code == 409
    assert "version 4" in answer.json()["detail"]


def test_a_proposal_is_turned_down_once_with_a_reason(admin, admin2):
    change = post(admin, RULES, HOT).json()
    address = f"{CHANGES}/{change['id']}"

    rejected = post(admin2, f"{address}/reject", {"comment": "too nervous"})
    again = post(admin, f"{address}/reject")
    late = post(admin2, f"{address}/confirm")

    assert (rejected.status_code, rejected.json()["comment"]) == (200, "too nervous")
    assert (again.status_code, late.status_code) == (409, 409)
    (listed,) = admin.get(CHANGES).json()["changes"]
    assert (listed["state"], listed["decided_by"]) == ("REJECTED", "grid-admin-2")
    assert post(admin, RULES, HOT).status_code == 202


def test_the_same_request_again_proposes_nothing_new(admin):
    first = post(admin, RULES, HOT, HTTP_IDEMPOTENCY_KEY="k1")
    again = post(admin, RULES, HOT, HTTP_IDEMPOTENCY_KEY="k1")

    assert first.json() == again.json()
    assert AlertRuleChange.objects.count() == 1


@pytest.mark.parametrize(
    "body", [{}, [], "x", {**HOT, "metric": "up"}, {**HOT, "labels": {"pool": "x"}}]
)
def test_a_rule_that_cannot_be_followed_is_a_400(admin, body):
    answer = admin.post(RULES, body, format="json")

    assert answer.status_code == 400
    assert AlertRuleChange.objects.count() == 0


def test_a_rule_that_is_not_there_is_a_404(admin):
    assert admin.get(f"{RULES}/NO_SUCH").status_code == 404
    assert put(admin, f"{RULES}/NO_SUCH", HOT, 3).status_code == 404
    assert post(admin, f"{CHANGES}/77/confirm").status_code == 404


@pytest.mark.parametrize("person", ["operator", "auditor"])
def test_others_read_and_change_nothing(request, client_of, admin, person, receiver):
    change = post(admin, RULES, HOT).json()
    hook = post(admin, HOOKS, {"name": "hook", "url": receiver.url}).json()
    client = client_of(request.getfixturevalue(person))

    reads = [client.get(url).status_code for url in (RULES, CHANGES, HOOKS)]
    writes = [
        post(client, RULES, HOT),
        put(client, f"{RULES}/WATCHDOG", HOT, 1),
        post(client, f"{CHANGES}/{change['id']}/confirm"),
        post(client, f"{CHANGES}/{change['id']}/reject"),
        post(client, HOOKS, {"name": "x", "url": receiver.url}),
        put(client, f"{HOOKS}/{hook['id']}", {"name": "x", "url": receiver.url}, 1),
        client.delete(f"{HOOKS}/{hook['id']}"),
    ]

    assert reads == [200, 200, 200]
    assert {answer.status_code for answer in writes} == {403}


def test_providers_and_outsiders_see_none_of_it(client_of, provider, outsider, provider_client):
    clients = [client_of(provider), client_of(outsider), provider_client("beiyun")]

    answers = {client.get(url).status_code for client in clients for url in (RULES, HOOKS)}

    assert answers == {403}


def test_a_webhook_is_added_changed_and_removed(admin, receiver):
    created = post(admin, HOOKS, {"name": "hook", "url": receiver.url})
    address = f"{HOOKS}/{created.json()['id']}"
    secret = created.json()["secret"]

    changed = put(
        admin,
        address,
        {"name": "hook", "url": receiver.url, "match": {"severity": ["critical"]}},
        1,
    )
    stale = put(admin, address, {"name": "hook", "url": receiver.url}, 1)
    shown = admin.get(address)
    removed = admin.delete(address)

    assert (created.status_code, created["ETag"]) == (201, '"1"')
    assert secret.startswith("whsec_")
    assert (changed.status_code, changed.json()["match"]) == (200, {"severity": ["critical"]})
    assert stale.status_code == 412
    assert "secret" not in shown.json()
    assert (removed.status_code, admin.get(address).status_code) == (204, 404)


def test_a_webhook_added_twice_with_one_key_is_one(admin, receiver):
    body = {"name": "hook", "url": receiver.url}

    first = post(admin, HOOKS, body, HTTP_IDEMPOTENCY_KEY="k1")
    again = post(admin, HOOKS, body, HTTP_IDEMPOTENCY_KEY="k1")
    other = post(admin, HOOKS, body)

    assert first.json()["id"] == again.json()["id"]
    assert first.json()["secret"] == again.json()["secret"]
    assert (other.status_code, other.json()["code"]) == (409, "webhook-name-taken")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6379/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
    ],
)
def test_a_webhook_to_the_inside_is_a_400(admin, url):
    answer = post(admin, HOOKS, {"name": "hook", "url": url})

    assert (answer.status_code, answer.json()["code"]) == (400, "target-refused")
    assert WebhookTarget.objects.count() == 0
