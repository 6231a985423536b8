"""Rules from the literature, restated: carbon-aware waiting, failover, federation."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from scheduling.domain.replay.policies.outlook import Ledger, Outlook, list_schedule
from scheduling.domain.replay.policies.queues import Desk
from scheduling.domain.replay.policies.rivals import by_submission, start_all_own
from scheduling.domain.replay.policies.run_times import RunTimes
from scheduling.domain.replay.tariffs import HOUR_S
from scheduling.domain.replay.views import JobView, Prices, Situation, Start, Terms

_DAY_H = 24
# As in GAIA's evaluation: who is expected to run up to two hours waits six, the rest a day.
_SHORT_H = 2.0
_WAIT_SHORT_H = 6
_WAIT_LONG_H = 24
_LONGEST_LOOK_H = 48

Choose = Callable[[Sequence[float], float], int]


class CarbonAware:
    """Stays at home and begins later if carbon was lower at that hour yesterday.

    No policy sees the future here, so the forecast is the day before; and jobs are not
    interrupted, so a waiting rule picks one begin. After it the job queues at home, first come,
    first served with EASY backfill.
    """

    def __init__(self, terms: Terms, choose: Choose) -> None:
        self._terms = terms
        self._choose = choose
        self._desk = Desk(terms, key=by_submission)
        self._held: list[tuple[float, int, JobView]] = []

    def arrived(self, job: JobView, now_s: float) -> None:
        """Choose when the job may begin."""
        self._desk.arrived(job)
        hours = self._desk.run_times.expected_s(job) / HOUR_S
        latest_h = _WAIT_SHORT_H if hours <= _SHORT_H else _WAIT_LONG_H
        carbon = _runs_yesterday(
            self._terms.prices, job.home, now_s, hours=hours, latest_h=latest_h
        )
        heappush(self._held, (now_s + self._choose(carbon, hours) * HOUR_S, job.index, job))

    def finished(self, job: JobView, pool: int, *, runtime_s: float) -> None:  # noqa: ARG002
        """Learn its run time."""
        self._desk.run_times.ended(job, runtime_s)

    def decide(self, situation: Situation) -> list[Start]:
        """Queue what may begin, start what fits."""
        desk = self._desk
        desk.news.clear()
        if situation.is_tick:
            desk.run_times.renew(situation.now_s)
        while self._held and self._held[0][0] <= situation.now_s:
            desk.enqueue(heappop(self._held)[2])
        starts = start_all_own(desk, situation, list(situation.free), [])
        desk.began(starts, situation.now_s)
        return starts


def carbon_time(carbon: Sequence[float], hours: float) -> int:
    """Choose the begin that saves most carbon per hour until the job is done.

    Args:
        carbon: (K,) carbon of the run if it begins so many hours from now.
        hours: expected run time.

    Returns:
        Hours to wait; 0 where no wait saves anything.

    Source: W. A. Hanafy et al., Going green for less green: optimizing the cost of reducing cloud
        carbon emissions, ASPLOS 2024, doi:10.1145/3620666.3651374.
    """
    saved = [(carbon[0] - grams) / (hour + max(hours, 1e-3)) for hour, grams in enumerate(carbon)]
    best = max(range(len(saved)), key=lambda hour: (saved[hour], -hour))
    return best if saved[best] > 0.0 else 0


def wait_awhile(carbon: Sequence[float], hours: float) -> int:  # noqa: ARG001 (one signature)
    """Choose the begin with the least carbon.

    Args:
        carbon: (K,) carbon of the run if it begins so many hours from now.
        hours: expected run time.

    Returns:
        Hours to wait; the earliest of equals.

    Source: P. Wiesner et al., Let's wait awhile: how temporal workload shifting can reduce carbon
        emissions in the cloud, Middleware 2021, doi:10.1145/3464298.3493399.
    """
    return min(range(len(carbon)), key=lambda hour: (carbon[hour], hour))


def _runs_yesterday(
    prices: Prices, pool: int, now_s: float, *, hours: float, latest_h: int
) -> list[float]:
    """(latest + 1,) mean carbon of a run by its begin, had it been yesterday."""
    day = [prices.carbon_g(now_s - (_DAY_H - 1 - h) * HOUR_S)[pool] for h in range(_DAY_H)]
    ahead = [*day[-1:], *day[:-1]]
    length = max(1, min(round(hours), _LONGEST_LOOK_H))
    return [
        sum(ahead[(begin + step) % _DAY_H] for step in range(length)) / length
        for begin in range(latest_h + 1)
    ]


class Failover:
    """Tries pools from the cheapest on until one has room; waits and tries again if none has.

    Source: Z. Yang et al., SkyPilot: an intercloud broker for sky computing, NSDI 2023. There the
        choice of place is by price and egress, a place without capacity is passed over for the
        next, and `retry_until_up` begins anew; nothing is reserved and nobody queues at a place.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._waiting: list[JobView] = []

    def arrived(self, job: JobView, now_s: float) -> None:  # noqa: ARG002 (signature of Policy)
        """Take note of the job."""
        self._waiting.append(job)

    def finished(self, job: JobView, pool: int, *, runtime_s: float) -> None:
        """Need not learn anything."""

    def decide(self, situation: Situation) -> list[Start]:
        """Place each job in the order of submission."""
        free = list(situation.free)
        power = self._terms.prices.power_usd(situation.now_s)
        starts, left = [], []
        most = max(free)
        for job in self._waiting:
            pools = (
                [pool for pool in job.allowed if free[pool] >= job.units]
                if job.units <= most
                else []
            )
            if not pools:
                left.append(job)
                continue
            egress = self._terms.egress_usd[job.home]
            best = min(pools, key=lambda pool: (power[pool] + egress[pool], pool))
            free[best] -= job.units
            most = max(free)
            starts.append(Start(job, best))
        self._waiting = left
        return starts


class FirstToStart:
    """Announces each job to all clusters at once; the first that can begin it does.

    Every cluster keeps all jobs in the order of submission, with backfill.

    Source: Slurm's federated scheduling, https://slurm.schedmd.com/federation.html: sibling jobs
        on each cluster, and the sibling that starts first revokes the others.
    """

    def __init__(self, terms: Terms) -> None:
        self._pools = len(terms.capacity)
        self._run_times = RunTimes()
        self._ledger = Ledger([[] for _ in terms.capacity])
        self._queue: dict[int, JobView] = {}

    def arrived(self, job: JobView, now_s: float) -> None:  # noqa: ARG002 (signature of Policy)
        """Queue the job everywhere."""
        self._run_times.submitted(job)
        self._queue[job.index] = job

    def finished(self, job: JobView, pool: int, *, runtime_s: float) -> None:
        """Learn its run time."""
        self._run_times.ended(job, runtime_s)
        self._ledger.end(job, pool)

    def decide(self, situation: Situation) -> list[Start]:
        """Begin what can begin, the home first where several can."""
        now_s = situation.now_s
        if situation.is_tick:
            self._run_times.renew(now_s)
        if not any(situation.free):
            return []
        self._ledger.renew(now_s)
        starts = list_schedule(
            self._queue.values(),
            Outlook(self._ledger, situation.free, now_s),
            self._run_times,
            costs=lambda job, _: [0.0 if p == job.home else 1e-6 for p in range(self._pools)],
            wait_usd=lambda _: 1.0,
        )
        for job, pool in starts:
            del self._queue[job.index]
            self._ledger.begin(job, pool, now_s=now_s, limit_s=self._run_times.limit_s(job))
            self._run_times.started(job, now_s)
        return starts
