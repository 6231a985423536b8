"""Decides what is told of an alert, to whom, in which words and when again."""

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from monitoring.domain.alerting.rules import AlertRule
from monitoring.domain.alerts import Finding

# Alertmanager's own "not yet", which its receivers know
NEVER = "0001-01-01T00:00:00Z"
RESOLVED_TOLD_FOR = dt.timedelta(minutes=15)
"""How long a generator repeats that an alert is over (Prometheus' alert generator rules)."""
ENDS_AFTER_RESENDS = 4
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 300.0


class TargetFormat(StrEnum):
    """What a target understands."""

    WEBHOOK = "webhook"
    ALERTMANAGER = "alertmanager"


@dataclass(frozen=True)
class Told:
    """One alert as it is told outside, in wall time.

    Attributes:
        key: which alert.
        fingerprint: same for every spell of the same trouble.
        labels: what identifies it, and its severity.
        annotations: words for people.
        started_at: when it fired.
        ended_at: when it was over, or None while it fires.
        is_back: whether the same trouble is there again, as another alert.
    """

    key: str
    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    started_at: dt.datetime
    ended_at: dt.datetime | None = None
    is_back: bool = False

    @property
    def is_firing(self) -> bool:
        """Whether it is not over."""
        return self.ended_at is None


@dataclass(frozen=True)
class TargetTerms:
    """What a target wants to be told.

    Attributes:
        name: the receiver's name.
        form: what it understands.
        match: labels that an alert must have; each with the values that are wanted.
        group_by: labels that alerts of one message share.
        resend_s: how often what still fires is told again (s).
        group_interval_s: least time between two messages of one group (s).
        send_resolved: whether it is told that an alert is over.
    """

    name: str
    form: TargetFormat
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group_by: tuple[str, ...] = ("alertname",)
    resend_s: float = 14_400.0
    group_interval_s: float = 30.0
    send_resolved: bool = True

    def wants(self, alert: Told) -> bool:
        """Whether the target is to hear of an alert."""
        return all(alert.labels.get(label) in values for label, values in self.match.items())


@dataclass(frozen=True)
class GroupState:
    """What a target has been told of one group: alert key -> whether as firing, or as over."""

    told: Mapping[str, bool] = field(default_factory=dict)
    sent_at: dt.datetime | None = None


@dataclass(frozen=True)
class Notice:
    """What is to be sent to a target of one group, if anything is due."""

    group: tuple[tuple[str, str], ...]
    alerts: tuple[Told, ...]
    told: Mapping[str, bool]
    is_due: bool

    @property
    def group_key(self) -> str:
        """The group's name, the same over restarts."""
        return "{" + ", ".join(f'{name}="{value}"' for name, value in self.group) + "}"


