"""Decides when trouble becomes an alert, when the alert fires and when it is over."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class AlertKind(StrEnum):
    """The rules that the grid brings along; an alert's kind is the name of its rule."""

    PROVIDER_SILENT = "PROVIDER_SILENT"
    CAPACITY_SHORTAGE = "CAPACITY_SHORTAGE"
    FORECAST_SHORTAGE = "FORECAST_SHORTAGE"
    PROVIDER_CLOCK_OFF = "PROVIDER_CLOCK_OFF"
    READINGS_SUSPECT = "READINGS_SUSPECT"
    WATCHDOG = "WATCHDOG"


class Severity(StrEnum):
    """How soon somebody must act."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class AlertState(StrEnum):
    """Where one spell of trouble stands."""

    PENDING = "PENDING"
    FIRING = "FIRING"
    RESOLVED = "RESOLVED"


class Observation(StrEnum):
    """What one look at a scope showed."""

    TROUBLE = "TROUBLE"
    CLEAR = "CLEAR"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class HoldTimes:
    """How long trouble must last before an alert fires, and quiet before it is over."""

    before_firing: dt.timedelta
    before_resolving: dt.timedelta


@dataclass(frozen=True)
class Finding:
    """Trouble of one kind in one scope, seen at one look.

    Attributes:
        scope: such as `region:CN-BJ`.
        severity: how soon somebody must act.
        region_code: the region it concerns, or "".
        detail: JSON-able figures behind the words.
    """

    scope: str
    severity: Severity
    region_code: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spell:
    """The life of one alert so far; RESOLVED is its end, `unknown_since` marks missing data."""

    state: AlertState
    pending_at: dt.datetime
    fired_at: dt.datetime | None = None
    quiet_since: dt.datetime | None = None
    resolved_at: dt.datetime | None = None
    unknown_since: dt.datetime | None = None


def advance(
    spell: Spell | None, seen: Observation, *, hold: HoldTimes, now: dt.datetime
) -> Spell | None:
    """Return what one more look makes of a spell of trouble.

    Missing data (UNKNOWN) neither starts, fires, resolves nor resets anything, except that quiet
    has to be observed: a quiet time that was not seen through does not count.

    Args:
        spell: the spell that is open in the scope, or None.
        seen: what the look showed.
        hold: hold times of the alert's rule.
        now: time of the look.

    Returns:
        The spell afterwards, or None where there is no trouble and was none.
    """
    if spell is None or spell.state is AlertState.RESOLVED:
        if seen is not Observation.TROUBLE:
            return spell
        return _fire_when_due(Spell(AlertState.PENDING, pending_at=now), hold, now)
    if seen is Observation.UNKNOWN:
        return replace(spell, quiet_since=None, unknown_since=spell.unknown_since or now)
    spell = replace(spell, unknown_since=None)
    if spell.state is AlertState.PENDING:
        return _advance_pending(spell, seen, hold, now)
    return _advance_firing(spell, seen, hold, now)


def end(spell: Spell, *, now: dt.datetime) -> Spell:
    """Return an open spell ended without waiting for quiet, because nobody looks any more."""
    return replace(spell, state=AlertState.RESOLVED, resolved_at=now, unknown_since=None)


def _advance_pending(spell: Spell, seen: Observation, hold: HoldTimes, now: dt.datetime) -> Spell:
    if seen is Observation.TROUBLE:
        return _fire_when_due(spell, hold, now)
    return replace(spell, state=AlertState.RESOLVED, resolved_at=now)


def _advance_firing(spell: Spell, seen: Observation, hold: HoldTimes, now: dt.datetime) -> Spell:
    if seen is Observation.TROUBLE:
        return replace(spell, quiet_since=None)
    quiet_since = spell.quiet_since or now
    if now - quiet_since < hold.before_resolving:
        return replace(spell, quiet_since=quiet_since)
    return replace(spell, state=AlertState.RESOLVED, quiet_since=quiet_since, resolved_at=now)


def _fire_when_due(spell: Spell, hold: HoldTimes, now: dt.datetime) -> Spell:
    if now - spell.pending_at < hold.before_firing:
        return spell
    return replace(spell, state=AlertState.FIRING, fired_at=now)
