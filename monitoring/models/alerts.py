"""Stores alerts, the rules that raise them, and who is told of them."""

from django.db import models
from django.db.models import F, Q

from monitoring.domain.alerting.notices import TargetFormat
from monitoring.domain.alerting.rules import Comparison, Level, Metric
from monitoring.domain.alerts import AlertState, Severity


class Alert(models.Model):
    """One spell of trouble of one kind in one scope."""

    kind = models.TextField(help_text="name of the rule")
    scope = models.TextField(help_text="such as pool:beijing-gpu or region:CN-BJ")
    region_code = models.TextField(blank=True, default="")
    severity = models.TextField(choices=[(s.value, s.value) for s in Severity])
    state = models.TextField(choices=[(s.value, s.value) for s in AlertState])
    detail = models.JSONField(default=dict, help_text="the figures behind the words")
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    fingerprint = models.TextField(blank=True, default="")
    pending_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True, blank=True)
    quiet_since = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    unknown_since = models.DateTimeField(null=True, blank=True, help_text="data is missing since")
    fired_wall_at = models.DateTimeField(null=True, blank=True)
    resolved_wall_at = models.DateTimeField(null=True, blank=True)
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


class AlertRule(models.Model):
    """When to alert, on what, and what to say; `domain.alerting.rules` says what each field is."""

    name = models.TextField(unique=True)
    metric = models.TextField(choices=[(m.value, m.value) for m in Metric])
    level = models.TextField(choices=[(level.value, level.value) for level in Level])
    comparison = models.TextField(choices=[(c.value, c.value) for c in Comparison])
    threshold = models.FloatField()
    critical_threshold = models.FloatField(null=True)
    severity = models.TextField(choices=[(s.value, s.value) for s in Severity])
    for_s = models.FloatField()
    keep_firing_for_s = models.FloatField()
    only = models.JSONField(default=dict)
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    is_enabled = models.BooleanField(default=True)
    version = models.IntegerField(default=1)
    changed_at = models.DateTimeField()
    changed_by = models.TextField()
    evaluated_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="alert_rule_holds_sane", condition=Q(for_s__gte=0, keep_firing_for_s__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ChangeState(models.TextChoices):
    """Where a proposed change of an alert rule stands."""

    PROPOSED = "PROPOSED"
    APPLIED = "APPLIED"
    REJECTED = "REJECTED"


class AlertRuleChange(models.Model):
    """A proposed content of an alert rule and what another grid admin said to it."""

    rule_name = models.TextField()
    wanted = models.JSONField()
    based_on = models.IntegerField(help_text="version that it was made from; 0 for a new rule")
    state = models.TextField(choices=ChangeState.choices)
    proposed_by = models.TextField()
    proposed_at = models.DateTimeField()
    decided_by = models.TextField(blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    comment = models.TextField(blank=True, default="")
    request_key = models.TextField(null=True, unique=True)  # noqa: DJ001 (null is "no key")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="alert_rule_one_open_change",
                fields=["rule_name"],
                condition=Q(state="PROPOSED"),
            ),
            models.CheckConstraint(
                name="alert_rule_change_by_two_people",
                condition=~Q(state="APPLIED") | ~Q(decided_by=F("proposed_by")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name} {self.state}"


class WebhookTarget(models.Model):
    """Who is told of alerts, and how telling goes; times are wall time."""

    name = models.TextField(unique=True)
    url = models.TextField()
    form = models.TextField(choices=[(f.value, f.value) for f in TargetFormat])
    match = models.JSONField(default=dict)
    group_by = models.JSONField(default=list)
    resend_s = models.FloatField()
    group_interval_s = models.FloatField()
    send_resolved = models.BooleanField(default=True)
    is_enabled = models.BooleanField(default=True)
    salt = models.TextField(help_text="with the secret key, makes the signing secret")
    version = models.IntegerField(default=1)
    changed_at = models.DateTimeField()
    changed_by = models.TextField()
    request_key = models.TextField(null=True, unique=True)  # noqa: DJ001 (null is "no key")
    failures = models.IntegerField(default=0, help_text="in a row")
    next_try_at = models.DateTimeField(null=True)
    sent_count = models.BigIntegerField(default=0)
    failed_count = models.BigIntegerField(default=0)
    last_ok_at = models.DateTimeField(null=True)
    last_error_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return self.name


class WebhookGroup(models.Model):
    """What a target was told of one group of alerts: the row is the queue."""

    target = models.ForeignKey(
        WebhookTarget, on_delete=models.CASCADE, related_name="groups", db_index=False
    )
    group_key = models.TextField()
    told = models.JSONField(default=dict, help_text="alert -> whether it was told as firing")
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="webhook_group_once", fields=["target", "group_key"]),
        ]

    def __str__(self) -> str:
        return f"{self.target_id} {self.group_key}"
