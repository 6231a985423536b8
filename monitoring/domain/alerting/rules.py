"""Decides what an alert rule may say, and reads one from a document."""

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from controlplane.lib.errors import GridError
from monitoring.domain.alerts import HoldTimes, Severity


class Level(StrEnum):
    """What one alert of a rule speaks of."""

    GRID = "grid"
    REGION = "region"
    PROVIDER = "provider"
    POOL = "pool"


class Metric(StrEnum):
    """What a rule looks at; each has one figure for each grid, region, provider or pool."""

    HEADROOM_UNITS = "headroom_units"
    HEADROOM_SHARE = "headroom_share"
    UTILIZATION = "utilization"
    QUEUED_UNITS = "queued_units"
    SHORTAGE_UNITS = "shortage_units"
    SHORTAGE_SHARE = "shortage_share"
    SAMPLE_AGE_S = "sample_age_s"
    UNKNOWN_SHARE = "unknown_share"
    SUSPECT_SHARE = "suspect_share"
    CLOCK_SKEW_S = "clock_skew_s"
    FORECAST_SHORTAGE_PROBABILITY = "forecast_shortage_probability"
    ALWAYS = "always"


class Comparison(StrEnum):
    """How the figure is held against the threshold."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="

    def holds(self, value: float, threshold: float) -> bool:
        """Whether a figure is on the bad side of a threshold."""
        if self is Comparison.ABOVE:
            return value > threshold
        if self is Comparison.AT_LEAST:
            return value >= threshold
        return value < threshold if self is Comparison.BELOW else value <= threshold


ONLY_LEVEL: Mapping[Metric, Level] = {
    Metric.CLOCK_SKEW_S: Level.PROVIDER,
    Metric.FORECAST_SHORTAGE_PROBABILITY: Level.REGION,
    Metric.ALWAYS: Level.GRID,
}
"""Metrics that have a figure at one level only."""

FILTERS = ("regions", "providers", "pools")
# what identifies an alert is the grid's to say; a rule may add to it, never replace it
RESERVED_LABELS = frozenset({"alertname", "severity", *Level})
PLACEHOLDERS = frozenset(
    {
        *("name", "scope", "value", "threshold", "short_units", "queued_units"),
        *("headroom_units", "capacity_units", "pools", "unknown_pools", "age_s", "probability"),
    }
)
MAX_HOLD_S = 7 * 86_400.0
Choice = TypeVar("Choice", bound=StrEnum)
_MAX_TEXTS = 16
_MAX_TEXT = 500
_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,59}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,59}")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class BadAlertRule(GridError):
    """An alert rule that cannot be followed."""

    code = "bad-alert-rule"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}", field=name, reason=reason)


@dataclass(frozen=True)
class AlertRule:
    """When to alert, on what, and what to say.

    Attributes:
        name: the alert's name, in capitals.
        metric: the figure that is looked at.
        level: what one alert speaks of.
        comparison: which side of the threshold is trouble.
        threshold: in the metric's unit.
        severity: of an alert of this rule.
        critical_threshold: on its bad side the alert is critical, or None.
        for_s: how long the trouble must last before an alert fires (s).
        keep_firing_for_s: how long it must be gone before the alert is over (s).
        only: codes of `regions`, `providers` and `pools` to look at; a missing one means all.
        labels: added to those that identify an alert.
        annotations: words for people; `{name}`, `{value}` and further places are filled in.
        is_enabled: whether the rule is followed.
    """

    name: str
    metric: Metric
    level: Level
    comparison: Comparison
    threshold: float
    severity: Severity = Severity.WARNING
    critical_threshold: float | None = None
    for_s: float = 0.0
    keep_firing_for_s: float = 0.0
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    is_enabled: bool = True

    @property
    def hold(self) -> HoldTimes:
        """Hold times of the rule's alerts."""
        return HoldTimes(
            before_firing=dt.timedelta(seconds=self.for_s),
            before_resolving=dt.timedelta(seconds=self.keep_firing_for_s),
        )


def read_alert_rule(document: Mapping[str, Any]) -> AlertRule:
    """Return the rule that a document describes.

    Args:
        document: fields of `AlertRule`; those with a default may be missing.

    Raises:
        BadAlertRule: a field is missing, unknown or says what cannot be followed.
    """
    known = {entry.name for entry in fields(AlertRule)}
    unknown = sorted(map(str, document.keys() - known))
    if unknown:
        raise BadAlertRule(unknown[0], "there is no such field")
    for name in ("name", "metric", "level", "comparison", "threshold"):
        if name not in document:
            raise BadAlertRule(name, "it is missing")
    rule = AlertRule(
        name=_read_name(document["name"]),
        metric=_read_choice("metric", document["metric"], Metric),
        level=_read_choice("level", document["level"], Level),
        comparison=_read_choice("comparison", document["comparison"], Comparison),
        threshold=_read_number("threshold", document["threshold"]),
        severity=_read_choice("severity", document.get("severity", "warning"), Severity),
        critical_threshold=_read_optional(document.get("critical_threshold")),
        for_s=_read_hold("for_s", document.get("for_s", 0.0)),
        keep_firing_for_s=_read_hold("keep_firing_for_s", document.get("keep_firing_for_s", 0.0)),
        only=_read_only(document.get("only", {})),
        labels=_read_labels(document.get("labels", {})),
        annotations=_read_annotations(document.get("annotations", {})),
        is_enabled=_read_flag(document.get("is_enabled", True)),
    )
    _check_level(rule)
    return rule


