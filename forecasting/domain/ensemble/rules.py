"""Forecasts by simple rules, at many origins and leads at once.

A rule reads the hours before an origin only. Together the rules cover demand that stands still,
returns to its level, or repeats by the day or the week.
"""

import numpy as np
import numpy.typing as npt

from forecasting.domain.features import DAY_H, WEEK_H
from forecasting.domain.frames import Floats

Places = npt.NDArray[np.intp]

RULES = (
    "yesterday",
    "last_week",
    "mean_of_days",
    "smoothed_6h",
    "smoothed_24h",
    "mean_of_week",
    "level_and_days_shape",
    "level_and_last_weeks_shape",
    "days_with_anomaly",
    "last_week_with_anomaly",
    "yesterday_with_anomaly",
    "towards_mean_of_week",
    "weeks_with_anomaly",
    "level_and_weeks_shape",
    "days_with_smoothed_anomaly",
)
"""Names of the E rules; the last value, to which all are compared, is not among them."""

_DAYS = 7
_WEEKS = 4
_ANOMALY_HALF_LIFE_H = {"days": 12.0, "last_week": 8.0, "yesterday": 8.0, "weeks": 12.0}
_LEVEL_HALF_LIFE_H = 24.0
_SMOOTHED_ANOMALY_H = 4
_SMOOTHED_ANOMALY_HALF_LIFE_H = 48.0


def lead_grid(horizon_h: int) -> Places:
    """Return the leads at which errors are tracked; those between are interpolated.

    >>> lead_grid(6).tolist()
    [1, 2, 3, 4, 6]
    """
    near = [1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 21, 24, 30, 36, 48, 60, 72, 96, 120, 144, 168]
    far = range(WEEK_H + 2 * DAY_H, horizon_h, 2 * DAY_H)
    kept = {lead for lead in [*near, *far] if lead < horizon_h}
    return np.array(sorted(kept | {horizon_h}), dtype=np.intp)


def apply_rules(filled: Floats, origins: Places, leads: Places) -> Floats:
    """Let every rule forecast from every origin.

    Args:
        filled: (P, T) units; unknown hours already carried forward, NaN before the first.
        origins: (O,) origin o knows the hours before o.
        leads: (L,) hours; lead 1 is hour o itself.

    Returns:
        (P, O, L, E) units, in the order of `RULES`; the last value where a rule lacks history.
    """
    history = _History(filled, origins, leads)
    level = history.before(filled)
    tables = {**_plain_rules(history, filled), **_shaped_rules(history, filled, level)}
    stacked = np.stack([np.broadcast_to(tables[name], history.shape) for name in RULES], axis=-1)
    return np.where(np.isnan(stacked), level[..., None], stacked)


def level_at(filled: Floats, origins: Places) -> Floats:
    """Return the last known value before each origin, (P, O) units."""
    out: Floats = np.where(origins > 0, filled[:, np.maximum(origins - 1, 0)], np.nan)
    return out


def mean_before(filled: Floats, origins: Places, width_h: int) -> Floats:
    """Return the mean of up to `width_h` known hours before each origin, (P, O) units."""
    known = ~np.isnan(filled)
    total = np.cumsum(np.pad(np.where(known, filled, 0.0), ((0, 0), (1, 0))), axis=1)
    count = np.cumsum(np.pad(known, ((0, 0), (1, 0))), axis=1)
    first = np.maximum(origins - width_h, 0)
    number = count[:, origins] - count[:, first]
    mean = (total[:, origins] - total[:, first]) / np.maximum(number, 1)
    return np.where(number > 0, np.maximum(mean, 0.0), np.nan)


def smoothed(filled: Floats, half_life_h: float) -> Floats:
    """Return (P, T): at each hour the exponentially smoothed demand up to and with that hour."""
    share = 1.0 - 0.5 ** (1.0 / half_life_h)
    out = np.empty_like(filled)
    state = np.full(len(filled), np.nan)
    for hour in range(filled.shape[1]):
        value = filled[:, hour]
        state = np.where(np.isnan(state), value, state + share * (value - state))
        out[:, hour] = state
    return out


