"""Takes the figures that alert rules look at from the present readings, and judges them."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitoring.domain.alerting.rules import AlertRule, Level, Metric
from monitoring.domain.alerts import Finding, Severity
from monitoring.domain.headroom import Load, ReadingQuality, add_up
from monitoring.domain.readings import PoolReading

GRID_CODE = "all"


@dataclass(frozen=True)
class Measurement:
    """One figure of one scope at one look.

    Attributes:
        code: of the region, provider or pool.
        value: in the metric's unit; None = unknown.
        is_complete: whether it covers all that belongs to the scope; a figure that does not may
            show trouble, but not that there is none.
        region_code: the region it concerns, or "".
        detail: JSON-able figures behind it.
    """

    code: str
    value: float | None
    is_complete: bool = True
    region_code: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What one look at a rule's scopes showed; a scope in neither is clear."""

    findings: tuple[Finding, ...]
    unknown_scopes: frozenset[str]


def measure(rule: AlertRule, readings: Sequence[PoolReading]) -> list[Measurement]:
    """Return the figure of each scope of a rule, in order of code.

    Args:
        rule: its metric must be one of `MEASURED`.
        readings: all pools now.
    """
    groups: defaultdict[str, list[PoolReading]] = defaultdict(list)
    for reading in readings:
        if _is_wanted(rule, reading):
            groups[_code(rule.level, reading)].append(reading)
    if rule.level is Level.GRID and not rule.only:
        groups.setdefault(GRID_CODE, [])
    return [_measure_group(rule, code, group) for code, group in sorted(groups.items())]


def measure_skews(rule: AlertRule, skews: Mapping[str, float | None]) -> list[Measurement]:
    """Return how far each provider's clock is off, ahead or behind, in order of code.

    Args:
        rule: of the metric `CLOCK_SKEW_S`.
        skews: provider code -> how far its clock is ahead (s), None = unknown.
    """
    return [
        Measurement(
            code,
            None if skew is None else abs(skew),
            detail={"provider": code, "skew_s": skew},
        )
        for code, skew in sorted(skews.items())
        if is_chosen(rule, Level.PROVIDER, code)
    ]


def judge(rule: AlertRule, measurements: Sequence[Measurement]) -> Judgement:
    """Return which scopes are in trouble by a rule, and of which nothing can be said.

    Args:
        rule: the rule.
        measurements: at most one per scope.
    """
    findings, unknown = [], set()
    for seen in measurements:
        scope = f"{rule.level}:{seen.code}"
        if seen.value is not None and rule.comparison.holds(seen.value, rule.threshold):
            findings.append(_finding(rule, scope, seen, seen.value))
        elif seen.value is None or not seen.is_complete:
            unknown.add(scope)
    return Judgement(tuple(findings), frozenset(unknown))


def is_chosen(rule: AlertRule, level: Level, code: str) -> bool:
    """Whether a rule looks at a scope that is measured as a whole, by the filter of its level."""
    chosen = rule.only.get(f"{level}s")
    return chosen is None or code in chosen


def shortage(load: Load) -> float | None:
    """Return by how many units waiting work exceeds the headroom; None when unknown."""
    if load.queued is None or load.headroom is None:
        return None
    return max(0.0, load.queued - max(0.0, load.headroom))


def _is_wanted(rule: AlertRule, reading: PoolReading) -> bool:
    return not rule.only or all(
        is_chosen(rule, level, _code(level, reading))
        for level in (Level.REGION, Level.PROVIDER, Level.POOL)
    )


def _code(level: Level, reading: PoolReading) -> str:
    return GRID_CODE if level is Level.GRID else str(getattr(reading, level.value))


def _measure_group(rule: AlertRule, code: str, group: Sequence[PoolReading]) -> Measurement:
    load = add_up([reading.load for reading in group])
    regions = {reading.region for reading in group}
    return Measurement(
        code=code,
        value=MEASURED[rule.metric](load, group),
        is_complete=rule.metric in _ALWAYS_COMPLETE or load.known_pools == load.pools,
        region_code=regions.pop() if len(regions) == 1 else "",
        detail=_detail(rule, code, load, group),
    )


def _detail(rule: AlertRule, code: str, load: Load, group: Sequence[PoolReading]) -> dict[str, Any]:
    detail: dict[str, Any] = {
        rule.level.value: code,
        "short_units": shortage(load),
        "queued_units": load.queued,
        "headroom_units": load.headroom,
        "capacity_units": load.capacity,
        "unknown_pools": load.pools - load.known_pools,
    }
    if rule.level is Level.PROVIDER:
        ages = [reading.age_s for reading in group if reading.age_s is not None]
        detail["pools"] = sorted(reading.pool for reading in group)
        detail["silent_for_s"] = min(ages, default=None)
    return detail


def _finding(rule: AlertRule, scope: str, seen: Measurement, value: float) -> Finding:
    limit = rule.critical_threshold
    is_critical = limit is not None and rule.comparison.holds(value, limit)
    # JSON has no infinity: a shortage where there is no capacity at all
    figure = round(value, 6) if math.isfinite(value) else None
    return Finding(
        scope=scope,
        severity=Severity.CRITICAL if is_critical else rule.severity,
        region_code=seen.region_code,
        detail={**seen.detail, "value": figure, "threshold": rule.threshold},
    )


def _share(part: float | None, whole: float | None) -> float | None:
    if part is None or whole is None:
        return None
    if whole > 0.0:
        return part / whole
    return math.inf if part > 0.0 else 0.0


def _headroom_share(load: Load) -> float | None:
    if load.headroom is None or not load.capacity:
        return None
    return load.headroom / load.capacity


def _unknown_share(load: Load) -> float | None:
    return (load.pools - load.known_pools) / load.pools if load.pools else None


def _suspect_share(group: Sequence[PoolReading]) -> float | None:
    known = [reading for reading in group if reading.load.known_pools]
    if not known:
        return None
    return sum(reading.quality is ReadingQuality.SUSPECT for reading in known) / len(known)


MEASURED: Mapping[Metric, Callable[[Load, Sequence[PoolReading]], float | None]] = {
    Metric.HEADROOM_UNITS: lambda load, _: load.headroom,
    Metric.HEADROOM_SHARE: lambda load, _: _headroom_share(load),
    Metric.UTILIZATION: lambda load, _: load.utilization,
    Metric.QUEUED_UNITS: lambda load, _: load.queued,
    Metric.SHORTAGE_UNITS: lambda load, _: shortage(load),
    Metric.SHORTAGE_SHARE: lambda load, _: _share(shortage(load), load.capacity),
    Metric.SAMPLE_AGE_S: lambda load, _: load.age_s,
    Metric.UNKNOWN_SHARE: lambda load, _: _unknown_share(load),
    Metric.SUSPECT_SHARE: lambda _, group: _suspect_share(group),
    Metric.ALWAYS: lambda _, __: 1.0,
}
"""Metrics that are taken from the present readings; others are measured elsewhere."""

_ALWAYS_COMPLETE = frozenset({Metric.UNKNOWN_SHARE, Metric.SAMPLE_AGE_S, Metric.ALWAYS})
