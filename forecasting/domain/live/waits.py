"""Foresees how long a workload of some size would wait at a pool before it starts.

What is known of the pool (free units, what runs and until when by its own request, who waits
before it) is played forward in order of arrival; what really happened to earlier workloads in
like situations then says how far that may be believed. Engines backfill and requests are padded,
so the played wait ranks situations well and is a poor forecast by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.domain.frames import Floats

LEVELS = (0.1, 0.5, 0.9)
LONGEST_H = 24.0 * 14
_FEWEST_EXAMPLES = 20
_NEIGHBOURS_POWER = 0.55
_LEAST_CAPACITY = 1e-9
FEATURES = 9
_PLAYED = 0
_BASES = (_PLAYED, 1, 2)
"""Places, among what describes a situation, of logarithms of waits that may stand for it."""
_JUDGED_ON = 120


@dataclass(frozen=True)
class PoolQueue:
    """A pool as it is now.

    Attributes:
        capacity: units that can run, > 0.
        free: units that nothing holds, >= 0.
        running: (R, 2) units and requested hours left of what runs.
        waiting: (W, 2) units and requested hours of who waits, first come first.
    """

    capacity: float
    free: float
    running: Floats
    waiting: Floats


@dataclass(frozen=True)
class JobTimes:
    """Earlier workloads of one pool; times in hours on one axis, NaN where not yet.

    Attributes:
        submitted: (N,) ascending.
        started: (N,).
        ended: (N,).
        units: (N,) > 0.
        requested_h: (N,) hours asked for.
    """

    submitted: Floats
    started: Floats
    ended: Floats
    units: Floats
    requested_h: Floats


@dataclass(frozen=True)
class Examples:
    """Situations at submission and what came of them.

    Attributes:
        situations: (N, F) from `describe`.
        waited_h: (N,) hours, >= 0; only waits that are over.
    """

    situations: Floats
    waited_h: Floats


@dataclass(frozen=True)
class RecentWaits:
    """How long those had waited who started lately, hours: the newest, and the last day's mean."""

    newest_h: float
    mean_of_day_h: float


@dataclass(frozen=True)
class WaitForecast:
    """When a workload would start.

    Attributes:
        quantiles_h: hours of waiting at `LEVELS`, ascending.
        played_h: what the queue played forward says by itself.
        examples: earlier workloads behind the quantiles.
        method: `calibrated` on earlier workloads, or `played` where there are too few of them.
    """

    quantiles_h: tuple[float, ...]
    played_h: float
    examples: int
    method: str


def played_wait_h(queue: PoolQueue, units: float) -> float:
    """Return the wait if everybody starts in order and runs as long as requested.

    Args:
        queue: the pool.
        units: size of the newcomer.

    Returns:
        Hours; at most two weeks, also where it never fits.
    """
    if units > queue.capacity:
        return LONGEST_H
    ends = [(float(left), float(size)) for size, left in queue.running]
    ends.sort()
    free, now, place = queue.free, 0.0, 0
    for size, hours in [*((float(w[0]), float(w[1])) for w in queue.waiting), (units, 0.0)]:
        while free < size and place < len(ends):
            now, freed = max(now, ends[place][0]), ends[place][1]
            free += freed
            place += 1
        if free < size or now >= LONGEST_H:
            return LONGEST_H
        free -= size
        if hours > 0:
            _insert(ends, (now + hours, size), place)
    return min(now, LONGEST_H)


def describe(queue: PoolQueue, units: float, recent: RecentWaits) -> Floats:
    """Return (F,) what of a situation tells about the wait, free of units.

    The logarithms of the played wait, of the newest wait, of the mean of the last day, of the
    work ahead per unit of capacity; the size, the free share, whether it would fit at once, and
    whether it would with nobody before it.
    """
    capacity = max(queue.capacity, _LEAST_CAPACITY)
    ahead = float((queue.waiting[:, 0] * queue.waiting[:, 1]).sum()) / capacity
    waiting = float(queue.waiting[:, 0].sum()) / capacity
    fits = 1.0 if queue.free >= units else 0.0
    return np.array(
        [
            np.log1p(played_wait_h(queue, units)),
            np.log1p(recent.newest_h),
            np.log1p(recent.mean_of_day_h),
            np.log1p(ahead),
            np.log1p(waiting),
            units / capacity,
            min(1.0, queue.free / capacity),
            fits,
            fits * (1.0 if waiting == 0 else 0.0),
        ]
    )


