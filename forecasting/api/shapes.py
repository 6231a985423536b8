"""Names the shapes of answers and bodies, for the API document."""

import math
from typing import Any

from rest_framework import serializers

from forecasting.domain.live.declared import DeclarationKind, DeclarationState
from forecasting.domain.runs import Scope
from forecasting.services.announced import TOLD_STATES

POINT = "[time, q05, q10, q50, q90, q95]"


class Finite(serializers.FloatField):
    """A number that is one: neither infinite nor NaN, which passes every limit."""

    def to_internal_value(self, data: Any) -> float:
        """Return the number.

        Raises:
            ValidationError: it is none.
        """
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            raise serializers.ValidationError("This must be a finite number.")
        return value


class DeclarationOut(serializers.Serializer[Any]):
    """What made a forecast, from what, when and how; goes with every forecast that is shown."""

    automated = serializers.BooleanField(help_text="always true: a program made it")
    model_name = serializers.CharField()
    model_version = serializers.CharField(allow_blank=True)
    trained_from = serializers.DateTimeField(allow_null=True)
    trained_until = serializers.DateTimeField(allow_null=True)
    issued_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    steps = serializers.ListField(child=serializers.CharField())
    reviewer = serializers.CharField(allow_null=True, help_text="nobody reviews a forecast")
    degraded_reason = serializers.CharField(allow_blank=True)


class PoolAsideOut(serializers.Serializer[Any]):
    """What was set aside of one pool."""

    samples = serializers.IntegerField()
    set_aside = serializers.IntegerField()
    by_rule = serializers.DictField(child=serializers.IntegerField())


class AsideOut(serializers.Serializer[Any]):
    """Samples of the day before a run that are stored, and that it does not reckon with."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    samples = serializers.IntegerField(help_text="all that are stored")
    set_aside = serializers.IntegerField(help_text="those that are not good")
    by_quality = serializers.DictField(child=serializers.IntegerField())
    by_rule = serializers.DictField(child=serializers.IntegerField())
    pools_total = serializers.IntegerField(help_text="pools of which something was set aside")
    pools = serializers.DictField(
        child=PoolAsideOut(), help_text="by pool code; those with most of it, 100 at most"
    )


class RunOut(serializers.Serializer[Any]):
    """A run with its declaration: what made it, from what data, and when."""

    id = serializers.IntegerField()
    issued_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    state = serializers.CharField()
    horizon_h = serializers.IntegerField()
    model_name = serializers.CharField()
    model_version = serializers.CharField(allow_blank=True)
    trained_from = serializers.DateTimeField(allow_null=True)
    trained_until = serializers.DateTimeField(allow_null=True)
    degraded_reason = serializers.CharField(allow_blank=True)
    fallbacks = serializers.DictField(help_text="series not by the model -> method and reason")
    steps = serializers.ListField(child=serializers.CharField())
    set_aside = AsideOut(help_text="empty for runs of before this was noted")
    age_s = serializers.FloatField(help_text="grid seconds since it was issued")
    declaration = DeclarationOut()


class RunListOut(serializers.Serializer[Any]):
    """The newest runs first."""

    runs = RunOut(many=True)


class PointOut(serializers.Serializer[Any]):
    """Quantiles of demand (units) in one hour."""

    scope = serializers.CharField()
    code = serializers.CharField()
    valid_at = serializers.DateTimeField()
    q05 = serializers.FloatField()
    q10 = serializers.FloatField()
    q50 = serializers.FloatField()
    q90 = serializers.FloatField()
    q95 = serializers.FloatField()
    method = serializers.CharField()
    fallback_reason = serializers.CharField(allow_blank=True)


class ForecastOut(serializers.Serializer[Any]):
    """Points of the newest run that reaches as far as was asked."""

    run = RunOut()
    points = PointOut(many=True)


class SeriesForecastOut(serializers.Serializer[Any]):
    """The newest forecast of a series."""

    run_id = serializers.IntegerField()
    issued_at = serializers.DateTimeField()
    model = serializers.CharField()
    version = serializers.CharField(allow_blank=True)
    trained_until = serializers.DateTimeField(allow_null=True)
    degraded_reason = serializers.CharField(allow_blank=True)
    method = serializers.CharField()
    fallback_reason = serializers.CharField(allow_blank=True)
    declaration = DeclarationOut()
    points = serializers.ListField(child=serializers.ListField(), help_text=POINT)
    declared = serializers.ListField(
        child=serializers.FloatField(), help_text="expected announced units within each point"
    )


class ForecastSeriesOut(serializers.Serializer[Any]):
    """History, rows [time, demand, capacity], and the newest forecast."""

    history = serializers.ListField(child=serializers.ListField())
    forecast = SeriesForecastOut(allow_null=True)


class PastOut(serializers.Serializer[Any]):
    """What was said of past hours so many hours before; rows as points are."""

    declaration = DeclarationOut(allow_null=True)
    lead_h = serializers.IntegerField()
    points = serializers.ListField(child=serializers.ListField(), help_text=POINT)
    history = serializers.ListField(child=serializers.ListField())


class AccuracyOut(serializers.Serializer[Any]):
    """How past runs came true, and how the model in service did before its promotion."""

    declaration = DeclarationOut(allow_null=True)
    issued_at = serializers.DateTimeField(allow_null=True)
    risk_quantile = serializers.FloatField()
    live = serializers.DictField(help_text="runs, overall, by_lead, scopes; empty at first")
    drift = serializers.DictField(help_text="signs, and the curves behind them")
    model = serializers.DictField(allow_null=True)


class ModelListOut(serializers.Serializer[Any]):
    """Models, newest first: what they are, what they were made from, how they did."""

    models = serializers.ListField(child=serializers.DictField())


class ZoneListOut(serializers.Serializer[Any]):
    """The zones whose electricity is forecast."""

    zones = serializers.ListField(child=serializers.DictField())


class EnergyForecastOut(serializers.Serializer[Any]):
    """The newest forecast of a zone's price or carbon."""

    run_id = serializers.IntegerField()
    declaration = DeclarationOut()
    method = serializers.CharField()
    fallback_reason = serializers.CharField(allow_blank=True)
    points = serializers.ListField(child=serializers.ListField(), help_text=POINT)


