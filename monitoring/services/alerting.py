"""Moves alerts along by the rules, and records who takes care of one."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from controlplane.auth import audit
from controlplane.auth.roles import Actor, Permission
from controlplane.lib import clock, events
from controlplane.lib.errors import ErrorKind, GridError
from monitoring import selectors
from monitoring.domain.alerting.measures import (
    MEASURED,
    Measurement,
    judge,
    measure,
    measure_skews,
)
from monitoring.domain.alerting.notices import fingerprint, labels_of
from monitoring.domain.alerting.rules import AlertRule, Metric, fill_places
from monitoring.domain.alerts import AlertState, Finding, Observation, Spell, advance, end
from monitoring.models import Alert
from monitoring.models import AlertRule as AlertRuleRow
from monitoring.services.alert_rules import keep_default_rules

Names = Mapping[str, tuple[str, str]]


class AlertNotFound(GridError):
    """There is no such alert."""

    code = "alert-not-found"
    kind = ErrorKind.NOT_FOUND


class AlertNotAcknowledgeable(GridError):
    """The alert is over, or somebody else has acknowledged it."""

    code = "alert-not-acknowledgeable"
    kind = ErrorKind.CONFLICT


class MayNotAcknowledge(GridError):
    """The person's role does not acknowledge alerts."""

    code = "not-allowed"
    kind = ErrorKind.NOT_ALLOWED


def evaluate_alerts(now: dt.datetime) -> dict[str, int]:
    """Look at everything that the present readings tell once and move its alerts along.

    Args:
        now: present grid time.

    Returns:
        How many alerts of each rule are open afterwards.
    """
    readings = selectors.pool_states(now)
    skews = selectors.provider_skews()

    def measured(rule: AlertRule) -> list[Measurement]:
        if rule.metric is Metric.CLOCK_SKEW_S:
            return measure_skews(rule, skews)
        return measure(rule, readings)

    return follow_rules(now, metrics={*MEASURED, Metric.CLOCK_SKEW_S}, measured=measured)


def follow_rules(
    now: dt.datetime,
    *,
    metrics: Collection[Metric],
    measured: Callable[[AlertRule], Sequence[Measurement]],
) -> dict[str, int]:
    """Make the alerts of some metrics' rules follow one look; those of disabled rules end.

    Args:
        now: present grid time.
        metrics: the metrics that were looked at; rules of others are left alone.
        measured: returns the figures that a rule looks at.

    Returns:
        How many alerts of each rule are open afterwards.
    """
    keep_default_rules(now)
    rules = [rule for rule in selectors.alert_rules() if rule.metric in metrics]
    still_open = {}
    for rule in rules:
        if not rule.is_enabled:
            still_open[rule.name] = _end_alerts(rule.name, now)
            continue
        judgement = judge(rule, measured(rule))
        still_open[rule.name] = sync_alerts(
            rule, judgement.findings, now, unknown_scopes=judgement.unknown_scopes
        )
    followed = [rule.name for rule in rules if rule.is_enabled]
    AlertRuleRow.objects.filter(name__in=followed).update(evaluated_at=now)
    return still_open


@transaction.atomic
def sync_alerts(
    rule: AlertRule,
    findings: Iterable[Finding],
    now: dt.datetime,
    *,
    unknown_scopes: Collection[str] = (),
) -> int:
    """Make the alerts of one rule follow what one look has found.

    A scope that is not among the findings is clear, unless it is named as unknown: missing data
    neither starts nor ends an alert. The rule's hold times decide when one fires and resolves.

    Args:
        rule: whose alerts to move.
        findings: trouble seen, at most one finding per scope.
        now: present grid time.
        unknown_scopes: scopes about which nothing could be said.

    Returns:
        How many alerts of the rule are open afterwards.
    """
    found = {finding.scope: finding for finding in findings}
    open_alerts = {alert.scope: alert for alert in _lock_open(rule.name)}
    names = _names_in_words() if found else {}
    still_open, has_changed = 0, False
    for scope in sorted(found.keys() | open_alerts.keys()):
        alert, finding = open_alerts.get(scope), found.get(scope)
        seen = _observation(scope, finding, unknown_scopes)
        before = _spell_of(alert)
        after = advance(before, seen, hold=rule.hold, now=now)
        if after is None:
            continue
        is_news = before is None or after.state is not before.state
        has_changed = has_changed or is_news
        still_open += after.state is not AlertState.RESOLVED
        if after != before or finding is not None:
            alert = alert or Alert(kind=rule.name, scope=scope)
            _describe(alert, rule, finding, names)
            _save_spell(alert, after)
    if has_changed:
        events.publish("grid", {"kind": "alerts"})
    return still_open


