"""A first-come-first-served cluster in simulated time: movable jobs beside immovable demand.

Immovable (native) demand is a level; it takes what movable jobs leave free and never stops one.
Movable jobs start strictly in order of submission, and only while no native demand waits.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """Life of a job: QUEUED -> RUNNING -> DONE, or QUEUED | RUNNING -> WITHDRAWN -> QUEUED."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    WITHDRAWN = "WITHDRAWN"


class NotQueued(Exception):
    """A job cannot be withdrawn because it does not wait."""


class NotRunning(Exception):
    """A job cannot be stopped because it does not run."""


@dataclass(frozen=True, slots=True)
class Job:
    """A movable job: `units` held for `runtime_s`, in the queue since `submit_at` (epoch s)."""

    key: str
    units: int
    runtime_s: int
    submit_at: int

    @property
    def place(self) -> tuple[int, str]:
        """Return what orders the queue: moment of submission, then the key."""
        return (self.submit_at, self.key)


@dataclass(frozen=True, slots=True)
class Transition:
    """A job changed to `state` at the moment `at` (epoch s)."""

    key: str
    state: JobState
    at: int


class Cluster:
    """The state of one pool at one moment, moved forward by `advance`.

    Invariants: allocated never exceeds capacity; a job given in is queued, running, withdrawn by
    the caller or reported DONE exactly once; the result of `advance` does not depend on how the
    way there is divided into steps.
    """

    def __init__(self, capacity: int, *, at: int, native_demand: int = 0) -> None:
        """Start an empty cluster of `capacity` units at the moment `at` (epoch s)."""
        self.capacity = capacity
        self.at = at
        self.native_demand = native_demand
        self._queue: list[tuple[tuple[int, str], Job]] = []
        self._finishes: list[tuple[int, str]] = []
        self._running: dict[str, Job] = {}
        self._movable_running = 0
        self._movable_queued = 0

    @classmethod
    def restored(
        cls,
        capacity: int,
        at: int,
        *,
        native_demand: int,
        queued: Iterable[Job],
        running: Iterable[tuple[Job, int]],
    ) -> "Cluster":
        """Return the cluster as it was at `at`, from its waiting jobs and (job, started_at)s."""
        cluster = cls(capacity, at=at, native_demand=native_demand)
        for job in queued:
            cluster._enqueue(job)
        for job, started_at in running:
            cluster._hold(job, started_at)
        return cluster

    @property
    def native_running(self) -> int:
        """Return the units held by native demand."""
        return min(self.native_demand, self.capacity - self._movable_running)

    @property
    def native_queued(self) -> int:
        """Return the units native demand waits for."""
        return self.native_demand - self.native_running

    @property
    def allocated(self) -> int:
        """Return the units held by running work."""
        return self.native_running + self._movable_running

    @property
    def queued(self) -> int:
        """Return the units asked for by waiting work."""
        return self.native_queued + self._movable_queued

    @property
    def queued_jobs(self) -> list[Job]:
        """Return the waiting movable jobs in order of submission."""
        return [job for _, job in self._queue]

    @property
    def running_jobs(self) -> list[Job]:
        """Return the running movable jobs in order of submission."""
        return sorted(self._running.values(), key=lambda job: job.place)

    def advance(
        self,
        to: int,
        *,
        arrivals: Sequence[Job] = (),
        native: Sequence[tuple[int, int]] = (),
    ) -> list[Transition]:
        """Move the cluster to a later moment through every event on the way.

        At one moment finished jobs leave first, then the native level changes, then jobs arrive,
        then waiting work starts.

        Args:
            to: The moment to reach, epoch s, not before the cluster's own.
            arrivals: Jobs submitted in (at, to], in order of `place`.
            native: (moment, new native demand) in (at, to], in order.

        Returns:
            Starts and ends of movable jobs in time order.

        Raises:
            ValueError: The moment or an event lies outside the window.
        """
        self._check_window(to, arrivals, native)
        happened: list[Transition] = []
        arrived = changed = 0
        while True:
            moment = min(
                self._finishes[0][0] if self._finishes else to + 1,
                arrivals[arrived].submit_at if arrived < len(arrivals) else to + 1,
                native[changed][0] if changed < len(native) else to + 1,
            )
            if moment > to:
                break
            self.at = moment
            self._finish_due(happened)
            while changed < len(native) and native[changed][0] == moment:
                self.native_demand = native[changed][1]
                changed += 1
            while arrived < len(arrivals) and arrivals[arrived].submit_at == moment:
                self._enqueue(arrivals[arrived])
                arrived += 1
            self._start_waiting(happened)
        self.at = to
        return happened

    def submit(self, job: Job) -> list[Transition]:
        """Put a job into the queue at its own place and start what can start now.

        Args:
            job: Submitted now, or earlier when it comes back after a withdrawal.

        Returns:
            Jobs started by it, at the cluster's moment.

        Raises:
            ValueError: The job is larger than the cluster or submitted in the future.
        """
        if not 0 < job.units <= self.capacity or job.submit_at > self.at:
            msg = f"job {job.key} of {job.units} units cannot be queued at {self.at}"
            raise ValueError(msg)
        self._enqueue(job)
        return self._start_waiting([])

    def withdraw(self, key: str, *, submit_at: int) -> list[Transition]:
        """Take a waiting job out of the queue and start what stood behind it if it fits.

        Raises:
            NotQueued: No job of that key and time of submission waits.
        """
        index = bisect_left(self._queue, (submit_at, key), key=lambda entry: entry[0])
        if index == len(self._queue) or self._queue[index][0] != (submit_at, key):
            raise NotQueued(key)
        _, job = self._queue.pop(index)
        self._movable_queued -= job.units
        return self._start_waiting([])

    def stop(self, key: str) -> list[Transition]:
        """Take a running job off its units and start what waits if it fits now.

        Raises:
            NotRunning: No job of that key runs.
        """
        if key not in self._running:
            raise NotRunning(key)
        self._movable_running -= self._running.pop(key).units
        self._finishes = [entry for entry in self._finishes if entry[1] != key]
        heapq.heapify(self._finishes)
        return self._start_waiting([])

    def _check_window(
        self, to: int, arrivals: Sequence[Job], native: Sequence[tuple[int, int]]
    ) -> None:
        moments = [job.submit_at for job in arrivals[:1]] + [job.submit_at for job in arrivals[-1:]]
        moments += [at for at, _ in native[:1]] + [at for at, _ in native[-1:]]
        if to < self.at or any(not self.at < moment <= to for moment in moments):
            msg = f"cannot advance from {self.at} to {to} with events at {moments}"
            raise ValueError(msg)

    def _enqueue(self, job: Job) -> None:
        insort(self._queue, (job.place, job), key=lambda entry: entry[0])
        self._movable_queued += job.units

    def _hold(self, job: Job, started_at: int) -> None:
        self._running[job.key] = job
        self._movable_running += job.units
        heapq.heappush(self._finishes, (started_at + job.runtime_s, job.key))

    def _finish_due(self, happened: list[Transition]) -> None:
        while self._finishes and self._finishes[0][0] <= self.at:
            _, key = heapq.heappop(self._finishes)
            self._movable_running -= self._running.pop(key).units
            happened.append(Transition(key, JobState.DONE, self.at))

    def _start_waiting(self, happened: list[Transition]) -> list[Transition]:
        started = 0
        while started < len(self._queue) and not self.native_queued:
            _, job = self._queue[started]
            if job.units > self.capacity - self.allocated:
                break
            self._hold(job, self.at)
            self._movable_queued -= job.units
            happened.append(Transition(job.key, JobState.RUNNING, self.at))
            started += 1
        del self._queue[:started]
        return happened
