"""Queues of one pool: who is next, who may be let past without harm, and who waits how long."""

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from scheduling.domain.replay.jobs import Floats
from scheduling.domain.replay.policies.run_times import RunTimes
from scheduling.domain.replay.views import JobView, Running, Situation, Start, Terms

# As batch systems do: only so many jobs are looked at behind one that is blocked.
BACKFILL_DEPTH = 100
_SOON_S = 60.0

Release = tuple[float, int]
Key = Callable[[JobView], float]


@dataclass
class Desk:
    """What every policy keeps: queues, guesses of run times and what is new.

    Attributes:
        terms: the grid.
        key: order of a queue, smallest first.
        run_times: guesses.
        queues: (P,) waiting jobs by home, each with its key, in order.
        waiting_units: (P,) units that the jobs of each queue ask for.
        news: jobs that came since the last decision.
    """

    terms: Terms
    key: Key
    run_times: RunTimes = field(default_factory=RunTimes)
    queues: list[list[tuple[float, int, JobView]]] = field(init=False)
    waiting_units: list[int] = field(init=False)
    news: list[JobView] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queues = [[] for _ in self.terms.capacity]
        self.waiting_units = [0] * len(self.terms.capacity)

    def arrived(self, job: JobView) -> None:
        """Take note of a new job."""
        self.run_times.submitted(job)
        self.news.append(job)

    def enqueue(self, job: JobView) -> None:
        """Let a job wait at home."""
        insort(self.queues[job.home], (self.key(job), job.index, job))
        self.waiting_units[job.home] += job.units

    def began(self, starts: Iterable[Start], now_s: float) -> None:
        """Learn which jobs run from now on."""
        for job, _ in starts:
            self.run_times.started(job, now_s)

    def take(self, started: Iterable[JobView], pool: int) -> None:
        """Remove jobs from the queue of a pool."""
        gone = {job.index: job.units for job in started}
        if gone:
            self.waiting_units[pool] -= sum(gone.values())
            self.queues[pool] = [entry for entry in self.queues[pool] if entry[1] not in gone]

    def sort_anew(self, now_s: float) -> None:
        """Order waiting jobs by what has been learned since."""
        for pool in {job.home for job in self.run_times.renew(now_s)}:
            jobs = [job for _, _, job in self.queues[pool]]
            self.queues[pool] = sorted((self.key(job), job.index, job) for job in jobs)

    def start_own(
        self, situation: Situation, free: list[int], pool: int, *, just_begun: Sequence[Start]
    ) -> list[Start]:
        """Start jobs of a pool's own queue, in order and by backfill.

        Args:
            situation: the grid now.
            free: (P,) units left after this moment's earlier decisions; reduced here.
            pool: the pool.
            just_begun: this moment's earlier decisions.

        Returns:
            The decisions.
        """
        queue = self.queues[pool]
        if not queue or free[pool] <= 0:
            return []

        def releases() -> list[Release]:
            fresh = [
                Running(start.job, situation.now_s) for start in just_begun if start.pool == pool
            ]
            return self.releases([*situation.running[pool].values(), *fresh], situation.now_s)

        begun = fill(
            (job for _, _, job in queue),
            free[pool],
            now_s=situation.now_s,
            releases=releases,
            limit_s=self.run_times.limit_s,
        )
        free[pool] -= sum(job.units for job in begun)
        self.take(begun, pool)
        return [Start(job, pool) for job in begun]

    def releases(self, running: Iterable[Running], now_s: float) -> list[Release]:
        """When units are expected back, soonest first: (second, units)."""
        limit_s = self.run_times.limit_s
        found = []
        for job, started_s in running:
            elapsed_s = now_s - started_s
            # Who has passed the limit is expected to run half as long again.
            left_s = max(limit_s(job) - elapsed_s, 0.5 * elapsed_s, _SOON_S)
            if job.req_time_s:
                left_s = max(job.req_time_s - elapsed_s, _SOON_S)
            found.append((now_s + left_s, job.units))
        found.sort()
        return found

    def waits_s(self, situation: Situation, pool: int) -> Floats:
        """Guess how long each job of a queue will still wait at home.

        Args:
            situation: the grid now.
            pool: the pool.

        Returns:
            (len(queue),) seconds: between the time at which running jobs alone free enough, and
            the time at which all work ahead is done if it were a fluid.
        """
        capacity = self.terms.capacity[pool]
        queue = self.queues[pool]
        units = np.array([job.units for _, _, job in queue], dtype=np.float64)
        work = units * np.array([self.run_times.expected_s(job) for _, _, job in queue])
        wanted = np.cumsum(units) - situation.free[pool]
        ahead = np.cumsum(work) - work
        back = self.releases(situation.running[pool].values(), situation.now_s)
        if not back:
            return np.asarray(ahead / capacity, dtype=np.float64)
        left_s = np.array([at_s for at_s, _ in back]) - situation.now_s
        held = np.array([units for _, units in back], dtype=np.float64)
        fluid_s = ((left_s * held).sum() + ahead) / capacity
        rank = np.searchsorted(np.cumsum(held), np.maximum(wanted, 0.0))
        by_release_s = left_s[np.minimum(rank, len(left_s) - 1)]
        bounded = np.minimum(np.maximum(fluid_s, left_s[0]), by_release_s)
        waits_s: Floats = np.where(rank < len(left_s), bounded, np.maximum(fluid_s, by_release_s))
        return waits_s

    def last_wait_s(self, situation: Situation, job: JobView) -> float:
        """Guess how long a new job would wait at the end of its home's queue; s."""
        self.enqueue(job)
        waits_s = self.waits_s(situation, job.home)
        at = next(i for i, entry in enumerate(self.queues[job.home]) if entry[1] == job.index)
        self.take([job], job.home)
        return float(waits_s[at])


