"""Policies to compare with: stay at home, least loaded, cheapest, greenest; all with backfill."""

from collections.abc import Callable

from scheduling.domain.replay.policies.queues import Desk
from scheduling.domain.replay.tariffs import HOUR_S
from scheduling.domain.replay.views import JobView, Situation, Start, Terms

RELOCATION_DEPTH = 300
# A pool counts as greener only from here: less than a tenth is within the table's own error.
_GREENER_RATIO = 0.9

Rank = Callable[[Terms, JobView, Situation], Callable[[int], float]]


class Home:
    """First come, first served with EASY backfill in the job's own cluster."""

    def __init__(self, terms: Terms) -> None:
        self._desk = Desk(terms, key=by_submission)

    def arrived(self, job: JobView, now_s: float) -> None:  # noqa: ARG002 (signature of Policy)
        """Queue the job at home."""
        self._desk.arrived(job)
        self._desk.enqueue(job)

    def finished(self, job: JobView, pool: int, *, runtime_s: float) -> None:  # noqa: ARG002
        """Learn its run time."""
        self._desk.run_times.ended(job, runtime_s)

    def decide(self, situation: Situation) -> list[Start]:
        """Start what fits, pool by pool."""
        self._desk.news.clear()
        if situation.is_tick:
            self._desk.run_times.renew(situation.now_s)
        starts = start_all_own(self._desk, situation, list(situation.free), [])
        self._desk.began(starts, situation.now_s)
        return starts


class Ranked:
    """Starts each job on the best-ranked pool that can begin it at once, else queues it at home.

    A queued job is sent elsewhere at a tick when its expected wait costs more than the move's
    egress and difference in energy: no rival moves work that would be better off waiting. Only
    pools without a queue of their own receive guests.

    Args:
        terms: what it may know of the grid.
        rank: order of the pools for a job, smallest first.
        relieves: whether queued jobs are sent elsewhere at all; without it the rule is the plain
            one of the textbooks, and much weaker.
    """

    def __init__(self, terms: Terms, rank: Rank, *, relieves: bool = True) -> None:
        self._terms = terms
        self._rank = rank
        self._relieves = relieves
        self._desk = Desk(terms, key=by_submission)

    def arrived(self, job: JobView, now_s: float) -> None:  # noqa: ARG002 (signature of Policy)
        """Take note of the job."""
        self._desk.arrived(job)

    def finished(self, job: JobView, pool: int, *, runtime_s: float) -> None:  # noqa: ARG002
        """Learn its run time."""
        self._desk.run_times.ended(job, runtime_s)

    def decide(self, situation: Situation) -> list[Start]:
        """Place what is new, start what can start at home, at a tick relieve queues."""
        desk, free = self._desk, list(situation.free)
        starts: list[Start] = []
        if situation.is_tick:
            desk.run_times.renew(situation.now_s)
        for job in desk.news:
            pools = self._open_to(job, free)
            if pools:
                best = min(pools, key=self._rank(self._terms, job, situation))
                starts.append(Start(job, best))
                free[best] -= job.units
            else:
                desk.enqueue(job)
        desk.news.clear()
        starts = start_all_own(desk, situation, free, starts)
        if situation.is_tick and self._relieves:
            for pool, queue in enumerate(desk.queues):
                if queue:
                    starts += self._relieve(situation, free, pool)
        desk.began(starts, situation.now_s)
        return starts

    def _open_to(self, job: JobView, free: list[int]) -> list[int]:
        queues = self._desk.queues
        return [pool for pool in job.allowed if free[pool] >= job.units and not queues[pool]]

    def _relieve(self, situation: Situation, free: list[int], home: int) -> list[Start]:
        desk, terms = self._desk, self._terms
        if not any(units > 0 and not queue for units, queue in zip(free, desk.queues, strict=True)):
            return []
        energy = terms.prices.energy_usd(situation.now_s)
        waits_s = desk.waits_s(situation, home)[:RELOCATION_DEPTH].tolist()
        starts = []
        for (_, _, job), wait_s in zip(desk.queues[home], waits_s, strict=False):
            hours = desk.run_times.expected_s(job) / HOUR_S
            worth = wait_s / HOUR_S * terms.delay_usd[home]
            pools = [
                pool
                for pool in self._open_to(job, free)
                if hours * (terms.egress_usd[home][pool] + energy[pool] - energy[home]) < worth
            ]
            if pools:
                best = min(pools, key=self._rank(terms, job, situation))
                starts.append(Start(job, best))
                free[best] -= job.units
        desk.take([start.job for start in starts], home)
        return starts


def least_loaded(terms: Terms, job: JobView, situation: Situation) -> Callable[[int], float]:
    """Home if it can begin at once, else the pool with the smallest share of units held."""

    def rank(pool: int) -> float:
        if pool == job.home:
            return -1.0
        return 1.0 - situation.free[pool] / terms.capacity[pool]

    return rank


def cheapest(terms: Terms, job: JobView, situation: Situation) -> Callable[[int], float]:
    """The least power price of this hour plus egress."""
    power = terms.prices.power_usd(situation.now_s)
    egress = terms.egress_usd[job.home]
    return lambda pool: power[pool] + egress[pool]


def greenest(terms: Terms, job: JobView, situation: Situation) -> Callable[[int], float]:
    """The least carbon of this hour; home unless another is greener by a tenth."""
    carbon = terms.prices.carbon_g(situation.now_s)
    return lambda pool: carbon[pool] * (_GREENER_RATIO if pool == job.home else 1.0)


def by_submission(job: JobView) -> float:
    """First come, first served."""
    return job.submit_s


def start_all_own(
    desk: Desk, situation: Situation, free: list[int], starts: list[Start]
) -> list[Start]:
    """Start what each pool's own queue lets begin.

    Args:
        desk: the queues.
        situation: the grid now.
        free: (P,) units left after this moment's earlier decisions; reduced here.
        starts: this moment's earlier decisions.

    Returns:
        Those and the new ones.
    """
    for pool, queue in enumerate(desk.queues):
        if queue:
            starts = starts + desk.start_own(situation, free, pool, just_begun=starts)
    return starts
