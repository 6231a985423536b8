"""Measures how good forecasts were against what came true."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.domain.frames import Bools, Floats


@dataclass(frozen=True)
class Score:
    """How good forecasts were; None where there was nothing to measure.

    Attributes:
        wape: sum of absolute errors of the median / sum of demand.
        mase: mean absolute error in units of the series' own day-to-day change.
        pinball: per quantile, and `mean`: mean pinball loss / mean demand.
        coverage: per quantile: share of hours not above it; `band_10_90` when both are there.
        peak_recall: share of the peak hours that the median foresaw.
        peak_precision: share of the foreseen peak hours that came true.
        hours: number of hours that were measured.
    """

    wape: float | None
    mase: float | None
    pinball: dict[str, float]
    coverage: dict[str, float]
    peak_recall: float | None
    peak_precision: float | None
    hours: int


def score_forecasts(
    actual: Floats,
    predicted: Floats,
    quantiles: Sequence[float],
    *,
    day_change: Floats | None = None,
    peak_above: Floats | None = None,
) -> Score:
    """Measure forecasts; hours that are unknown on either side are left out.

    Args:
        actual: (N, H) units, NaN where unknown.
        predicted: (N, H, Q) units, NaN where not forecast.
        quantiles: Q levels with 0.5 among them.
        day_change: (N,) mean absolute change to the same hour yesterday before the origin.
        peak_above: (N,) demand above which an hour of the series counts as a peak.

    Returns:
        The measures.
    """
    known = ~np.isnan(actual) & ~np.isnan(predicted).any(axis=-1)
    truth, forecast = actual[known], predicted[known]
    middle = list(quantiles).index(0.5)
    total = float(truth.sum())
    median = forecast[:, middle]
    mean = total / len(truth) if len(truth) else 0.0
    losses = {
        f"{level:g}": float(pinball_loss(truth, forecast[:, place], level).mean()) / mean
        for place, level in enumerate(quantiles)
        if mean > 0
    }
    recall, precision = _peaks(truth, median, _spread(peak_above, known))
    return Score(
        wape=float(np.abs(median - truth).sum()) / total if total > 0 else None,
        mase=_scaled_error(np.abs(median - truth), _spread(day_change, known)),
        pinball={**losses, "mean": sum(losses.values()) / len(losses)} if losses else {},
        coverage=_coverage(truth, forecast, quantiles),
        peak_recall=recall,
        peak_precision=precision,
        hours=len(truth),
    )


def pinball_loss(actual: Floats, predicted: Floats, level: float) -> Floats:
    """Return the pinball loss: level x (y - f) where y >= f, (1 - level) x (f - y) elsewhere.

    Args:
        actual: (N,) units.
        predicted: (N,) units.
        level: of the quantile, 0 to 1.

    Source:
        Koenker, Bassett, Regression Quantiles, Econometrica 46 (1978).
    """
    error = actual - predicted
    return np.maximum(level * error, (level - 1.0) * error)


def skill(ours: float | None, best_naive: float | None) -> float | None:
    """Return 1 - ours / best naive: above 0 is better than the best naive forecast.

    >>> skill(0.9, 1.0)
    0.1
    """
    if ours is None or best_naive is None or best_naive <= 0:
        return None
    return round(1.0 - ours / best_naive, 6)


def _coverage(truth: Floats, forecast: Floats, quantiles: Sequence[float]) -> dict[str, float]:
    if not len(truth):
        return {}
    # rounding of sums must not decide whether a constant series is covered
    slack = 1e-9 * np.maximum(np.abs(truth), 1.0)
    below = {level: truth <= forecast[:, place] + slack for place, level in enumerate(quantiles)}
    shares = {f"{level:g}": float(hit.mean()) for level, hit in below.items()}
    if 0.1 in below and 0.9 in below:
        low = forecast[:, list(quantiles).index(0.1)]
        shares["band_10_90"] = float((below[0.9] & (truth >= low - slack)).mean())
    return shares


def _spread(per_row: Floats | None, known: Bools) -> Floats | None:
    if per_row is None:
        return None
    return np.broadcast_to(per_row[:, None], known.shape)[known]


def _scaled_error(error: Floats, scale: Floats | None) -> float | None:
    if scale is None:
        return None
    usable: npt.NDArray[np.bool_] = np.nan_to_num(scale) > 0
    return float((error[usable] / scale[usable]).mean()) if usable.any() else None


def _peaks(
    truth: Floats, median: Floats, above: Floats | None
) -> tuple[float | None, float | None]:
    if above is None:
        return None, None
    real, foreseen = truth > above, median > above
    both = float((real & foreseen).sum())
    recall = both / float(real.sum()) if real.any() else None
    precision = both / float(foreseen.sum()) if foreseen.any() else None
    return recall, precision
