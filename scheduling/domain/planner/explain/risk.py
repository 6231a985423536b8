"""Compares the stated risk of promised room with how often demand really passed it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

# Two-sided 95 % of the normal distribution.
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Promise:
    """Room that a plan promised to guests in one pool and hour, and what came.

    Attributes:
        risk_quantile: quantile of demand that the room was computed from, 0..1.
        expected_units: that quantile, units.
        realised_units: demand that telemetry showed then; None while unknown.
    """

    risk_quantile: float
    expected_units: float
    realised_units: float | None


@dataclass(frozen=True)
class RiskReport:
    """How often demand passed its quantile, against how often it was said to.

    Attributes:
        risk_quantile: as stated.
        promises: hours with a known outcome.
        unknown: hours without one.
        stated_share: share of hours in which demand was said to pass the quantile.
        breach_share: share in which it did; None without outcomes.
        low_share, high_share: Wilson interval of the share, 95 %.
        excess_units: mean units above the quantile over the breaches.
        is_kept: whether the stated share is not below the interval, so that more breaches than
            stated are not shown.
    """

    risk_quantile: float
    promises: int
    unknown: int
    stated_share: float
    breach_share: float | None
    low_share: float
    high_share: float
    excess_units: float
    is_kept: bool


def risk_reports(promises: Iterable[Promise]) -> tuple[RiskReport, ...]:
    """This function will report the realised frequency of breach for every stated risk.

    Args:
        promises: outcomes of past plans, of any risk level.

    Returns:
        One report per level, lowest first. Hours of one plan hang together, so the interval is
        narrower than it should be when few plans are behind it.

    Source: E. Wilson, J. Am. Stat. Assoc. 22 (1927), 10.1080/01621459.1927.10502953.
    """
    by_level: dict[float, list[Promise]] = {}
    for promise in promises:
        by_level.setdefault(promise.risk_quantile, []).append(promise)
    return tuple(_report(level, by_level[level]) for level in sorted(by_level))


def _report(level: float, promises: list[Promise]) -> RiskReport:
    over = [
        one.realised_units - one.expected_units
        for one in promises
        if one.realised_units is not None
    ]
    breaches = [units for units in over if units > 0]
    low, high = wilson_interval(len(breaches), len(over))
    return RiskReport(
        risk_quantile=level,
        promises=len(over),
        unknown=len(promises) - len(over),
        stated_share=1.0 - level,
        breach_share=len(breaches) / len(over) if over else None,
        low_share=low,
        high_share=high,
        excess_units=sum(breaches) / len(breaches) if breaches else 0.0,
        is_kept=low <= 1.0 - level,
    )


def wilson_interval(hits: int, tries: int) -> tuple[float, float]:
    """This function will bound a share from its hits, 95 %; (0, 1) without tries."""
    if not tries:
        return 0.0, 1.0
    share, spread = hits / tries, Z_95**2 / tries
    center = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(0.0, center - half), min(1.0, center + half)
