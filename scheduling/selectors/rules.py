"""Reads the sovereignty rules and the weights in force."""

import hashlib
from dataclasses import asdict, dataclass

from scheduling.domain.planner.problem import Weights
from scheduling.domain.sovereignty import Reach, SovereigntyRule
from scheduling.models import SovereigntyRuleRow, WeightSet


@dataclass(frozen=True)
class Rules:
    """The rules and weights in force, with a version that names exactly these."""

    sovereignty: tuple[SovereigntyRule, ...]
    weights: Weights
    max_region_share: float
    min_region_units: float
    version: str


def rules_in_force() -> Rules:
    """This function will read the sovereignty rules and the newest weights."""
    rows = SovereigntyRuleRow.objects.order_by("name")
    sovereignty = tuple(
        SovereigntyRule(
            row.name, row.data_class, row.from_jurisdiction, row.to_jurisdiction, Reach(row.reach)
        )
        for row in rows
    )
    newest = WeightSet.objects.order_by("-pk").first()
    weights = Weights()
    share, least = 0.1, 8.0
    if newest is not None:
        weights = Weights(
            carbon_usd_per_t=newest.carbon_usd_per_t,
            delay_usd_per_unit_h=newest.delay_usd_per_unit_h,
            churn_usd_per_job=newest.churn_usd_per_job,
            unmet_usd_per_unit_h=newest.unmet_usd_per_unit_h,
            latency_usd_per_unit_h_ms=newest.latency_usd_per_unit_h_ms,
            fairness_usd_per_unit_h=newest.fairness_usd_per_unit_h,
        )
        share, least = newest.max_region_share, newest.min_region_units
    text = repr((sovereignty, asdict(weights), share, least))
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Rules(sovereignty, weights, share, least, version)