class EnergyOut(serializers.Serializer[Any]):
    """History, rows [time, value], and forecast of a zone's price or carbon."""

    unit = serializers.CharField()
    history = serializers.ListField(child=serializers.ListField())
    forecast = EnergyForecastOut(allow_null=True)


class AnnouncedIn(serializers.Serializer[Any]):
    """Demand to come: so many units in a window, with a probability."""

    scope = serializers.ChoiceField(choices=[Scope.POOL.value, Scope.REGION.value], default="pool")
    code = serializers.CharField(max_length=200, help_text="of the pool or region")
    kind = serializers.ChoiceField(choices=[kind.value for kind in DeclarationKind])
    units = Finite(min_value=0.001, max_value=1e9)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    probability = Finite(min_value=0.01, max_value=1.0, default=1.0)
    note = serializers.CharField(max_length=500, allow_blank=True, default="")
    external_id = serializers.CharField(
        max_length=200,
        allow_blank=True,
        default="",
        help_text="your own name; a workload of this name makes the announcement arrive",
    )


class AnnouncedChangeIn(serializers.Serializer[Any]):
    """What is to change; what is left out stays."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in DeclarationKind], required=False)
    units = Finite(min_value=0.001, max_value=1e9, required=False)
    starts_at = serializers.DateTimeField(required=False)
    ends_at = serializers.DateTimeField(required=False)
    probability = Finite(min_value=0.01, max_value=1.0, required=False)
    note = serializers.CharField(max_length=500, allow_blank=True, required=False)
    state = serializers.ChoiceField(choices=[each.value for each in TOLD_STATES], required=False)


class AnnouncedOut(serializers.Serializer[Any]):
    """An announcement and where it stands; its ETag is its version."""

    id = serializers.IntegerField()
    provider_code = serializers.CharField(allow_blank=True)
    external_id = serializers.CharField(allow_blank=True)
    scope = serializers.CharField()
    code = serializers.CharField()
    kind = serializers.CharField()
    units = serializers.FloatField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    probability = serializers.FloatField()
    note = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(
        choices=[state.value for state in DeclarationState],
        help_text="ANNOUNCED counts in forecasts; ARRIVED is in the telemetry and counts no more",
    )
    seen_units = serializers.FloatField()
    state_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    version = serializers.IntegerField()


class AnnouncedListOut(serializers.Serializer[Any]):
    """Announcements, the next to begin first."""

    declarations = AnnouncedOut(many=True)
