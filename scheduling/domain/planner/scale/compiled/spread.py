"""Spreads groups over starts in proportion to exp(-cost / temperature), and adds up what is held.

Numbers are single: a vector register holds twice as many of them. `ride` tables lie slot-major,
(T, K), because slots follow one another and rides stand side by side.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.compiled.jit import compiled, compiled_loosely

Single = NDArray[np.float32]
Short = NDArray[np.int32]


class RideTable(NamedTuple):
    """What the loops need of rides: (T, K) cost of a unit and end of each start; (K,) rate."""

    usd: Single
    ends: Short
    rate: Short


class ArcTerms(NamedTuple):
    """What the loops need of arcs: (S,) runs per group, (N,) place of the last start, cost, lane.

    Attributes:
        first, counts, groups: (S,) where a group's arcs begin, how many, and which group it is.
        last_at: (N,) place of (latest start, ride) in a table of rides.
        once_usd: (N,) per unit.
        lane: (N,) 0 for a move that no limit of a region counts.
    """

    first: IntArray
    counts: IntArray
    groups: IntArray
    last_at: Short
    once_usd: Single
    lane: Short


@compiled_loosely
def exp_of(x: np.float32) -> np.float32:
    """This function will return exp of a number <= 0, within 1e-7; never less than exp(-60).

    Source: S. Moshier, Cephes Mathematical Library, expf.
    """
    x = x if x > np.float32(-60.0) else np.float32(-60.0)
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    bits = (np.int32(n) + np.int32(127)) << np.int32(23)
    return np.float32(p * np.int32(bits).view(np.float32))


@compiled_loosely
def gains_of(rides: RideTable, sums: Single, heat: Single, gain: Single) -> None:
    """This function will write (T, K) minus the priced cost of a unit by start, per heat.

    Args:
        rides: the rides.
        sums: (Q, T + 1) prices of a unit summed up over slots, by rate.
        heat: (K,) 1 / (temperature * what a unit is worth).
        gain: (T, K) where to write.
    """
    usd, ends, rate = rides
    for t in range(usd.shape[0]):
        for k in range(usd.shape[1]):
            row = sums[rate[k]]
            gain[t, k] = -(usd[t, k] + row[ends[t, k]] - row[t]) * heat[k]


@compiled_loosely
def _highest(one: Single, other: Single, out: Single) -> None:
    for k in range(len(out)):
        out[k] = one[k] if one[k] > other[k] else other[k]


@compiled_loosely
def _shares(gain: Single, most: Single, out: Single) -> None:
    for k in range(len(out)):
        out[k] = exp_of(gain[k] - most[k])


@compiled_loosely
def _totals(before: Single, fall: Single, most: Single, share: Single, out: Single) -> None:
    for k in range(len(out)):
        out[k] = before[k] * exp_of(fall[k] - most[k]) + share[k]


@compiled_loosely
def weigh_starts(gain: Single, most: Single, share: Single, total: Single) -> None:
    """This function will weigh each start against all starts up to it.

    Args:
        gain: (T, K) of each start.
        most: (T, K) written: highest gain so far.
        share: (T, K) written: exp(gain - most).
        total: (T, K) written: sum of exp(gain - most) so far.
    """
    most[0] = gain[0]
    share[0] = np.float32(1.0)
    total[0] = np.float32(1.0)
    # one loop each, because loops over many tables at once are not vectorized
    for t in range(1, gain.shape[0]):
        _highest(gain[t], most[t - 1], most[t])
        _shares(gain[t], most[t], share[t])
        _totals(total[t - 1], most[t - 1], most[t], share[t], total[t])


@compiled_loosely
def spread_groups(
    arcs: ArcTerms,
    logs: Single,
    lane_usd: Single,
    aim: tuple[FloatArray, FloatArray, FloatArray],
    found: tuple[Single, FloatArray, Single],
) -> None:
    """This function will spread the units of every group over its arcs, or to no place.

    Args:
        arcs: the arcs.
        logs: (T * K,) log of the weight of all starts of a ride up to a slot.
        lane_usd: (R * R,) prices of region limits.
        aim: (G,) each: cost of no place, temperature in USD, units of the group.
        found: (N,) units per arc, (G,) smoothed least cost of a unit, (T * K,) units that may
            start up to a slot on a ride; all are written, the last is added to.
    """
    aim_usd, heat, value = aim
    arc_units, least_usd, arriving = found
    for run in range(len(arcs.first)):
        group, begin = arcs.groups[run], arcs.first[run]
        end = begin + arcs.counts[run]
        scale = np.float32(1.0 / heat[group])
        own = arc_units[begin:end]
        place = arcs.last_at[begin:end]
        for n in range(len(own)):
            paid = arcs.once_usd[begin + n] + lane_usd[arcs.lane[begin + n]]
            own[n] = logs[place[n]] - paid * scale
        none = np.float32(-aim_usd[group] / heat[group])
        most = none
        for n in range(len(own)):
            most = own[n] if own[n] > most else most
        part = np.float32(0.0)
        for n in range(len(own)):
            own[n] = exp_of(own[n] - most)
            part += own[n]
        total = np.float64(part) + np.exp(np.float64(none - most))
        least_usd[group] = -heat[group] * (most + np.log(total))
        units = np.float32(value[group] / total)
        for n in range(len(own)):
            own[n] *= units
            arriving[place[n]] += own[n]


@compiled_loosely
def _start_row(units: Single, arriving: Single, share: Single, total: Single) -> None:
    for k in range(len(units)):
        there = units[k] + arriving[k]
        begun = there * share[k] / total[k]
        arriving[k] = begun
        units[k] = there - begun


@compiled_loosely
def spread_starts(arriving: Single, share: Single, total: Single) -> None:
    """This function will turn units that may start up to a slot into units that start in it.

    Args:
        arriving: (T, K) units, overwritten.
        share: (T, K) of `weigh_starts`.
        total: (T, K) of `weigh_starts`.
    """
    units = np.zeros(arriving.shape[1], dtype=np.float32)
    for t in range(arriving.shape[0] - 1, -1, -1):
        _start_row(units, arriving[t], share[t], total[t])


@compiled_loosely
def changes_of(rides: RideTable, begun: Single, change: FloatArray) -> None:
    """This function will add up what changes by rate and slot: units that begin less that end.

    Args:
        rides: the rides.
        begun: (T, K) units that start.
        change: (Q, T + 1) zeros, written.
    """
    for t in range(begun.shape[0]):
        for k in range(begun.shape[1]):
            row = change[rides.rate[k]]
            row[t] += begun[t, k]
            row[rides.ends[t, k]] -= begun[t, k]


@compiled_loosely
def sums_of_arcs(
    arcs: ArcTerms, arc_units: Single, by_lane: FloatArray, by_group: FloatArray
) -> None:
    """This function will add up units by lane, and by group; both are written."""
    for run in range(len(arcs.first)):
        begin = arcs.first[run]
        served = 0.0
        for n in range(begin, begin + arcs.counts[run]):
            served += arc_units[n]
            by_lane[arcs.lane[n]] += arc_units[n]
        by_group[arcs.groups[run]] = served


@compiled_loosely
def log_of(x: np.float32) -> np.float32:
    """This function will return the natural logarithm of a number >= 1, within 1e-7.

    Source: S. Moshier, Cephes Mathematical Library, logf.
    """
    bits = np.float32(x).view(np.int32)
    power = np.float32((bits >> np.int32(23)) - np.int32(127))
    part = np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    is_high = part > np.float32(1.41421356)
    part = part * np.float32(0.5) if is_high else part
    power = power + np.float32(1.0) if is_high else power
    r = part - np.float32(1.0)
    p = np.float32(7.0376836292e-2)
    p = p * r + np.float32(-1.1514610310e-1)
    p = p * r + np.float32(1.1676998740e-1)
    p = p * r + np.float32(-1.2420140846e-1)
    p = p * r + np.float32(1.4249322787e-1)
    p = p * r + np.float32(-1.6668057665e-1)
    p = p * r + np.float32(2.0000714765e-1)
    p = p * r + np.float32(-2.4999993993e-1)
    p = p * r + np.float32(3.3333331174e-1)
    square = r * r
    rest = r * square * p + power * np.float32(-2.12194440e-4) - np.float32(0.5) * square
    return np.float32(r + rest + power * np.float32(0.693359375))


@compiled_loosely
def logs_of(most: Single, total: Single, out: Single) -> None:
    """This function will write the log of the weight of all starts up to a slot."""
    for n in range(len(out)):
        out[n] = most[n] + log_of(total[n])


@compiled
def least_of_arcs(
    arcs: ArcTerms,
    costs: tuple[FloatArray, FloatArray, Short],
    constants: tuple[FloatArray, Single, FloatArray],
    least_usd: FloatArray,
) -> None:
    """This function will lower the least cost of a unit of each group to that of its best start.

    Args:
        arcs: the arcs.
        costs: (K,) priced cost of the first possible start of a ride; (T * K,) least cost of any
            later start up to a slot; (N,) ride of each arc.
        constants: (N,) per unit; (N,) per unit when starting first; (R * R,) prices by lane.
        least_usd: (G,) cost of no place, lowered.
    """
    at_first, later, ride = costs
    once_usd, late_usd, lane_usd = constants
    for run in range(len(arcs.first)):
        group = arcs.groups[run]
        least = least_usd[group]
        for n in range(arcs.first[run], arcs.first[run] + arcs.counts[run]):
            start = min(at_first[ride[n]] + late_usd[n], later[arcs.last_at[n]])
            least = min(least, start + once_usd[n] + lane_usd[arcs.lane[n]])
        least_usd[group] = least
