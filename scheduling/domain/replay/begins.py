"""Finds the begin and pool at which each job costs least under given prices; compiled."""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from scheduling.domain.replay.jobs import Floats, Ints


@dataclass(frozen=True)
class Work:
    """Jobs in hours, with what a start on each pool costs at least.

    Attributes:
        submit_h: (N,) hours since the begin of the axis.
        run_h: (N,) true run time.
        units: (N,) units.
        delay_usd: (N,) one unit waiting an hour.
        egress_usd: (N, P) egress of one unit, infinite where a job may not run.
        least_usd: (N,) energy of one unit at the best pool and time of the whole table, at most.
    """

    submit_h: Floats
    run_h: Floats
    units: Floats
    delay_usd: Floats
    egress_usd: Floats
    least_usd: Floats


@dataclass(frozen=True)
class Begins:
    """Cheapest begin of each job under some prices.

    Attributes:
        cost_usd: (N,) cost of the job, prices included; no begin at all costs less.
        pool: (N,) where.
        start_h: (N,) when, in hours of the axis.
    """

    cost_usd: Floats
    pool: Ints
    start_h: Floats


def cheapest_begins(work: Work, rates: Floats, slot_h: float) -> Begins:
    """Choose for each job alone, as if only prices kept jobs apart.

    Cost is piecewise linear in the begin, with kinks where begin or end meets the edge of a slot:
    only those are tried, from the submission on until the wait alone, with the cheapest energy
    there ever is, costs more than the best so far. Beyond the axis that sum stands for the cost.

    Args:
        work: the jobs.
        rates: (T, P) USD per unit-hour in each slot.
        slot_h: length of a slot, h.

    Returns:
        The begins; `cost_usd` is never above what any begin of the job would cost.
    """
    slots, pools = rates.shape
    total = np.zeros((pools, slots + 1))
    np.cumsum(rates.T * slot_h, axis=1, out=total[:, 1:])
    count = len(work.run_h)
    times = np.stack(
        [work.submit_h / slot_h, work.run_h / slot_h, work.delay_usd * slot_h, work.least_usd]
    )
    least, pool = np.empty((2, count)), np.empty(count, dtype=np.int64)
    _choose(times, work.egress_usd, total, least, pool)
    cost, start = least
    return Begins(cost * work.units, pool, start * slot_h)


def held_units(work: Work, begins: Begins, shape: tuple[int, int], slot_h: float) -> Floats:
    """Add up what the chosen begins hold.

    Args:
        work: the jobs.
        begins: when and where each begins.
        shape: (T, P) of the answer.
        slot_h: length of a slot, h.

    Returns:
        (T, P) units held in each slot on average.
    """
    in_slot = np.zeros((shape[0] + 2, shape[1]))
    from_next = np.zeros_like(in_slot)
    for at_h, sign in ((begins.start_h, 1.0), (begins.start_h + work.run_h, -1.0)):
        at = at_h / slot_h
        row = np.minimum(at.astype(np.int64), shape[0])
        np.add.at(in_slot, (row, begins.pool), sign * work.units * (1.0 - (at - row)))
        np.add.at(from_next, (row + 1, begins.pool), sign * work.units)
    return np.asarray((in_slot + np.cumsum(from_next, axis=0))[: shape[0]], dtype=np.float64)


@njit(cache=True)
def _choose(times: Floats, egress_usd: Floats, total: Floats, least: Floats, pool: Ints) -> None:
    """Fill cost, begin and pool of one unit of each job; `times` and delay are per slot."""
    submit, run, delay_usd, least_usd = times
    for j in range(len(submit)):
        best, best_pool, best_start = np.inf, 0, submit[j]
        for p in range(len(total)):
            egress = egress_usd[j, p]
            if egress == np.inf:
                continue
            here, at = _at_borders(
                total[p], submit[j], run[j], delay_usd[j], least_usd[j], best - egress
            )
            if here + egress < best:
                best, best_pool, best_start = here + egress, p, at
        least[0, j], least[1, j], pool[j] = best, best_start, best_pool


@njit(cache=True)
def _at_borders(
    total: Floats, submit: float, run: float, delay: float, least: float, beat: float
) -> tuple[float, float]:
    """Cheapest begin on one pool, no egress, and when: at once, or begin or end on a border.

    The answer is exact where it is below `beat`.
    """
    last = len(total) - 1
    best = _between(total, submit, submit + run)
    at = submit
    for offset in (0.0, run):
        border = math.floor(submit + offset) + 1.0
        while True:
            begin = border - offset
            floor = (begin - submit) * delay + least
            if floor >= min(best, beat):
                break
            if begin + run >= last:
                # Whatever lies beyond the axis costs at least this.
                best, at = floor, begin
                break
            here = (begin - submit) * delay + _between(total, begin, begin + run)
            if here < best:
                best, at = here, begin
            border += 1.0
    return best, at


@njit(cache=True)
def _between(total: Floats, begin: float, end: float) -> float:
    """Integral of the rates from begin to end, both in slots."""
    top = len(total) - 2
    low, high = min(int(begin), top), min(int(end), top)
    at_begin = total[low] + (begin - low) * (total[low + 1] - total[low])
    return float(total[high] + (end - high) * (total[high + 1] - total[high]) - at_begin)
