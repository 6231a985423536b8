"""A provider's pools in motion: each effect on them is committed before anybody hears of it."""

import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from simulator.domain.cluster import Cluster, JobState, Transition
from simulator.domain.records import GRID, SITE, JobRecord, PoolRecord, site_job, telemetry_sample
from simulator.domain.timeline import DAY_S, TICK_S, next_tick
from simulator.domain.workloads import is_checkpointable, kept_s
from simulator.store import Store

logger = logging.getLogger(__name__)

KEEP_DONE_S = 7 * DAY_S
TICKS_PER_COMMIT = 100

OutboxKind = Literal["telemetry", "workloads"]


class EngineRefusal(Exception):
    """The engine does not do what was asked; `code` is stable, `job` is the job as it is."""

    code = "refused"

    def __init__(self, detail: str, *, job: JobRecord | None = None) -> None:
        """Refuse with a reason a person can act on."""
        super().__init__(detail)
        self.detail = detail
        self.job = job


class UnknownPool(EngineRefusal):
    """The provider has no such pool."""

    code = "unknown-pool"


class UnknownJob(EngineRefusal):
    """The pool knows no job of that key."""

    code = "unknown-job"


class KeyReused(EngineRefusal):
    """The key names a job with another body."""

    code = "key-reused"


class JobTooLarge(EngineRefusal):
    """The job asks for more units than the pool has."""

    code = "job-too-large"


class JobNotQueued(EngineRefusal):
    """The job cannot be withdrawn: it runs or is done."""

    code = "job-not-queued"


class JobNotStoppable(EngineRefusal):
    """The job cannot be stopped and resumed: it does not run, or it keeps no checkpoints."""

    code = "job-not-stoppable"


