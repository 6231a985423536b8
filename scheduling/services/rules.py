"""Puts rules, weights and links in place; changing them later is a matter for two people."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from controlplane.auth import audit
from controlplane.lib import clock
from scheduling.domain.planner.problem import Weights
from scheduling.domain.sovereignty import Reach
from scheduling.models import Link, SovereigntyRuleRow, WeightSet

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
