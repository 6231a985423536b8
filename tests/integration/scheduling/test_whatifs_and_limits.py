"""What-ifs and limits through the API, on a real database and the real planner."""

import datetime as dt

import pytest

from controlplane.auth.models import AuditEntry
from controlplane.auth.roles import Role
from monitoring.models import PoolHour
from scheduling.models import CarbonCapRow, MaintenanceWindow, RebalancingPlan, WhatIf
from scheduling.selectors.situation import situation
from scheduling.services import whatifs
from tests.factories import make_person

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def now(grid, grid_time, calm):
    """The moment of the small grid, with a forecast of eight units of demand everywhere."""
    moment = grid.pools["bj"].state.measured_at
    grid_time.set(moment)
    return moment


@pytest.fixture
def waiting(grid):
    return [grid.workload(number, units=8, hours=4.0) for number in range(4)]


def ask(client, **body):
    return client.post("/api/v1/what-ifs", {"name": "test", **body}, format="json")


def answered(client, now, **body):
    asked = ask(client, **body)
    whatifs.answer_waiting(now)
    return client.get(asked.headers["Location"]).json()


def set_maintenance(client, now, **changes):
    body = {
        "site": "nm",
        "starts_at": (now + HOUR).isoformat(),
        "ends_at": (now + 3 * HOUR).isoformat(),
        "reason": "new transformers",
    }
    return client.post("/api/v1/planning/maintenance", body | changes, format="json")


def test_a_closed_site_sends_its_guests_elsewhere_and_nothing_can_be_dispatched(
    now, waiting, as_operator
):
    body = answered(as_operator, now, edits=[{"kind": "close", "site": "nm"}])

    there = {move["destination_pool"] for move in body["present"]["moves"]}
    instead = {move["destination_pool"] for move in body["altered"]["moves"]}
    assert body["state"] == "DONE"
    assert there
    assert "nm-gpu" not in instead
    assert body["altered"]["objective_usd"] >= body["present"]["objective_usd"] - 1e-6
    assert not RebalancingPlan.objects.exists()


def test_without_edits_both_plans_are_the_same(now, waiting, as_operator):
    body = answered(as_operator, now)

    assert body["present"]["moves"]
    assert body["present"] == body["altered"]
    assert body["difference"]["objective_usd"] == 0.0
    assert body["difference"]["only_present"] == body["difference"]["only_altered"] == []


def test_a_loosened_rule_lets_restricted_work_move(grid, now, as_operator):
    grid.workload(1, units=8, data_class="restricted")

    body = answered(
        as_operator, now, edits=[{"kind": "rule", "rule": "S3", "reach": "JURISDICTION"}]
    )

    assert body["present"]["moves"] == []
    assert [move["jobs"] for move in body["altered"]["moves"]] == [1]


def test_a_question_that_cannot_be_answered_says_why(now, waiting, as_operator):
    body = answered(as_operator, now, edits=[{"kind": "capacity", "pool": "mars", "factor": 2}])

    assert body["state"] == "FAILED"
    assert body["failure"]["field"] == "edits[0].pool"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"edits": [{"kind": "carbon", "factor": -1}]}, "edits[0].factor"),
        ({"luck": 1}, "luck"),
        ({"name": "a\u0000b"}, "name"),
    ],
)
def test_a_bad_question_is_refused_by_field(now, as_operator, body, field):
    response = ask(as_operator, **body)

    assert response.status_code == 400
    assert response.json()["field"] == field
    assert not WhatIf.objects.exists()


def test_the_same_request_twice_is_one_question(now, as_operator):
    headers = {"HTTP_IDEMPOTENCY_KEY": "once", "format": "json"}

    first = as_operator.post("/api/v1/what-ifs", {"name": "a"}, **headers)
    second = as_operator.post("/api/v1/what-ifs", {"name": "a"}, **headers)

    assert first.json()["id"] == second.json()["id"]
    assert AuditEntry.objects.filter(action="ask-what-if").count() == 1


def test_questions_do_not_pile_up_without_end(now, as_operator):
    statuses = [ask(as_operator).status_code for _ in range(whatifs.MOST_WAITING + 1)]

    assert statuses[-2:] == [202, 429]


def test_a_provider_may_not_ask(now, client_of):
    response = ask(client_of(make_person("p-1", Role.PROVIDER, provider="north")))

    assert response.status_code == 403


def test_plans_keep_out_of_maintenance(now, waiting, as_operator):
    made = set_maintenance(as_operator, now, starts_at=now.isoformat())

    closed = situation(now, slots=4, risk_quantile=0.9).problem.closed
    assert made.status_code == 201
    assert closed.tolist() == [[0] * 4, [0] * 4, [1, 1, 1, 0]]


