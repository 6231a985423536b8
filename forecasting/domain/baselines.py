"""Forecasts without a model: the last value, the same hour before, the mean of last week.

Their quantiles come from their own past errors on the same series, lead by lead.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forecasting.domain.features import DAY_H, WEEK_H
from forecasting.domain.frames import DemandPanel, Floats, carried_forward

ERROR_WINDOW_H = 4 * WEEK_H
_QUIET_MIN_ERRORS = 10


class Baseline(StrEnum):
    """A naive forecast, named as on the command line."""

    LAST = "last"
    SAME_HOUR_YESTERDAY = "sn24"
    SAME_HOUR_LAST_WEEK = "sn168"
    MEAN_OF_WEEK = "mean168"


_NEEDS_H = {
    Baseline.LAST: 1,
    Baseline.SAME_HOUR_YESTERDAY: DAY_H,
    Baseline.SAME_HOUR_LAST_WEEK: WEEK_H,
    Baseline.MEAN_OF_WEEK: WEEK_H,
}


def predict_baseline(
    panel: DemandPanel, baseline: Baseline, *, horizon_h: int, quantiles: Sequence[float]
) -> Floats:
    """Forecast the hours after a panel with a naive rule.

    The median is the rule's own value. The other quantiles add to it the quantiles of the errors
    that the rule made on the same series at the same lead in the last four weeks; with fewer than
    ten errors they add nothing.

    Args:
        panel: P series up to the moment of issue; an unknown hour takes the value before it.
        baseline: the rule.
        horizon_h: leads 1..horizon_h.
        quantiles: Q levels, ascending.

    Returns:
        (P, H, Q) units, >= 0, ascending along the last axis; NaN where the history is too short.
    """
    recent = panel.tail(ERROR_WINDOW_H + WEEK_H + horizon_h)
    filled = carried_forward(recent.demand)
    every = _points(filled, baseline, horizon_h)
    points, past = every[:, -1], every[:, :-1]
    errors = _errors(recent.demand, past, horizon_h)
    out = np.repeat(points[:, :, None], len(quantiles), axis=2)
    for place, level in enumerate(quantiles):
        if level != 0.5:
            shift = _quantile_of_known(errors, level)
            # a low quantile never lies above the rule's value, a high one never below
            shift = np.minimum(shift, 0.0) if level < 0.5 else np.maximum(shift, 0.0)
            out[:, :, place] = points + shift
    return np.sort(np.maximum(out, 0.0), axis=-1)


def _points(filled: Floats, baseline: Baseline, horizon_h: int) -> Floats:
    """Return (P, T + 1, H): what the rule says at each origin for each lead."""
    series, hours = filled.shape
    need = _NEEDS_H[baseline]
    out = np.full((series, hours + 1, horizon_h), np.nan)
    if hours < need:
        return out
    windows = sliding_window_view(filled, need, axis=1)
    if baseline in (Baseline.LAST, Baseline.MEAN_OF_WEEK):
        out[:, need:] = windows.mean(axis=2)[:, :, None]
    else:
        out[:, need:] = windows[:, :, np.arange(horizon_h) % need]
    return out


def _errors(demand: Floats, past: Floats, horizon_h: int) -> Floats:
    """Return (P, O, H): what came true less what the rule had said, at every past origin."""
    padded = np.pad(demand, ((0, 0), (0, horizon_h - 1)), constant_values=np.nan)
    truth = sliding_window_view(padded, horizon_h, axis=1)
    return (truth - past)[:, -(ERROR_WINDOW_H + horizon_h) :]


def _quantile_of_known(errors: Floats, level: float) -> Floats:
    ranked = np.sort(errors, axis=1)  # unknown ones go to the end
    count = (~np.isnan(errors)).sum(axis=1)
    place = np.ceil(level * count).astype(np.intp) - 1
    # one rank further out, as split conformal prediction asks of a finite sample
    place = np.clip(place + (1 if level > 0.5 else -1), 0, np.maximum(count - 1, 0))
    found = np.take_along_axis(ranked, place[:, None, :], axis=1)[:, 0]
    return np.where(count >= _QUIET_MIN_ERRORS, found, 0.0)
