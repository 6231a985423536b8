"""Stores what limits plans beside rules and weights: maintenance, quotas and carbon caps."""

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
