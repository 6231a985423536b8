"""Stores fitted models, forecast runs with their paths, and announced demand."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from forecasting.domain.live.declared import DeclarationKind, DeclarationState
from forecasting.domain.runs import EnergyScope, RunState, Scope, Target

SCOPES = [(s.value, s.value) for s in (*Scope, *EnergyScope)]


class ForecastModel(models.Model):
    """One fitted model: what it is, what it learned from, and how good it was on later data."""

    target = models.TextField(
        choices=[(t.value, t.value) for t in Target], default=Target.DEMAND.value
    )
    name = models.TextField()
    version = models.TextField(unique=True, help_text="hash over code version, data and settings")
    code_version = models.TextField(default="", blank=True)
    trained_at = models.DateTimeField()
    trained_from = models.DateTimeField()
    trained_until = models.DateTimeField(help_text="nothing later was used to make it")
    trigger = models.TextField(default="schedule", help_text="first, schedule or signs of drift")
    features = models.JSONField()
    settings = models.JSONField()
    scores = models.JSONField(help_text="backtest on data after trained_until, with the baselines")
    artifact = models.BinaryField(help_text="arrays and JSON; loading executes nothing")
    artifact_sha256 = models.TextField()
    is_champion = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="forecastmodel_one_champion_each",
                fields=["target"],
                condition=Q(is_champion=True),
            ),
        ]
        indexes = [
            # when was the last training, and what may be pruned
            models.Index(fields=["trained_at"], name="forecastmodel_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class ForecastRun(models.Model):
    """One issue of forecasts of all series, with its declaration."""

    issued_at = models.DateTimeField(unique=True)
    created_at = models.DateTimeField()
    state = models.TextField(choices=[(s.value, s.value) for s in RunState])
    horizon_h = models.IntegerField(default=24, help_text="leads 1 to this, in hours")
    model = models.ForeignKey(ForecastModel, null=True, on_delete=models.PROTECT)
    model_name = models.TextField(help_text="the forecaster that made most of the series")
    model_version = models.TextField()
    trained_from = models.DateTimeField(null=True)
    trained_until = models.DateTimeField(null=True)
    degraded_reason = models.TextField(blank=True, default="")
    fallbacks = models.JSONField(
        default=dict, help_text="series not forecast by the model -> method and reason"
    )
    steps = models.JSONField(default=list, help_text="how it was made, step by step")
    declared = models.JSONField(default=list, help_text="announced demand that was merged")
    accuracy = models.JSONField(
        default=dict, help_text="how the runs before this one came true, known at its issue"
    )
    drift = models.JSONField(default=dict, help_text="what the watch over the model found")
    set_aside = models.JSONField(
        default=dict, help_text="samples of the day before that were not good, by rule and pool"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="forecastrun_degraded_says_why",
                condition=Q(state=RunState.READY.value) | ~Q(degraded_reason=""),
            ),
            models.CheckConstraint(
                name="forecastrun_horizon_sane", condition=Q(horizon_h__gte=1, horizon_h__lte=168)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.issued_at} {self.state}"


def _levels() -> "ArrayField[list[float], list[float]]":
    return ArrayField(models.FloatField())


class ForecastPath(models.Model):
    """Quantiles of one series in all hours of a run, first lead first.

    One row per series instead of one per hour keeps a refresh of thousands of pools within
    seconds. That quantiles do not cross and no hour is missing is checked by the database; the
    check over arrays is made in SQL by the migration.
    """

    run = models.ForeignKey(
        ForecastRun,
        on_delete=models.CASCADE,
        related_name="paths",
        db_index=False,  # the unique constraint below begins with it
    )
    scope = models.TextField(choices=SCOPES)
    code = models.TextField(help_text="pool, site, region or zone code; `grid` for the grid")
    q05 = _levels()
    q10 = _levels()
    q50 = _levels()
    q90 = _levels()
    q95 = _levels()
    declared = ArrayField(
        models.FloatField(), null=True, help_text="expected units by announced demand, within"
    )
    method = models.TextField(help_text="model, seasonal-naive or last-value")
    fallback_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            # also the index behind every read: one run, one scope, one series
            models.UniqueConstraint(name="forecastpath_once", fields=["run", "scope", "code"]),
        ]

    def __str__(self) -> str:
        return f"{self.scope}:{self.code}"


class DemandDeclaration(models.Model):
    """Demand that somebody announced ahead: a job or a reservation in a window."""

    provider_code = models.TextField(
        blank=True, default="", help_text="whose key announced it; empty when a person did"
    )
    external_id = models.TextField(blank=True, default="", help_text="the announcer's own name")
    scope = models.TextField(
        choices=[(s.value, s.value) for s in (Scope.POOL, Scope.REGION)],
        help_text="a region's is not placed yet: it will land on some pool there",
    )
    code = models.TextField(help_text="of the pool or region")
    kind = models.TextField(choices=[(k.value, k.value) for k in DeclarationKind])
    units = models.FloatField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    probability = models.FloatField()
    note = models.TextField(blank=True, default="")
    state = models.TextField(
        choices=[(s.value, s.value) for s in DeclarationState],
        default=DeclarationState.ANNOUNCED.value,
    )
    seen_units = models.FloatField(default=0.0)
    state_at = models.DateTimeField()
    created_at = models.DateTimeField()
    created_by = models.TextField()
    version = models.IntegerField(default=1)
    request_key = models.TextField(  # noqa: DJ001 (unique: empty texts would clash)
        null=True, unique=True, help_text="who asked, and the Idempotency-Key"
    )
    request_hash = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="declaration_sane",
                condition=Q(units__gt=0, units__lte=1e9)
                & Q(probability__gt=0, probability__lte=1)
                & Q(ends_at__gt=F("starts_at"))
                & Q(seen_units__gte=0),
            ),
            models.UniqueConstraint(
                name="declaration_once_per_name",
                fields=["provider_code", "external_id"],
                condition=~Q(external_id=""),
            ),
        ]
        indexes = [
            # what is to be merged into the next run
            models.Index(fields=["state", "starts_at"], name="declaration_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.scope}:{self.code} {self.units} {self.state}"
