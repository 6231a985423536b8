"""Guesses how long a job will run, from what users asked for and from jobs that have ended."""

import math
from dataclasses import dataclass, field

from scheduling.domain.replay.views import JobView

_REACH = 12
_LEAST_WEIGHT = 0.03
_SEEN_AGAIN = 0.81
_PRIOR_WEIGHT = 0.3
_FORGETS = 0.01
_FIRST_GUESS_S = 3600.0
_LIMIT_LEVEL = 0.8
_LIMIT_STEP = 0.05
_FIRST_LIMIT_LOG = 0.7
_FIRST_RATIO = 1.5
_RATIO_CAP = 20.0
_FIRST_SQUARE = 2.0 * _FIRST_RATIO**2
_SQUARE_CAP = 100.0**2
_TRIED_GAP_S = 3600.0
_LONGEST_LOG = 20.0
_OVERDUE_GROWTH = 2.0
# Edges of the time between two submissions, s, and how unlike such neighbors are at first.
_GAPS_S = (1.0, 5.0, 30.0, 300.0, 3600.0)
_UNLIKE = (0.15, 0.2, 0.3, 0.5, 0.8, 0.95)
_EVIDENCE = (0.05, 0.3, 0.6, 1.0, 2.0)


@dataclass
class _Group:
    """Jobs alike in order of submission, how alike each is to the one before, and their mean."""

    order: list[JobView] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)
    mean_log: float | None = None

    def learn(self, log_s: float) -> None:
        if self.mean_log is None:
            self.mean_log = log_s
        else:
            self.mean_log += _FORGETS * (log_s - self.mean_log)


@dataclass
class _Home:
    """What is learned per home: how guesses err by evidence, how neighbors differ by gap."""

    mean_log: float | None = None
    variance: float = 2.0
    ratio: list[float] = field(default_factory=lambda: [_FIRST_RATIO] * (len(_EVIDENCE) + 1))
    square: list[float] = field(default_factory=lambda: [_FIRST_SQUARE] * (len(_EVIDENCE) + 1))
    limit_log: list[float] = field(
        default_factory=lambda: [_FIRST_LIMIT_LOG] * (len(_EVIDENCE) + 1)
    )
    unlike: list[float] = field(default_factory=lambda: list(_UNLIKE))

    def learn(self, log_s: float) -> None:
        if self.mean_log is None:
            self.mean_log = log_s
            return
        off = log_s - self.mean_log
        self.mean_log += _FORGETS * off
        self.variance += _FORGETS * (off * off - self.variance)

    def learn_pair(self, gap: int, difference: float) -> None:
        seen = min(1.0, difference * difference / 2.0 / max(self.variance, 0.05))
        self.unlike[gap] += _FORGETS * (seen - self.unlike[gap])

    def learn_error(self, evidence: int, *, guess_s: float, runtime_s: float) -> None:
        seen = min(runtime_s / guess_s, _RATIO_CAP)
        self.ratio[evidence] += _FORGETS * (seen - self.ratio[evidence])
        squared = min((runtime_s / guess_s) ** 2, _SQUARE_CAP)
        self.square[evidence] += _FORGETS * (squared - self.square[evidence])
        limit = self.limit_log[evidence]
        is_kept = math.log(max(runtime_s, 1.0)) <= math.log(guess_s) + limit
        push = _LIMIT_LEVEL - 1.0 if is_kept else _LIMIT_LEVEL
        self.limit_log[evidence] = max(0.0, limit + _LIMIT_STEP * push)


@dataclass(slots=True)
class _Overdue:
    """A running job, and the elapsed time from which it says that its neighbors run long too."""

    job: JobView
    started_s: float
    threshold_s: float


