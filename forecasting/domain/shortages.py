"""Finds where forecast demand will pass what a region can run, from when, and how surely."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.domain.frames import HOUR, Bools, Floats

RISK_LEVEL = 0.9
CALM_SHARE = 0.95
"""A shortage that is known stays one until the quantile is below this share of the capacity."""


@dataclass(frozen=True)
class Shortage:
    """Demand that may pass the usable capacity.

    Attributes:
        code: region.
        from_at: beginning of the first hour in which the quantile passes the capacity.
        lead_h: hours of warning left at `now`, rounded down, >= 0.
        probability: chance that demand passes the capacity in the worst hour, 0.05 to 0.95.
        worst_at: hour in which the quantile passes it most.
        short_units: by how much in that hour.
        usable: capacity it was compared with, units.
    """

    code: str
    from_at: dt.datetime
    lead_h: int
    probability: float
    worst_at: dt.datetime
    short_units: float
    usable: float


def find_forecast_shortages(
    demand: Mapping[str, Floats],
    usable: Mapping[str, float | None],
    *,
    quantiles: Sequence[float],
    issued_at: dt.datetime,
    now: dt.datetime,
    already: frozenset[str] = frozenset(),
) -> list[Shortage]:
    """Return the shortages that a forecast foresees in the hours that are not over yet.

    Args:
        demand: code -> (H, Q) units, ascending along the last axis.
        usable: code -> capacity that may be used, units; None where unknown: nothing is said then.
        quantiles: Q levels, 0.9 among them.
        issued_at: beginning of the first hour.
        now: present grid time.
        already: codes with a known shortage; for them a little less than the capacity counts, so
            that a quantile that swings around it does not ring and calm down every hour.

    Returns:
        At most one shortage per code, in order of code.
    """
    risk = list(quantiles).index(RISK_LEVEL)
    found = []
    for code in sorted(demand):
        capacity = usable.get(code)
        if capacity is None:
            continue
        limit = capacity * (CALM_SHARE if code in already else 1.0)
        ends = [issued_at + (hour + 1) * HOUR for hour in range(len(demand[code]))]
        ahead = np.array([end > now for end in ends])
        passes = ahead & (demand[code][:, risk] > limit)
        if passes.any():
            found.append(_shortage(code, demand[code], passes, capacity, quantiles, issued_at, now))
    return found


def chance_above(limit: float, values: Floats, quantiles: Sequence[float]) -> float:
    """Return the chance of a value above a limit, read between known quantiles.

    Args:
        limit: units.
        values: (Q,) ascending.
        quantiles: Q levels, ascending.

    Returns:
        Between 1 - highest level and 1 - lowest level: further out nothing is known.

    >>> chance_above(15.0, np.array([10.0, 20.0]), [0.5, 0.9])
    0.3
    """
    below = float(np.interp(limit, values, quantiles))
    return round(1.0 - below, 6)


def _shortage(
    code: str,
    demand: Floats,
    passes: Bools,
    capacity: float,
    quantiles: Sequence[float],
    issued_at: dt.datetime,
    now: dt.datetime,
) -> Shortage:
    over = np.where(passes, demand[:, list(quantiles).index(RISK_LEVEL)] - capacity, -np.inf)
    first, worst = int(np.argmax(passes)), int(np.argmax(over))
    from_at = issued_at + first * HOUR
    return Shortage(
        code=code,
        from_at=from_at,
        lead_h=max(0, int((from_at - now) // HOUR)),
        probability=chance_above(capacity, demand[worst], quantiles),
        worst_at=issued_at + worst * HOUR,
        short_units=max(0.0, float(over[worst])),
        usable=capacity,
    )
