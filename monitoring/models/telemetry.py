"""Stores wide telemetry, newest states and hourly sums, and each provider's account."""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.models import F, Q

from monitoring.domain.samples import QUALITIES, RULES, SOURCES
from monitoring.domain.shelves import SHELF_SLOTS
from monitoring.models.inventory import Pool, Provider


class CodeField(models.SmallIntegerField):  # type: ignore[type-arg]
    """A small integer in the table, which Python sees as the text that it stands for."""

    def __init__(self, *args: Any, texts: Sequence[str] = (), **options: Any) -> None:
        self.texts = tuple(str(text) for text in texts)
        super().__init__(*args, **options)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Return how to make the field again."""
        name, path, args, options = super().deconstruct()
        return name, path, args, {**options, "texts": self.texts}

    def from_db_value(self, value: int | None, *_: object) -> str | None:
        """Return the text that a stored code stands for."""
        return None if value is None else self.texts[value]

    def get_prep_value(self, value: Any) -> int | None:
        """Return the code of a text."""
        return None if value is None else self.texts.index(str(value))


class SampleBlock(models.Model):
    """The samples of the pools of one shelf at one moment, as one request brought them.

    The table is made in SQL; its weekly partitions belong to `services.keep_partitions`. What
    comes of the same shelf and moment later is another part.
    """

    pk = models.CompositePrimaryKey("shelf", "measured_at", "part")
    shelf = models.BigIntegerField()
    measured_at = models.DateTimeField()
    part = models.SmallIntegerField()
    source = CodeField(texts=SOURCES)
    received_at = models.DateTimeField()
    members = models.BigIntegerField()
    kinds = models.TextField()
    values = models.BinaryField()

    class Meta:
        managed = False
        db_table = "monitoring_sampleblock"

    def __str__(self) -> str:
        return f"{self.shelf} {self.measured_at}"


class Sample(models.Model):
    """One wide row of telemetry per pool and tick: a view of the blocks, for people and tools."""

    pk = models.CompositePrimaryKey("pool_id", "measured_at")
    # the database checks it by the pool's slot
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    measured_at = models.DateTimeField()
    source = CodeField(texts=SOURCES)
    received_at = models.DateTimeField()
    capacity = models.FloatField()
    allocated = models.FloatField()
    queued = models.FloatField()
    unavailable = models.FloatField(null=True)
    power_kw = models.FloatField(null=True)
    price_per_unit_h = models.FloatField(null=True)
    carbon_g_per_kwh = models.FloatField(null=True)
    quality = CodeField(texts=QUALITIES)
    quality_rule = CodeField(texts=RULES)

    class Meta:
        managed = False
        db_table = "monitoring_sample"

    def __str__(self) -> str:
        return f"{self.pool_id} {self.measured_at}"


class PoolShelf(models.Model):
    """The newest samples of up to 48 pools of one provider, as records side by side."""

    shelf = models.BigIntegerField(primary_key=True)
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, db_index=False)
    used = models.SmallIntegerField(help_text="slots that are given away; none is given again")
    states = models.BinaryField(default=b"")

    class Meta:
        indexes = [models.Index(fields=["provider", "shelf"], name="poolshelf_newest")]

    def __str__(self) -> str:
        return f"{self.shelf} {self.provider_id}"


class PoolSlot(models.Model):
    """Where a pool stands; a trigger gives each new pool the next slot of its provider's shelves.

    Nothing that is stored of a pool outlives its slot, so the slot's foreign key guards the pool.
    """

    pool = models.OneToOneField(
        Pool, primary_key=True, on_delete=models.CASCADE, related_name="place"
    )
    shelf = models.ForeignKey(PoolShelf, on_delete=models.CASCADE, db_index=False)
    slot = models.SmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shelf", "slot"], name="slot_given_once"),
            models.CheckConstraint(
                name="slot_on_the_shelf", condition=Q(slot__gte=0, slot__lt=SHELF_SLOTS)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pool_id} {self.shelf_id}/{self.slot}"


class HourShelf(models.Model):
    """Sums of one hour of the pools of a shelf, as records side by side."""

    pk = models.CompositePrimaryKey("shelf", "hour_at")
    shelf = models.BigIntegerField()
    hour_at = models.DateTimeField(db_index=True)
    hours = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.shelf} {self.hour_at}"


class PoolState(models.Model):
    """The newest sample of each pool: a view of the shelves, for people, tools and repairs."""

    pool = models.OneToOneField(
        Pool, primary_key=True, on_delete=models.DO_NOTHING, related_name="state"
    )
    measured_at = models.DateTimeField()
    received_at = models.DateTimeField()
    capacity = models.FloatField()
    allocated = models.FloatField()
    queued = models.FloatField()
    unavailable = models.FloatField(null=True)
    power_kw = models.FloatField(null=True)
    price_per_unit_h = models.FloatField(null=True)
    carbon_g_per_kwh = models.FloatField(null=True)
    quality = CodeField(texts=QUALITIES)
    quality_rule = CodeField(texts=RULES, default="")

    class Meta:
        managed = False
        db_table = "monitoring_poolstate"

    def __str__(self) -> str:
        return f"{self.pool_id} {self.measured_at}"


class PoolHour(models.Model):
    """Sums over the good samples of one pool in one hour: a view of the shelves, as the states are.

    `samples` counts all of the hour's samples; every sum and maximum is over the good ones.
    """

    pk = models.CompositePrimaryKey("pool_id", "hour_at")
    pool = models.ForeignKey(Pool, on_delete=models.DO_NOTHING, db_constraint=False)
    hour_at = models.DateTimeField()
    samples = models.IntegerField()
    good_samples = models.IntegerField()
    capacity_sum = models.FloatField()
    allocated_sum = models.FloatField()
    queued_sum = models.FloatField()
    demand_max = models.FloatField()
    power_kw_sum = models.FloatField()
    power_samples = models.IntegerField()
    price_sum = models.FloatField()
    price_samples = models.IntegerField()
    carbon_sum = models.FloatField()
    carbon_samples = models.IntegerField()

    class Meta:
        managed = False
        db_table = "monitoring_poolhour"

    def __str__(self) -> str:
        return f"{self.pool_id} {self.hour_at}"


class PackedDay(models.Model):
    """The hours of many pools on one past day in one row, so that long histories are read quickly.

    A copy of the hours of a shelf of pools, those with neighbouring keys: each column holds 24
    little-endian doubles for each of `pools`, whose keys are packed as 64-bit integers.
    """

    pk = models.CompositePrimaryKey("day_at", "shelf")
    day_at = models.DateTimeField()
    shelf = models.BigIntegerField()
    pools = models.BinaryField()
    samples = models.BinaryField()
    good_samples = models.BinaryField()
    power_samples = models.BinaryField()
    price_samples = models.BinaryField()
    carbon_samples = models.BinaryField()
    capacity_sum = models.BinaryField()
    allocated_sum = models.BinaryField()
    queued_sum = models.BinaryField()
    power_kw_sum = models.BinaryField()
    price_sum = models.BinaryField()
    carbon_sum = models.BinaryField()
    demand_max = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.day_at} {self.shelf}"


class OutdatedDay(models.Model):
    """A past day of a pool whose hours changed since they were packed, if they were."""

    pk = models.CompositePrimaryKey("day_at", "pool_id")
    day_at = models.DateTimeField()
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, db_constraint=False)

    def __str__(self) -> str:
        return f"{self.day_at} {self.pool_id}"


class ProviderTally(models.Model):
    """What became of every sample that a provider sent: the accounting identity's columns."""

    provider = models.OneToOneField(
        Provider, primary_key=True, on_delete=models.CASCADE, related_name="tally"
    )
    received = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    duplicate = models.BigIntegerField(default=0)
    conflict = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    # requests that were turned away unread: each counts as one, as nobody knows what it held
    shed = models.BigIntegerField(default=0, db_default=0)
    rejected_by_reason = models.JSONField(default=dict)
    last_batch_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="tally_accounts_for_every_sample",
                condition=Q(
                    received=F("accepted")
                    + F("duplicate")
                    + F("conflict")
                    + F("rejected")
                    + F("shed")
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.received}"
