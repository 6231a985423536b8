"""Who must be served next so that hardly anybody waits longer than first come, first served."""

import heapq
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from scheduling.domain.replay.views import JobView

# The share of jobs that may wait longer, and how much of first come, first served's is promised.
_SHARE = 0.01
_STRICTNESS = 0.6
_EARLY = 0.7
_LEAST_S = 1800.0
_LEAST_JOBS = 100
_OVERDUE_GROWTH = 1.5

Expect = Callable[[JobView], float]


@dataclass
class _Shadow:
    """One pool as if its own jobs were served first come, first served, without backfill."""

    free: int
    queue: list[JobView] = field(default_factory=list)
    done: int = 0
    now_s: float = float("-inf")
    ends: list[tuple[float, int, int]] = field(default_factory=list)


class Patience:
    """Finds jobs whose turn has come although shorter ones wait.

    It looks after the jobs that may run at home only: the others begin wherever there is room,
    long before they would at home. Beside the real grid it plays each home's own queue first
    come, first served, with run times as far as they are known by now and guesses elsewhere.
    The 99th percentile of the waits there is what users would know anyway. Only one job in a
    hundred may wait longer than a part of this: while more are about to, the shortest of them
    come first, and those that are left are the longest.
    """

    def __init__(self, capacity: Sequence[int]) -> None:
        self._shadows = [_Shadow(units) for units in capacity]
        self._runtime_s: dict[int, float] = {}
        self._began_s: dict[int, float] = {}
        self._shadow_began_s: dict[int, float] = {}
        self._shadow_ends_s: dict[int, float] = {}
        self._shadow_waits_s = array("d")
        self._long_waits_s = array("d")
        self._homes: set[int] = set()
        self._arrived = 0

    def arrived(self, job: JobView) -> None:
        """Learn of a job."""
        if _is_bound(job):
            self._arrived += 1
            self._homes.add(job.home)
        if job.home in self._homes:
            self._shadows[job.home].queue.append(job)

    def started(self, job: JobView, now_s: float) -> None:
        """Learn that a job really began."""
        self._began_s[job.index] = now_s
        wait_s = now_s - job.submit_s
        if wait_s > _LEAST_S and _is_bound(job):
            self._long_waits_s.append(wait_s)

    def ended(self, job: JobView, runtime_s: float) -> None:
        """Learn a true run time."""
        index = job.index
        if job.home not in self._homes:
            return
        self._runtime_s[index] = runtime_s
        if index in self._shadow_ends_s:
            end_s = max(self._shadow_began_s[index] + runtime_s, self._shadows[job.home].now_s)
            self._expect(job, end_s)

    def advance(self, now_s: float, expected_s: Expect) -> None:
        """Play the shadows up to now."""
        for shadow in self._shadows:
            while True:
                self._start(shadow, expected_s)
                if not shadow.ends or shadow.ends[0][0] > now_s:
                    break
                self._end(shadow, now_s)
            shadow.now_s = max(shadow.now_s, now_s)

    def urgent(self, waiting: Sequence[JobView], now_s: float, expected_s: Expect) -> set[int]:
        """Choose the jobs that come first.

        Args:
            waiting: jobs that wait.
            now_s: the moment.
            expected_s: expected run time.

        Returns:
            Indices of jobs.
        """
        if len(self._shadow_waits_s) < _LEAST_JOBS:
            return set()
        bound = [job for job in waiting if _is_bound(job)]
        ages_s = [now_s - job.submit_s for job in bound]
        limit_s, over = self._limit(ages_s)
        near = [
            (expected_s(job), job.index)
            for job, age_s in zip(bound, ages_s, strict=True)
            if _EARLY * limit_s < age_s <= limit_s
        ]
        left = max(0, int(_SHARE * self._arrived) - over)
        return {index for _, index in sorted(near)[: max(0, len(near) - left)]}

    def _limit(self, ages_s: Iterable[float]) -> tuple[float, int]:
        """Wait that only few may pass, s, and how many have passed it."""
        promised_s = _STRICTNESS * float(np.percentile(np.array(self._shadow_waits_s), 99))
        waits_s = np.concatenate([np.array(self._long_waits_s), np.array(list(ages_s))])
        allowed = int(_SHARE * self._arrived)
        limit_s = max(promised_s, _LEAST_S)
        if allowed < len(waits_s):
            # Where more have passed it already, the next best is to let no more do so.
            limit_s = max(limit_s, float(-np.partition(-waits_s, allowed)[allowed]))
        return limit_s, int((waits_s > limit_s).sum())

    def _start(self, shadow: _Shadow, expected_s: Expect) -> None:
        while shadow.done < len(shadow.queue) and shadow.queue[shadow.done].units <= shadow.free:
            job = shadow.queue[shadow.done]
            shadow.done += 1
            shadow.free -= job.units
            begin_s = max(shadow.now_s, job.submit_s)
            known_s = self._runtime_s.get(job.index)
            runs_s = expected_s(job) if known_s is None else known_s
            self._shadow_began_s[job.index] = begin_s
            self._shadow_waits_s.append(begin_s - job.submit_s)
            self._expect(job, begin_s + runs_s)

    def _end(self, shadow: _Shadow, now_s: float) -> None:
        end_s, index, units = heapq.heappop(shadow.ends)
        if self._shadow_ends_s.get(index) != end_s:
            return
        lasts_s = now_s - self._began_s.get(index, now_s)
        if index not in self._runtime_s and lasts_s > end_s - self._shadow_began_s[index]:
            # It really runs for longer than was thought: so it does here.
            later_s = self._shadow_began_s[index] + _OVERDUE_GROWTH * lasts_s + 60.0
            if later_s > now_s:
                self._shadow_ends_s[index] = later_s
                heapq.heappush(shadow.ends, (later_s, index, units))
                return
        del self._shadow_ends_s[index]
        shadow.now_s = max(shadow.now_s, end_s)
        shadow.free += units

    def _expect(self, job: JobView, end_s: float) -> None:
        self._shadow_ends_s[job.index] = end_s
        heapq.heappush(self._shadows[job.home].ends, (end_s, job.index, job.units))


def _is_bound(job: JobView) -> bool:
    return len(job.allowed) == 1