@transaction.atomic
def acknowledge_alert(
    actor: Actor, alert_id: int, *, comment: str, now: dt.datetime
) -> selectors.AlertView:
    """Record that a person has seen an open alert and takes care of it.

    Doing it again as the same person changes nothing. A new spell of the same trouble is a new
    alert, which nobody has acknowledged.

    Args:
        actor: who acknowledges.
        alert_id: which alert.
        comment: what is going to be done; may be empty.
        now: present grid time.

    Raises:
        MayNotAcknowledge: the person's role does not allow it.
        AlertNotFound: there is no such alert.
        AlertNotAcknowledgeable: it is over, or another person has acknowledged it.
    """
    if not actor.may(Permission.ACKNOWLEDGE_ALERT):
        raise MayNotAcknowledge("Only a grid operator acknowledges alerts.")
    alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
    if alert is None:
        raise AlertNotFound(f"There is no alert {alert_id}.")
    if alert.acknowledged_by == actor.username:
        return selectors.view_of(alert)
    if alert.acknowledged_by or alert.state == AlertState.RESOLVED:
        who = alert.acknowledged_by
        reason = f"{who} has acknowledged it already" if who else "it is over"
        raise AlertNotAcknowledgeable(f"Alert {alert_id} cannot be acknowledged: {reason}.")
    alert.acknowledged_at, alert.acknowledged_by, alert.comment = now, actor.username, comment
    alert.save(update_fields=["acknowledged_at", "acknowledged_by", "comment"])
    facts = {"kind": alert.kind, "scope": alert.scope, "comment": comment}
    audit.record(actor.username, "acknowledge-alert", f"alert:{alert_id}", facts)
    events.publish("grid", {"kind": "alerts"})
    return selectors.view_of(alert)


def forget_alerts(now: dt.datetime) -> int:
    """Delete alerts that are over and old; those that never fired are old after a day.

    Args:
        now: present grid time.

    Returns:
        How many were deleted.
    """
    over = Alert.objects.filter(state=AlertState.RESOLVED)
    limit = now - dt.timedelta(days=settings.RETENTION_DAYS)
    never_fired = Q(fired_at=None, resolved_at__lt=now - dt.timedelta(days=1))
    return over.filter(Q(resolved_at__lt=limit) | never_fired).delete()[0]


@transaction.atomic
def _end_alerts(kind: str, now: dt.datetime) -> int:
    ended = list(_lock_open(kind))
    for alert in ended:
        spell = _spell_of(alert)
        if spell is not None:
            _save_spell(alert, end(spell, now=now))
    if ended:
        events.publish("grid", {"kind": "alerts"})
    return 0


def _lock_open(kind: str) -> Iterable[Alert]:
    open_alerts = Alert.objects.select_for_update().exclude(state=AlertState.RESOLVED)
    return open_alerts.filter(kind=kind).order_by("pk")


def _observation(
    scope: str, finding: Finding | None, unknown_scopes: Collection[str]
) -> Observation:
    if finding is not None:
        return Observation.TROUBLE
    return Observation.UNKNOWN if scope in unknown_scopes else Observation.CLEAR


def _spell_of(alert: Alert | None) -> Spell | None:
    if alert is None:
        return None
    return Spell(
        state=AlertState(alert.state),
        pending_at=alert.pending_at,
        fired_at=alert.fired_at,
        quiet_since=alert.quiet_since,
        resolved_at=alert.resolved_at,
        unknown_since=alert.unknown_since,
    )


def _describe(alert: Alert, rule: AlertRule, finding: Finding | None, names: Names) -> None:
    if finding is None:
        return
    alert.severity, alert.region_code = finding.severity, finding.region_code
    alert.detail = dict(finding.detail)
    alert.labels = labels_of(rule, finding)
    alert.fingerprint = fingerprint(alert.labels)
    code = finding.scope.partition(":")[2]
    spoken = {"scope": finding.scope, "threshold": rule.threshold, **finding.detail}
    words = names.get(code, (code, code))
    alert.annotations = {
        key: fill_places(text, {**spoken, "name": words[0 if key.endswith("_zh") else 1]})
        for key, text in rule.annotations.items()
    }


def _save_spell(alert: Alert, spell: Spell) -> None:
    # people outside the grid live in wall time, which a demo's grid time is not
    if spell.fired_at is not None and alert.fired_wall_at is None:
        alert.fired_wall_at = clock.wall_now()
    if spell.resolved_at is not None and alert.resolved_wall_at is None:
        alert.resolved_wall_at = clock.wall_now()
    alert.state = spell.state
    alert.pending_at, alert.fired_at = spell.pending_at, spell.fired_at
    alert.quiet_since, alert.resolved_at = spell.quiet_since, spell.resolved_at
    alert.unknown_since = spell.unknown_since
    alert.save()


def _names_in_words() -> dict[str, tuple[str, str]]:
    names = {info.code: (info.name_zh, info.name_en) for info in selectors.regions()}
    return names | {info.code: (info.name_zh, info.name_en) for info in selectors.providers()}
