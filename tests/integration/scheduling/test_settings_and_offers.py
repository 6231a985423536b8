"""Accelerators, speeds, fair shares and the search for a place, through the API."""

import pytest

from controlplane.auth.models import AuditEntry
from controlplane.auth.roles import Role
from scheduling.models import FairShareRow, Move, PlanningRun, SpeedRow
from scheduling.selectors.situation import situation
from scheduling.services import planning
from tests.factories import make_person


@pytest.fixture
def now(grid, grid_time, calm):
    moment = grid.pools["bj"].state.measured_at
    grid_time.set(moment)
    return moment


BODIES = {
    "accelerators": {"pool": "nm-gpu", "accelerator": "v100"},
    "speeds": {"requirement": "a100", "accelerator": "v100", "factor": 0.5},
    "fair-shares": {"tenant": "t", "weight": 2.0},
}


def put_in_place(client, name, **changes):
    return client.post(f"/api/v1/planning/{name}", BODIES[name] | changes, format="json")


@pytest.mark.parametrize("name", BODIES)
def test_a_grid_admin_sets_changes_and_removes_and_the_audit_remembers(now, as_grid_admin, name):
    made = put_in_place(as_grid_admin, name)
    address = f"/api/v1/planning/{name}/{made.json()['id']}"

    blind = as_grid_admin.put(address, BODIES[name], format="json")
    changed = as_grid_admin.put(
        address, BODIES[name], format="json", headers={"If-Match": made.headers["ETag"]}
    )
    late = as_grid_admin.delete(address, headers={"If-Match": made.headers["ETag"]})
    gone = as_grid_admin.delete(address, headers={"If-Match": changed.headers["ETag"]})

    assert [r.status_code for r in (made, blind, changed, late, gone)] == [201, 428, 200, 412, 204]
    verbs = AuditEntry.objects.filter(actor="ga-1").values_list("action", flat=True)
    assert [verb.split("-")[0] for verb in verbs] == ["set", "change", "remove"]


@pytest.mark.parametrize("name", BODIES)
def test_nobody_else_sets_them(now, as_operator, name):
    assert put_in_place(as_operator, name).status_code == 403


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("accelerators", {"pool": "no-such"}, "pool"),
        ("speeds", {"factor": 0.001}, "factor"),
        ("speeds", {"factor": 1000}, "factor"),
        ("fair-shares", {"weight": 0}, "weight"),
        ("fair-shares", {"region": "CN-BJ"}, "tenant"),
        ("fair-shares", {"tenant": ""}, "tenant"),
    ],
)
def test_what_is_wrong_is_named(now, as_grid_admin, name, changes, field):
    response = put_in_place(as_grid_admin, name, **changes)

    assert response.status_code in (400, 422)
    assert field in response.content.decode()


def test_the_same_twice_is_a_conflict(now, as_grid_admin):
    put_in_place(as_grid_admin, "speeds")

    assert put_in_place(as_grid_admin, "speeds").status_code == 409


def waiting_for(grid, requirement):
    for number in range(3):
        work = grid.workload(number, units=8, hours=4.0)
        work.requirement = requirement
        work.save()


def moved_to(now):
    run = planning.plan_now(now, actor="test")
    assert run.violations == []
    return {move.destination_pool.code for move in Move.objects.filter(plan__run=run)}


def test_work_goes_only_to_accelerators_that_run_it(now, grid, as_grid_admin):
    waiting_for(grid, "a100")
    put_in_place(as_grid_admin, "accelerators", pool="gz-gpu", accelerator="a100")
    put_in_place(as_grid_admin, "speeds", accelerator="a100", factor=1.0)

    assert moved_to(now) == {"gz-gpu"}


def test_slower_accelerators_take_longer_and_the_order_says_so(now, grid, as_grid_admin):
    waiting_for(grid, "a100")
    for pool, kind in (("bj-gpu", "a100"), ("nm-gpu", "v100"), ("gz-gpu", "v100")):
        put_in_place(as_grid_admin, "accelerators", pool=pool, accelerator=kind)
    for kind, factor in (("a100", 1.0), ("v100", 0.5)):
        put_in_place(as_grid_admin, "speeds", accelerator=kind, factor=factor)

    problem = situation(now, slots=24, risk_quantile=0.9).problem

    kinds = {pool.code: pool.kind for pool in problem.pools}
    assert kinds == {"bj-gpu": "a100", "nm-gpu": "v100", "gz-gpu": "v100"}
    speeds = dict(zip(kinds, problem.speed["a100"], strict=True))
    assert speeds == {"bj-gpu": 1.0, "gz-gpu": 0.5, "nm-gpu": 0.5}


