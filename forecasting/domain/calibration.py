"""Corrects a forecaster's quantiles by how they did on later data that it had not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.domain.frames import Floats

LEAD_BUCKETS: tuple[tuple[str, int, int], ...] = (
    ("1", 1, 1),
    ("2-6", 2, 6),
    ("7-12", 7, 12),
    ("13-24", 13, 24),
    ("25+", 25, 10_000),
)
"""Name, first and last lead (hours) of the buckets in which skill is told apart."""

_BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
_TRUSTED_AT = 200.0


@dataclass(frozen=True)
class Calibration:
    """What is added to each quantile and how far the median may leave the last value.

    Attributes:
        offsets: (B, Q) per lead bucket and quantile, in scales.
        median_share: (B,) 1 takes the model's median, 0 the last value.
    """

    offsets: Floats
    median_share: Floats


def bucket_of_leads(horizon_h: int) -> npt.NDArray[np.intp]:
    """Return the position in `LEAD_BUCKETS` of leads 1..horizon_h.

    >>> bucket_of_leads(7).tolist()
    [0, 1, 1, 1, 1, 1, 2]
    """
    first = np.array([bucket[1] for bucket in LEAD_BUCKETS])
    return np.searchsorted(first, np.arange(1, horizon_h + 1), side="right") - 1


def no_calibration(quantiles: Sequence[float]) -> Calibration:
    """Return the calibration that changes nothing."""
    buckets = len(LEAD_BUCKETS)
    return Calibration(np.zeros((buckets, len(quantiles))), np.ones(buckets))


def fit_calibration(
    predicted: Floats, happened: Floats, weights: Floats, quantiles: Sequence[float]
) -> Calibration:
    """Learn the corrections from forecasts of data that the forecaster had not seen.

    The median is blended with the last value where that errs less. Each other quantile is shifted
    by the quantile of its own misses at its own level (split conformal), shrunk towards no shift
    while there are few forecasts to learn from.

    Args:
        predicted: (N, H, Q) changes from the last value, in scales.
        happened: (N, H) changes that came true, in scales; NaN where unknown.
        weights: (N,) weight of each forecast.
        quantiles: Q levels, ascending, 0.5 among them.

    Returns:
        Corrections per lead bucket.

    Source:
        Romano, Patterson, Candès, Conformalized Quantile Regression, NeurIPS 2019.
    """
    result = no_calibration(quantiles)
    bucket = bucket_of_leads(predicted.shape[1])
    middle = list(quantiles).index(0.5)
    for place in range(len(LEAD_BUCKETS)):
        leads = np.flatnonzero(bucket == place)
        truth = happened[:, leads]
        known = ~np.isnan(truth)
        if not known.any():
            continue
        weight = np.broadcast_to(weights[:, None], truth.shape)[known]
        result.median_share[place] = _best_blend(
            predicted[:, leads, middle][known], truth[known], weight
        )
        trust = len(predicted) / (len(predicted) + _TRUSTED_AT)
        for position, level in enumerate(quantiles):
            if position != middle:
                misses = truth[known] - predicted[:, leads, position][known]
                shift = _weighted_quantile(misses, weight, level)
                result.offsets[place, position] = trust * shift
    return result


def calibrated(predicted: Floats, calibration: Calibration) -> Floats:
    """Apply the corrections and put the quantiles in order.

    A shift stops at "no change": pools stand still so often that a quantile moved past it would
    miss all those hours by a hair.

    Args:
        predicted: (N, H, Q) changes from the last value, in scales; the median in the middle.
        calibration: the corrections.

    Returns:
        (N, H, Q) ascending along the last axis.
    """
    bucket = bucket_of_leads(predicted.shape[1])
    middle = predicted.shape[2] // 2
    out = predicted + calibration.offsets[bucket]
    low, high = slice(0, middle), slice(middle + 1, None)
    out[..., low] = np.minimum(out[..., low], np.maximum(predicted[..., low], 0.0))
    out[..., high] = np.maximum(out[..., high], np.minimum(predicted[..., high], 0.0))
    out[..., middle] = predicted[..., middle] * calibration.median_share[bucket]
    return np.sort(out, axis=-1)


def _best_blend(median: Floats, truth: Floats, weight: Floats) -> float:
    errors = [float(np.sum(weight * np.abs(truth - share * median))) for share in _BLENDS]
    # a tie goes to the last value: what does not help is not used
    return _BLENDS[int(np.argmin(errors))]


def _weighted_quantile(values: Floats, weight: Floats, level: float) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    place = int(np.searchsorted(reached, level * reached[-1]))
    return float(values[order[min(place, len(values) - 1)]])