def fill(
    queue: Iterable[JobView],
    free: int,
    *,
    now_s: float,
    releases: Callable[[], Sequence[Release]],
    limit_s: Callable[[JobView], float],
) -> list[JobView]:
    """Choose the jobs of a queue that begin now: in order, then by EASY backfill.

    The first job that does not fit gets a reservation: the time at which enough units are
    expected back. A job behind it may pass if it is expected to end before that time, or needs
    only units that the reservation leaves over.

    Args:
        queue: waiting jobs in order.
        free: free units.
        now_s: the moment.
        releases: asks when units are expected back, soonest first.
        limit_s: run time that a job is expected to keep.

    Returns:
        The jobs, in the order in which they were chosen.

    Source: D. Lifka, The ANL/IBM SP scheduling system, JSSPP 1995, doi:10.1007/3-540-60153-8_35.
    """
    chosen: list[JobView] = []
    shadow_s, spare = float("inf"), 0
    head: JobView | None = None
    looked = 0
    for job in queue:
        if free <= 0 or looked >= BACKFILL_DEPTH:
            break
        if head is None and job.units <= free:
            chosen.append(job)
            free -= job.units
            continue
        if head is None:
            head = job
            ends = merged(releases(), [(now_s + limit_s(each), each.units) for each in chosen])
            shadow_s, spare = reservation(head.units, free, ends)
            continue
        looked += 1
        if job.units > free:
            continue
        if now_s + limit_s(job) <= shadow_s:
            chosen.append(job)
            free -= job.units
        elif job.units <= spare:
            chosen.append(job)
            free -= job.units
            spare -= job.units
    return chosen


def merged(releases: Sequence[Release], chosen: Sequence[Release]) -> list[Release]:
    """Releases of running jobs and of those just chosen, soonest first."""
    return sorted([*releases, *chosen])


def reservation(units: int, free: int, releases: Iterable[Release]) -> tuple[float, int]:
    """Find when a blocked job can begin.

    Args:
        units: what it needs.
        free: free units now.
        releases: when units are expected back, soonest first.

    Returns:
        The second at which enough is free, and the units left over then; infinity and 0 when
        the releases do not suffice.
    """
    for at_s, back in releases:
        free += back
        if free >= units:
            return at_s, free - units
    return float("inf"), 0
