"""Plays jobs through time: only here are true run times known, and nothing here decides."""

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from controlplane.lib.errors import GridError
from scheduling.domain.replay.grid import ReplayGrid
from scheduling.domain.replay.jobs import Floats, Ints, JobTable
from scheduling.domain.replay.prices import KnownPrices
from scheduling.domain.replay.tariffs import HOUR_S
from scheduling.domain.replay.views import JobView, Policy, Running, Situation, Start, Terms

_NEVER_S = float("inf")
# A policy may wait for cheaper hours, but not for ever with nothing running anywhere.
_LONGEST_IDLE_S = 14 * 86400.0


class PolicyBroke(GridError):
    """A policy decided something impossible, or left jobs waiting for ever."""

    code = "policy-broke"


@dataclass(frozen=True)
class EventLog:
    """What happened to every job.

    Attributes:
        pool: (N,) where it ran.
        decided_s: (N,) when its units were taken.
        started_s: (N,) when it began to run, later than `decided_s` by the move of its data.
        ended_s: (N,) when it gave its units back.
        decision_s: (D,) real time that each decision took.
    """

    pool: Ints
    decided_s: Floats
    started_s: Floats
    ended_s: Floats
    decision_s: Floats


@dataclass
class _World:
    """The truth while it unfolds."""

    jobs: JobTable
    grid: ReplayGrid
    views: list[JobView]
    free: list[int]
    running: list[dict[int, Running]]
    waiting: dict[int, JobView] = field(default_factory=dict)
    ends: list[tuple[float, int]] = field(default_factory=list)
    pool: Ints = field(init=False)
    times: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.pool = np.full(len(self.jobs), -1, dtype=np.int64)
        self.times = np.full((3, len(self.jobs)), np.nan)

    def start(self, decision: Start, now_s: float) -> None:
        """Take the units of one decision, or refuse it."""
        job, pool = decision
        i = job.index
        if self.waiting.get(i) is not job:
            raise PolicyBroke(f"Job {self.jobs.job_id[i]} does not wait.")
        if pool not in job.allowed or self.free[pool] < job.units:
            raise PolicyBroke(f"Job {self.jobs.job_id[i]} cannot start on pool {pool}.")
        hours = float(self.jobs.runtime_s[i]) / HOUR_S
        moved_gb = float(self.grid.gb_per_unit_h[job.home]) * job.units * hours
        begins_s = now_s + moved_gb * float(self.grid.transfer_s_per_gb[job.home, pool])
        end_s = begins_s + float(self.jobs.runtime_s[i])
        del self.waiting[i]
        self.free[pool] -= job.units
        self.running[pool][i] = Running(job, now_s)
        self.pool[i] = pool
        self.times[:, i] = (now_s, begins_s, end_s)
        heapq.heappush(self.ends, (end_s, i))

    def end(self, i: int) -> tuple[JobView, int]:
        """Give the units of a job back."""
        pool = int(self.pool[i])
        del self.running[pool][i]
        self.free[pool] += self.views[i].units
        return self.views[i], pool


def terms_of(jobs: JobTable, grid: ReplayGrid, interval_s: float) -> Terms:
    """State what every policy knows of the grid.

    Args:
        jobs: the trace, for the names of its pools.
        grid: the grid.
        interval_s: time between ticks.

    Returns:
        The terms, without anything of the future.
    """
    egress = grid.gb_per_unit_h[:, None] * grid.egress_usd_per_gb
    return Terms(
        pool_names=jobs.pool_names,
        capacity=tuple(grid.capacity.tolist()),
        delay_usd=tuple(grid.delay_usd.tolist()),
        egress_usd=tuple(tuple(row) for row in egress.tolist()),
        prices=KnownPrices(grid),
        interval_s=interval_s,
    )


