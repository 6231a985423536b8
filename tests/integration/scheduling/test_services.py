"""Services: announced by their provider, planned hour by hour, served elsewhere by replicas."""

import datetime as dt

import pytest

from controlplane.auth.roles import Role
from controlplane.lib import clock
from scheduling.domain.lifecycle import MovedWork, PassageState
from scheduling.models import DispatchCommand, Link, Move, Passage, Service, Workload
from scheduling.selectors.situation import situation
from scheduling.services import commands, dispatching, planning
from scheduling.services.workloads import announce_services
from tests.factories import make_person
from tests.outside import TOKEN, outside, pool

HOUR = dt.timedelta(hours=1)


def item(**changes):
    users = {"region": "CN-BJ", "units": [4] * 12 + [6] * 12, "latency_bound_ms": 30}
    values = {
        "external_id": "chat",
        "pool": "bj-gpu",
        "tenant": "t",
        "data_class": "open",
        "users": [users],
        "spec": {"program": "chat"},
        "state": "RUNNING",
    }
    return {**values, **changes}


def announce(*items, now, provider="north"):
    return announce_services(items, provider_code=provider, now=now)


@pytest.fixture
def now(grid, grid_time, calm, power_at_home):
    """A calm moment: 8 units of demand everywhere, dear power at home, near and far regions."""
    moment = grid.pools["bj"].state.measured_at
    grid_time.set(moment)
    grid.state("bj", allocated=8.0)
    power_at_home(1.0)
    for source, destination, rtt_ms in (("CN-BJ", "CN-NM", 12.0), ("CN-BJ", "CN-GZ", 45.0)):
        Link.objects.create(
            source_region=source,
            destination_region=destination,
            egress_usd_per_gb=0.02,
            gbps=5.0,
            rtt_ms=rtt_ms,
            basis="test",
        )
    return moment


def test_the_same_announcement_twice_is_one_service_and_demand_may_change(now):
    first, second = announce(item(), now=now), announce(item(), now=now)
    louder = item(users=[{"region": "CN-BJ", "units": [9] * 24, "latency_bound_ms": 30}])
    third = announce(louder, now=now)

    assert (first.accepted, second.unchanged, third.accepted) == (1, 1, 1)
    assert Service.objects.get().users[0]["units"] == [9.0] * 24


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"external_id": "a/b"}, "external_id"),
        ({"pool": "not-mine"}, "pool"),
        ({"users": []}, "users"),
        (
            {"users": [{"region": "XX", "units": [1] * 24, "latency_bound_ms": 9}]},
            "users[0].region",
        ),
        ({"users": [{"region": "CN-BJ", "units": [1], "latency_bound_ms": 9}]}, "users[0].units"),
        (
            {"users": [{"region": "CN-BJ", "units": [-1] * 24, "latency_bound_ms": 9}]},
            "users[0].units",
        ),
        (
            {"users": [{"region": "CN-BJ", "units": [1] * 24}]},
            "users[0].latency_bound_ms",
        ),
        ({"state": "QUEUED"}, "state"),
        ({"data_class": "secret"}, "data_class"),
    ],
)
def test_what_is_wrong_with_a_service_is_named(now, changes, field):
    report = announce(item(**changes), now=now)

    assert [error.field for error in report.errors] == [field]
    assert not Service.objects.exists()


def test_what_users_ask_for_becomes_one_group_per_hour_of_the_day(now):
    announce(item(), now=now)

    problem = situation(now, slots=24, risk_quantile=0.9).problem

    jobs = {group.first_start: group.jobs for group in problem.groups if group.service}
    assert jobs == {slot: 4 if slot < 12 else 6 for slot in range(24)}
    assert {group.key.split("@")[0] for group in problem.groups} == {"north/chat/CN-BJ"}


def test_what_serves_users_at_home_is_not_counted_twice(now):
    before = situation(now, slots=24, risk_quantile=0.9).problem
    announce(item(), now=now)

    after = situation(now, slots=24, risk_quantile=0.9).problem

    home = [p.code for p in after.pools].index("bj-gpu")
    assert (after.home_available[home] - before.home_available[home]).tolist() == [
        *[4.0] * 12,
        *[6.0] * 12,
    ]


def test_users_are_served_where_power_is_cheap_and_never_beyond_their_bound(now):
    announce(item(), now=now)

    run = planning.plan_now(now, actor="test")

    moves = Move.objects.filter(plan__run=run)
    [told] = run.statistics["services"]
    assert run.violations == []
    assert {move.destination_pool.code for move in moves} == {"nm-gpu"}
    assert {move.work for move in moves} == {MovedWork.SERVICE}
    assert told["asked_unit_h"] == 4 * 12 + 6 * 12
    assert sum(told["away_unit_h"].values()) == sum(
        m.units_per_job * m.requested_duration_s / 3600 for m in moves
    )


