"""Says, for each series, what may forecast it, and if not the model, why."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from forecasting.domain.features import DAY_H, WEEK_H
from forecasting.domain.frames import DemandPanel, Floats, carried_forward


class Method(StrEnum):
    """What made a forecast, best first."""

    MODEL = "model"
    SEASONAL_NAIVE = "seasonal-naive"
    LAST_VALUE = "last-value"
    NONE = "none"


class FallbackReason(StrEnum):
    """Why a series was not forecast by the model."""

    NO_MODEL = "no-model"
    MODEL_FAILED = "model-failed"
    TOO_LITTLE_HISTORY = "too-little-history"
    GAP = "gap"
    FLAT_LINE = "flat-line"
    STALE = "stale"
    UNKNOWN = "all-unknown"


@dataclass(frozen=True)
class QualityRules:
    """Limits of what the model may forecast.

    Attributes:
        min_history_h: fewest known hours.
        short_gap_h: unknown stretches up to this length are bridged with the value before.
        max_missing_share: largest unknown share of the last week, 0 to 1.
        stale_after_h: age of the newest known hour from which the model is not asked.
        unknown_after_h: age from which there is no forecast at all.
        flat_min_h: shortest stretch without any change that is looked at.
        flat_times_before: how many times longer than ever before the stretch must be.
    """

    min_history_h: int = DAY_H
    short_gap_h: int = 3
    max_missing_share: float = 0.25
    stale_after_h: int = 3
    unknown_after_h: int = DAY_H
    flat_min_h: int = 2 * DAY_H
    flat_times_before: float = 2.0


@dataclass(frozen=True)
class Verdict:
    """What may forecast one series.

    Attributes:
        method: the best method that its data allow.
        reason: why that is not the model; None when it is.
    """

    method: Method
    reason: FallbackReason | None = None


def judge_series(panel: DemandPanel, rules: QualityRules) -> list[Verdict]:
    """Judge the history of every series of a panel.

    Gaps, too little history, and values that do not move for much longer than they ever did call
    for a simpler method; a series silent for a day is not forecast: unknown is not a number.

    Args:
        panel: P series up to the moment of issue.
        rules: the limits.

    Returns:
        One verdict per series, in the panel's order.
    """
    return [_judge(panel.demand[row], rules) for row in range(len(panel.codes))]


def simpler_method(demand: Floats, rules: QualityRules) -> Method:
    """Return the best naive method that the last day of one series allows.

    Args:
        demand: (T,) units, NaN where unknown.
        rules: the limits.
    """
    bridged = carried_forward(demand[None], rules.short_gap_h)[0]
    if len(bridged) >= DAY_H and not np.isnan(bridged[-DAY_H:]).any():
        return Method.SEASONAL_NAIVE
    return Method.NONE if np.isnan(demand).all() else Method.LAST_VALUE


def count_reasons(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Return how many series fell back for each reason, most frequent first."""
    reasons = [verdict.reason.value for verdict in verdicts if verdict.reason is not None]
    return {
        reason: reasons.count(reason)
        for reason in sorted(set(reasons), key=lambda name: (-reasons.count(name), name))
    }


def _judge(demand: Floats, rules: QualityRules) -> Verdict:
    known = np.flatnonzero(~np.isnan(demand))
    age_h = len(demand) - 1 - int(known[-1]) if len(known) else len(demand)
    verdict = Verdict(Method.MODEL)
    if not len(known) or age_h >= rules.unknown_after_h:
        verdict = Verdict(Method.NONE, FallbackReason.UNKNOWN)
    elif age_h >= rules.stale_after_h:
        verdict = Verdict(Method.LAST_VALUE, FallbackReason.STALE)
    elif len(demand) - int(known[0]) < rules.min_history_h:
        verdict = Verdict(simpler_method(demand, rules), FallbackReason.TOO_LITTLE_HISTORY)
    elif np.isnan(_since(demand, int(known[0]))).mean() > rules.max_missing_share:
        verdict = Verdict(simpler_method(demand, rules), FallbackReason.GAP)
    elif _is_flat(demand[known], rules):
        verdict = Verdict(Method.LAST_VALUE, FallbackReason.FLAT_LINE)
    return verdict


def _since(demand: Floats, first: int) -> Floats:
    # before its first known hour a pool did not exist: that is no gap
    return demand[max(first, len(demand) - WEEK_H) :]


def _is_flat(values: Floats, rules: QualityRules) -> bool:
    """Whether the newest stretch without change is far longer than any stretch before it.

    Real pools stand still for days (one long job, or idle): only standing still out of character
    is suspect. A pool that is idle is believed.
    """
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values) != 0) + 1])
    lengths = np.diff(np.append(starts, len(values)))
    longest_before = int(lengths[:-1].max()) if len(lengths) > 1 else 0
    newest = int(lengths[-1])
    is_long = newest >= max(rules.flat_min_h, rules.flat_times_before * longest_before)
    return bool(is_long and values[-1] != 0.0)