def queue_at(jobs: JobTimes, moment_h: float, capacity: float, upto: int) -> PoolQueue:
    """Return a pool as its workloads say it was at a moment.

    Args:
        jobs: all of its workloads.
        moment_h: the moment; nothing later is looked at.
        capacity: units that can run.
        upto: only the first of them, those submitted before.
    """
    units, asked = jobs.units[:upto], jobs.requested_h[:upto]
    is_running = (jobs.started[:upto] <= moment_h) & ~(jobs.ended[:upto] <= moment_h)
    is_waiting = ~(jobs.started[:upto] <= moment_h) & ~(jobs.ended[:upto] <= moment_h)
    ran_h = moment_h - jobs.started[:upto][is_running]
    left_h = np.maximum(asked[is_running] - ran_h, 0.25)
    held = float(units[is_running].sum())
    return PoolQueue(
        capacity=capacity,
        free=max(0.0, capacity - held),
        running=np.column_stack([units[is_running], left_h]),
        waiting=np.column_stack([units[is_waiting], asked[is_waiting]]),
    )


def recent_waits(jobs: JobTimes, moment_h: float, upto: int) -> RecentWaits:
    """Return what those who started last had waited by a moment; zero before anybody started.

    Args:
        jobs: workloads of a pool.
        moment_h: nothing later is looked at.
        upto: only the first of them, those submitted before.
    """
    begun = np.flatnonzero(jobs.started[:upto] <= moment_h)
    if not len(begun):
        return RecentWaits(0.0, 0.0)
    started = jobs.started[begun]
    waited = np.maximum(started - jobs.submitted[begun], 0.0)
    newest = float(waited[len(started) - 1 - int(np.argmax(started[::-1]))])
    of_day = waited[started > moment_h - 24.0]
    return RecentWaits(newest, float(of_day.mean()) if len(of_day) else newest)


def foresee_wait(
    queue: PoolQueue,
    units: float,
    examples: Examples,
    *,
    recent: RecentWaits,
    levels: Sequence[float] = LEVELS,
) -> WaitForecast:
    """Return quantiles of the wait of a newcomer.

    Of the played wait, the newest wait and the mean of the last day, the one that erred least on
    the newest earlier workloads is taken, times what it missed by in the situations most alike.
    Ranks are one further out at the outer levels, as split conformal prediction asks of a finite
    sample.

    Args:
        queue: the pool now.
        units: size of the newcomer.
        examples: earlier workloads, of this pool or of several, in order of submission.
        recent: what those who started lately had waited.
        levels: quantiles, ascending.
    """
    played = played_wait_h(queue, units)
    count = len(examples.waited_h)
    if units > queue.capacity:
        return WaitForecast((LONGEST_H,) * len(levels), LONGEST_H, count, "too-large")
    if count < _FEWEST_EXAMPLES:
        spread = tuple(min(LONGEST_H, played * 2.0 * level) for level in levels)
        return WaitForecast(spread, played, count, "played")
    situation = describe(queue, units, recent)
    base = _best_base(examples)
    near = _nearest(situation, examples)
    # how much longer than the base said, as a factor: it carries over to queues never seen before
    misses = np.sort(np.log1p(examples.waited_h[near]) - examples.situations[near, base])
    found = []
    for level in levels:
        rank = min(max(int(np.ceil(level * (len(near) + 1))) - 1, 0), len(near) - 1)
        found.append(float(np.clip(np.expm1(situation[base] + misses[rank]), 0.0, LONGEST_H)))
    return WaitForecast(tuple(np.maximum.accumulate(found).tolist()), played, count, "calibrated")


def _best_base(examples: Examples) -> int:
    newest = slice(-_JUDGED_ON, None)
    truth = examples.waited_h[newest]
    errors = [
        float(np.abs(np.expm1(examples.situations[newest, base]) - truth).mean()) for base in _BASES
    ]
    return _BASES[int(np.argmin(errors))]


def _nearest(situation: Floats, examples: Examples) -> npt.NDArray[np.intp]:
    spread = examples.situations.std(axis=0)
    weight = np.where(spread > 0, 1.0 / np.maximum(spread, 1e-12), 0.0)
    away = np.abs((examples.situations - situation) * weight).sum(axis=1)
    wanted = max(_FEWEST_EXAMPLES, round(len(away) ** _NEIGHBOURS_POWER))
    # the newest of equally near ones: situations change
    order = np.lexsort((-np.arange(len(away)), away))
    return order[:wanted]


def _insert(ends: list[tuple[float, float]], end: tuple[float, float], first: int) -> None:
    low, high = first, len(ends)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if ends[middle] < end else (low, middle)
    ends.insert(low, end)
