"""Stores fitted models, forecast runs and their points."""

from django.db import models
from django.db.models import F, Q

from forecasting.domain.runs import RunState, Scope


class ForecastModel(models.Model):
    """One fitted model: what it is, what it learned from, and how good it was on later data."""

    name = models.TextField()
    version = models.TextField(unique=True, help_text="hash over code version, data and settings")
    trained_at = models.DateTimeField()
    trained_from = models.DateTimeField()
    trained_until = models.DateTimeField(help_text="nothing later was used to make it")
    features = models.JSONField()
    settings = models.JSONField()
    scores = models.JSONField(help_text="backtest on data after trained_until, with the baselines")
    artifact = models.BinaryField(help_text="arrays and JSON; loading executes nothing")
    artifact_sha256 = models.TextField()
    is_champion = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="forecastmodel_one_champion",
                fields=["is_champion"],
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
    """One issue of forecasts for all pools, regions and the grid, with its declaration."""

    issued_at = models.DateTimeField(unique=True)
    created_at = models.DateTimeField()
    state = models.TextField(choices=[(s.value, s.value) for s in RunState])
    model = models.ForeignKey(ForecastModel, null=True, on_delete=models.PROTECT)
    model_name = models.TextField(help_text="the forecaster that made most of the points")
    model_version = models.TextField()
    trained_until = models.DateTimeField(null=True)
    degraded_reason = models.TextField(blank=True, default="")
    fallbacks = models.JSONField(
        default=dict, help_text="series not forecast by the model -> method and reason"
    )
    accuracy = models.JSONField(
        default=dict, help_text="how the runs before this one came true, known at its issue"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="forecastrun_degraded_says_why",
                condition=Q(state=RunState.READY.value) | ~Q(degraded_reason=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.issued_at} {self.state}"


class ForecastPoint(models.Model):
    """Quantiles of demand of one series in one hour; demand = allocated + queued."""

    run = models.ForeignKey(
        ForecastRun,
        on_delete=models.CASCADE,
        related_name="points",
        db_index=False,  # the unique constraint below begins with it
    )
    scope = models.TextField(choices=[(s.value, s.value) for s in Scope])
    code = models.TextField(help_text="pool or region code; `grid` for the grid")
    valid_at = models.DateTimeField(help_text="beginning of the hour")
    lead_h = models.IntegerField()
    q05 = models.FloatField()
    q10 = models.FloatField()
    q50 = models.FloatField()
    q90 = models.FloatField()
    q95 = models.FloatField()
    method = models.TextField(help_text="model, seasonal-naive or last-value")
    fallback_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            # also the index behind every read: one run, one scope, one series, in order of time
            models.UniqueConstraint(
                name="forecastpoint_once", fields=["run", "scope", "code", "valid_at"]
            ),
            models.CheckConstraint(
                name="forecastpoint_quantiles_do_not_cross",
                condition=Q(q05__gte=0)
                & Q(q10__gte=F("q05"))
                & Q(q50__gte=F("q10"))
                & Q(q90__gte=F("q50"))
                & Q(q95__gte=F("q90"))
                & Q(q95__lte=1e12),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.valid_at}"