class _History:
    """Looks up values of (P, T) tables relative to origins and leads."""

    def __init__(self, filled: Floats, origins: Places, leads: Places) -> None:
        self.origin = origins[:, None]
        self.lead = leads[None, :]
        self.target = self.origin + self.lead - 1
        self.days_back = (self.lead - 1) // DAY_H + 1
        self.weeks_back = (self.lead - 1) // WEEK_H + 1
        self.shape = (len(filled), len(origins), len(leads))

    def at(self, table: Floats, hour: Places) -> Floats:
        """Return (P, O, L) values at the hours; NaN before the first."""
        if not table.shape[1]:
            return np.full(self.shape, np.nan)
        found = table[:, np.clip(hour, 0, table.shape[1] - 1)]
        return np.where(hour >= 0, found, np.nan)

    def before(self, table: Floats, hours_back: "Places | int" = 0) -> Floats:
        """Return values at the last known hour, or so many hours before it."""
        return self.at(table, self.origin - 1 - hours_back + 0 * self.lead)

    def fading(self, half_life_h: float) -> Floats:
        """Return what is left at each lead of something that halves every so many hours."""
        left: Floats = 0.5 ** (self.lead / half_life_h)
        return left


def _plain_rules(history: _History, filled: Floats) -> dict[str, Floats]:
    week = mean_before(filled, history.origin[:, 0], WEEK_H)[:, :, None]
    level = history.before(filled)
    return {
        "yesterday": history.at(filled, history.target - DAY_H * history.days_back),
        "last_week": history.at(filled, history.target - WEEK_H * history.weeks_back),
        "smoothed_6h": history.before(smoothed(filled, 6.0)),
        "smoothed_24h": history.before(smoothed(filled, 24.0)),
        "mean_of_week": week,
        "towards_mean_of_week": week + history.fading(_LEVEL_HALF_LIFE_H) * (level - week),
    }


def _shaped_rules(history: _History, filled: Floats, level: Floats) -> dict[str, Floats]:
    half_life = _ANOMALY_HALF_LIFE_H
    by_day, by_week = _seasonal_mean(filled, DAY_H, _DAYS), _seasonal_mean(filled, WEEK_H, _WEEKS)
    back_d, back_w = DAY_H * history.days_back, WEEK_H * history.weeks_back
    days = history.at(by_day, history.target - back_d)
    weeks = history.at(by_week, history.target - back_w)
    yesterday = history.at(filled, history.target - back_d)
    last_week = history.at(filled, history.target - back_w)
    off_days = level - history.before(by_day)
    off_weeks = level - history.before(by_week, back_w)
    off_last_week = level - history.before(filled, back_w)
    off_yesterday = level - history.before(filled, back_d)
    off_smoothed = history.before(_mean_anomaly(filled, by_day))
    return {
        "mean_of_days": days,
        "level_and_days_shape": days + off_days,
        "level_and_last_weeks_shape": last_week + off_last_week,
        "level_and_weeks_shape": weeks + off_weeks,
        "days_with_anomaly": days + history.fading(half_life["days"]) * off_days,
        "weeks_with_anomaly": weeks + history.fading(half_life["weeks"]) * off_weeks,
        "last_week_with_anomaly": last_week
        + history.fading(half_life["last_week"]) * off_last_week,
        "yesterday_with_anomaly": yesterday
        + history.fading(half_life["yesterday"]) * off_yesterday,
        "days_with_smoothed_anomaly": days
        + history.fading(_SMOOTHED_ANOMALY_HALF_LIFE_H) * off_smoothed,
    }


def _seasonal_mean(filled: Floats, period_h: int, seasons: int) -> Floats:
    """Return (P, T): mean of the known values at this hour and 1.. seasons - 1 periods before."""
    total = np.zeros_like(filled)
    count = np.zeros(filled.shape)
    for back in range(0, min(seasons * period_h, filled.shape[1]), period_h):
        shifted = filled[:, : filled.shape[1] - back]
        known = ~np.isnan(shifted)
        total[:, back:] += np.where(known, shifted, 0.0)
        count[:, back:] += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean_anomaly(filled: Floats, by_day: Floats) -> Floats:
    """Return (P, T): how far the last hours lay above their mean of the days before."""
    away = np.full_like(filled, np.nan)
    away[:, DAY_H:] = filled[:, DAY_H:] - by_day[:, : max(filled.shape[1] - DAY_H, 0)]
    total = np.zeros_like(filled)
    for back in range(_SMOOTHED_ANOMALY_H):
        total[:, back:] += away[:, : filled.shape[1] - back]
    total[:, : _SMOOTHED_ANOMALY_H - 1] = np.nan
    return total / _SMOOTHED_ANOMALY_H
