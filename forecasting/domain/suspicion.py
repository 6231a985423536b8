"""Finds histories that look made up, so that no model learns from them.

Real demand repeats its shape, never its exact values for a day; it moves up and down; and a lone
hour far outside everything else is an error of measurement more often than a burst.
"""

from enum import StrEnum

import numpy as np

from forecasting.domain.features import DAY_H, WEEK_H
from forecasting.domain.frames import DemandPanel, Floats

_LEAST_DISTINCT = 8
_RAMP_H = 5 * DAY_H
_RAMP_SHARE = 0.97
_SPIKE_TIMES = 8.0
_SPIKES = 3


class Suspicion(StrEnum):
    """Why a history is not learned from."""

    REPLAYED = "replayed"
    RAMP = "ramp"
    SPIKES = "spikes"


def suspect_series(panel: DemandPanel) -> dict[str, Suspicion]:
    """Return the series whose newest two weeks look made up, with the reason.

    Args:
        panel: P series.

    Returns:
        Code -> first reason that fits: a day that repeats another to the last digit; five days
        that only ever rise or fall; three or more lone hours far above all their neighbours.
    """
    newest = panel.tail(2 * WEEK_H).demand
    checks = (
        (Suspicion.REPLAYED, _is_replayed),
        (Suspicion.RAMP, _is_ramp),
        (Suspicion.SPIKES, _is_spiky),
    )
    found: dict[str, Suspicion] = {}
    for code, row in zip(panel.codes, newest, strict=True):
        reason = next((name for name, fits in checks if fits(row)), None)
        if reason is not None:
            found[code] = reason
    return found


def _is_replayed(row: Floats) -> bool:
    """Whether the last day equals the one a day or a week before, to the last digit."""
    for back in (DAY_H, WEEK_H):
        if len(row) >= back + DAY_H:
            now, then = row[-DAY_H:], row[-DAY_H - back : len(row) - back]
            if np.array_equal(now, then) and len(np.unique(now)) >= _LEAST_DISTINCT:
                return True
    return False


def _is_ramp(row: Floats) -> bool:
    moves = np.diff(row[-_RAMP_H:])
    moves = moves[~np.isnan(moves)]
    if len(moves) < _RAMP_H - DAY_H:
        return False
    return bool(max((moves > 0).mean(), (moves < 0).mean()) >= _RAMP_SHARE)


def _is_spiky(row: Floats) -> bool:
    if len(row) < DAY_H:
        return False
    around = np.fmax(row[:-2], row[2:])
    usual = np.nanquantile(row, 0.9) if not np.isnan(row).all() else 0.0
    lone = row[1:-1] > _SPIKE_TIMES * np.maximum(around, usual)
    return bool(usual > 0 and lone.sum() >= _SPIKES)
