"""Stores what people set for plans beside rules and weights: limits, accelerators, fair shares."""

from django.db import models
from django.db.models import F, Q

MOST = 1e9


class Limit(models.Model):
    """What all limits have: who set them last, when, and a version that edits must name."""

    author = models.TextField()
    changed_at = models.DateTimeField()
    version = models.IntegerField(default=1)
    request_key = models.TextField(  # noqa: DJ001 (unique: empty texts would clash)
        null=True, unique=True, help_text="Idempotency-Key of the request that made it"
    )

    class Meta:
        abstract = True


class MaintenanceWindow(Limit):
    """Hours in which a pool, or a whole site, takes no planned work."""

    pool = models.ForeignKey(
        "monitoring.Pool", null=True, on_delete=models.CASCADE, related_name="+"
    )
    site = models.ForeignKey(
        "monitoring.Site", null=True, on_delete=models.CASCADE, related_name="+"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()

    class Meta:
        db_table = "scheduling_maintenance_window"
        constraints = [
            models.CheckConstraint(
                name="maintenance_of_a_pool_or_a_site",
                condition=Q(pool__isnull=True, site__isnull=False)
                | Q(pool__isnull=False, site__isnull=True),
            ),
            models.CheckConstraint(
                name="maintenance_ends_after_start", condition=Q(ends_at__gt=F("starts_at"))
            ),
        ]
        indexes = [
            models.Index(fields=["ends_at"], name="maintenance_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.pool or self.site} {self.starts_at} to {self.ends_at}"


class QuotaRow(Limit):
    """Most units that a tenant, or a cohort of tenants, holds at the same time."""

    name = models.TextField(unique=True)
    parent = models.TextField(blank=True, default="")
    nominal_units = models.FloatField()
    borrowing_units = models.FloatField(null=True, help_text="null: no limit")
    lending_units = models.FloatField(null=True, help_text="null: all of it")
    regions = models.JSONField(default=list, help_text="codes; empty: everywhere")

    class Meta:
        db_table = "scheduling_quota"
        constraints = [
            models.CheckConstraint(
                name="quota_sizes_sane",
                condition=Q(nominal_units__gte=0, nominal_units__lte=MOST)
                & (Q(borrowing_units__isnull=True) | Q(borrowing_units__range=(0, MOST)))
                & (Q(lending_units__isnull=True) | Q(lending_units__range=(0, MOST))),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class CarbonCapRow(Limit):
    """Most CO2e that compute may cause in a region on one UTC day."""

    region = models.OneToOneField("monitoring.Region", on_delete=models.CASCADE, related_name="+")
    most_kg_per_day = models.FloatField()

    class Meta:
        db_table = "scheduling_carbon_cap"
        constraints = [
            models.CheckConstraint(
                name="carbon_cap_sane",
                condition=Q(most_kg_per_day__gte=0, most_kg_per_day__lte=MOST),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.region_id} {self.most_kg_per_day} kg a day"


class AcceleratorRow(Limit):
    """Which type of accelerator or node a pool has."""

    pool = models.OneToOneField("monitoring.Pool", on_delete=models.CASCADE, related_name="+")
    accelerator = models.TextField()

    class Meta:
        db_table = "scheduling_accelerator"

    def __str__(self) -> str:
        return f"{self.pool} {self.accelerator}"


class SpeedRow(Limit):
    """How fast work that asks for a requirement runs on a type of accelerator; 0: not at all."""

    requirement = models.TextField()
    accelerator = models.TextField()
    factor = models.FloatField()

    class Meta:
        db_table = "scheduling_speed"
        constraints = [
            models.UniqueConstraint(name="speed_once", fields=["requirement", "accelerator"]),
            models.CheckConstraint(
                name="speed_sane", condition=Q(factor=0) | Q(factor__range=(0.01, 100))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.requirement} on {self.accelerator}: {self.factor}"


class FairShareRow(Limit):
    """The weight of a tenant, or of all work whose home is in a region, when capacity is short."""

    tenant = models.TextField(blank=True, default="")
    region = models.ForeignKey(
        "monitoring.Region", null=True, on_delete=models.CASCADE, related_name="+"
    )
    weight = models.FloatField()

    class Meta:
        db_table = "scheduling_fair_share"
        constraints = [
            models.UniqueConstraint(
                name="fair_share_once", fields=["tenant", "region"], nulls_distinct=False
            ),
            models.CheckConstraint(
                name="fair_share_of_a_tenant_or_a_region",
                condition=(Q(tenant="") & Q(region__isnull=False))
                | (~Q(tenant="") & Q(region__isnull=True)),
            ),
            models.CheckConstraint(
                name="fair_share_sane", condition=Q(weight__range=(0.001, 1000))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant or self.region_id}: {self.weight}"
