"""A small grid of three regions with a draft plan between two of them."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pytest

from controlplane.auth.roles import Actor, Role
from forecasting import selectors as forecasts
from monitoring.models import Pool, PoolState, Provider, Region, Site
from scheduling.domain.lifecycle import PassageState
from scheduling.models import (
    DispatchCommand,
    Passage,
    Workload,
)
from scheduling.services.consent import approve_plan, propose_plan
from scheduling.services.rules import seed_sovereignty, seed_weights
from tests.factories import make_person
from tests.plans import make_draft

NOW = dt.datetime(2023, 5, 26, 0, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
PARTS = {
    "energy_usd": 1.0,
    "carbon_kg": 10.0,
    "carbon_usd": 0.5,
    "egress_usd": 0.0,
    "delay_usd": 4.0,
    "churn_usd": 0.0,
    "unmet_usd": 0.0,
}


@dataclass
class SmallGrid:
    """Three regions with one pool each; `bj` is short, `nm` and `gz` have room."""

    pools: dict[str, Pool]

    def state(self, name, *, capacity=64.0, allocated=0.0, queued=0.0, measured_at=NOW):
        values = {
            "measured_at": measured_at,
            "received_at": measured_at,
            "capacity": capacity,
            "allocated": allocated,
            "queued": queued,
            "price_per_unit_h": 0.03,
            "carbon_g_per_kwh": 500.0,
            "quality": "good",
        }
        PoolState.objects.update_or_create(pool=self.pools[name], defaults=values)

    def workload(self, number, *, pool="bj", units=8, state="QUEUED", data_class="open", hours=4.0):
        return Workload.objects.create(
            provider_code="north",
            external_id=f"job-{number}",
            pool=self.pools[pool],
            tenant="t",
            units=units,
            requested_duration_s=hours * 3600,
            submitted_at=NOW - HOUR + dt.timedelta(seconds=number),
            deadline_at=NOW + 72 * HOUR,
            data_class=data_class,
            data_gb=1.0,
            state=state,
            started_at=NOW - HOUR if state == "RUNNING" else None,
            updated_at=NOW,
            spec={"program": f"job-{number}"},
        )

    def draft(self, *, source="bj", destination="nm", workloads=None, decide_by=NOW + HOUR):
        """A stored draft as the planner would make one: whole, hashed, with bound workloads."""
        jobs = workloads if workloads is not None else [self.workload(n) for n in range(2)]
        plan = make_draft(
            NOW,
            self.pools[source],
            self.pools[destination],
            jobs=len(jobs),
            saving_usd=8.0,
            parts=PARTS,
            decide_by=decide_by,
            data_class=jobs[0].data_class if jobs else "open",
        )
        move = plan.moves.get()
        for job in jobs:
            Passage.objects.create(
                move=move, workload=job, state=PassageState.BOUND, updated_at=NOW
            )
        return plan


@pytest.fixture
def grid(db):
    provider = Provider.objects.create(code="north", name_zh="北", name_en="North")
    pools = {}
    for name, region_code, jurisdiction in (
        ("bj", "CN-BJ", "CN"),
        ("nm", "CN-NM", "CN"),
        ("gz", "CN-GZ", "CN"),
    ):
        region = Region.objects.create(
            code=region_code,
            name_zh=name,
            name_en=name,
            lat=40.0,
            lon=110.0,
            jurisdiction=jurisdiction,
            carbon_g_per_kwh=500.0,
        )
        site = Site.objects.create(
            code=name,
            name_zh=name,
            name_en=name,
            provider=provider,
            region=region,
            lat=40.0,
            lon=110.0,
            pue=1.25,
        )
        pools[name] = Pool.objects.create(
            code=f"{name}-gpu",
            site=site,
            installed=64.0,
            contract=64.0,
            kw_per_unit=0.4,
            engine_url="http://127.0.0.1:9",
        )
    seed_sovereignty()
    seed_weights(author="test")
    small = SmallGrid(pools)
    small.state("bj", allocated=64.0, queued=16.0)
    small.state("nm", allocated=8.0)
    small.state("gz", allocated=8.0)
    return small


def person(django_user_model, name, role, region=None):
    user = django_user_model.objects.create(username=name)
    return Actor(user.pk, name, role, region_code=region)


@pytest.fixture
def people(db, django_user_model):
    """Actors by name; `outsider` is the admin of a region that the plan does not touch."""
    return {
        "operator": person(django_user_model, "operator", Role.OPERATOR),
        "operator2": person(django_user_model, "operator2", Role.OPERATOR),
        "admin_bj": person(django_user_model, "admin_bj", Role.REGIONAL_ADMIN, "CN-BJ"),
        "admin_nm": person(django_user_model, "admin_nm", Role.REGIONAL_ADMIN, "CN-NM"),
        "second_nm": person(django_user_model, "second_nm", Role.REGIONAL_ADMIN, "CN-NM"),
        "outsider": person(django_user_model, "outsider", Role.REGIONAL_ADMIN, "CN-GZ"),
        "auditor": person(django_user_model, "auditor", Role.AUDITOR),
        "grid_admin": person(django_user_model, "grid_admin", Role.GRID_ADMIN),
        "provider": person(django_user_model, "provider", Role.PROVIDER),
    }


@pytest.fixture
def approved(grid, people):
    """A function that proposes and approves a draft as everybody who must."""

    def agree(plan, now=NOW, admins=("admin_bj", "admin_nm")):
        given = {"content_hash": plan.content_hash, "now": now}
        propose_plan(people["operator"], plan.pk, **given)
        for name in (*admins, "operator2"):
            plan = approve_plan(people[name], plan.pk, **given)
        return plan

    return agree


def commands_of(plan):
    return list(
        DispatchCommand.objects.filter(passage__move__plan=plan)
        .order_by("pk")
        .values_list("kind", "state")
    )


@pytest.fixture
def calm(monkeypatch):
    """A forecast of eight units of demand in every pool and hour, at any quantile."""
    monkeypatch.setattr(
        forecasts,
        "demand_quantile",
        lambda codes, _now, slots, _quantile: np.full((len(codes), slots), 8.0),
    )


@pytest.fixture
def power_at_home(monkeypatch):
    """A function that sets what power costs at `bj`, in USD per unit-hour; elsewhere 0.05."""

    def cost(home_usd):
        def prices(codes, _now, slots):
            usd = np.full((len(codes), slots), 0.05)
            usd[[code.startswith("bj") for code in codes]] = home_usd
            return usd, np.full((len(codes), slots), 100.0)

        monkeypatch.setattr(forecasts, "energy_quantile", prices)

    return cost


@pytest.fixture
def as_operator(client_of):
    return client_of(make_person("op-1", Role.OPERATOR))


@pytest.fixture
def as_grid_admin(client_of):
    return client_of(make_person("ga-1", Role.GRID_ADMIN))
