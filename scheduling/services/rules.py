"""Puts rules, weights, links and a demo's settings in place where there are none yet."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from controlplane.auth import audit
from controlplane.lib import clock
from monitoring import selectors as grid
from scheduling.domain.planner.problem import Weights
from scheduling.domain.sovereignty import Reach
from scheduling.models import (
    AcceleratorRow,
    FairShareRow,
    Link,
    Service,
    SovereigntyRuleRow,
    SpeedRow,
    WeightSet,
)
from scheduling.services.workloads import announce_services

DEFAULT_RULES = (
    {
        "name": "S1",
        "data_class": "open",
        "from_jurisdiction": "*",
        "to_jurisdiction": "*",
        "reach": Reach.ANYWHERE,
        "words_zh": "开放数据可在全网流动",
        "words_en": "Open data may go anywhere in the grid.",
    },
    {
        "name": "S2",
        "data_class": "internal",
        "from_jurisdiction": "*",
        "to_jurisdiction": "*",
        "reach": Reach.JURISDICTION,
        "words_zh": "内部数据不得离开所属司法管辖区",
        "words_en": "Internal data may not leave its jurisdiction.",
    },
    {
        "name": "S3",
        "data_class": "restricted",
        "from_jurisdiction": "*",
        "to_jurisdiction": "*",
        "reach": Reach.REGION,
        "words_zh": "受限数据不得离开所在省级区域",
        "words_en": "Restricted data may not leave its region.",
    },
)
MAX_REGION_SHARE = 0.1
MIN_REGION_UNITS = 16.0
# a hundred milliseconds are worth a cent of a unit-hour; what a tenant lacks of its share, a tenth
LATENCY_USD_PER_UNIT_H_MS = 0.0001
FAIRNESS_USD_PER_UNIT_H = 0.1


@transaction.atomic
def seed_sovereignty() -> int:
    """This function will put the default rules in place where there are none yet.

    Returns:
        How many rules were written.
    """
    if SovereigntyRuleRow.objects.exists():
        return 0
    rows = SovereigntyRuleRow.objects.bulk_create(SovereigntyRuleRow(**r) for r in DEFAULT_RULES)
    audit.record("system", "seed-rules", "rules", {"names": [row.name for row in rows]})
    return len(rows)


@transaction.atomic
def seed_weights(*, author: str) -> bool:
    """This function will put the default weights in place where there are none yet."""
    if WeightSet.objects.exists():
        return False
    weights = Weights()
    WeightSet.objects.create(
        author=author,
        created_at=clock.now(),
        carbon_usd_per_t=weights.carbon_usd_per_t,
        delay_usd_per_unit_h=weights.delay_usd_per_unit_h,
        churn_usd_per_job=weights.churn_usd_per_job,
        unmet_usd_per_unit_h=weights.unmet_usd_per_unit_h,
        latency_usd_per_unit_h_ms=LATENCY_USD_PER_UNIT_H_MS,
        fairness_usd_per_unit_h=FAIRNESS_USD_PER_UNIT_H,
        max_region_share=MAX_REGION_SHARE,
        min_region_units=MIN_REGION_UNITS,
    )
    audit.record("system", "seed-weights", "weights", {"author": author})
    return True


def seed_links(links: Sequence[dict[str, Any]]) -> int:
    """This function will write links between regions that are not there yet."""
    before = Link.objects.count()
    Link.objects.bulk_create((Link(**link) for link in links), ignore_conflicts=True)
    return Link.objects.count() - before


@transaction.atomic
def seed_accelerators(
    accelerators: Mapping[str, str],
    speeds: Mapping[tuple[str, str], float],
    *,
    author: str,
    now: dt.datetime,
) -> int:
    """This function will describe the accelerators of pools where nobody has described any.

    Args:
        accelerators: type by pool code; codes of other grids are left out.
        speeds: factor by requirement and type.
        author: who says so.
        now: grid time.

    Returns:
        How many pools were described.
    """
    if AcceleratorRow.objects.exists() or SpeedRow.objects.exists():
        return 0
    rows = AcceleratorRow.objects.bulk_create(
        AcceleratorRow(
            pool_id=pool.id, accelerator=accelerators[pool.code], author=author, changed_at=now
        )
        for pool in grid.pools()
        if pool.code in accelerators
    )
    SpeedRow.objects.bulk_create(
        SpeedRow(
            requirement=requirement, accelerator=kind, factor=factor, author=author, changed_at=now
        )
        for (requirement, kind), factor in speeds.items()
    )
    audit.record("system", "seed-accelerators", "accelerators", {"pools": len(rows)})
    return len(rows)


@transaction.atomic
def seed_fair_shares(weights: Mapping[str, float], *, author: str, now: dt.datetime) -> int:
    """This function will set weights of tenants where there are none yet; how many it set."""
    if FairShareRow.objects.exists():
        return 0
    rows = FairShareRow.objects.bulk_create(
        FairShareRow(tenant=tenant, weight=weight, author=author, changed_at=now)
        for tenant, weight in weights.items()
    )
    audit.record("system", "seed-fair-shares", "fair-shares", {"tenants": sorted(weights)})
    return len(rows)


def seed_services(services: Sequence[dict[str, Any]], *, now: dt.datetime) -> int:
    """This function will announce services in the name of their providers if there are none yet.

    Args:
        services: as they are announced, each with its `provider` besides.
        now: grid time.

    Returns:
        How many were taken.
    """
    if Service.objects.exists():
        return 0
    by_provider: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for service in services:
        by_provider[service["provider"]].append(service)
    reports = [
        announce_services(items, provider_code=provider, now=now)
        for provider, items in by_provider.items()
    ]
    return sum(report.accepted for report in reports)