def test_where_everything_is_too_far_users_stay_at_home(now):
    near = item(users=[{"region": "CN-BJ", "units": [4] * 24, "latency_bound_ms": 5}])
    announce(near, now=now)

    run = planning.plan_now(now, actor="test")

    assert not Move.objects.filter(plan__run=run).exists()
    assert run.statistics["services"][0]["home_unit_h"] == 4 * 24


def test_savings_of_the_plans_add_up_with_services_in_them(now, grid):
    announce(item(), now=now)
    for number in range(3):
        grid.workload(number, units=8, hours=4.0)

    run = planning.plan_now(now, actor="test")

    whole = run.do_nothing_usd - run.objective_usd
    parts = sum(plan.saving_usd for plan in run.plans.all())
    assert parts <= whole + 1e-6
    assert parts == pytest.approx(whole, rel=0.05)


@pytest.fixture
def engines(grid, now, tmp_path, settings):
    settings.ENGINE_TOKEN = TOKEN
    pools = {
        "bj-gpu": (pool("bj-gpu", 64, native=8), []),
        "nm-gpu": (pool("nm-gpu", 64, native=8), []),
        "gz-gpu": (pool("gz-gpu", 64, native=8), []),
    }
    with outside(tmp_path, pools) as world:
        for row in grid.pools.values():
            row.engine_url = world.url
            row.save()
        yield world


@pytest.fixture
def served_away(engines, now, approved):
    """An approved plan that serves users in `nm`, begun."""
    announce(item(), now=now)
    plan = planning.plan_now(now, actor="test").plans.get()
    approved(plan, now=now)
    turn(now)
    return plan


def turn(now):
    DispatchCommand.objects.update(due_wall_at=clock.wall_now() - HOUR)
    dispatching.start_plans(now)
    dispatching.start_moves(now)
    for _ in range(3):
        commands.sweep(now)
    commands.track(now)
    dispatching.close_moves(now)


def test_an_approved_replica_holds_units_until_the_end_of_its_hours(served_away, engines, now):
    first = Move.objects.filter(plan=served_away, window_start=now).first()
    [key] = DispatchCommand.objects.filter(passage__move=first).values_list("key", flat=True)

    [replica] = engines.engine.jobs("nm-gpu", [key])
    engines.advance((first.window_end - now) / HOUR + 0.1)
    commands.track(engines.now)

    assert (replica.units, replica.state.value) == (first.units_per_job, "RUNNING")
    assert replica.requested_duration_s == (first.window_end - now).total_seconds()
    assert Passage.objects.get(move=first).state == PassageState.FINISHED


def test_nothing_is_withdrawn_at_home_for_a_service(served_away):
    kinds = set(DispatchCommand.objects.values_list("kind", flat=True))

    assert kinds == {"SUBMIT"}


def test_what_a_replica_serves_is_not_planned_again(served_away, now):
    problem = situation(now, slots=24, risk_quantile=0.9).problem

    replicas = {}
    for move in Move.objects.filter(plan=served_away):
        first = round((move.window_start - now) / HOUR)
        for slot in range(first, first + round(move.requested_duration_s / 3600)):
            replicas[slot] = replicas.get(slot, 0) + move.units_per_job
    asked = {slot: 4 if slot < 12 else 6 for slot in range(24)}
    left = {group.first_start: group.jobs for group in problem.groups if group.service}
    assert left == {
        slot: asked[slot] - replicas.get(slot, 0)
        for slot in range(24)
        if asked[slot] > replicas.get(slot, 0)
    }


def test_a_refused_replica_leaves_the_service_at_home(engines, now, approved, grid):
    announce(item(), now=now)
    plan = planning.plan_now(now, actor="test").plans.get()
    approved(plan, now=now)
    grid.pools["nm"].code = "no-such-pool"
    grid.pools["nm"].save()
    grid.state("nm", allocated=8.0)

    turn(now)

    begun = Passage.objects.filter(move__plan=plan, move__window_start=now)
    assert {p.state for p in begun} == {PassageState.SKIPPED}
    assert not DispatchCommand.objects.exclude(kind="SUBMIT").exists()


def test_replicas_are_nobodys_waiting_work(served_away, now, client_of):
    assert Workload.objects.filter(kind="service").exists()

    listed = client_of(make_person("op-9", Role.OPERATOR)).get("/api/v1/workloads").json()

    assert listed["workloads"] == []


def test_people_see_services_and_providers_announce_them_with_their_key(now, client_of):
    announce(item(), now=now)

    listed = client_of(make_person("op-8", Role.OPERATOR)).get("/api/v1/services").json()

    assert [one["external_id"] for one in listed["services"]] == ["chat"]


def test_nobody_announces_a_service_with_a_session(now, client_of):
    client = client_of(make_person("op-7", Role.OPERATOR))

    response = client.post("/api/v1/services", {"services": [item()]}, format="json")

    assert response.status_code in (401, 403)
