"""Describes the providers' side of the API: standing, keys, self-test."""

from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from monitoring.api.schemas import OwnPoolOut, TallyOut
from monitoring.domain.alerts import AlertState, Severity
from monitoring.domain.skew import ClockState


class ClockOut(serializers.Serializer[Any]):
    """A provider's clock, as measured."""

    skew_s = serializers.FloatField(
        allow_null=True, help_text="seconds ahead; behind, or late, is below zero; null = unknown"
    )
    state = serializers.ChoiceField(choices=[state.value for state in ClockState])


class RefusalOut(serializers.Serializer[Any]):
    """One thing that was refused."""

    at = serializers.DateTimeField()
    code = serializers.CharField()
    subject = serializers.CharField(allow_blank=True, help_text="pool, or metric name")
    field = serializers.CharField(required=False)
    measured_at = serializers.DateTimeField(required=False)


class SetAsideOut(serializers.Serializer[Any]):
    """What planning and forecasts left out because it was not good."""

    samples = serializers.IntegerField(help_text="of the last 24 h")
    set_aside = serializers.IntegerField(help_text="those of them that are not good")
    capacity = serializers.FloatField(help_text="claimed now by pools that are not good")
    pools = serializers.IntegerField(help_text="not good now, silent ones among them")


class OwnAlertOut(serializers.Serializer[Any]):
    """An alert about the provider or one of its pools."""

    kind = serializers.CharField()
    severity = serializers.ChoiceField(choices=[severity.value for severity in Severity])
    scope = serializers.CharField(help_text="provider:code or pool:code")
    state = serializers.ChoiceField(choices=[AlertState.PENDING.value, AlertState.FIRING.value])
    pending_at = serializers.DateTimeField()
    fired_at = serializers.DateTimeField(allow_null=True)
    summary_zh = serializers.CharField(allow_blank=True)
    summary_en = serializers.CharField(allow_blank=True)


class MappingStateOut(serializers.Serializer[Any]):
    """Which mapping rules hold."""

    version = serializers.IntegerField()
    changed_at = serializers.DateTimeField(allow_null=True)


class KeyOut(serializers.Serializer[Any]):
    """A key as it may be seen; the key itself is shown once."""

    id = serializers.IntegerField()
    hint = serializers.CharField(help_text="its first characters")
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    is_live = serializers.BooleanField()


class StandingOut(serializers.Serializer[Any]):
    """How a provider stands."""

    provider = serializers.CharField()
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    as_of = serializers.DateTimeField()
    tally = TallyOut()
    clock = ClockOut()
    refusals = RefusalOut(many=True)
    quality = serializers.DictField(
        child=serializers.IntegerField(), help_text="pools that a rule makes less than good now"
    )
    set_aside = SetAsideOut()
    alerts = OwnAlertOut(many=True)
    mapping = MappingStateOut()
    pools = OwnPoolOut(many=True)


class StatusOut(StandingOut):
    """How a provider stands, with its keys."""

    keys = KeyOut(many=True)


class StandingListOut(serializers.Serializer[Any]):
    """All providers."""

    as_of = serializers.DateTimeField()
    providers = StandingOut(many=True)


class KeyListOut(serializers.Serializer[Any]):
    """A provider's keys."""

    provider = serializers.CharField()
    keys = KeyOut(many=True)


class KeyIn(serializers.Serializer[Any]):
    """What a new key is to be."""

    label = serializers.CharField(  # type: ignore[assignment]
        default="", allow_blank=True, max_length=80, help_text="words to tell keys apart"
    )
    days = serializers.IntegerField(default=180, min_value=1, max_value=180)


class NewKeyOut(KeyOut):
    """A new key; the only answer that holds the key itself."""

    key = serializers.CharField(
        allow_null=True, help_text="null when the same request came before: it was shown then"
    )


class ConfirmIn(serializers.Serializer[Any]):
    """Why a pool's present level is right."""

    reason = serializers.CharField(max_length=400)


class LandingOut(serializers.Serializer[Any]):
    """What would become of one sample, or of one series' newest point."""

    index = serializers.IntegerField(help_text="position in the body")
    subject = serializers.CharField(allow_blank=True, help_text="pool, or metric name")
    outcome = serializers.ChoiceField(
        choices=["row", "column", "series", "refused"],
        help_text="a row of telemetry; a column of one; a series kept as it is; nothing",
    )
    pool = serializers.CharField(allow_blank=True)
    field = serializers.CharField(allow_blank=True)
    value = serializers.FloatField(allow_null=True, help_text="after the rule's factor")
    measured_at = serializers.DateTimeField(allow_null=True)
    rule = serializers.CharField(allow_blank=True, help_text="mapping rule, or quality rule")
    quality = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True, help_text="why it would be refused")
    reason = serializers.CharField(allow_blank=True)
    labels = serializers.DictField(child=serializers.CharField(), required=False)


class CheckOut(serializers.Serializer[Any]):
    """What would become of a push; nothing of it is stored."""

    format = serializers.CharField()
    received = serializers.IntegerField()
    would_accept = serializers.IntegerField()
    would_reject = serializers.IntegerField()
    suspect = serializers.IntegerField(help_text="accepted, but set aside by planning")
    rejected_by_reason = serializers.DictField(child=serializers.IntegerField())
    clock_lag_s = serializers.FloatField(
        allow_null=True, help_text="age of the newest time on arrival, seconds"
    )
    landings = LandingOut(many=True, help_text="the first 200")
    landings_total = serializers.IntegerField()


class SeriesIn(serializers.Serializer[Any]):
    """One series of a dry run."""

    labels = serializers.DictField(child=serializers.CharField())
    value = serializers.FloatField(default=1.0)


class MappingCheckIn(serializers.Serializer[Any]):
    """Draft rules and what to try them on."""

    rules = serializers.ListField(
        child=serializers.DictField(), help_text="as in PUT /providers/{code}/mapping"
    )
    series = serializers.ListField(child=SeriesIn(), required=False, max_length=2000)
    exposition = serializers.CharField(
        required=False,
        max_length=1_000_000,
        help_text="what an exporter's /metrics shows, instead of series",
    )


MAPPING_CHECK_EXAMPLE = OpenApiExample(
    "draft",
    value={
        "rules": [{"preset": "slurm-vpenso-gpu", "pool": "beijing-gpu"}],
        "exposition": "slurm_gpus_total 128\nslurm_gpus_alloc 96\n",
    },
    request_only=True,
)
KEY_EXAMPLE = OpenApiExample(
    "rotation", value={"label": "next quarter", "days": 90}, request_only=True
)
