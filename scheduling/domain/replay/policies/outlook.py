"""When units are expected back on every pool, and who is promised them: list scheduling."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from scheduling.domain.replay.policies.run_times import RunTimes
from scheduling.domain.replay.tariffs import HOUR_S
from scheduling.domain.replay.views import JobView, Start

_SOON_S = 60.0
# Who has passed the limit is expected to run half as long again.
_OVERDUE = 0.5
_DEPTH = 500
_MOST_PROMISES = 20
# How often, and by how much of its run time, a job that passes is expected to overrun.
_OVERRUN = 0.2

Release = tuple[float, int, int]


@dataclass
class Ledger:
    """Expected ends of what runs, per pool, soonest first, kept up to date by small changes.

    Attributes:
        releases: per pool (second, job, units).
    """

    releases: list[list[Release]]
    _entries: dict[int, Release] = field(default_factory=dict)
    _began_s: dict[int, float] = field(default_factory=dict)

    def begin(self, job: JobView, pool: int, *, now_s: float, limit_s: float) -> None:
        """Expect the units of a job back when its limit is over."""
        self._began_s[job.index] = now_s
        self._put(pool, (now_s + max(limit_s, _SOON_S), job.index, job.units))

    def end(self, job: JobView, pool: int) -> None:
        """Strike out a job that has ended."""
        entry, queue = self._entries.pop(job.index), self.releases[pool]
        del queue[bisect_left(queue, entry)]
        del self._began_s[job.index]

    def renew(self, now_s: float) -> None:
        """Expect anew those that are overdue."""
        for pool, queue in enumerate(self.releases):
            while queue and queue[0][0] <= now_s + 1.0:
                _, index, units = queue.pop(0)
                left_s = max(_OVERDUE * (now_s - self._began_s[index]), _SOON_S)
                self._put(pool, (now_s + left_s, index, units))

    def _put(self, pool: int, entry: Release) -> None:
        self._entries[entry[1]] = entry
        insort(self.releases[pool], entry)


@dataclass(slots=True)
class _Promise:
    """Units kept for a blocked job until it can begin."""

    until_s: float
    kept: int
    wanted: int


@dataclass(slots=True)
class _Place:
    """A pool on which a job can begin now, or the earliest it can."""

    cost: float
    pool: int
    start_s: float
    promise: _Promise | None


class Outlook:
    """Free units and expected releases while one moment's decisions are made.

    Args:
        ledger: expected releases; not changed here.
        free: (P,) units that no job holds.
        now_s: the moment.
    """

    def __init__(self, ledger: Ledger, free: Sequence[int], now_s: float) -> None:
        self._ledger = ledger
        self._free = list(free)
        self._now_s = now_s
        self._promises: list[list[_Promise]] = [[] for _ in free]
        self._planned: dict[int, list[Release]] = {}
        self.total = sum(free)

    def place(
        self,
        job: JobView,
        costs: Sequence[float],
        *,
        wait_usd: float,
        expected_s: float,
        limit_s: float,
    ) -> _Place | None:
        """Find the pool where a job costs least, the wait for it included.

        Args:
            job: the job.
            costs: (P,) what one of its units costs there but for the wait.
            wait_usd: what a unit's wait of an hour costs.
            expected_s: mean run time expected.
            limit_s: run time that it is expected to keep.

        Returns:
            The place, or None where no release would ever suffice.
        """
        best: _Place | None = None
        for pool in job.allowed:
            if best is not None and costs[pool] >= best.cost:
                continue
            start_s, promise = self._earliest(job, pool, expected_s=expected_s, limit_s=limit_s)
            if start_s == float("inf"):
                continue
            cost = costs[pool] + wait_usd * max(0.0, start_s - self._now_s) / HOUR_S
            if best is None or cost < best.cost:
                best = _Place(cost, pool, start_s, promise)
        return best

    def starts_now(self, place: _Place) -> bool:
        """Whether a place is free at this moment."""
        return place.start_s <= self._now_s

    def take(self, job: JobView, place: _Place) -> None:
        """Let a job begin."""
        from_promise = 0
        if place.promise is not None:
            from_promise = min(job.units, place.promise.kept)
            place.promise.kept -= from_promise
        self._free[place.pool] -= job.units - from_promise
        self.total -= job.units

    def promise(self, job: JobView, place: _Place, limit_s: float) -> None:
        """Keep units for a blocked job, those free now included."""
        pool = place.pool
        queue = self._releases(pool)
        count, free = 0, self._free[pool]
        while count < len(queue) and (free < job.units or queue[count][0] <= place.start_s):
            free += queue[count][2]
            count += 1
        del queue[:count]
        spare = free - job.units
        loose = min(self._free[pool], spare)
        if self._free[pool] > loose:
            kept = self._free[pool] - loose
            self._promises[pool].append(_Promise(place.start_s, kept, job.units))
        self._free[pool] = loose
        if spare > loose:
            insort(queue, (place.start_s, -1, spare - loose))
        insort(queue, (place.start_s + limit_s, job.index, job.units))

    def _releases(self, pool: int) -> list[Release]:
        if pool not in self._planned:
            self._planned[pool] = list(self._ledger.releases[pool])
        return self._planned[pool]

    def _earliest(
        self, job: JobView, pool: int, *, expected_s: float, limit_s: float
    ) -> tuple[float, _Promise | None]:
        free, units = self._free[pool], job.units
        if units <= free:
            return self._now_s, None
        for promise in self._promises[pool]:
            left_s = promise.until_s - self._now_s
            # Who passes may overrun, which costs every unit that waits for the promise.
            harm_s = _OVERRUN * expected_s * promise.wanted
            if limit_s <= left_s and harm_s <= left_s * units and units <= promise.kept + free:
                return self._now_s, promise
        for at_s, _, back in self._planned.get(pool, self._ledger.releases[pool]):
            free += back
            if free >= units:
                return max(at_s, self._now_s), None
        return float("inf"), None


def list_schedule(
    queue: Iterable[JobView],
    outlook: Outlook,
    run_times: RunTimes,
    *,
    costs: Callable[[JobView, float], Sequence[float]],
    wait_usd: Callable[[JobView], float],
) -> list[Start]:
    """Choose what begins now: jobs in order, each at its cheapest place of the whole grid.

    The first few jobs that cannot begin are promised the units that come back earliest; a job
    behind them may pass if it is expected to end before, and if its risk to overrun harms those
    who wait less than waiting would harm it.

    Args:
        queue: waiting jobs in order.
        outlook: free units and releases; changed here.
        run_times: guesses.
        costs: asks for the (P,) cost of one unit of a job that runs so many hours.
        wait_usd: what a unit's wait of an hour costs.

    Returns:
        The decisions, in order.
    """
    starts: list[Start] = []
    blocked: dict[tuple[int, int, tuple[int, ...]], float] = {}
    looked = promises = 0
    for job in queue:
        if outlook.total <= 0 or looked >= _DEPTH:
            break
        expected_s = run_times.expected_s(job)
        kind = (job.home, job.units, job.allowed)
        # Where a shorter job of the same kind found no place there is none for this one.
        if blocked.get(kind, float("inf")) <= expected_s:
            looked += 1
            continue
        limit_s = run_times.limit_s(job)
        place = outlook.place(
            job,
            costs(job, expected_s / HOUR_S),
            wait_usd=wait_usd(job),
            expected_s=expected_s,
            limit_s=limit_s,
        )
        if place is not None and outlook.starts_now(place):
            outlook.take(job, place)
            starts.append(Start(job, place.pool))
            continue
        looked += 1
        blocked[kind] = expected_s
        if place is not None and promises < _MOST_PROMISES:
            promises += 1
            outlook.promise(job, place, limit_s)
    return starts
