"""Guesses how long a job will run, from what users asked for and from jobs that have ended."""

import math
from dataclasses import dataclass, field

from scheduling.domain.replay.views import JobView

_REACH = 8
_FADE = 0.7
_PRIOR_WEIGHT = 0.3
_PRIOR_FORGETS = 0.01
_FIRST_GUESS_S = 3600.0
_LIMIT_LEVEL = 0.8
_LIMIT_STEP = 0.05
_RATIO_FORGETS = 0.005
_RATIO_CAP = 20.0
_LONGEST_LOG = 20.0
_OVERDUE_GROWTH = 2.0


@dataclass
class _Group:
    """What is known of jobs alike: their order of submission, and the mean of those that ended."""

    order: list[int] = field(default_factory=list)
    mean_log: float | None = None

    def learn(self, log_s: float) -> None:
        if self.mean_log is None:
            self.mean_log = log_s
        else:
            self.mean_log += _PRIOR_FORGETS * (log_s - self.mean_log)


@dataclass(slots=True)
class _Overdue:
    """A running job, and the elapsed time from which it says that its neighbors run long too."""

    job: JobView
    started_s: float
    threshold_s: float


class RunTimes:
    """Learns run times as jobs end; the same for every policy.

    Jobs of one group that were submitted close together run similarly long (on both shipped
    traces the logarithms of neighbors correlate by 0.4 to 0.95), so the guess is a mean over
    the nearest neighbors in the order of submission that have ended, fading with distance, and
    leaning on the group's long mean. A neighbor that still runs counts with the time it has run
    once that is longer than was thought.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._place: dict[int, int] = {}
        self._log_s: dict[int, float] = {}
        self._guess: dict[int, float] = {}
        self._running: dict[int, _Overdue] = {}
        self._limit_log: dict[int, float] = {}
        self._ratio: dict[int, float] = {}
        self._waiting: dict[int, JobView] = {}
        self._stale: set[int] = set()

    def guess_s(self, job: JobView) -> float:
        """Typical run time of a job, s, > 0."""
        return self._guess[job.index]

    def expected_s(self, job: JobView) -> float:
        """Mean run time of jobs with such a guess: longer than the guess, as tails are long."""
        mean = max(self.guess_s(job) * self._ratio.get(job.home, 1.0), 1.0)
        return min(mean, job.req_time_s) if job.req_time_s else mean

    def limit_s(self, job: JobView) -> float:
        """Run time that about four of five such jobs keep; what the user asked for if known."""
        if job.req_time_s:
            return job.req_time_s
        return self.guess_s(job) * math.exp(self._limit_log.get(job.home, 0.7))

    def submitted(self, job: JobView) -> None:
        """Learn of a job and guess its run time."""
        group = self._group(job)
        self._place[job.index] = len(group.order)
        group.order.append(job.index)
        self._waiting[job.index] = job
        self._guess[job.index] = self._fresh_guess(job)

    def started(self, job: JobView, now_s: float) -> None:
        """Learn that a job runs from now on; its guess stays what it is."""
        del self._waiting[job.index]
        threshold_s = _OVERDUE_GROWTH * self.guess_s(job)
        self._running[job.index] = _Overdue(job, now_s, threshold_s)

    def ended(self, job: JobView, runtime_s: float) -> None:
        """Learn a true run time."""
        log_s = math.log(max(runtime_s, 1.0))
        self._log_s[job.index] = log_s
        self._running.pop(job.index, None)
        for group in (self._group(job), self._coarse_group(job)):
            group.learn(log_s)
        self._mark_neighbors(job)
        guess = self._guess.pop(job.index)
        ratio = self._ratio.get(job.home, 1.0)
        seen = min(runtime_s / guess, _RATIO_CAP)
        self._ratio[job.home] = ratio + _RATIO_FORGETS * (seen - ratio)
        limit = self._limit_log.get(job.home, 0.7)
        is_kept = log_s <= math.log(guess) + limit
        push = _LIMIT_LEVEL - 1.0 if is_kept else _LIMIT_LEVEL
        self._limit_log[job.home] = max(0.0, limit + _LIMIT_STEP * push)

    def renew(self, now_s: float) -> set[int]:
        """Guess anew for waiting jobs whose neighbors have taught something since.

        Args:
            now_s: the moment.

        Returns:
            Homes of the jobs whose guess was renewed.
        """
        for entry in self._running.values():
            if now_s - entry.started_s > entry.threshold_s:
                entry.threshold_s *= _OVERDUE_GROWTH
                self._mark_neighbors(entry.job)
        homes = set()
        for index in self._stale:
            job = self._waiting.get(index)
            if job is not None:
                self._guess[index] = self._fresh_guess(job)
                homes.add(job.home)
        self._stale.clear()
        return homes

    def _group(self, job: JobView) -> _Group:
        return self._groups.setdefault((job.home, job.vc, job.units), _Group())

    def _coarse_group(self, job: JobView) -> _Group:
        return self._groups.setdefault((job.home,), _Group())

    def _mark_neighbors(self, job: JobView) -> None:
        place = self._place[job.index]
        order = self._group(job).order
        self._stale.update(order[max(0, place - _REACH) : place + _REACH + 1])

    def _fresh_guess(self, job: JobView) -> float:
        group = self._group(job)
        prior = group.mean_log
        if prior is None:
            prior = self._coarse_group(job).mean_log
        if prior is None:
            prior = math.log(job.req_time_s or _FIRST_GUESS_S)
        total, weights = _PRIOR_WEIGHT * prior, _PRIOR_WEIGHT
        place = self._place[job.index]
        first = max(0, place - _REACH)
        for at, index in enumerate(group.order[first : place + _REACH + 1], start=first):
            log_s = self._seen_log(index)
            if log_s is not None:
                weight = _FADE ** (abs(at - place) - 1)
                total += weight * log_s
                weights += weight
        guess = math.exp(min(total / weights, _LONGEST_LOG))
        return min(guess, job.req_time_s) if job.req_time_s else guess

    def _seen_log(self, index: int) -> float | None:
        log_s = self._log_s.get(index)
        if log_s is None and index in self._running:
            entry = self._running[index]
            if entry.threshold_s > _OVERDUE_GROWTH * self._guess[index]:
                return math.log(entry.threshold_s)
        return log_s
