"""Merges announced demand into forecasts without counting any of it twice.

Work that was announced and is not there yet is added with its probability. Work that has shown up
is in the telemetry that the model reads: from then on nothing is added, and after its window the
part that was seen is expected to leave again. Work that does not come is believed less and less.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from forecasting.domain.frames import HOUR, Floats

SEEN_SHARE = 0.8
"""Demand that rose by this share of the announced amount is taken for the announced work."""
LATE_HALVING_H = 6.0
LAPSES_AFTER_H = 24.0
_MOST_ATOMS = 128
_BISECTIONS = 48


class DeclarationKind(StrEnum):
    """What was announced."""

    JOB = "job"
    RESERVATION = "reservation"


class DeclarationState(StrEnum):
    """Where announced demand stands.

    ANNOUNCED is added to forecasts; ARRIVED is in the telemetry; WITHDRAWN was taken back; LAPSED
    did not come within a day; OVER is past its window.
    """

    ANNOUNCED = "ANNOUNCED"
    ARRIVED = "ARRIVED"
    WITHDRAWN = "WITHDRAWN"
    LAPSED = "LAPSED"
    OVER = "OVER"


OPEN_STATES = (DeclarationState.ANNOUNCED, DeclarationState.ARRIVED)
MOVES: dict[DeclarationState, frozenset[DeclarationState]] = {
    DeclarationState.ANNOUNCED: frozenset(
        {
            DeclarationState.ARRIVED,
            DeclarationState.WITHDRAWN,
            DeclarationState.LAPSED,
            DeclarationState.OVER,
        }
    ),
    DeclarationState.ARRIVED: frozenset({DeclarationState.WITHDRAWN, DeclarationState.OVER}),
    DeclarationState.WITHDRAWN: frozenset(),
    DeclarationState.LAPSED: frozenset({DeclarationState.ARRIVED, DeclarationState.WITHDRAWN}),
    DeclarationState.OVER: frozenset(),
}


@dataclass(frozen=True)
class Announced:
    """Demand that somebody announced.

    Attributes:
        id: of the declaration.
        series: the series that it adds to.
        units: amount, > 0.
        starts_at: beginning of its window.
        ends_at: end of its window, later than the beginning.
        probability: that it comes, 0 to 1.
        state: ANNOUNCED or ARRIVED.
        seen_units: what of it the telemetry has shown, 0 to `units`.
    """

    id: int
    series: str
    units: float
    starts_at: dt.datetime
    ends_at: dt.datetime
    probability: float
    state: DeclarationState
    seen_units: float = 0.0


@dataclass(frozen=True)
class Sighting:
    """What the telemetry says of announced work: its new state and how much of it was seen."""

    state: DeclarationState
    seen_units: float


def look_for(work: Announced, before: float | None, since: Floats, now: dt.datetime) -> Sighting:
    """Say whether announced work has shown up in the telemetry of its pool.

    Args:
        work: the announcement.
        before: demand of the last full hour before its window, units; None where unknown.
        since: (T,) demand of the full hours since then, units; NaN where unknown.
        now: end of the last of those hours.

    Returns:
        ARRIVED once an hour was higher than before by 80 % of the amount (for good: a later fall
        is other work's or its own end); OVER after its window; LAPSED when it has not come for a
        day; else as it was.
    """
    if now >= work.ends_at:
        return Sighting(DeclarationState.OVER, work.seen_units)
    if work.state is DeclarationState.ARRIVED:
        return Sighting(DeclarationState.ARRIVED, work.seen_units)
    known = since[~np.isnan(since)]
    rise = float(known.max()) - before if before is not None and len(known) else 0.0
    if rise >= SEEN_SHARE * work.units:
        return Sighting(DeclarationState.ARRIVED, min(work.units, rise))
    late_h = (now - work.starts_at) / HOUR
    if late_h >= LAPSES_AFTER_H:
        return Sighting(DeclarationState.LAPSED, 0.0)
    return Sighting(DeclarationState.ANNOUNCED, 0.0)


def shares_by_hour(work: Announced, issued_at: dt.datetime, horizon_h: int) -> tuple[Floats, float]:
    """Return what announced work changes per hour of a forecast, and how surely.

    Args:
        work: open announced work.
        issued_at: beginning of the first hour.
        horizon_h: H hours.

    Returns:
        (H,) units: added where it is to come, taken away where what was seen is to end; and the
        probability of that change. Hours that its window covers partly count in part.
    """
    starts = np.array([issued_at + hour * HOUR for hour in range(horizon_h)])
    inside = np.array(
        [max(0.0, (min(work.ends_at, at + HOUR) - max(work.starts_at, at)) / HOUR) for at in starts]
    )
    if work.state is DeclarationState.ARRIVED:
        after = np.array([min(1.0, max(0.0, (at + HOUR - work.ends_at) / HOUR)) for at in starts])
        return -work.seen_units * after, work.probability
    late_h = max(0.0, (issued_at - work.starts_at) / HOUR)
    return work.units * inside, work.probability * 0.5 ** (late_h / LATE_HALVING_H)


def expected_change(works: Sequence[Announced], issued_at: dt.datetime, horizon_h: int) -> Floats:
    """Return (H,) units: the expected change of a series by all announced work."""
    total = np.zeros(horizon_h)
    for work in works:
        change, probability = shares_by_hour(work, issued_at, horizon_h)
        total += probability * change
    return total


def merge_announced(
    demand: Floats,
    works: Sequence[Announced],
    issued_at: dt.datetime,
    quantiles: Sequence[float],
) -> Floats:
    """Return the quantiles of a series' demand with announced work.

    Each announcement comes or does not, independently of the others and of all other demand; the
    result is read from the distribution of the sum. Certain work shifts every quantile alike.

    Args:
        demand: (H, Q) units, >= 0, ascending along the last axis.
        works: open announced work of this series.
        issued_at: beginning of the first hour.
        quantiles: Q levels, ascending.

    Returns:
        (H, Q) units, >= 0, ascending along the last axis.
    """
    parts = [shares_by_hour(work, issued_at, len(demand)) for work in works]
    levels = np.asarray(quantiles)
    out = demand.copy()
    for hour in range(len(demand)):
        here = [(float(change[hour]), chance) for change, chance in parts if change[hour] != 0.0]
        if here:
            amounts, chances = _sum_of_chances(here)
            out[hour] = _mixture_quantiles(demand[hour], levels, amounts, chances)
    return np.maximum(out, 0.0)


def _sum_of_chances(parts: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    """Return the atoms of a sum of independent amounts that come or do not."""
    amounts, chances = np.zeros(1), np.ones(1)
    for amount, chance in parts:
        amounts = np.concatenate([amounts, amounts + amount])
        chances = np.concatenate([chances * (1.0 - chance), chances * chance])
        kept = chances > 0.0
        amounts, chances = _thinned(amounts[kept], chances[kept])
    return amounts, chances


def _thinned(amounts: Floats, chances: Floats) -> tuple[Floats, Floats]:
    if len(amounts) <= _MOST_ATOMS:
        return amounts, chances
    # neighbours become one atom at their mean: the expectation stays what it was
    order = np.argsort(amounts, kind="stable")
    first = np.linspace(0, len(order), _MOST_ATOMS + 1).astype(np.intp)[:-1]
    weight = np.add.reduceat(chances[order], first)
    return np.add.reduceat((amounts * chances)[order], first) / weight, weight


def _mixture_quantiles(values: Floats, levels: Floats, amounts: Floats, chances: Floats) -> Floats:
    if len(amounts) == 1:
        shifted: Floats = values + amounts[0]
        return shifted
    low = np.full(len(levels), values[0] + amounts.min() - 1e-9)
    high = np.full(len(levels), values[-1] + amounts.max())
    for _ in range(_BISECTIONS):
        tried = (low + high) / 2.0
        reached = np.zeros(len(levels))
        for amount, chance in zip(amounts, chances, strict=True):
            reached += chance * np.interp(tried - amount, values, levels, left=0.0, right=1.0)
        enough = reached >= levels - 1e-12
        low, high = np.where(enough, low, tried), np.where(enough, tried, high)
    ordered: Floats = np.maximum.accumulate(high)
    return ordered
