"""Follows, origin by origin, what the simple rules erred, and combines them by it.

The combination leans on the rules that erred least on the same series at the same lead in the
last three weeks, and on the last value while nothing is clearly better. It adapts by itself to
demand with and without seasons, and its own past errors tell how far truth strays from it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forecasting.domain.ensemble.rules import (
    Places,
    apply_rules,
    level_at,
    mean_before,
)
from forecasting.domain.features import WEEK_H
from forecasting.domain.frames import DemandPanel, Floats, carried_forward

ERRORS_H = 3 * WEEK_H
"""How far back errors are looked at, hours."""

_RECENT_H = 96
_BIAS_H = 72
_LAST_VALUE_WEIGHT = 12.0
_SHARPNESS = 8
_PRIOR_COUNT = 12.0
_LEAST_RATIO = 0.05
_FLOOR_SHARE_OF_PEAK = 0.1
_LEAST_SPREAD = 1e-3
_PRIOR_SPREAD_6H = 0.05


@dataclass(frozen=True)
class Track:
    """What the rules said and erred at O origins, for L leads.

    Attributes:
        origins: (O,) origin o knows the hours before o.
        leads: (L,) hours.
        level: (P, O) last known demand, units.
        scale: (P, O) size of the series in the week before, units; NaN where it was idle.
        rules: (P, O, L, E) what the rules say, units.
        center: (P, O, L) their combination, units.
        truth: (P, O, L) what came true, units; NaN where unknown (yet).
        rule_error: (P, O, L, E) past mean error of each rule / that of the last value.
        last_error: (P, O, L) past mean error of the last value, units.
        center_error: (P, O, L) past mean error of the combination, units.
        hints: (P, O, L, 6) ratios that tell how errors were lately; see `_hints`.
    """

    origins: Places
    leads: Places
    level: Floats
    scale: Floats
    rules: Floats
    center: Floats
    truth: Floats
    rule_error: Floats
    last_error: Floats
    center_error: Floats
    hints: Floats


def follow(panel: DemandPanel, leads: Places, *, stride_h: int, since_h: int = 0) -> Track:
    """Follow the rules over a panel; the last origin is its end.

    Args:
        panel: P series of T hours.
        leads: (L,) hours.
        stride_h: distance of the origins, hours.
        since_h: first origin looked at.

    Returns:
        The track; everything at origin o but `truth` depends on hours before o only.
    """
    filled = carried_forward(panel.demand)
    origins = np.arange(panel.hours, max(since_h, 1) - 1, -stride_h, dtype=np.intp)[::-1]
    rules = apply_rules(filled, origins, leads)
    level, scale = level_at(filled, origins), scale_at(filled, origins)
    truth = _truth(panel.demand, origins, leads)
    past = _Past(origins, leads)
    last_error, rule_error = _past_errors(past, truth, rules, level, scale)
    center = combine(rules, rule_error, level[:, :, None])
    prior = _prior_spread(scale, leads)
    count = past.count(truth)
    missed = past.total(np.abs(truth - center))
    center_error = (missed + _PRIOR_COUNT * prior) / (count + _PRIOR_COUNT)
    center_error = np.maximum(center_error, _LEAST_SPREAD * scale[:, :, None])
    track = _Errors(past, truth, center, level[:, :, None], last_error, center_error, count)
    return Track(
        origins=origins,
        leads=leads,
        level=level,
        scale=scale,
        rules=rules,
        center=center,
        truth=truth,
        rule_error=rule_error,
        last_error=last_error,
        center_error=center_error,
        hints=_hints(track),
    )


def combine(rules: Floats, rule_error: Floats, level: Floats) -> Floats:
    """Combine rules by what they erred: weight 1 / error^8, and 12 for the last value.

    Args:
        rules: (..., E) units.
        rule_error: (..., E) past error / that of the last value.
        level: (...) last value, units; broadcast.

    Returns:
        (...) units.
    """
    weight = np.maximum(rule_error, _LEAST_RATIO) ** -_SHARPNESS
    # differences from the level are weighed, so that a still series is met exactly
    away = (weight * (rules - level[..., None])).sum(axis=-1)
    combined: Floats = level + away / (weight.sum(axis=-1) + _LAST_VALUE_WEIGHT)
    return combined


def scale_at(filled: Floats, origins: Places) -> Floats:
    """Return the size of each series before each origin: mean of the week + a tenth of its peak.

    A series that is mostly idle is then not divided by almost nothing.

    Args:
        filled: (P, T) units.
        origins: (O,).

    Returns:
        (P, O) units; NaN where the series was idle or unknown.
    """
    peak = np.nanmax(week_before(filled, origins), axis=2, initial=0.0)
    scale = mean_before(filled, origins, WEEK_H) + _FLOOR_SHARE_OF_PEAK * peak
    return np.where(scale > 0, scale, np.nan)


def week_before(filled: Floats, origins: Places, width_h: int = WEEK_H) -> Floats:
    """Return (P, O, width_h) hours before each origin; NaN before the first."""
    padded = np.pad(filled, ((0, 0), (width_h, 0)), constant_values=np.nan)
    return sliding_window_view(padded, width_h, axis=1)[:, origins]


def own_errors(track: Track) -> tuple[Floats, Floats]:
    """Return the errors of the combination that are known at the last origin.

    Returns:
        (P, O, L) errors in units, NaN where not known at the end; (P, L) how many are known.
    """
    errors = track.truth - track.center
    return errors, (~np.isnan(errors)).sum(axis=1).astype(np.float64)


class _Past:
    """Sums over what had come true before each origin, within a window of origins."""

    def __init__(self, origins: Places, leads: Places) -> None:
        self.leads = leads
        self.stride_h = int(origins[1] - origins[0]) if len(origins) > 1 else 1
        place = np.arange(len(origins))[:, None]
        # lead h of origin j is known at origin i when o_j + h <= o_i
        self.until = np.maximum(place + 1 - -(-leads[None, :] // self.stride_h), 0)
        self.lead = np.arange(len(leads))[None, :]

    def total(self, values: Floats, window_h: int = ERRORS_H) -> Floats:
        """Return sums over hours of the known values, in the shape (P, O, L, ...) of `values`."""
        padding = [(0, 0), (1, 0)] + [(0, 0)] * (values.ndim - 2)
        reached = np.cumsum(np.pad(np.nan_to_num(values), padding), axis=1)
        first = np.maximum(self.until - window_h // self.stride_h, 0)
        window: Floats = reached[:, self.until, self.lead] - reached[:, first, self.lead]
        # differences of running sums leave dust behind; an origin stands for its stride of hours
        sound = np.abs(window) > 1e-9 * np.abs(reached[:, -1:])
        return np.where(sound, self.stride_h * window, 0.0)

    def count(self, values: Floats, window_h: int = ERRORS_H) -> Floats:
        """Return how many of the values were known."""
        return self.total((~np.isnan(values)).astype(np.float64), window_h)


@dataclass(frozen=True)
class _Errors:
    past: _Past
    truth: Floats
    center: Floats
    level: Floats
    last_error: Floats
    center_error: Floats
    count: Floats


def _hints(errors: _Errors) -> Floats:
    """Return (P, O, L, 6): how the combination and the last value did, as plain ratios.

    In this order: log of the combination's error over the last value's; share of hours that did
    not change; share of the error that lay above; log of recent over usual error of the
    combination and of the last value; recent bias in usual errors of the combination.
    """
    past, missed = errors.past, errors.truth - errors.center
    change = errors.truth - errors.level
    still = np.where(np.isnan(change), np.nan, (change == 0.0).astype(np.float64))
    above = past.total(np.maximum(missed, 0.0)) + 0.5 * _PRIOR_COUNT * errors.center_error
    recent = past.count(errors.truth, _RECENT_H)
    center_lately = past.total(np.abs(missed), _RECENT_H) + 24.0 * errors.center_error
    last_lately = past.total(np.abs(change), _RECENT_H) + 24.0 * errors.last_error
    bias = past.total(missed, _BIAS_H) / (past.count(errors.truth, _BIAS_H) + 24.0)
    ratio = errors.center_error / errors.last_error
    columns = (
        np.log(np.clip(ratio, _LEAST_RATIO, 5.0)),
        (past.total(still) + 0.6) / (errors.count + 6.0),
        above / ((errors.count + _PRIOR_COUNT) * errors.center_error) - 0.5,
        np.log(center_lately / ((recent + 24.0) * errors.center_error)),
        np.log(last_lately / ((recent + 24.0) * errors.last_error)),
        bias / errors.center_error,
    )
    hints: Floats = np.clip(np.stack(columns, axis=-1), -3.0, 3.0)
    return hints


def _past_errors(
    past: _Past, truth: Floats, rules: Floats, level: Floats, scale: Floats
) -> tuple[Floats, Floats]:
    prior = _prior_spread(scale, past.leads)
    count = past.count(truth) + _PRIOR_COUNT
    last = (past.total(np.abs(truth - level[:, :, None])) + _PRIOR_COUNT * prior) / count
    last = np.maximum(last, _LEAST_SPREAD * scale[:, :, None])
    missed = past.total(np.abs(truth[..., None] - rules))
    # what has not proven itself is thought a fifth worse than the last value
    of_rules = (missed + 1.2 * _PRIOR_COUNT * prior[..., None]) / count[..., None]
    return last, of_rules / last[..., None]


def _prior_spread(scale: Floats, leads: Places) -> Floats:
    return _PRIOR_SPREAD_6H * scale[:, :, None] * np.sqrt(leads / 6.0)


def _truth(demand: Floats, origins: Places, leads: Places) -> Floats:
    target = origins[:, None] + leads[None, :] - 1
    found = demand[:, np.minimum(target, demand.shape[1] - 1)]
    return np.where(target < demand.shape[1], found, np.nan)
