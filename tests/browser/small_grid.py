"""Fills a test database with a grid worth looking at: reported pools and a plan to decide on."""

import datetime as dt
import json
from typing import Any

from django.conf import settings

from controlplane.auth.authentication import actor_of
from controlplane.lib.units import HOUR, floor_hour
from forecasting.domain.runs import RunState, Scope
from forecasting.models import ForecastPath, ForecastRun
from monitoring import services
from monitoring.models import Pool
from scheduling.models import RebalancingPlan
from scheduling.services.consent import propose_plan
from scheduling.services.rules import seed_sovereignty, seed_weights
from tests.factories import report, sample
from tests.plans import make_draft, make_planning_run

PARTS = {
    "energy_usd": -6.2,
    "carbon_kg": -31.0,
    "carbon_usd": -1.55,
    "egress_usd": 0.4,
    "delay_usd": -20.0,
    "churn_usd": 1.0,
    "unmet_usd": 0.0,
}
SAVING_USD = 26.35
SILENT = "guian-gpu"


def seed_grid(now: dt.datetime) -> None:
    """Register the shipped inventory and let every pool but one report, an hour apart."""
    path = settings.FIXTURES_DIR / "grid.json"
    inventory: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    services.register_inventory(inventory, engines={})
    pools = Pool.objects.select_related("site").exclude(code=SILENT).order_by("code")
    moments = [now - 26 * HOUR + hours * HOUR for hours in range(26)]
    moments.append(now - dt.timedelta(minutes=4))
    for provider in sorted({pool.site.provider_id for pool in pools}):
        own = [pool for pool in pools if pool.site.provider_id == provider]
        rows = [reported(pool, moment) for moment in moments for pool in own]
        report(provider, rows, now=now)


def reported(pool: Pool, moment: dt.datetime, share: float | None = None) -> dict[str, Any]:
    """Return a sample of a pool: Beijing is short, the others have room."""
    usual = 1.25 if pool.code.startswith("beijing") else 0.5 + 0.01 * (moment.hour % 12)
    demand = round(pool.installed * (usual if share is None else share))
    allocated = min(pool.installed, demand)
    return sample(
        pool.code,
        moment,
        capacity=pool.installed,
        allocated=allocated,
        queued=max(0.0, demand - pool.installed),
        price_per_unit_h=0.031,
        carbon_g_per_kwh=540.0,
    )


def issued_forecast(now: dt.datetime, *, median: float = 0.4, upper: float = 0.9) -> ForecastRun:
    """Store a forecast run of this hour; its quantiles are shares of what is installed.

    Beijing's upper quantile is above its capacity in every hour. Regions are series of their own.
    """
    issued_at = floor_hour(now)
    run = ForecastRun.objects.create(
        issued_at=issued_at,
        created_at=now,
        state=RunState.READY.value,
        model_name="test-model",
        model_version="1",
        trained_until=issued_at,
    )
    installed: dict[tuple[str, str], float] = {}
    for pool in Pool.objects.select_related("site"):
        for key in ((Scope.POOL.value, pool.code), (Scope.REGION.value, pool.site.region_id)):
            installed[key] = installed.get(key, 0.0) + pool.installed
    ForecastPath.objects.bulk_create(
        _path(run, scope, code, size * median, size * (1.2 if "BJ" in code else upper))
        for (scope, code), size in installed.items()
    )
    return run


def _path(run: ForecastRun, scope: str, code: str, median: float, upper: float) -> ForecastPath:
    low, high = [median] * 24, [upper] * 24
    return ForecastPath(
        run=run,
        scope=scope,
        code=code,
        q05=low,
        q10=low,
        q50=low,
        q90=high,
        q95=high,
        method="model",
    )


def proposed_plan(proposer: Any, now: dt.datetime) -> RebalancingPlan:
    """Store a plan from Beijing to Horinger and propose it."""
    plan = draft_plan(now)
    actor = actor_of(proposer)
    assert actor is not None
    return propose_plan(actor, plan.pk, content_hash=plan.content_hash, now=now)


def draft_plan(now: dt.datetime) -> RebalancingPlan:
    """Store a draft from Beijing to Horinger as the planner would."""
    seed_sovereignty()
    seed_weights(author="test")
    source = Pool.objects.select_related("site").get(code="beijing-gpu")
    target = Pool.objects.select_related("site").get(code="horinger-gpu")
    run = make_planning_run(now, saving_usd=SAVING_USD, parts=PARTS, objective_usd=100.0, gap=0.01)
    return make_draft(
        now,
        source,
        target,
        jobs=4,
        saving_usd=SAVING_USD,
        parts=PARTS,
        decide_by=now + 6 * HOUR,
        reason=(
            "北京缺 54 个 GPU；和林格尔有 90 个空闲。",
            "Beijing is short of 54 GPU; Horinger has 90 free.",
        ),
        run=run,
    )