def test_hours_asked_for_on_a_slow_home_are_fewer_elsewhere(now, grid, as_grid_admin):
    waiting_for(grid, "a100")
    put_in_place(as_grid_admin, "accelerators", pool="bj-gpu", accelerator="v100")
    put_in_place(as_grid_admin, "accelerators", pool="nm-gpu", accelerator="a100")
    for kind, factor in (("a100", 1.0), ("v100", 0.5)):
        put_in_place(as_grid_admin, "speeds", accelerator=kind, factor=factor)

    run = planning.plan_now(now, actor="test")

    [group] = situation(now, slots=24, risk_quantile=0.9).problem.groups
    assert group.duration_h == 2.0
    hours = {m.requested_duration_s / 3600 for m in Move.objects.filter(plan__run=run)}
    assert hours == {4.0}


def test_without_weights_nobody_is_owed_anything(now, grid):
    waiting_for(grid, "")

    assert situation(now, slots=24, risk_quantile=0.9).problem.fair_unit_h == {}


def test_a_weighted_tenant_is_told_apart_and_owed_its_share(now, grid, as_grid_admin):
    waiting_for(grid, "")
    other = grid.workload(9, units=8, hours=4.0)
    other.tenant = "someone"
    other.save()
    put_in_place(as_grid_admin, "fair-shares")

    problem = situation(now, slots=24, risk_quantile=0.9).problem

    assert {group.tenant for group in problem.groups} == {"t", ""}
    assert problem.fair_unit_h == {"": 32.0, "t": 96.0}


def test_a_plan_says_how_fair_it_is(now, grid):
    FairShareRow.objects.create(tenant="t", weight=1.0, author="x", changed_at=now)
    waiting_for(grid, "")

    fairness = planning.plan_now(now, actor="test").statistics["fairness"]

    assert fairness["tenants"]["owed_unit_h"] == {"t": 96.0}
    assert 0 < fairness["tenants"]["index"] <= 1
    assert set(fairness["regions"]["served_unit_h"]) == {"CN-BJ"}


def test_past_fairness_is_measured_by_what_waited_and_what_ran(now, grid, as_operator):
    grid.workload(0, state="RUNNING")
    grid.workload(1, state="QUEUED")

    told = as_operator.get("/api/v1/planning/fairness?days=1").json()

    assert told["tenants"]["index"] == 1.0
    assert told["tenants"]["served_unit_h"] == {"t": 8.0}
    assert as_operator.get("/api/v1/planning/fairness?days=99").status_code == 400


def ask(client, **body):
    need = {"units": 8, "requested_duration_s": 7200, "data_region": "CN-BJ"}
    return client.post("/api/v1/placements/search", need | body, format="json")


def test_people_find_the_cheapest_place_and_why_others_are_none(now, as_operator):
    SpeedRow.objects.create(
        requirement="a100", accelerator="a100", factor=1.0, author="x", changed_at=now
    )

    found = ask(as_operator).json()
    none = ask(as_operator, requirement="a100").json()
    stay = ask(as_operator, data_class="restricted").json()

    assert {offer["pool"] for offer in found["offers"]} == {"bj-gpu", "nm-gpu", "gz-gpu"}
    costs = [offer["total_usd"] for offer in found["offers"]]
    assert costs == sorted(costs)
    assert {row["code"] for row in none["refused"]} == {"WRONG_ACCELERATOR"}
    assert [offer["pool"] for offer in stay["offers"]] == ["bj-gpu"]
    assert {row["code"] for row in stay["refused"]} == {"RULE_FORBIDS"}


@pytest.mark.parametrize(
    "wrong",
    [{"units": 0}, {"requested_duration_s": -1}, {"data_class": "x"}, {"data_region": "XX"}],
)
def test_a_search_that_makes_no_sense_is_refused(now, as_operator, wrong):
    assert ask(as_operator, **wrong).status_code == 400


def test_a_provider_cannot_look_over_the_whole_grid(now, client_of):
    client = client_of(make_person("pr-1", Role.PROVIDER, provider="north"))

    assert ask(client).status_code == 403


def test_only_the_newest_run_keeps_its_memory(now, grid):
    waiting_for(grid, "")
    first = planning.plan_now(now, actor="test")
    PlanningRun.objects.filter(pk=first.pk).update(memory=b"nonsense")

    again = planning.plan_now(now, actor="test")

    assert again.status == first.status
    assert PlanningRun.objects.filter(memory__isnull=False).exclude(pk=again.pk).count() == 0
