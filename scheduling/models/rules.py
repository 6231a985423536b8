"""Stores what plans are made by: sovereignty rules, weights, links between regions."""

from django.db import models

from scheduling.domain.sovereignty import Reach
from scheduling.domain.workloads import DataClass


class SovereigntyRuleRow(models.Model):
    """One sovereignty rule in force."""

    name = models.TextField(unique=True)
    data_class = models.TextField(choices=[(c.value, c.value) for c in DataClass])
    from_jurisdiction = models.TextField()
    to_jurisdiction = models.TextField()
    reach = models.TextField(choices=[(r.value, r.value) for r in Reach])
    words_zh = models.TextField(blank=True, default="")
    words_en = models.TextField(blank=True, default="")

    class Meta:
        db_table = "scheduling_sovereignty_rule"

    def __str__(self) -> str:
        return self.name


class WeightSet(models.Model):
    """The objective's weights, with an author and a date; the newest is in force."""

    author = models.TextField()
    created_at = models.DateTimeField()
    carbon_usd_per_t = models.FloatField()
    delay_usd_per_unit_h = models.FloatField()
    churn_usd_per_job = models.FloatField()
    unmet_usd_per_unit_h = models.FloatField()
    latency_usd_per_unit_h_ms = models.FloatField(default=0.0)
    fairness_usd_per_unit_h = models.FloatField(default=0.0)
    max_region_share = models.FloatField(help_text="of a region's load moved in one cycle")
    min_region_units = models.FloatField(help_text="units that may always move in one cycle")

    def __str__(self) -> str:
        return f"{self.created_at} by {self.author}"


class Link(models.Model):
    """What it takes to move data from one region to another."""

    source_region = models.TextField()
    destination_region = models.TextField()
    egress_usd_per_gb = models.FloatField()
    gbps = models.FloatField()
    rtt_ms = models.FloatField()
    basis = models.TextField(help_text="where the figures come from")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="link_once", fields=["source_region", "destination_region"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_region} → {self.destination_region}"