def simulate(
    jobs: JobTable,
    grid: ReplayGrid,
    policy: Policy,
    *,
    interval_s: float,
    stopwatch: Callable[[], float],
    progress: Callable[[int], None] | None = None,
) -> EventLog:
    """Play all jobs under one policy.

    A policy is asked whenever a job comes or ends, and at ticks `interval_s` apart while jobs
    wait. Jobs run to their end once started.

    Args:
        jobs: the trace.
        grid: the grid.
        policy: who decides.
        interval_s: time between ticks.
        stopwatch: real seconds, to measure how long decisions take.
        progress: told the number of ended jobs at each tick.

    Returns:
        What happened.

    Raises:
        PolicyBroke: a decision was impossible, or jobs wait that nothing will wake.
    """
    world = _World(
        jobs=jobs,
        grid=grid,
        views=list(_views(jobs, grid)),
        free=grid.capacity.tolist(),
        running=[{} for _ in grid.capacity],
    )
    took_s: list[float] = []
    done = arrived = 0
    next_tick_s = awake_s = float(jobs.submit_s[0])
    while done < len(jobs):
        now_s = _next_moment(world, arrived, next_tick_s)
        is_tick = now_s >= next_tick_s
        done += _finish(world, policy, now_s)
        arrived = _arrive(world, policy, now_s, arrived=arrived)
        if is_tick:
            next_tick_s += interval_s * math.floor((now_s - next_tick_s) / interval_s + 1.0)
            if progress is not None:
                progress(done)
        if world.waiting:
            situation = Situation(now_s, is_tick, world.free, world.running)
            before = stopwatch()
            decisions = policy.decide(situation)
            took_s.append(stopwatch() - before)
            for decision in decisions:
                world.start(decision, now_s)
        if world.ends or not world.waiting:
            awake_s = now_s
        elif now_s - awake_s > _LONGEST_IDLE_S:
            raise PolicyBroke(f"{len(world.waiting)} jobs wait while nothing runs.")
    if progress is not None:
        progress(done)
    decided_s, started_s, ended_s = world.times
    return EventLog(world.pool, decided_s, started_s, ended_s, np.array(took_s))


def _views(jobs: JobTable, grid: ReplayGrid) -> Iterator[JobView]:
    patterns: dict[bytes, tuple[int, ...]] = {}
    req = jobs.req_time_s.tolist()
    columns = zip(
        jobs.home.tolist(), jobs.units.tolist(), jobs.submit_s.tolist(), req, jobs.vc.tolist(),
        grid.allowed, strict=True,
    )  # fmt: skip
    for i, (home, units, submit_s, req_s, vc, row) in enumerate(columns):
        allowed = patterns.setdefault(row.tobytes(), tuple(np.flatnonzero(row).tolist()))
        asked = None if math.isnan(req_s) else req_s
        yield JobView(i, home, units, submit_s, asked, vc, allowed)


def _next_moment(world: _World, arrived: int, next_tick_s: float) -> float:
    ends_s = world.ends[0][0] if world.ends else _NEVER_S
    arrives_s = float(world.jobs.submit_s[arrived]) if arrived < len(world.jobs) else _NEVER_S
    tick_s = next_tick_s if world.waiting else _NEVER_S
    return min(ends_s, arrives_s, tick_s)


def _finish(world: _World, policy: Policy, now_s: float) -> int:
    count = 0
    while world.ends and world.ends[0][0] <= now_s:
        _, i = heapq.heappop(world.ends)
        job, pool = world.end(i)
        policy.finished(job, pool, runtime_s=float(world.jobs.runtime_s[i]))
        count += 1
    return count


def _arrive(world: _World, policy: Policy, now_s: float, *, arrived: int) -> int:
    submit_s: npt.NDArray[np.float64] = world.jobs.submit_s
    while arrived < len(submit_s) and submit_s[arrived] <= now_s:
        job = world.views[arrived]
        world.waiting[arrived] = job
        policy.arrived(job, now_s)
        arrived += 1
    return arrived