def write_alert_rule(rule: AlertRule) -> dict[str, Any]:
    """Return a rule as a JSON-able document that `read_alert_rule` takes."""
    document = {entry.name: getattr(rule, entry.name) for entry in fields(AlertRule)}
    texts = {name: dict(document[name]) for name in ("labels", "annotations")}
    only = {name: list(codes) for name, codes in rule.only.items()}
    chosen = {name: document[name].value for name in ("metric", "level", "comparison", "severity")}
    return {**document, **texts, **chosen, "only": only}


def fill_places(template: str, values: Mapping[str, Any]) -> str:
    """Return a text with its places filled in; a figure that is missing is a dash.

    >>> fill_places("{name}: {value} of {threshold}", {"name": "Beijing", "value": 0.25})
    'Beijing: 0.25 of —'
    """
    return _PLACEHOLDER.sub(lambda place: _say(values.get(place[1])), template)


def _check_level(rule: AlertRule) -> None:
    level = ONLY_LEVEL.get(rule.metric)
    if level is None:
        return
    if level is not rule.level:
        raise BadAlertRule("level", f"{rule.metric} has a figure for each {level} only")
    if rule.only.keys() - {f"{level}s"}:
        raise BadAlertRule("only", f"{rule.metric} can be chosen by {level} only")


def _say(value: object) -> str:
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return str(len(value))
    return "—" if value is None else str(value)


def _read_name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadAlertRule("name", "3 to 60 capitals, digits and underscores, a capital first")
    return value


def _read_choice(name: str, value: object, choices: type[Choice]) -> Choice:
    known = [choice.value for choice in choices]
    if not isinstance(value, str) or value not in known:
        raise BadAlertRule(name, f"it is one of {', '.join(known)}")
    return choices(value)


def _read_number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadAlertRule(name, "it is a number")
    return float(value)


def _read_optional(value: object) -> float | None:
    return None if value is None else _read_number("critical_threshold", value)


def _read_hold(name: str, value: object) -> float:
    seconds = _read_number(name, value)
    if not 0.0 <= seconds <= MAX_HOLD_S:
        raise BadAlertRule(name, f"it is 0 to {MAX_HOLD_S:.0f} seconds")
    return seconds


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadAlertRule("is_enabled", "it is true or false")
    return value


def _read_only(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise BadAlertRule("only", "it is an object")
    chosen = {}
    for name, codes in value.items():
        if name not in FILTERS:
            raise BadAlertRule("only", f"it names {', '.join(FILTERS)}")
        is_list = isinstance(codes, list | tuple) and 0 < len(codes) <= 1000
        if not is_list or not all(isinstance(code, str) and 0 < len(code) <= 200 for code in codes):
            raise BadAlertRule("only", f"{name} is a list of 1 to 1000 codes")
        chosen[name] = tuple(codes)
    return chosen


def _read_texts(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > _MAX_TEXTS:
        raise BadAlertRule(name, f"it is an object of at most {_MAX_TEXTS} texts")
    for key, text in value.items():
        if not isinstance(key, str) or not _LABEL.fullmatch(key):
            raise BadAlertRule(name, "names have letters, digits and underscores")
        if not isinstance(text, str) or not 0 < len(text) <= _MAX_TEXT or "\x00" in text:
            raise BadAlertRule(name, f"{key} is a text of 1 to {_MAX_TEXT} characters")
    return dict(value)


def _read_labels(value: object) -> dict[str, str]:
    labels = _read_texts("labels", value)
    taken = sorted(RESERVED_LABELS & labels.keys())
    if taken:
        raise BadAlertRule("labels", f"{', '.join(taken)} is the grid's own")
    return labels


def _read_annotations(value: object) -> dict[str, str]:
    annotations = _read_texts("annotations", value)
    places = {place for text in annotations.values() for place in _PLACEHOLDER.findall(text)}
    unknown = sorted(places - PLACEHOLDERS)
    if unknown:
        raise BadAlertRule("annotations", f"there is no {{{unknown[0]}}} to fill in")
    return annotations
