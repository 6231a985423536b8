"""Reads alerts."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.domain.alerts import AlertState
from monitoring.models import Alert


@dataclass(frozen=True)
class AlertView:
    """An alert as people see it."""

    id: int
    kind: str
    severity: str
    scope: str
    region_code: str
    state: str
    detail: Mapping[str, Any]
    pending_at: dt.datetime
    fired_at: dt.datetime | None
    resolved_at: dt.datetime | None
    acknowledged_at: dt.datetime | None
    acknowledged_by: str
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
    rows = Alert.objects.filter(pending_at__lte=now).order_by("-pending_at", "pk")
    return [view_of(alert) for alert in rows[:limit]]


def view_of(alert: Alert) -> AlertView:
    """Return an alert as people see it."""
    return AlertView(**{name: getattr(alert, name) for name in AlertView.__dataclass_fields__})
