"""Stores how metrics of standard senders are mapped, and the series that map nowhere."""

from django.db import models
from django.db.models import Q

from monitoring.models.inventory import Pool, Provider


class MappingSet(models.Model):
    """How the metrics of a provider's standard senders become columns of the wide row."""

    provider = models.OneToOneField(
        Provider, primary_key=True, on_delete=models.CASCADE, related_name="mapping"
    )
    rules = models.JSONField(default=list)
    tick_s = models.FloatField(default=60.0, help_text="points of one tick make one row")
    series_limit = models.IntegerField(default=10_000)
    version = models.IntegerField(default=1)
    changed_at = models.DateTimeField()
    changed_by = models.TextField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="mapping_limits_sane",
                condition=Q(tick_s__gte=1, tick_s__lte=3600)
                & Q(series_limit__gte=0, series_limit__lte=1_000_000),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.version}"


class Series(models.Model):
    """One label set of a provider's standard senders, and where its points go."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, db_index=False)
    key = models.UUIDField(help_text="hash of the labels")
    labels = models.JSONField()
    first_seen_at = models.DateTimeField()
    rule = models.TextField(blank=True, default="", help_text="the mapping rule that takes it")
    pool = models.ForeignKey(Pool, null=True, on_delete=models.SET_NULL, related_name="series")

    class Meta:
        constraints = [
            # also serves the look-up of a request's label sets
            models.UniqueConstraint(name="series_once", fields=["provider", "key"]),
        ]
        indexes = [
            # the newest key of a provider tells whether another process has registered more
            models.Index(fields=["provider", "id"], name="series_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.labels.get('__name__', '')}"


class PointShelf(models.Model):
    """128 places for series of one provider, whose points are stored together."""

    shelf = models.BigIntegerField(primary_key=True)
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, db_index=False)
    used = models.SmallIntegerField(help_text="places that are given away; none is given again")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="shelf_holds_so_many", condition=Q(used__gte=0, used__lte=128)
            ),
        ]
        indexes = [
            # where a provider's next series goes
            models.Index(fields=["provider", "shelf"], name="shelf_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.shelf}"


class ExemplarRing(models.Model):
    """The newest exemplars of one series: [microseconds since 1970 UTC, value, labels] of each."""

    series = models.OneToOneField(
        Series, primary_key=True, on_delete=models.CASCADE, related_name="exemplars"
    )
    # old ones are forgotten with the points of their time
    newest_at = models.DateTimeField(db_index=True)
    entries = models.JSONField()

    def __str__(self) -> str:
        return f"{self.series_id} {self.newest_at}"


class PointBlock(models.Model):
    """The values of up to 128 series of one provider at one moment, made and written in SQL."""

    pk = models.CompositePrimaryKey("shelf", "measured_at")
    shelf = models.BigIntegerField()
    measured_at = models.DateTimeField()
    members = models.BinaryField()
    values = models.BinaryField()

    class Meta:
        managed = False
        db_table = "monitoring_pointblock"

    def __str__(self) -> str:
        return f"{self.shelf} {self.measured_at}"


class Point(models.Model):
    """One value of one series: a view over the blocks, to be read by people and tools."""

    pk = models.CompositePrimaryKey("series_id", "measured_at")
    # a view's rows cannot be deleted
    series = models.ForeignKey(Series, on_delete=models.DO_NOTHING, db_index=False)
    measured_at = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        managed = False
        db_table = "monitoring_point"

    def __str__(self) -> str:
        return f"{self.series_id} {self.measured_at}"
