"""Watches whether forecasts stay as good and as calibrated as they were when promoted."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from forecasting.domain.features import DAY_H, WEEK_H
from forecasting.domain.frames import DemandPanel, Floats, carried_forward


class DriftSign(StrEnum):
    """Why a model should be made anew."""

    LOSS = "loss-rises"
    COVERAGE_LOW = "coverage-low"
    COVERAGE_HIGH = "coverage-high"


@dataclass(frozen=True)
class DriftRules:
    """When drift is called drift.

    Attributes:
        tolerated: rise of the relative loss per step that is let pass.
        alarm_at: sum of rises beyond that at which the alarm is raised.
        coverage_low: coverage of the 0.9 quantile below which it is called too low.
        coverage_high: and above which too wide.
        fewest_runs: runs that must have come true before anything is said.
        fewest_hours: pool-hours behind a coverage that is believed.
    """

    tolerated: float = 0.05
    alarm_at: float = 1.5
    coverage_low: float = 0.8
    coverage_high: float = 0.985
    fewest_runs: int = 6
    fewest_hours: int = 200


@dataclass(frozen=True)
class RunLoss:
    """How one run came true: error relative to naive, coverage of its 0.9 quantile, pool-hours."""

    ratio: float
    covered: float
    hours: int


@dataclass(frozen=True)
class DriftVerdict:
    """What the watch found.

    Attributes:
        signs: what speaks for drift; none when all is well.
        rise: the Page-Hinkley statistic after each run, oldest first.
        coverage: of the 0.9 quantile after each run, oldest first; NaN where nothing was true.
    """

    signs: tuple[DriftSign, ...]
    rise: tuple[float, ...]
    coverage: tuple[float, ...]


def page_hinkley(losses: Sequence[float], *, tolerated: float) -> Floats:
    """Return how far losses have risen above their own mean so far, step by step.

    m_t = sum of (x_i - mean of x_1..x_i - tolerated), and the statistic is m_t - min of m_1..m_t.

    Args:
        losses: one number per step, oldest first.
        tolerated: rise per step that is let pass.

    Returns:
        (T,) statistic, >= 0; a steady series stays near 0.

    Source:
        Page, Continuous Inspection Schemes, Biometrika 41 (1954).

    >>> page_hinkley([1.0, 1.0, 1.0], tolerated=0.1).tolist()
    [0.0, 0.0, 0.0]
    """
    values = np.asarray(losses, dtype=float)
    if not len(values):
        return values
    mean = np.cumsum(values) / np.arange(1, len(values) + 1)
    total = np.cumsum(values - mean - tolerated)
    return total - np.minimum.accumulate(total)


def watch(
    losses: Sequence[float],
    covered: Sequence[float],
    hours: Sequence[int],
    rules: DriftRules,
) -> DriftVerdict:
    """Judge the runs of the last days, oldest first.

    Args:
        losses: pinball loss of each run divided by that of the best naive forecast of the same
            hours: what is hard for everybody is no drift.
        covered: share of its hours that stayed below its 0.9 quantile; NaN where none was true.
        hours: pool-hours behind each share.
        rules: the limits.

    Returns:
        The signs, and the curves behind them.
    """
    rise = page_hinkley(losses, tolerated=rules.tolerated)
    share = np.asarray(covered, dtype=float)
    weight = np.where(np.isnan(share), 0.0, np.asarray(hours, dtype=float))
    signs: list[DriftSign] = []
    if len(rise) >= rules.fewest_runs and rise[-1] >= rules.alarm_at:
        signs.append(DriftSign.LOSS)
    if len(rise) >= rules.fewest_runs and weight.sum() >= rules.fewest_hours:
        mean = float(np.nansum(np.nan_to_num(share) * weight) / weight.sum())
        if mean < rules.coverage_low:
            signs.append(DriftSign.COVERAGE_LOW)
        elif mean > rules.coverage_high:
            signs.append(DriftSign.COVERAGE_HIGH)
    return DriftVerdict(tuple(signs), tuple(map(float, rise)), tuple(map(float, share)))


def relative_loss(
    panel: DemandPanel, place: int, codes: Sequence[str], forecast: Floats
) -> RunLoss:
    """Measure one past run against the best naive point forecast of the same hours.

    Args:
        panel: what has come true; hours before `place` were known at the issue.
        place: hour of the issue in the panel.
        codes: N series of the panel.
        forecast: (N, H, 2) units: median and 0.9 quantile.

    Returns:
        The ratio of absolute errors (NaN where nothing is known or naive was perfect), the share
        of hours not above the 0.9 quantile, and how many hours that was.
    """
    row_of = {code: row for row, code in enumerate(panel.codes)}
    rows = [row_of[code] for code in codes]
    horizon_h = min(forecast.shape[1], panel.hours - place)
    truth = panel.demand[rows, place : place + horizon_h]
    median, upper = forecast[:, :horizon_h, 0], forecast[:, :horizon_h, 1]
    known = ~np.isnan(truth) & ~np.isnan(median)
    if not known.any():
        return RunLoss(np.nan, np.nan, 0)
    past = carried_forward(panel.demand[rows, max(0, place - WEEK_H) : place])
    naive = [
        float(np.abs(truth - points)[known & ~np.isnan(points)].sum())
        for points in _naive_points(past, horizon_h)
        if not np.isnan(points[known]).any()
    ]
    ours = float(np.abs(truth - median)[known].sum())
    best = min(naive, default=0.0)
    ratio = ours / best if best > 0 else np.nan
    slack = 1e-9 * np.maximum(np.abs(truth[known]), 1.0)
    covered = float((truth[known] <= upper[known] + slack).mean())
    return RunLoss(ratio, covered, int(known.sum()))


def _naive_points(past: Floats, horizon_h: int) -> list[Floats]:
    hours = np.arange(horizon_h)
    points = [np.repeat(past[:, -1:], horizon_h, axis=1)] if past.shape[1] else []
    points.extend(
        past[:, past.shape[1] - season + hours % season]
        for season in (DAY_H, WEEK_H)
        if past.shape[1] >= season
    )
    if past.shape[1] >= WEEK_H:
        points.append(np.repeat(past.mean(axis=1, keepdims=True), horizon_h, axis=1))
    return points
