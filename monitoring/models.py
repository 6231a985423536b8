"""Stores the inventory, telemetry wide and narrow, newest states, hourly rollups and alerts."""

from django.db import models
from django.db.models import F, Q

from monitoring.domain.alerts import AlertKind, AlertState, Severity
from monitoring.domain.samples import Quality


class Region(models.Model):
    """A province-level region: the boundary of consent, price, carbon and jurisdiction."""

    code = models.TextField(primary_key=True, help_text="ISO 3166-2, such as CN-GS")
    name_zh = models.TextField()
    name_en = models.TextField()
    lat = models.FloatField()
    lon = models.FloatField()
    jurisdiction = models.TextField(help_text="CN, HK, MO or TW")
    carbon_g_per_kwh = models.FloatField(null=True, blank=True)
    carbon_basis = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return self.code


class Provider(models.Model):
    """An organisation that offers capacity."""

    code = models.TextField(primary_key=True)
    name_zh = models.TextField()
    name_en = models.TextField()

    def __str__(self) -> str:
        return self.code


class Site(models.Model):
    """One data centre of a provider."""

    code = models.TextField(primary_key=True)
    name_zh = models.TextField()
    name_en = models.TextField()
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="sites")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="sites")
    lat = models.FloatField()
    lon = models.FloatField()
    is_hub = models.BooleanField(default=False)
    hub_zh = models.TextField(blank=True, default="")
    hub_en = models.TextField(blank=True, default="")
    pue = models.FloatField()
    energy_zone = models.TextField(blank=True, default="", help_text="zone that stands in")

    def __str__(self) -> str:
        return self.code


class Pool(models.Model):
    """Interchangeable capacity at a site: what attracts work is set here, never by telemetry."""

    code = models.TextField(unique=True)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="pools")
    unit = models.TextField(default="gpu")
    installed = models.FloatField()
    contract = models.FloatField(help_text="the most that may be planned on, in units")
    reserve = models.FloatField(default=0.0, help_text="units kept free by policy")
    kw_per_unit = models.FloatField()
    stale_after_s = models.FloatField(default=900.0)
    engine = models.TextField(default="simulated")
    engine_url = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="pool_sizes_sane",
                condition=Q(installed__gte=0, installed__lte=1e9)
                & Q(contract__gte=0, contract__lte=1e9)
                & Q(reserve__gte=0, reserve__lte=1e9),
            ),
        ]

    def __str__(self) -> str:
        return self.code


class Sample(models.Model):
    """One wide row of telemetry per pool and tick, range-partitioned by time, made in SQL.

    The table and its partitions belong to the migrations and to `services.keep_partitions`.
    """

    pk = models.CompositePrimaryKey("pool_id", "measured_at")
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, db_index=False)
    measured_at = models.DateTimeField()
    source = models.TextField()
    received_at = models.DateTimeField()
    capacity = models.FloatField()
    allocated = models.FloatField()
    queued = models.FloatField()
    unavailable = models.FloatField(null=True)
    power_kw = models.FloatField(null=True)
    price_per_unit_h = models.FloatField(null=True)
    carbon_g_per_kwh = models.FloatField(null=True)
    quality = models.TextField(choices=[(q.value, q.value) for q in Quality])
    quality_rule = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "monitoring_sample"

    def __str__(self) -> str:
        return f"{self.pool_id} {self.measured_at}"


class PoolState(models.Model):
    """The newest sample of each pool, kept in the transaction that stores the sample."""

    pool = models.OneToOneField(
        Pool, primary_key=True, on_delete=models.CASCADE, related_name="state"
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
    quality = models.TextField(choices=[(q.value, q.value) for q in Quality])
    quality_rule = models.TextField(default="")

    def __str__(self) -> str:
        return f"{self.pool_id} {self.measured_at}"


class PoolHour(models.Model):
    """Sums over the good samples of one pool in one hour, corrected by late samples.

    `samples` counts all of the hour's samples; every sum and maximum is over the good ones.
    """

    pk = models.CompositePrimaryKey("pool_id", "hour_at")
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, db_index=False)
    hour_at = models.DateTimeField(db_index=True)
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

    def __str__(self) -> str:
        return f"{self.pool_id} {self.hour_at}"


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
    rejected_by_reason = models.JSONField(default=dict)
    last_batch_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="tally_accounts_for_every_sample",
                condition=Q(
                    received=F("accepted") + F("duplicate") + F("conflict") + F("rejected")
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.received}"


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

    def __str__(self) -> str:
        return f"{self.provider_id} {self.labels.get('__name__', '')}"


class Point(models.Model):
    """One value of one series, range-partitioned by time as samples are, made in SQL."""

    pk = models.CompositePrimaryKey("series_id", "measured_at")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, db_index=False)
    measured_at = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        managed = False
        db_table = "monitoring_point"

    def __str__(self) -> str:
        return f"{self.series_id} {self.measured_at}"


class Alert(models.Model):
    """One spell of trouble of one kind in one scope."""

    kind = models.TextField(choices=[(kind.value, kind.value) for kind in AlertKind])
    scope = models.TextField(help_text="such as pool:beijing-gpu or region:CN-BJ")
    region_code = models.TextField(blank=True, default="")
    severity = models.TextField(choices=[(s.value, s.value) for s in Severity])
    state = models.TextField(choices=[(s.value, s.value) for s in AlertState])
    detail = models.JSONField(default=dict, help_text="the figures behind the words")
    pending_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True, blank=True)
    quiet_since = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.TextField(blank=True, default="")
    comment = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="alert_one_open_per_scope",
                fields=["kind", "scope"],
                condition=~Q(state=AlertState.RESOLVED.value),
            ),
            models.CheckConstraint(
                name="alert_state_known", condition=Q(state__in=[s.value for s in AlertState])
            ),
        ]
        indexes = [
            # the control room's list: open alerts, newest first
            models.Index(fields=["state", "-pending_at"], name="alert_open_first"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.scope} {self.state}"
