"""The bound under some prices, exact or smoothed, with the sums that the cheapest starts hold.

Exactly, every group takes its one cheapest start, which jumps when a price moves a little.
Smoothed, it spreads over starts in proportion to exp(-cost / temperature): prices then find their
way many times faster, and the spread itself is nearly a plan.
"""

from dataclasses import dataclass

import numpy as np

from scheduling.domain.planner.problem import FloatArray
from scheduling.domain.planner.scale.compiled import spread
from scheduling.domain.planner.scale.compiled.spread import RideTable, Single
from scheduling.domain.planner.scale.prices import Market

# Stands for a cost that no start can have; single numbers hold it divided by any temperature.
NEVER_USD = 1e18


@dataclass(frozen=True)
class Spread:
    """How groups spread under some prices and a temperature.

    Attributes:
        bound_usd: smoothed, below the exact one, but for data that arrive within a slot.
        slope: what each sum passes its limit by.
        arc_units: (N,) units of each arc's group that use it; overwritten by the next spread.
    """

    bound_usd: float
    slope: FloatArray
    arc_units: Single


class SmoothBound:
    """The smoothed bound of a market as a function of its prices."""

    def __init__(self, market: Market) -> None:
        self.market = market
        arcs, rides = market.arcs, market.arcs.rides
        self._rides = RideTable(
            usd=np.minimum(market.usd, NEVER_USD).astype(np.float32),
            ends=np.ascontiguousarray(rides.ends.T.astype(np.int32)),
            rate=market.space.rate_of.astype(np.int32),
        )
        self._arcs = market.arc_terms
        self._worth_of_ride = rides.scale_usd
        self._worth = np.ones(len(arcs.units))
        self._worth[arcs.groups] = rides.scale_usd[arcs.ride[arcs.first]]
        shape = market.usd.shape
        self._gain, self._most, self._share, self._total = (
            np.empty(shape, dtype=np.float32) for _ in range(4)
        )
        self._arriving = np.empty(shape, dtype=np.float32)
        self._arc_units = np.empty(len(arcs), dtype=np.float32)

    def at(self, prices: FloatArray, temperature: float) -> Spread:
        """This function will spread every group over its starts under some prices.

        Args:
            prices: one per limit, >= 0.
            temperature: share of what a unit of work is worth, > 0.

        Returns:
            The spread, with the smoothed bound and its slope.
        """
        market, space = self.market, self.market.space
        heat = (1.0 / (self._worth_of_ride * temperature)).astype(np.float32)
        sums = market.price_sums(prices).astype(np.float32)
        spread.gains_of(self._rides, sums, heat, self._gain)
        spread.weigh_starts(self._gain, self._most, self._share, self._total)
        logs = self._gain.ravel()
        spread.logs_of(self._most.ravel(), self._total.ravel(), logs)
        aim = market.aim_usd(prices)
        least = aim.copy()
        self._arriving[:] = 0.0
        spread.spread_groups(
            self._arcs,
            logs,
            market.lane_usd(prices).astype(np.float32),
            (aim, self._worth * temperature, market.value),
            (self._arc_units, least, self._arriving.ravel()),
        )
        spread.spread_starts(self._arriving, self._share, self._total)
        slope = self._sums() - space.limits
        return Spread(market.total_usd(least, prices), slope, self._arc_units)

    def _sums(self) -> FloatArray:
        """Add up what the present spread holds of every limit."""
        market, space = self.market, self.market.space
        change = np.zeros((space.rates.shape[0], space.slots + 1))
        spread.changes_of(self._rides, self._arriving, change)
        lanes, served = np.zeros(space.regions**2), np.zeros(len(market.value))
        spread.sums_of_arcs(self._arcs, self._arc_units, lanes, served)
        lanes[0] = 0.0
        return market.sums(change, lanes, served)


def cheapest(market: Market, prices: FloatArray) -> float:
    """This function will return the bound that some prices prove, exactly.

    Args:
        market: the arcs and where prices stand.
        prices: one per limit, >= 0.

    Returns:
        What no plan can cost less than: every group at its cheapest start, less prices * limits.
    """
    arcs, rides = market.arcs, market.arcs.rides
    usd = market.ride_usd(prices)
    place = np.arange(len(rides))
    at_first = usd[rides.earliest, place]
    usd[rides.earliest, place] = np.inf
    np.minimum.accumulate(usd, axis=0, out=usd)
    least = market.aim_usd(prices)
    spread.least_of_arcs(
        market.arc_terms,
        (at_first, usd.ravel(), arcs.ride),
        (arcs.once_usd, arcs.late_usd, market.lane_usd(prices)),
        least,
    )
    return market.total_usd(least, prices)
