"""Describes each origin and lead in numbers without a unit, as what the learners read.

A row is one series, origin and lead. Changes are divided by the usual error of a center (the
combination of rules, or the last value) at that lead and squeezed by arcsinh, so that series of
any size and any restlessness look alike.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from forecasting.domain.ensemble.rules import RULES, Places, mean_before, smoothed
from forecasting.domain.ensemble.tracks import Track, week_before
from forecasting.domain.features import DAY_H, WEEK_H
from forecasting.domain.frames import DemandPanel, Floats, carried_forward

STATES = (
    *(f"change_{hours}h" for hours in (1, 2, 3, 6, 12, 24)),
    *(f"mean_{hours}h" for hours in (6, 24, 168, 504)),
    "smoothed_72h",
    "peak_day",
    "low_day",
    "peak_week",
    "low_week",
    "queue",
    "queue_change_6h",
    "room",
    "below_peak_running",
)
SPREADS = ("spread_day", "spread_week", "moves_day", "moves_week", "moves_day_to_day")
HINTS = ("center_gain", "still_share", "error_above", "recent_error", "recent_change", "bias")
PLACES = ("to_other_center", "lead", "spread", "size", "flat_h", "hour_sin", "hour_cos", "weekend")
FEATURES = (
    *STATES,
    *SPREADS,
    *(f"rule_{name}" for name in RULES),
    *(f"error_{name}" for name in RULES),
    *HINTS,
    *PLACES,
)
"""Names of the F features of a row."""


class Center(StrEnum):
    """What changes are counted from."""

    COMBINED = "combined"
    LAST_VALUE = "last-value"


Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """Rows of N examples at L leads.

    Attributes:
        values: (N, L, F) float32; what is not known reads as no difference.
        target: (N, L) (truth - center) / spread; NaN where unknown.
        center: (N, L) units.
        spread: (N, L) usual error of the center, units.
    """

    values: Singles
    target: Floats
    center: Floats
    spread: Floats


def describe_rows(
    panel: DemandPanel, track: Track, *, row: Places, place: Places, about: Center
) -> Rows:
    """Describe examples.

    Args:
        panel: the panel that the track follows.
        track: what the rules said and erred.
        row: (N,) series of each example.
        place: (N,) position of its origin in the track.
        about: what changes are counted from.

    Returns:
        The rows; everything but the target depends on hours before the origins only.
    """
    level, scale = track.level[row, place], track.scale[row, place]
    if about is Center.COMBINED:
        center, spread = track.center[row, place], track.center_error[row, place]
        other = np.broadcast_to(level[:, None], center.shape)
    else:
        spread = track.last_error[row, place]
        center, other = np.broadcast_to(level[:, None], spread.shape), track.center[row, place]
    states, spreads, flat_h = _states(panel, track.origins[place], row)
    relative = np.concatenate(
        [
            np.arcsinh((states - level[:, None] * _IS_LEVEL)[:, None, :] / spread[..., None]),
            np.log((spreads[:, None, :] + 0.02 * spread[..., None]) / spread[..., None]) / 3.0,
            np.arcsinh((track.rules[row, place] - center[..., None]) / spread[..., None]),
            np.log(np.clip(track.rule_error[row, place], 0.05, 5.0)),
            track.hints[row, place],
        ],
        axis=-1,
    )
    clock = _clock(panel, track, place)
    apart = [
        np.arcsinh((other - center) / spread),
        np.broadcast_to(np.log(track.leads) / 2.0, center.shape),
        np.log(spread / scale[:, None] + 1e-3) / 2.0,
        np.arcsinh(level[:, None] / spread) / 2.0,
        np.broadcast_to(np.log1p(flat_h)[:, None] / 3.0, center.shape),
        *clock,
    ]
    values = np.nan_to_num(np.concatenate([relative, np.stack(apart, axis=-1)], axis=-1))
    return Rows(
        values=values.astype(np.float32),
        target=(track.truth[row, place] - center) / spread,
        center=center,
        spread=spread,
    )


# queue, its change and the two rooms are differences already
_IS_LEVEL = np.array([name[:5] not in ("queue", "room", "below") for name in STATES], dtype=float)


def _states(panel: DemandPanel, origins: Places, row: Places) -> tuple[Floats, Floats, Floats]:
    """Return (N, |STATES|), (N, |SPREADS|) in units and (N,) hours without change."""
    distinct, position = np.unique(origins, return_inverse=True)
    demand = carried_forward(panel.demand)
    week = week_before(demand, distinct, WEEK_H + DAY_H)[row, position]
    day, last_week = week[:, -DAY_H:], week[:, -WEEK_H:]
    level = week[:, -1]
    means = [mean_before(demand, distinct, hours)[row, position] for hours in (6, 24, 168, 504)]
    slow = smoothed(demand, 72.0)[:, np.maximum(distinct - 1, 0)][row, position]
    columns = [
        *(week[:, -1 - hours] for hours in (1, 2, 3, 6, 12, 24)),
        *means,
        slow,
        _known(np.fmax.reduce, day),
        _known(np.fmin.reduce, day),
        _known(np.fmax.reduce, last_week),
        _known(np.fmin.reduce, last_week),
        *_queue_columns(panel, distinct, row, position),
    ]
    moves = np.abs(np.diff(week, axis=1))
    spreads = [
        _mean(np.abs(day - means[1][:, None])),
        _mean(np.abs(last_week - means[2][:, None])),
        _mean(moves[:, -DAY_H:]),
        _mean(moves[:, -WEEK_H:]),
        _mean(np.abs(last_week - week[:, :WEEK_H])),
    ]
    moved = moves[:, ::-1] > 0
    flat_h = np.where(moved.any(axis=1), moved.argmax(axis=1), moves.shape[1])
    known = np.where(np.isnan(np.stack(columns, axis=-1)), _unknown(level), np.stack(columns, -1))
    return known, np.nan_to_num(np.stack(spreads, axis=-1)), flat_h.astype(np.float64)


def _unknown(level: Floats) -> Floats:
    same: Floats = level[:, None] * _IS_LEVEL
    return same


def _queue_columns(
    panel: DemandPanel, origins: Places, row: Places, position: Places
) -> list[Floats]:
    demand = carried_forward(panel.demand)
    queued, capacity = carried_forward(panel.queued), carried_forward(panel.capacity)
    queue = week_before(queued, origins, WEEK_H)[row, position]
    level = week_before(demand, origins, WEEK_H)[row, position]
    room = week_before(capacity, origins, 1)[row, position][:, 0] - level[:, -1]
    running = level - queue
    return [
        queue[:, -1],
        queue[:, -1] - queue[:, -7],
        room,
        running[:, -1] - _known(np.fmax.reduce, running),
    ]


def _clock(panel: DemandPanel, track: Track, place: Places) -> list[Floats]:
    first = panel.start_at.weekday() * DAY_H + panel.start_at.hour
    hour = (first + track.origins[place][:, None] + track.leads[None, :] - 1) % WEEK_H
    angle = 2.0 * np.pi * hour / DAY_H
    return [np.sin(angle), np.cos(angle), (hour >= 5 * DAY_H).astype(np.float64)]


def _known(reduce: "np.ufunc | object", values: Floats) -> Floats:
    out: Floats = reduce(values, axis=1)  # type: ignore[operator]
    return out


def _mean(values: Floats) -> Floats:
    count = (~np.isnan(values)).sum(axis=1)
    mean: Floats = np.nansum(values, axis=1) / np.maximum(count, 1)
    return mean
