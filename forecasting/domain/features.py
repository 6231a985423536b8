"""Describes, for every series and moment of issue, what was known then, relative to its scale.

Column `o` of a result describes the moment at the end of hour `o - 1` and reads hours before `o`
only. All features but the calendar are ratios, so the unit of a series does not matter.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forecasting.domain.frames import DemandPanel, Floats, carried_forward

DAY_H = 24
WEEK_H = 168
CONTEXT_H = 2 * WEEK_H
"""Hours before an origin that the features of one origin look back at."""

_CHANGES_H = (1, 3, 6, 12, 24)
_FLOOR_SHARE_OF_PEAK = 0.1


@dataclass(frozen=True)
class StateFeatures:
    """What was known of each series at each origin.

    Attributes:
        names: of the F features.
        level: (P, T + 1) the last known demand, units; NaN where there is none.
        scale: (P, T + 1) size of the series in the week before, units; NaN where it was idle.
        values: (P, T + 1, F) float64; NaN where not known.
    """

    names: tuple[str, ...]
    level: Floats
    scale: Floats
    values: Floats


def describe_states(panel: DemandPanel) -> StateFeatures:
    """Compute the features of every origin of a panel.

    The scale is the mean of the last week plus a tenth of its peak: a series that is mostly idle
    is then not divided by almost nothing.

    Args:
        panel: P series of T hours; unknown hours take the last known value.

    Returns:
        Features at origins 0..T, where origin o knows the hours before o.
    """
    demand = carried_forward(panel.demand)
    queued = carried_forward(panel.queued)
    capacity = carried_forward(panel.capacity)
    level = _lagged(demand, 1)
    peak_week = _rolled(demand, WEEK_H, np.max)
    scale = _rolled(demand, WEEK_H, np.mean) + _FLOOR_SHARE_OF_PEAK * peak_week
    scale = np.where(scale > 0, scale, np.nan)
    columns = {
        **_level_columns(demand, level, peak_week),
        **_season_columns(demand, level),
        **_restlessness_columns(demand),
        **_queue_columns(demand, queued, level),
        "room": _lagged(capacity, 1) - level,
    }
    scaled = {name: column / scale for name, column in columns.items()}
    named = {
        **scaled,
        "queue_share": _rolled(_known_as_number(queued), DAY_H, np.mean),
        **_calendar(panel),
    }
    values = np.stack(list(named.values()), axis=-1)
    return StateFeatures(tuple(named), level, scale, values)


def _level_columns(demand: Floats, level: Floats, peak_week: Floats) -> dict[str, Floats]:
    columns = {"level": level}
    for hours in _CHANGES_H:
        columns[f"change_{hours}h"] = _lagged(demand, 1 + hours) - level
    for hours in (6, DAY_H, WEEK_H):
        columns[f"mean_{hours}h"] = _rolled(demand, hours, np.mean) - level
    columns["peak_day"] = _rolled(demand, DAY_H, np.max) - level
    columns["low_day"] = _rolled(demand, DAY_H, np.min) - level
    columns["peak_week"] = peak_week - level
    columns["low_week"] = _rolled(demand, WEEK_H, np.min) - level
    return columns


def _season_columns(demand: Floats, level: Floats) -> dict[str, Floats]:
    # what followed this hour of the day yesterday, and this hour of the week a week ago
    return {
        "yesterday_next_6h": _ahead_of(demand, DAY_H, 6) - level,
        "last_week_next_6h": _ahead_of(demand, WEEK_H, 6) - level,
        "last_week_next_12h": _ahead_of(demand, WEEK_H, 12) - level,
        "last_week_next_day": _ahead_of(demand, WEEK_H, DAY_H) - level,
    }


def _restlessness_columns(demand: Floats) -> dict[str, Floats]:
    hourly = _absolute_change(demand, 1)
    daily = _absolute_change(demand, DAY_H)
    return {
        "spread_day": _rolled(demand, DAY_H, np.std),
        "moves_day": _rolled(hourly, DAY_H, np.mean),
        "moves_week": _rolled(hourly, WEEK_H, np.mean),
        "moves_day_to_day": _rolled(daily, WEEK_H, np.mean),
    }


def _queue_columns(demand: Floats, queued: Floats, level: Floats) -> dict[str, Floats]:
    queue = _lagged(queued, 1)
    running = demand - queued
    return {
        "queue": queue,
        "queue_change_6h": queue - _lagged(queued, 7),
        "below_peak_running": (level - queue) - _rolled(running, WEEK_H, np.max),
    }


def _calendar(panel: DemandPanel) -> dict[str, Floats]:
    first = panel.start_at.weekday() * DAY_H + panel.start_at.hour
    hour_of_week = (first + np.arange(panel.hours + 1, dtype=float)) % WEEK_H
    shape = (len(panel.codes), panel.hours + 1)
    return {
        "hour_of_day": np.broadcast_to(hour_of_week % DAY_H, shape),
        "day_of_week": np.broadcast_to(hour_of_week // DAY_H, shape),
    }


def _rolled(values: Floats, width: int, summary: Callable[..., Floats]) -> Floats:
    out = np.full((values.shape[0], values.shape[1] + 1), np.nan)
    if values.shape[1] >= width:
        out[:, width:] = summary(sliding_window_view(values, width, axis=1), axis=2)
    return out


def _lagged(values: Floats, hours: int) -> Floats:
    out = np.full((values.shape[0], values.shape[1] + 1), np.nan)
    if values.shape[1] >= hours:
        out[:, hours:] = values[:, : values.shape[1] - hours + 1]
    return out


def _ahead_of(values: Floats, back_h: int, width: int) -> Floats:
    means = _rolled(values, width, np.mean)
    out = np.full_like(means, np.nan)
    if values.shape[1] >= back_h:
        # hours o - back_h to o - back_h + width, all before o because width <= back_h
        out[:, back_h:] = means[:, width : means.shape[1] - back_h + width]
    return out


def _absolute_change(values: Floats, hours: int) -> Floats:
    out = np.full_like(values, np.nan)
    out[:, hours:] = np.abs(values[:, hours:] - values[:, :-hours])
    return out


def _known_as_number(queued: Floats) -> Floats:
    return np.where(np.isnan(queued), np.nan, (queued > 0).astype(float))
