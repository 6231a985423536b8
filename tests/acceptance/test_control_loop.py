"""The loop once through, in process: telemetry, forecast, plan, consent, dispatch, settlement.

The world outside is real: engines behind HTTP that run jobs in simulated time, and whose own state
is what comes back as telemetry through the front door. Time is the test's.
"""

import datetime as dt

import pytest
from rest_framework.test import APIClient

from controlplane.auth.audit import verify
from controlplane.auth.keys import issue_key
from controlplane.auth.models import AuditEntry
from controlplane.auth.roles import Role
from controlplane.lib import clock
from forecasting import services as forecasting
from monitoring import selectors as grid
from monitoring.models import Pool
from scheduling.domain.lifecycle import PlanState
from scheduling.models import DispatchCommand, Passage, RebalancingPlan, Settlement
from scheduling.services import commands, consent, dispatching, planning, settling
from scheduling.services.rules import seed_sovereignty, seed_weights
from tests.factories import PASSWORD, PoolFactory, RegionFactory, SiteFactory, make_person
from tests.outside import START, TOKEN, job, outside, pool

HISTORY_H = 36
BEGIN = START + dt.timedelta(hours=HISTORY_H)
# from the beginning one long job fills Beijing; short jobs pile up behind it
BLOCKER = job("blocker", units=32, runtime_h=200.0)
QUEUE = [job(f"job-{n}", units=4, runtime_h=3.0, submit_h=HISTORY_H - 2) for n in range(6)]


@pytest.fixture
def world(db, tmp_path, settings):
    settings.ENGINE_TOKEN = TOKEN
    for code, region in (("beijing", "CN-BJ"), ("horinger", "CN-NM")):
        site = SiteFactory(code=code, region=RegionFactory(code=region))
        PoolFactory(code=f"{code}-gpu", site=site, installed=32.0, contract=32.0)
    seed_sovereignty()
    seed_weights(author="test")
    pools = {
        "beijing-gpu": (pool("beijing-gpu", 32), [BLOCKER, *QUEUE]),
        "horinger-gpu": (pool("horinger-gpu", 32, native=4), []),
    }
    with outside(tmp_path, pools) as engines:
        Pool.objects.update(engine_url=engines.url)
        yield engines


@pytest.fixture
def push(world, grid_time):
    """Let hours pass outside and push what the providers have to say through the front door."""
    client = APIClient()
    key = issue_key("beiyun", actor="system")
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")

    def pass_hours(hours):
        grid_time.set(world.advance(hours))
        for kind, name, most in (("telemetry", "samples", 500), ("workloads", "workloads", 500)):
            while items := world.take(kind, most):
                response = client.post(f"/api/v1/{kind}", {name: items}, format="json")
                assert response.status_code == 200, response.json()
        return grid_time.now

    return pass_hours


def person(name, role, region=""):
    make_person(name, role, region=region)
    client = APIClient()
    assert client.login(username=name, password=PASSWORD)
    return client


def turn(now):
    for _ in range(3):
        DispatchCommand.objects.update(due_wall_at=clock.wall_now() - dt.timedelta(minutes=1))
        dispatching.start_plans(now)
        dispatching.start_moves(now)
        commands.sweep(now)
    commands.track(now)
    dispatching.close_moves(now)
    settling.settle_plans(now)


def test_the_loop_goes_once_round(world, push, grid_time):
    operator = person("operator", Role.OPERATOR)
    deciders = [
        person("operator2", Role.OPERATOR),
        person("admin-bj", Role.REGIONAL_ADMIN, "CN-BJ"),
        person("admin-nm", Role.REGIONAL_ADMIN, "CN-NM"),
    ]

    # observe: what the engines did in a day and a half is what the grid knows
    for _ in range(HISTORY_H):
        now = push(1)
    beijing = next(r for r in grid.pool_states(now) if r.pool == "beijing-gpu")
    assert (beijing.capacity, beijing.allocated, beijing.queued) == (32.0, 32.0, 24.0)

    # forecast
    run = forecasting.refresh(now)
    assert run is not None

    # plan: the queue of Beijing goes to Horinger, checked, with a bound and a counterfactual
    planned = planning.plan_now(now, actor="system")
    assert planned.violations == []
    assert planned.objective_usd < planned.do_nothing_usd
    assert planned.gap <= 1e-4
    plan = RebalancingPlan.objects.get(run=planned)
    assert (plan.source_region, plan.destination_region) == ("CN-BJ", "CN-NM")
    move = plan.moves.first()
    assert move.reason_en
    assert move.reason_zh

    # consent, over HTTP, as the page does it
    seen = {"HTTP_IF_MATCH": f'"{plan.content_hash}"'}
    assert operator.post(f"/api/v1/plans/{plan.pk}/approve", **seen).status_code in (403, 409)
    assert operator.post(f"/api/v1/plans/{plan.pk}/propose", **seen).status_code == 200
    assert operator.post(f"/api/v1/plans/{plan.pk}/approve", **seen).status_code == 403
    for decider in deciders:
        response = decider.post(f"/api/v1/plans/{plan.pk}/approve", **seen)
        assert response.status_code == 200, response.json()
    assert response.json()["state"] == PlanState.APPROVED

    # dispatch: the jobs leave one engine and start at the other, once
    turn(now)
    plan.refresh_from_db()
    assert plan.state == PlanState.COMPLETED
    moved = Passage.objects.filter(move__plan=plan)
    assert {passage.state for passage in moved} == {"RUNNING"}

    # later telemetry shows it: the loop is closed
    now = push(0.25)
    after = {reading.pool: reading for reading in grid.pool_states(now)}
    units = sum(passage.workload.units for passage in moved)
    assert after["beijing-gpu"].queued == 24.0 - units
    assert after["horinger-gpu"].allocated == 4.0 + units

    # account: realised against predicted when they have ended
    for _ in range(4):
        now = push(1)
    turn(now)
    plan.refresh_from_db()
    account = Settlement.objects.get(plan=plan)
    assert plan.state == PlanState.SETTLED
    assert account.is_final
    assert account.realised_saving_usd > 0
    assert account.report["finished"] == moved.count()
    assert verify(AuditEntry.objects.order_by("sequence")).bad_sequence is None


def test_silence_of_the_destination_stops_the_loop_before_it_does_harm(world, push, grid_time):
    for _ in range(HISTORY_H):
        now = push(1)
    forecasting.refresh(now)
    grid_time.advance(hours=2)

    with pytest.raises(planning.NothingKnown):
        planning.plan_now(grid_time.now, actor="system")

    assert RebalancingPlan.objects.count() == 0
    assert consent.expire_overdue(grid_time.now) == 0
