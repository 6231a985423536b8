"""Reads who is told of alerts, what was told, and what there is to tell."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from monitoring.domain.alerting.notices import GroupState, TargetFormat, TargetTerms, Told
from monitoring.domain.alerts import AlertState
from monitoring.models import Alert, WebhookTarget


@dataclass(frozen=True)
class TargetView:
    """A target as people see it, with how telling goes; times are wall time."""

    id: int
    name: str
    url: str
    form: str
    match: dict[str, list[str]]
    group_by: list[str]
    resend_s: float
    group_interval_s: float
    send_resolved: bool
    is_enabled: bool
    version: int
    changed_at: dt.datetime
    changed_by: str
    failures: int
    next_try_at: dt.datetime | None
    sent_count: int
    failed_count: int
    last_ok_at: dt.datetime | None
    last_error_at: dt.datetime | None
    last_error: str


def webhook_targets() -> list[TargetView]:
    """Return every target, in order of name."""
    return [target_view(row) for row in WebhookTarget.objects.order_by("name")]


def webhook_target(target_id: int) -> TargetView | None:
    """Return one target, or None."""
    row = WebhookTarget.objects.filter(pk=target_id).first()
    return target_view(row) if row else None


def target_view(row: WebhookTarget) -> TargetView:
    """Return a target as people see it; its signing secret is not in it."""
    return TargetView(**{name: getattr(row, name) for name in TargetView.__dataclass_fields__})


def target_terms(row: WebhookTarget) -> TargetTerms:
    """Return what a target wants to be told."""
    return TargetTerms(
        name=row.name,
        form=TargetFormat(row.form),
        match={label: tuple(values) for label, values in row.match.items()},
        group_by=tuple(row.group_by),
        resend_s=row.resend_s,
        group_interval_s=row.group_interval_s,
        send_resolved=row.send_resolved,
    )


def group_states(target_id: int) -> dict[str, GroupState]:
    """Return what a target was told, by group."""
    rows = WebhookTarget.objects.get(pk=target_id).groups.all()
    return {row.group_key: GroupState(row.told, row.sent_at) for row in rows}


def tellable_alerts(told_keys: Sequence[str]) -> list[Told]:
    """Return the alerts that fire, and those among the told ones that are over.

    Args:
        told_keys: alerts that some target was told of.
    """
    told = [int(key) for key in told_keys]
    is_over = Q(state=AlertState.RESOLVED, pk__in=told)
    rows = list(Alert.objects.filter(Q(state=AlertState.FIRING) | is_over).order_by("pk"))
    scopes = [row.scope for row in rows if row.state == AlertState.RESOLVED]
    again = Alert.objects.filter(scope__in=scopes).exclude(state=AlertState.RESOLVED)
    is_back = set(again.values_list("kind", "scope")) if scopes else set()
    return [_told(row, is_back=(row.kind, row.scope) in is_back) for row in rows]


def _told(row: Alert, *, is_back: bool) -> Told:
    over_at = row.resolved_wall_at or row.resolved_at
    labels: dict[str, Any] = row.labels or {"alertname": row.kind, "scope": row.scope}
    return Told(
        key=str(row.pk),
        fingerprint=row.fingerprint,
        labels=labels,
        annotations=row.annotations,
        started_at=row.fired_wall_at or row.fired_at or row.pending_at,
        ended_at=over_at if row.state == AlertState.RESOLVED else None,
        is_back=is_back,
    )