def labels_of(rule: AlertRule, finding: Finding) -> dict[str, str]:
    """Return the labels that identify an alert, with its severity and the rule's own."""
    level, _, code = finding.scope.partition(":")
    own = {"alertname": rule.name, "severity": finding.severity.value, level: code}
    region = {"region": finding.region_code} if finding.region_code else {}
    return {**rule.labels, **region, **own}


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return 16 hex digits of an alert's labels; its severity may change and is left out.

    >>> fingerprint({"alertname": "A", "severity": "info"}) == fingerprint({"alertname": "A"})
    True
    """
    kept = {name: value for name, value in labels.items() if name != "severity"}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def plan_notices(
    terms: TargetTerms,
    alerts: Sequence[Told],
    states: Mapping[str, GroupState],
    *,
    now: dt.datetime,
) -> list[Notice]:
    """Return what a target has to hear by group, from what is so and what it was told.

    An alert that ended before it was told is not told at all. A group is due when something
    begins, when something told as firing is over, and again after the resend interval while
    anything fires.

    Args:
        terms: what the target wants.
        alerts: all that fire, and those that are over of which the target may have been told.
        states: by group key, what was delivered.
        now: present wall time.

    Returns:
        A notice per group with anything to tell, due or not, in order of key.
    """
    groups: defaultdict[tuple[tuple[str, str], ...], list[Told]] = defaultdict(list)
    known = {key for state in states.values() for key in state.told}
    firing = {alert.fingerprint for alert in alerts if alert.is_firing}
    for alert in alerts:
        if not alert.is_firing and alert.fingerprint in firing:
            continue
        # what was told is told to its end, whatever its severity has become
        if terms.wants(alert) or alert.key in known:
            key = tuple((label, alert.labels.get(label, "")) for label in terms.group_by)
            groups[key].append(alert)
    notices = [_plan_group(terms, key, group, states, now) for key, group in groups.items()]
    return sorted(
        (notice for notice in notices if notice.alerts), key=lambda notice: notice.group_key
    )


def webhook_body(
    terms: TargetTerms, notice: Notice, *, external_url: str, limit: int = 100
) -> dict[str, Any]:
    """Return a message in the format of Alertmanager's webhooks, version 4.

    Args:
        terms: of the target.
        notice: what to tell.
        external_url: where people find the grid.
        limit: most alerts in one message; the rest is counted.
    """
    shown = notice.alerts[:limit]
    is_firing = any(alert.is_firing for alert in notice.alerts)
    return {
        "version": "4",
        "groupKey": f"{{}}:{notice.group_key}",
        "truncatedAlerts": len(notice.alerts) - len(shown),
        "status": "firing" if is_firing else "resolved",
        "receiver": terms.name,
        "groupLabels": dict(notice.group),
        "commonLabels": _common([alert.labels for alert in notice.alerts]),
        "commonAnnotations": _common([alert.annotations for alert in notice.alerts]),
        "externalURL": external_url,
        "alerts": [_alert_body(alert, external_url) for alert in shown],
    }


def alertmanager_body(
    terms: TargetTerms, notice: Notice, *, external_url: str, now: dt.datetime
) -> list[dict[str, Any]]:
    """Return a message as Prometheus posts it to Alertmanager's `/api/v2/alerts`.

    What fires ends by itself after four resend intervals without news.

    Args:
        terms: of the target.
        notice: what to tell.
        external_url: where people find the grid.
        now: present wall time.
    """
    lease = now + dt.timedelta(seconds=ENDS_AFTER_RESENDS * terms.resend_s)
    return [
        {
            "labels": dict(alert.labels),
            "annotations": dict(alert.annotations),
            "startsAt": _stamp(alert.started_at),
            "endsAt": _stamp(alert.ended_at or lease),
            "generatorURL": _link(alert, external_url),
        }
        for alert in notice.alerts
    ]


def retry_after_s(failures: int) -> float:
    """Return how long a target that failed is left alone: twice as long each time, to 5 min.

    >>> retry_after_s(1), retry_after_s(2), retry_after_s(99)
    (2.0, 4.0, 300.0)
    """
    return float(min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** (min(failures, 20) - 1)))


def _plan_group(
    terms: TargetTerms,
    key: tuple[tuple[str, str], ...],
    group: Sequence[Told],
    states: Mapping[str, GroupState],
    now: dt.datetime,
) -> Notice:
    empty = Notice(group=key, alerts=(), told={}, is_due=False)
    state = states.get(empty.group_key, GroupState())
    tellable = [alert for alert in group if _is_told(terms, alert, state, now)]
    tellable.sort(key=lambda alert: (not alert.is_firing, alert.started_at, alert.key))
    told = {alert.key: alert.is_firing for alert in tellable}
    return Notice(
        group=key,
        alerts=tuple(tellable),
        told=told,
        is_due=bool(told) and _is_due(terms, told, state, now),
    )


def _is_told(terms: TargetTerms, alert: Told, state: GroupState, now: dt.datetime) -> bool:
    if alert.is_firing:
        return True
    was_firing = state.told.get(alert.key)
    if was_firing is None or not terms.send_resolved or alert.ended_at is None:
        return False
    is_repeated = terms.form is TargetFormat.ALERTMANAGER and not alert.is_back
    return was_firing or (is_repeated and now - alert.ended_at < RESOLVED_TOLD_FOR)


def _is_due(
    terms: TargetTerms, told: Mapping[str, bool], state: GroupState, now: dt.datetime
) -> bool:
    if state.sent_at is None:
        return True
    since_s = (now - state.sent_at).total_seconds()
    is_news = any(state.told.get(key) is not is_firing for key, is_firing in told.items())
    if is_news:
        return since_s >= terms.group_interval_s
    is_repeated = terms.form is TargetFormat.ALERTMANAGER or any(told.values())
    return is_repeated and since_s >= terms.resend_s


def _alert_body(alert: Told, external_url: str) -> dict[str, Any]:
    return {
        "status": "firing" if alert.is_firing else "resolved",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": _stamp(alert.started_at),
        "endsAt": _stamp(alert.ended_at) if alert.ended_at else NEVER,
        "generatorURL": _link(alert, external_url),
        "fingerprint": alert.fingerprint,
    }


def _link(alert: Told, external_url: str) -> str:
    return f"{external_url}/alerts/#{alert.labels.get('alertname', '')}"


def _stamp(moment: dt.datetime) -> str:
    text = moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _common(texts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = texts
    return {
        name: value
        for name, value in sorted(first.items())
        if all(other.get(name) == value for other in others)
    }
