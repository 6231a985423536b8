"""Plans over HTTP: ETag and If-Match, refusals in words, the same request twice."""

import pytest

from controlplane.auth.roles import Role
from scheduling.models import PlanningRun, RebalancingPlan
from tests.factories import make_person


@pytest.fixture
def plan(grid, grid_time):
    grid_time.set(grid.pools["bj"].state.measured_at)
    return grid.draft()


def url(plan, act=""):
    return f"/api/v1/plans/{plan.pk}{act}"


def test_a_plan_carries_what_a_decision_must_name(plan, as_operator):
    response = as_operator.get(url(plan))

    assert response.headers["ETag"] == f'"{plan.content_hash}"'
    assert response.json()["do_nothing_usd"] == 9.0
    assert [seat["region"] for seat in response.json()["approvals"]] == ["CN-BJ", "CN-NM", None]


def test_a_decision_without_if_match_is_refused(plan, as_operator):
    response = as_operator.post(url(plan, "/propose"))

    assert (response.status_code, response.json()["code"]) == (428, "if-match-missing")


def test_a_decision_on_other_content_is_refused(plan, as_operator):
    response = as_operator.post(url(plan, "/propose"), HTTP_IF_MATCH='"0000"')

    assert (response.status_code, response.json()["code"]) == (412, "plan-changed")
    assert RebalancingPlan.objects.get(pk=plan.pk).state == "DRAFT"


def test_an_unknown_reason_is_named(plan, as_operator):
    response = as_operator.post(
        url(plan, "/reject"),
        {"reason_code": "because"},
        HTTP_IF_MATCH=f'"{plan.content_hash}"',
        format="json",
    )

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "reason_code"


@pytest.mark.parametrize("act", ["propose", "approve", "reject", "cancel"])
def test_nothing_is_decided_by_get_or_by_strangers(plan, as_operator, client, act):
    assert as_operator.get(url(plan, f"/{act}")).status_code == 405
    assert client.post(url(plan, f"/{act}")).status_code in (401, 403)


def test_a_provider_key_never_decides(plan, provider_client):
    response = provider_client("north").post(
        url(plan, "/approve"), HTTP_IF_MATCH=f'"{plan.content_hash}"'
    )

    assert response.status_code == 403


def test_planning_twice_with_one_key_is_one_run(plan, as_operator):
    headers = {"HTTP_IDEMPOTENCY_KEY": "k-1"}

    first = as_operator.post("/api/v1/planning-runs", **headers)
    second = as_operator.post("/api/v1/planning-runs", **headers)

    assert (first.status_code, second.json()["id"]) == (201, first.json()["id"])
    assert PlanningRun.objects.filter(request_key__isnull=False).count() == 1


def test_an_unknown_state_is_named(plan, as_operator):
    response = as_operator.get("/api/v1/plans?state=SLEEPING")

    assert (response.status_code, response.json()["field"]) == (400, "state")


def test_an_auditor_sees_plans_but_decides_nothing(plan, client_of):
    auditor = client_of(make_person("auditor-1", Role.AUDITOR))

    assert auditor.get(url(plan)).status_code == 200
    for act in ("propose", "approve", "cancel"):
        response = auditor.post(url(plan, f"/{act}"), HTTP_IF_MATCH=f'"{plan.content_hash}"')
        assert response.status_code in (403, 409)
    assert RebalancingPlan.objects.get(pk=plan.pk).state == "DRAFT"
