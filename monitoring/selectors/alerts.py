"""Reads alerts, the rules that raise them and proposed changes of rules."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.domain.alerting.rules import AlertRule, read_alert_rule, write_alert_rule
from monitoring.domain.alerts import AlertState
from monitoring.models import Alert, AlertRuleChange, Provider
from monitoring.models import AlertRule as AlertRuleRow

INACTIVE = "INACTIVE"
_RULE_FIELDS = tuple(AlertRule.__dataclass_fields__)


@dataclass(frozen=True)
class AlertView:
    """An alert as people see it; `unknown_since` says since when its data is missing."""

    id: int
    kind: str
    severity: str
    scope: str
    region_code: str
    state: str
    detail: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    fingerprint: str
    pending_at: dt.datetime
    fired_at: dt.datetime | None
    resolved_at: dt.datetime | None
    unknown_since: dt.datetime | None
    acknowledged_at: dt.datetime | None
    acknowledged_by: str
    comment: str


@dataclass(frozen=True)
class RuleView:
    """An alert rule as people see it, with how it stands.

    Attributes:
        rule: what it says.
        version: counts its contents.
        changed_by: who proposed the content that holds.
        changed_at: since when it holds.
        evaluated_at: when it was last looked at, or None.
        state: of its worst alert: FIRING, PENDING or INACTIVE.
        firing: alerts that fire.
        pending: alerts that do not fire yet.
    """

    rule: AlertRule
    version: int
    changed_by: str
    changed_at: dt.datetime
    evaluated_at: dt.datetime | None
    state: str
    firing: int
    pending: int


@dataclass(frozen=True)
class ChangeView:
    """A proposed change of an alert rule as people see it."""

    id: int
    rule_name: str
    wanted: Mapping[str, Any]
    based_on: int
    state: str
    proposed_by: str
    proposed_at: dt.datetime
    decided_by: str
    decided_at: dt.datetime | None
    comment: str


def open_alerts(now: dt.datetime, *, include_pending: bool = False) -> list[AlertView]:
    """Return the alerts that fire, newest first.

    Args:
        now: present grid time; an alert of a later time is left out.
        include_pending: the ones that do not fire yet as well.
    """
    states = [AlertState.FIRING, *([AlertState.PENDING] if include_pending else [])]
    rows = Alert.objects.filter(state__in=states, pending_at__lte=now)
    return [view_of(alert) for alert in rows.order_by("-pending_at", "pk")]


def recent_alerts(now: dt.datetime, *, limit: int = 200) -> list[AlertView]:
    """Return the newest alerts in any state, newest first.

    Args:
        now: present grid time.
        limit: at most this many.
    """
    rows = Alert.objects.filter(pending_at__lte=now)
    return [view_of(alert) for alert in rows.order_by("-pending_at", "pk")[:limit]]


def alert_rules() -> list[AlertRule]:
    """Return every alert rule, in order of name."""
    rows = AlertRuleRow.objects.order_by("name").values(*_RULE_FIELDS)
    return [read_alert_rule(row) for row in rows]


def rule_views(*, name: str = "") -> list[RuleView]:
    """Return the alert rules with how each stands, in order of name.

    Args:
        name: only this one.
    """
    rows = AlertRuleRow.objects.order_by("name")
    chosen = list(rows.filter(name=name) if name else rows)
    spells = Alert.objects.exclude(state=AlertState.RESOLVED)
    counts = Counter(spells.values_list("kind", "state"))
    return [_rule_view(row, counts) for row in chosen]


def rule_changes(*, limit: int = 100) -> list[ChangeView]:
    """Return the newest proposed changes of rules, newest first.

    Args:
        limit: at most this many.
    """
    return [change_view(change) for change in AlertRuleChange.objects.order_by("-pk")[:limit]]


def provider_skews() -> dict[str, float | None]:
    """Return how far each provider's clock is ahead (s); None where it is not known."""
    return dict(Provider.objects.values_list("code", "health__skew_s"))


def change_view(change: AlertRuleChange) -> ChangeView:
    """Return a proposed change as people see it."""
    return ChangeView(**{name: getattr(change, name) for name in ChangeView.__dataclass_fields__})


def view_of(alert: Alert) -> AlertView:
    """Return an alert as people see it."""
    return AlertView(**{name: getattr(alert, name) for name in AlertView.__dataclass_fields__})


def rule_document(view: RuleView) -> dict[str, Any]:
    """Return a rule as a JSON-able object with how it stands."""
    return {
        **write_alert_rule(view.rule),
        **{name: getattr(view, name) for name in RuleView.__dataclass_fields__ if name != "rule"},
    }


def _rule_view(row: AlertRuleRow, counts: Counter[tuple[str, str]]) -> RuleView:
    firing = counts[row.name, AlertState.FIRING.value]
    pending = counts[row.name, AlertState.PENDING.value]
    worst = AlertState.FIRING.value if firing else AlertState.PENDING.value if pending else INACTIVE
    return RuleView(
        rule=read_alert_rule({name: getattr(row, name) for name in _RULE_FIELDS}),
        version=row.version,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        evaluated_at=row.evaluated_at,
        state=worst,
        firing=firing,
        pending=pending,
    )
