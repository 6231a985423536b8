"""The bound under some prices, exact or smoothed, with the sums that the cheapest starts hold.

Exactly, every group takes its one cheapest start, which jumps when a price moves a little.
Smoothed, it spreads over starts in proportion to exp(-cost / temperature): prices then find their
way many times faster, and the spread itself is nearly a plan.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.prices import Market, counted

Single = NDArray[np.float32]
# exp of less is as good as nothing, and numbers near the smallest are slow to compute with.
LEAST_LOG = np.float32(-60.0)


@dataclass(frozen=True)
class Choice:
    """The cheapest start of every group that prefers one to having no place.

    Attributes:
        bound_usd: what no plan can cost less than.
        arc, slot: (S,) arc and start slot; groups without a start are left out.
    """

    bound_usd: float
    arc: IntArray
    slot: IntArray


@dataclass(frozen=True)
class Spread:
    """How groups spread under some prices and a temperature.

    Attributes:
        bound_usd: smoothed, below the exact one, but for data that arrive within a slot.
        slope: what each sum passes its limit by.
        arc_units: (N,) units of each arc's group that use it.
        start_share: (T, K) of the units on a ride, `arrivals` per last slot give its starts.
    """

    bound_usd: float
    slope: FloatArray
    arc_units: FloatArray


def cheapest(market: Market, prices: FloatArray) -> Choice:
    """This function will find every group's cheapest start, and the exact bound.

    Args:
        market: the arcs and where prices stand.
        prices: one per limit, >= 0.

    Returns:
        The choice; its bound holds for every plan.
    """
    arcs, rides = market.arcs, market.arcs.rides
    usd = market.ride_usd(prices)
    place = np.arange(len(rides))
    at_first = usd[rides.earliest, place]
    later = usd.copy()
    later[rides.earliest, place] = np.inf
    np.minimum.accumulate(later, axis=0, out=later)
    cost = np.minimum(at_first[arcs.ride] + arcs.late_usd, later.ravel()[market.last_at])
    cost += arcs.once_usd
    cost += market.lane_usd(prices)[arcs.lane]
    best = market.aim_usd(prices)
    least = np.minimum.reduceat(cost, arcs.first) if len(arcs) else np.zeros(0)
    is_better = least < best[arcs.groups]
    best[arcs.groups] = np.minimum(best[arcs.groups], least)
    bound_usd = market.total_usd(best, prices)
    hit = np.flatnonzero(cost <= np.repeat(np.where(is_better, least, -np.inf), arcs.counts))
    hit = hit[np.unique(arcs.group[hit], return_index=True)[1]]
    return Choice(bound_usd, hit, _slot_of(market, usd, hit))


def _slot_of(market: Market, usd: FloatArray, arc: IntArray) -> IntArray:
    arcs, rides = market.arcs, market.arcs.rides
    ride = arcs.ride[arc]
    columns = usd[:, ride]
    columns[rides.earliest[ride], np.arange(len(arc))] += arcs.late_usd[arc]
    too_late = np.arange(len(usd))[:, None] > arcs.latest_of_arc[arc]
    slot: IntArray = np.where(too_late, np.inf, columns).argmin(axis=0)
    return slot


class SmoothBound:
    """The smoothed bound of a market as a function of its prices."""

    def __init__(self, market: Market) -> None:
        self.market = market
        arcs = market.arcs
        scale = arcs.rides.scale_usd
        self._scale_of_ride = scale
        self._scale_of = np.ones(len(arcs.units))
        self._scale_of[arcs.group] = scale[arcs.ride]
        self._arc_scale = self._scale_of[arcs.group].astype(np.float32)
        self._once = (arcs.once_usd / self._arc_scale).astype(np.float32)

    def at(self, prices: FloatArray, temperature: float) -> Spread:
        """This function will spread every group over its starts under some prices.

        Args:
            prices: one per limit, >= 0.
            temperature: share of what a unit of work is worth, > 0.

        Returns:
            The spread, with the smoothed bound and its slope.
        """
        market, arcs, space = self.market, self.market.arcs, self.market.space
        gain, prefix = self._prefixes(prices, temperature)
        own = prefix.ravel()[market.last_at]
        own -= self._once / np.float32(temperature)
        lane_usd = market.lane_usd(prices)
        if lane_usd.any():
            own -= lane_usd.astype(np.float32)[arcs.lane] / (
                self._arc_scale * np.float32(temperature)
            )
        heat = self._scale_of * temperature
        aim = -market.aim_usd(prices) / heat
        shift = aim.copy()
        if len(arcs):
            most = np.maximum.reduceat(own, arcs.first).astype(np.float64)
            shift[arcs.groups] = np.maximum(shift[arcs.groups], most)
        own -= np.repeat(shift[arcs.groups].astype(np.float32), arcs.counts)
        np.maximum(own, LEAST_LOG, out=own)
        np.exp(own, out=own)
        total = np.exp(aim - shift)
        if len(arcs):
            total[arcs.groups] += np.add.reduceat(own.astype(np.float64), arcs.first)
        soft_usd = -heat * (shift + np.log(total))
        bound_usd = market.total_usd(soft_usd, prices)
        own *= np.repeat((market.value / total)[arcs.groups].astype(np.float32), arcs.counts)
        arc_units = own.astype(np.float64)
        held = self._starts(gain, prefix, counted(market.last_at, arc_units, prefix.size))
        slope = market.sums(held, self._lanes(arc_units), self._served(arc_units)) - space.limits
        return Spread(bound_usd, slope, arc_units)

    def starts_of(self, prices: FloatArray, temperature: float, arc: IntArray) -> FloatArray:
        """This function will return (T, A) how some arcs' units spread over start slots."""
        arcs = self.market.arcs
        gain = self._gains(prices, temperature)[:, arcs.ride[arc]].astype(np.float64)
        too_late = np.arange(len(gain))[:, None] > arcs.latest_of_arc[arc]
        gain[too_late] = -np.inf
        share = np.exp(gain - gain.max(axis=0))
        whole: FloatArray = share / share.sum(axis=0)
        return whole

    def _gains(self, prices: FloatArray, temperature: float) -> Single:
        gain = self.market.ride_usd(prices)
        gain /= self._scale_of_ride * -temperature
        return np.maximum(gain, -1e30).astype(np.float32)

    def _prefixes(self, prices: FloatArray, temperature: float) -> tuple[Single, Single]:
        """(T, K) log weight of each start, and of all starts up to it."""
        gain = self._gains(prices, temperature)
        prefix = np.empty_like(gain)
        prefix[0] = gain[0]
        for slot in range(1, len(gain)):
            _log_add(prefix[slot - 1], gain[slot], out=prefix[slot])
        return gain, prefix

    def _starts(self, gain: Single, prefix: Single, arriving: FloatArray) -> FloatArray:
        """Spread the units that may start up to each slot over the slots up to it."""
        arriving = arriving.reshape(prefix.shape)
        held = np.empty_like(arriving)
        units = np.zeros(prefix.shape[1])
        for slot in range(len(gain) - 1, 0, -1):
            units += arriving[slot]
            share = np.exp(np.maximum(gain[slot] - prefix[slot], LEAST_LOG))
            np.multiply(units, share, out=held[slot])
            units -= held[slot]
        held[0] = units + arriving[0]
        return held

    def _lanes(self, arc_units: FloatArray) -> FloatArray:
        market = self.market
        crossing, regions = market.crossing, market.space.regions
        return counted(market.arcs.lane[crossing], arc_units[crossing], regions * regions)

    def _served(self, arc_units: FloatArray) -> FloatArray:
        return counted(self.market.arcs.group, arc_units, len(self.market.arcs.units))


def _log_add(one: Single, other: Single, *, out: Single) -> None:
    """log(exp(one) + exp(other)); several times faster than numpy's own."""
    high = np.maximum(one, other)
    low = np.minimum(one, other)
    low -= high
    np.maximum(low, LEAST_LOG, out=low)
    np.exp(low, out=low)
    np.log1p(low, out=low)
    np.add(high, low, out=out)