class RunTimes:
    """Learns run times as jobs end; the same for every policy.

    Jobs of one group that were submitted close together run similarly long, the closer in time
    the more: how much more is learned per home from pairs of neighbors that have ended. A guess
    is a mean over neighbors in the order of submission that have ended, weighed by how alike
    the chain of jobs between makes them, and leaning on the group's long mean. A neighbor that
    still runs counts with the time it has run once that is longer than was thought. How far the
    mean lies above the guess, and how far four of five stay below, is learned by how much
    evidence a guess rests on: a guess from nothing has a long tail.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[int, str, int], _Group] = {}
        self._homes: dict[int, _Home] = {}
        self._place: dict[int, int] = {}
        self._log_s: dict[int, float] = {}
        self._guess: dict[int, float] = {}
        self._evidence: dict[int, int] = {}
        self._running: dict[int, _Overdue] = {}
        self._waiting: dict[int, JobView] = {}
        self._stale: dict[int, JobView] = {}

    def guess_s(self, job: JobView) -> float:
        """Typical run time of a job, s, > 0."""
        return self._guess[job.index]

    def expected_s(self, job: JobView) -> float:
        """Mean run time of jobs with such a guess: longer than the guess, as tails are long."""
        index = job.index
        mean = self._guess[index] * self._homes[job.home].ratio[self._evidence[index]]
        if job.req_time_s and mean > job.req_time_s:
            return job.req_time_s
        return mean if mean > 1.0 else 1.0

    def square_s2(self, job: JobView) -> float:
        """Mean of the square of the run time, s2: tails weigh more in it than in the mean."""
        index = job.index
        square = self._guess[index] ** 2 * self._homes[job.home].square[self._evidence[index]]
        if job.req_time_s:
            square = min(square, job.req_time_s**2)
        return max(square, self.expected_s(job) ** 2)

    def is_untried(self, job: JobView, tries: int) -> bool:
        """Whether nothing is known of jobs like this one, and fewer than `tries` of them run."""
        if self._evidence[job.index] > 0:
            return False
        left = tries
        for other in self._neighbors(job):
            if other.index in self._running and abs(other.submit_s - job.submit_s) < _TRIED_GAP_S:
                left -= 1
                if left <= 0:
                    return False
        return True

    def limit_s(self, job: JobView) -> float:
        """Run time that about four of five such jobs keep; what the user asked for if known."""
        if job.req_time_s:
            return job.req_time_s
        limit_log = self._homes[job.home].limit_log[self._evidence[job.index]]
        return self._guess[job.index] * math.exp(limit_log)

    def submitted(self, job: JobView) -> None:
        """Learn of a job and guess its run time."""
        home = self._homes.setdefault(job.home, _Home())
        group = self._group(job)
        self._place[job.index] = len(group.order)
        alike = 0.0
        if group.order:
            alike = max(0.0, 1.0 - home.unlike[_gap(job, group.order[-1])])
        group.order.append(job)
        group.alike.append(alike)
        self._waiting[job.index] = job
        self._guess_anew(job)

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
        home, group = self._homes[job.home], self._group(job)
        group.learn(log_s)
        home.learn(log_s)
        place = self._place[job.index]
        for at in (place - 1, place + 1):
            if 0 <= at < len(group.order):
                other = group.order[at]
                other_log = self._log_s.get(other.index)
                if other_log is not None:
                    home.learn_pair(_gap(job, other), log_s - other_log)
        self.look_again(job)
        home.learn_error(
            self._evidence.pop(job.index), guess_s=self._guess.pop(job.index), runtime_s=runtime_s
        )

    def look_again(self, job: JobView) -> None:
        """Have the waiting neighbors of a job guessed anew at the next `renew`."""
        for other in self._neighbors(job):
            if other.index in self._waiting:
                self._stale[other.index] = other

    def renew(self, now_s: float) -> list[JobView]:
        """Guess anew for waiting jobs whose neighbors have taught something since.

        Args:
            now_s: the moment.

        Returns:
            The jobs whose guess was renewed.
        """
        for entry in self._running.values():
            if now_s - entry.started_s > entry.threshold_s:
                entry.threshold_s *= _OVERDUE_GROWTH
                self.look_again(entry.job)
        renewed = [job for index, job in self._stale.items() if index in self._waiting]
        for job in renewed:
            self._guess_anew(job)
        self._stale.clear()
        return renewed

    def _group(self, job: JobView) -> _Group:
        return self._groups.setdefault((job.home, job.vc, job.units), _Group())

    def _neighbors(self, job: JobView) -> list[JobView]:
        place = self._place[job.index]
        return self._group(job).order[max(0, place - _REACH) : place + _REACH + 1]

    def _guess_anew(self, job: JobView) -> None:
        group = self._group(job)
        total, weights = self._seen_around(group, self._place[job.index])
        prior = group.mean_log
        if prior is None:
            prior = self._homes[job.home].mean_log
        if prior is None:
            prior = math.log(job.req_time_s or _FIRST_GUESS_S)
        log_s = (total + _PRIOR_WEIGHT * prior) / (weights + _PRIOR_WEIGHT)
        guess = math.exp(min(log_s, _LONGEST_LOG))
        self._guess[job.index] = min(guess, job.req_time_s) if job.req_time_s else guess
        self._evidence[job.index] = sum(weights >= edge for edge in _EVIDENCE)

    def _seen_around(self, group: _Group, place: int) -> tuple[float, float]:
        """Weighed sum of known logarithms of run times around a job, and the weights."""
        total = weights = 0.0
        order, alike = group.order, group.alike
        for step in (-1, 1):
            weight, at = 1.0, place
            for _ in range(_REACH):
                at += step
                if not 0 <= at < len(order):
                    break
                link = alike[at + 1] if step < 0 else alike[at]
                weight *= link * link
                if weight < _LEAST_WEIGHT:
                    break
                log_s = self._seen_log(order[at].index)
                if log_s is not None:
                    total += weight * log_s
                    weights += weight
                    weight *= _SEEN_AGAIN
        return total, weights

    def _seen_log(self, index: int) -> float | None:
        log_s = self._log_s.get(index)
        if log_s is None and index in self._running:
            entry = self._running[index]
            if entry.threshold_s > _OVERDUE_GROWTH * self._guess[index]:
                return math.log(entry.threshold_s)
        return log_s


def _gap(job: JobView, other: JobView) -> int:
    gap_s = abs(job.submit_s - other.submit_s)
    return sum(gap_s >= edge for edge in _GAPS_S)