class JobNotWithdrawn(EngineRefusal):
    """The job cannot be released: nobody withdrew it, or it is not the site's own."""

    code = "job-not-withdrawn"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job the grid sends: what to run on how many units for at most how long.

    `spec` holds `program`, and `done_s` where a checkpoint from elsewhere holds a part of its work.
    """

    name: str
    units: int
    requested_duration_s: int
    spec: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Return the digest by which a repeated request is recognized."""
        body = [self.name, self.units, self.requested_duration_s, self.spec]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class Engine:
    """All pools of one provider; safe to call from several threads.

    When a commit fails, memory and file differ. `on_broken` is called then; it must end the
    process, and the next one starts from the file.
    """

    def __init__(
        self, store: Store, *, now: Callable[[], int], on_broken: Callable[[], None]
    ) -> None:
        """Load the pools as the store last saw them.

        Args:
            store: The provider's file; from now on only this object uses it.
            now: Grid time, epoch s.
            on_broken: Called when the file could not be written.
        """
        self._store = store
        self._now = now
        self._on_broken = on_broken
        self._lock = threading.RLock()
        self._pools: dict[str, PoolRecord] = {pool.code: pool for pool in store.pools()}
        self._clusters = {code: self._restored(pool) for code, pool in self._pools.items()}
        self._last_tick = store.last_tick()

    @property
    def next_tick(self) -> int:
        """Return the moment of the next telemetry sample, epoch s."""
        return next_tick(self._last_tick)

    def catch_up(self) -> bool:
        """Process telemetry ticks that are due, a bounded number of them in one commit.

        Returns:
            Whether ticks were processed; call again until not.
        """
        with self._lock:
            last = min(self._now(), self._last_tick + TICKS_PER_COMMIT * TICK_S)
            due = range(self.next_tick, last + 1, TICK_S)
            if due:
                with self._committed():
                    for tick in due:
                        self._process_tick(tick)
            return bool(due)

    def submit(self, pool: str, key: str, request: JobRequest) -> tuple[JobRecord, bool]:
        """Queue a job of the grid once per key.

        Returns:
            The job, and whether this call made it.

        Raises:
            UnknownPool: The provider has no such pool.
            KeyReused: The key is known with another body.
            JobTooLarge: More units than the pool has.
        """
        with self._at_present(pool) as cluster:
            known = self._store.job(pool, key)
            if known and known.fingerprint != request.fingerprint:
                raise KeyReused(f"the key {key!r} names a job with another body", job=known)
            if known:
                return known, False
            if request.units > cluster.capacity:
                detail = f"{pool} has {cluster.capacity} units, the job asks for {request.units}"
                raise JobTooLarge(detail)
            job = self._new_job(pool, key, request)
            with self._committed():
                self._store.add_job(job)
                self._apply(pool, cluster.submit(job.as_job()))
            return self._known(pool, key), True

    def withdraw(self, pool: str, key: str) -> JobRecord:
        """Take a waiting job out of its queue; the same answer when it is out already.

        Raises:
            UnknownPool: The provider has no such pool.
            UnknownJob: The pool knows no such job.
            JobNotQueued: The job runs or is done.
        """
        with self._at_present(pool) as cluster:
            job = self._known(pool, key)
            if job.state is JobState.WITHDRAWN:
                return job
            if job.state is not JobState.QUEUED:
                detail = f"{key} is {job.state.value} and cannot be withdrawn"
                raise JobNotQueued(detail, job=job)
            with self._committed():
                self._store.set_waiting_state(job, JobState.WITHDRAWN, is_released=False)
                self._apply(pool, cluster.withdraw(key, submit_at=job.submitted_at))
            return self._known(pool, key)

    def checkpoint(self, pool: str, key: str) -> JobRecord:
        """Stop a running job at its last checkpoint and take it out; again, the same answer.

        Raises:
            UnknownPool: The provider has no such pool.
            UnknownJob: The pool knows no such job.
            JobNotStoppable: The job waits, is done, or keeps no checkpoints.
        """
        with self._at_present(pool) as cluster:
            job = self._known(pool, key)
            if job.state is JobState.WITHDRAWN:
                return job
            keeps = is_checkpointable(job.requested_duration_s)
            if job.state is not JobState.RUNNING or job.started_at is None or not keeps:
                detail = f"{key} is {job.state.value} and cannot be stopped at a checkpoint"
                raise JobNotStoppable(detail, job=job)
            with self._committed():
                done_s = job.done_s + kept_s(cluster.at - job.started_at)
                self._store.set_stopped(job, done_s=done_s)
                self._apply(pool, cluster.stop(key))
            return self._known(pool, key)

    def release(self, pool: str, key: str) -> JobRecord:
        """Queue a withdrawn job of the site itself again, at its old place.

        Raises:
            UnknownPool: The provider has no such pool.
            UnknownJob: The pool knows no such job.
            JobNotWithdrawn: The job was not withdrawn, or it is not the site's own.
        """
        with self._at_present(pool) as cluster:
            job = self._known(pool, key)
            if job.is_released:
                return job
            if job.origin != SITE or job.state is not JobState.WITHDRAWN:
                detail = f"{key} ({job.origin}) is {job.state.value} and cannot be released"
                raise JobNotWithdrawn(detail, job=job)
            with self._committed():
                self._store.set_waiting_state(job, JobState.QUEUED, is_released=True)
                # from a checkpoint it goes on where that stands
                self._apply(pool, cluster.submit(job.as_job()))
            return self._known(pool, key)

    def job(self, pool: str, key: str) -> JobRecord:
        """Return a job as it is now.

        Raises:
            UnknownPool: The provider has no such pool.
            UnknownJob: The pool knows no such job.
        """
        with self._at_present(pool):
            return self._known(pool, key)

    def jobs(self, pool: str, keys: Sequence[str]) -> list[JobRecord]:
        """Return those of the named jobs that the pool knows.

        Raises:
            UnknownPool: The provider has no such pool.
        """
        with self._at_present(pool):
            return self._store.jobs(pool, keys)

    def waiting(self, kind: OutboxKind, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the oldest (seq, item) that the grid has not acknowledged."""
        with self._lock:
            if kind == "telemetry":
                return self._store.waiting_samples(limit)
            return self._store.waiting_workloads(limit)

    def acknowledge(self, kind: OutboxKind, seqs: Sequence[int]) -> None:
        """Drop items from the outbox."""
        with self._lock, self._committed():
            if kind == "telemetry":
                self._store.acknowledge_samples(seqs)
            else:
                self._store.acknowledge_workloads(seqs)

    def close(self) -> None:
        """Close the store; nothing may be called afterwards."""
        with self._lock:
            self._store.close()

    @contextmanager
    def _at_present(self, pool: str) -> Iterator[Cluster]:
        if pool not in self._clusters:
            raise UnknownPool(f"this provider has no pool {pool!r}")
        with self._lock:
            while self.catch_up():
                pass
            # The clock may have passed the next tick just now: that tick samples all pools first.
            present = min(self._now(), self.next_tick - 1)
            # Its own commit: a refusal afterwards must not undo what time has done.
            with self._committed():
                self._advance(pool, present)
            yield self._clusters[pool]

    @contextmanager
    def _committed(self) -> Iterator[None]:
        try:
            with self._store.transaction():
                yield
        except sqlite3.Error:
            logger.exception("store could not be written")
            self._on_broken()
            raise

    def _process_tick(self, tick: int) -> None:
        samples = []
        for code, pool in self._pools.items():
            self._advance(code, tick)
            price = self._store.price_usd_per_mwh(pool.energy_zone, tick)
            samples.append(telemetry_sample(pool, self._clusters[code], price_usd_per_mwh=price))
        self._store.add_samples(samples)
        self._store.set_last_tick(tick)
        if tick % DAY_S == 0:
            self._store.forget_done_jobs(tick - KEEP_DONE_S)
        self._last_tick = tick

    def _advance(self, code: str, to: int) -> None:
        cluster = self._clusters[code]
        if to <= cluster.at:
            return
        arrivals = self._store.arrivals(code, cluster.at, to)
        for arrival in arrivals:
            self._store.add_job(site_job(code, arrival))
            self._store.announce(code, arrival.key)
        native = self._pools[code].native.changes(cluster.at, to)
        jobs = [arrival.as_job() for arrival in arrivals]
        changes = cluster.advance(to, arrivals=jobs, native=native)
        # Where nothing happened nothing is written; the next start repeats that stretch alike.
        if arrivals or changes:
            self._apply(code, changes)

    def _apply(self, code: str, changes: Sequence[Transition]) -> None:
        self._store.apply(code, changes)
        self._store.set_advanced_to(code, self._clusters[code].at)

    def _known(self, pool: str, key: str) -> JobRecord:
        job = self._store.job(pool, key)
        if job is None:
            raise UnknownJob(f"{pool} knows no job {key!r}")
        return job

    def _new_job(self, pool: str, key: str, request: JobRequest) -> JobRecord:
        program = request.spec["program"]
        # A program from elsewhere runs as long as it is allowed to; none runs longer.
        runtime_s = self._store.program_runtime_s(program)
        if runtime_s is not None:
            runtime_s = max(1, runtime_s - int(request.spec.get("done_s", 0)))
        runtime_s = runtime_s or request.requested_duration_s
        return JobRecord(
            pool=pool,
            key=key,
            origin=GRID,
            program=program,
            tenant="",
            units=request.units,
            runtime_s=min(runtime_s, request.requested_duration_s),
            requested_duration_s=request.requested_duration_s,
            submitted_at=self._clusters[pool].at,
            started_at=None,
            finished_at=None,
            state=JobState.QUEUED,
            is_released=False,
            fingerprint=request.fingerprint,
        )

    def _restored(self, pool: PoolRecord) -> Cluster:
        # No event lies between the two, or the later advance would have been written.
        at = max(self._store.advanced_to(pool.code), self._store.last_tick())
        jobs = self._store.open_jobs(pool.code)
        return Cluster.restored(
            pool.capacity,
            at,
            native_demand=pool.native.level_at(at),
            queued=[job.as_job() for job in jobs if job.started_at is None],
            running=[(job.as_job(), job.started_at) for job in jobs if job.started_at is not None],
        )
