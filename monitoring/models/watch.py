"""Stores what the grid has noticed about providers and pools while taking their telemetry."""

from django.db import models
from django.db.models import Q

from monitoring.models.inventory import Pool, Provider


class PoolProfile(models.Model):
    """What is usual for a pool, learned from its good readings.

    `learned` holds the numbers of `domain.usual.profiles.NAMES` as float64, little-endian.
    """

    pool = models.OneToOneField(
        Pool, primary_key=True, on_delete=models.CASCADE, related_name="profile"
    )
    learned = models.BinaryField()
    last_at = models.DateTimeField(help_text="newest reading that was learned from")
    epoch = models.IntegerField(
        default=0, db_default=0, help_text="counts how often a person confirmed a new level"
    )

    def __str__(self) -> str:
        return f"{self.pool_id} {self.last_at}"


class ProviderHealth(models.Model):
    """How a provider's clock stands, and what of its telemetry was refused last."""

    provider = models.OneToOneField(
        Provider, primary_key=True, on_delete=models.CASCADE, related_name="health"
    )
    lags_s = models.JSONField(default=list, help_text="of the newest requests, newest last")
    skew_s = models.FloatField(null=True, help_text="how far its clock is ahead; behind is < 0")
    measured_at = models.DateTimeField(null=True)
    refusals = models.JSONField(default=list, help_text="newest first")

    class Meta:
        constraints = [
            # a clock cannot be further off than the window of times that is looked at
            models.CheckConstraint(
                name="health_skew_sane",
                condition=Q(skew_s__isnull=True) | Q(skew_s__gte=-1e6, skew_s__lte=1e6),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.skew_s}"