@pytest.mark.parametrize(
    ("role", "region", "provider", "expected"),
    [
        (Role.OPERATOR, None, None, 201),
        (Role.REGIONAL_ADMIN, "CN-NM", None, 201),
        (Role.REGIONAL_ADMIN, "CN-BJ", None, 403),
        (Role.PROVIDER, None, "north", 201),
        (Role.AUDITOR, None, None, 403),
    ],
)
def test_who_may_close_a_site(now, client_of, role, region, provider, expected):
    person = make_person("x", role, region=region or "", provider=provider or "")

    assert set_maintenance(client_of(person), now).status_code == expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pool": "nm-gpu"}, "pool"),
        ({"site": None}, "pool"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(now, as_operator, changes, field):
    response = set_maintenance(as_operator, now, **changes)

    assert (response.status_code, response.json()["field"]) == (400, field)
    assert not MaintenanceWindow.objects.exists()


def test_a_limit_is_edited_only_as_it_was_seen(now, as_operator):
    made = set_maintenance(as_operator, now).json()
    path = f"/api/v1/planning/maintenance/{made['id']}"
    body = {key: made[key] for key in ("site", "starts_at", "ends_at")} | {"reason": "later"}

    blind = as_operator.put(path, body, format="json")
    good = as_operator.put(path, body, format="json", HTTP_IF_MATCH='"1"')
    stale = as_operator.delete(path, HTTP_IF_MATCH='"1"')
    gone = as_operator.delete(path, HTTP_IF_MATCH=good.headers["ETag"])

    assert [blind.status_code, good.status_code, stale.status_code] == [428, 200, 412]
    assert gone.status_code == 204
    actions = AuditEntry.objects.order_by("sequence").values_list("action", flat=True)
    assert [action for action in actions if "maintenance" in action] == [
        "set-maintenance-window",
        "change-maintenance-window",
        "remove-maintenance-window",
    ]


def test_quotas_hold_back_a_tenant_and_count_what_runs(grid, now, waiting, as_grid_admin):
    grid.workload(9, pool="gz", units=8, state="RUNNING")
    body = {"name": "t", "nominal_units": 24, "borrowing_units": 0}

    made = as_grid_admin.post("/api/v1/planning/quotas", body, format="json")
    seen = situation(now, slots=4, risk_quantile=0.9).problem

    assert made.status_code == 201
    assert [(quota.name, quota.in_use_units) for quota in seen.quotas] == [("t", 8.0)]
    assert {group.tenant for group in seen.groups} == {"t"}


def test_a_quota_cannot_stand_above_itself(now, as_grid_admin):
    url = "/api/v1/planning/quotas"
    as_grid_admin.post(url, {"name": "a", "nominal_units": 1}, format="json")
    b = as_grid_admin.post(url, {"name": "b", "parent": "a", "nominal_units": 1}, format="json")
    a = as_grid_admin.get(url).json()["items"][0]

    response = as_grid_admin.put(
        f"{url}/{a['id']}",
        {"name": "a", "parent": "b", "nominal_units": 1},
        format="json",
        HTTP_IF_MATCH='"1"',
    )

    assert b.status_code == 201
    assert (response.status_code, response.json()["field"]) == (400, "parent")


def test_a_carbon_cap_counts_what_runs_already(grid, now, client_of):
    admin = client_of(make_person("nm-1", Role.REGIONAL_ADMIN, region="CN-NM"))
    url = "/api/v1/planning/carbon-caps"

    made = admin.post(url, {"region": "CN-NM", "most_kg_per_day": 100.0}, format="json")
    twice = admin.post(url, {"region": "CN-NM", "most_kg_per_day": 1.0}, format="json")
    elsewhere = admin.post(url, {"region": "CN-BJ", "most_kg_per_day": 1.0}, format="json")
    caps = situation(now, slots=4, risk_quantile=0.9).problem.carbon_caps

    assert [made.status_code, twice.status_code, elsewhere.status_code] == [201, 409, 403]
    assert CarbonCapRow.objects.count() == 1
    assert [cap.region for cap in caps] == ["CN-NM"]
    assert 0.0 <= caps[0].most_kg <= 100.0


def test_a_what_if_says_what_each_rule_costs(grid, now, as_operator):
    grid.workload(1, units=8, data_class="restricted")
    grid.workload(2, units=8, data_class="restricted")

    body = answered(as_operator, now, rule_costs=True)

    costs = {cost["name"]: cost for cost in body["altered"]["rule_costs"]}
    assert set(costs) == {"S3"}
    assert costs["S3"]["usd_per_day"] > 0
    assert "S3" in costs["S3"]["en"]
    assert "S3" in costs["S3"]["zh"]
    assert body["present"]["rule_costs"] is None


def test_the_stated_risk_is_compared_with_what_came(grid, now, as_operator, monkeypatch):
    run = grid.draft().run
    earlier = now - 5 * HOUR
    type(run).objects.filter(pk=run.pk).update(as_of=earlier)
    hours = [earlier + slot * HOUR for slot in range(5)]
    # one hour of four above the promised eight units
    PoolHour.objects.bulk_create(
        PoolHour(
            pool=grid.pools["nm"],
            hour_at=hour,
            samples=1,
            good_samples=1,
            capacity_sum=64,
            allocated_sum=12 if slot == 2 else 4,
            queued_sum=0,
            demand_max=12,
            power_kw_sum=0,
            power_samples=0,
            price_sum=0,
            price_samples=0,
            carbon_sum=0,
            carbon_samples=0,
        )
        for slot, hour in enumerate(hours)
    )

    level = as_operator.get("/api/v1/planning/risk?days=1").json()["levels"][0]
    wrong = as_operator.get("/api/v1/planning/risk?days=0")

    assert (level["risk_quantile"], level["promises"], level["breach_share"]) == (0.9, 4, 0.25)
    assert level["unknown"] == 8
    assert (wrong.status_code, wrong.json()["field"]) == (400, "days")
