"""Describes requests and answers about alerts, their rules and who is told of them."""

from typing import Any

from rest_framework import serializers

from monitoring.api.schemas import ProblemOut
from monitoring.domain.alerting.notices import TargetFormat
from monitoring.domain.alerting.rules import Comparison, Level, Metric
from monitoring.domain.alerts import Severity

__all__ = ("ProblemOut",)


class AlertOut(serializers.Serializer[Any]):
    """An alert."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    severity = serializers.CharField()
    scope = serializers.CharField()
    region_code = serializers.CharField(allow_blank=True)
    state = serializers.CharField()
    detail = serializers.DictField()
    labels = serializers.DictField(child=serializers.CharField())
    annotations = serializers.DictField(child=serializers.CharField())
    fingerprint = serializers.CharField(allow_blank=True)
    pending_at = serializers.DateTimeField()
    fired_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    unknown_since = serializers.DateTimeField(
        allow_null=True, help_text="data is missing since then: the alert stays as it was"
    )
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_blank=True)
    comment = serializers.CharField(allow_blank=True)


class AcknowledgeIn(serializers.Serializer[Any]):
    """What the person is going to do about the alert."""

    comment = serializers.CharField(max_length=500, allow_blank=True, required=False, default="")


class AlertListOut(serializers.Serializer[Any]):
    """Alerts, newest first."""

    as_of = serializers.DateTimeField()
    alerts = AlertOut(many=True)


class AlertRuleIn(serializers.Serializer[Any]):
    """An alert rule; read by the strict reader, described here."""

    name = serializers.CharField(help_text="3 to 60 capitals, digits and underscores")
    metric = serializers.ChoiceField(choices=[metric.value for metric in Metric])
    level = serializers.ChoiceField(choices=[level.value for level in Level])
    comparison = serializers.ChoiceField(choices=[sign.value for sign in Comparison])
    threshold = serializers.FloatField()
    severity = serializers.ChoiceField(choices=[s.value for s in Severity], required=False)
    critical_threshold = serializers.FloatField(required=False, allow_null=True)
    for_s = serializers.FloatField(required=False)
    keep_firing_for_s = serializers.FloatField(required=False)
    only = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), required=False
    )
    labels = serializers.DictField(child=serializers.CharField(), required=False)
    annotations = serializers.DictField(child=serializers.CharField(), required=False)
    is_enabled = serializers.BooleanField(required=False)


class AlertRuleOut(AlertRuleIn):
    """An alert rule and how it stands."""

    version = serializers.IntegerField()
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField()
    evaluated_at = serializers.DateTimeField(allow_null=True)
    state = serializers.CharField(help_text="FIRING, PENDING or INACTIVE")
    firing = serializers.IntegerField()
    pending = serializers.IntegerField()


class AlertRuleListOut(serializers.Serializer[Any]):
    """Every alert rule."""

    as_of = serializers.DateTimeField()
    rules = AlertRuleOut(many=True)


class AlertRuleChangeOut(serializers.Serializer[Any]):
    """A proposed content of an alert rule."""

    id = serializers.IntegerField()
    rule_name = serializers.CharField()
    wanted = AlertRuleIn()
    based_on = serializers.IntegerField()
    state = serializers.CharField(help_text="PROPOSED, APPLIED or REJECTED")
    proposed_by = serializers.CharField()
    proposed_at = serializers.DateTimeField()
    decided_by = serializers.CharField(allow_blank=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    comment = serializers.CharField(allow_blank=True)


class AlertRuleChangeListOut(serializers.Serializer[Any]):
    """Proposals, newest first."""

    changes = AlertRuleChangeOut(many=True)


class WebhookIn(serializers.Serializer[Any]):
    """Who is told of alerts; read by the strict reader, described here."""

    name = serializers.CharField()
    url = serializers.CharField()
    form = serializers.ChoiceField(choices=[form.value for form in TargetFormat], required=False)
    match = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), required=False
    )
    group_by = serializers.ListField(child=serializers.CharField(), required=False)
    resend_s = serializers.FloatField(required=False)
    group_interval_s = serializers.FloatField(required=False)
    send_resolved = serializers.BooleanField(required=False)
    is_enabled = serializers.BooleanField(required=False)


class WebhookOut(WebhookIn):
    """A target and how telling goes; times are wall time."""

    id = serializers.IntegerField()
    version = serializers.IntegerField()
    changed_at = serializers.DateTimeField()
    changed_by = serializers.CharField()
    failures = serializers.IntegerField(help_text="in a row")
    next_try_at = serializers.DateTimeField(allow_null=True)
    sent_count = serializers.IntegerField()
    failed_count = serializers.IntegerField()
    last_ok_at = serializers.DateTimeField(allow_null=True)
    last_error_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True)


class WebhookCreatedOut(WebhookOut):
    """A new target with the secret that its messages are signed with."""

    secret = serializers.CharField()


class WebhookListOut(serializers.Serializer[Any]):
    """Every target."""

    as_of = serializers.DateTimeField()
    webhooks = WebhookOut(many=True)
