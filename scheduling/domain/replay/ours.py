"""Our policy: every choice by expected money, with scarce capacity priced by who waits for it."""

from dataclasses import dataclass

import numpy as np

from scheduling.domain.replay.jobs import Floats
from scheduling.domain.replay.queues import Desk
from scheduling.domain.replay.tariffs import HOUR_S
from scheduling.domain.replay.views import JobView, Situation, Start, Terms

_DEPTH = 2000


@dataclass(frozen=True)
class OurSettings:
    """Constants of our policy; the same for every trace.

    Attributes:
        patience: a job may be passed by shorter ones that come within this many times its own
            expected run time; bounds starvation.
        memory_s: half-life of the remembered congestion of a pool.
        now_h: hours of a run that are priced as this hour; the rest as the last week.
    """

    patience: float = 50.0
    memory_s: float = 6 * HOUR_S
    now_h: float = 0.3


class Ours:
    """Minimizes expected energy, carbon, egress and delay.

    Queues are ordered by expected run time with ageing: money for delay grows with units, work
    with units times run time, so the shortest job earns most per unit-hour (Smith's rule). A
    pool's congestion price is what one more unit-hour of work costs those who wait there: delay
    weight x waiting units / capacity. A job goes elsewhere when energy, egress and the price of
    the place there, remembered with a half-life, are less than energy, wait and price at home.
    At a tick the waiting jobs of all pools compete for free units by gain per unit-hour.
    """

    def __init__(self, terms: Terms, settings: OurSettings | None = None) -> None:
        self._terms = terms
        self._settings = settings or OurSettings()
        self._desk = Desk(terms, key=self._key)
        self._remembered = [0.0] * len(terms.capacity)
        self._priced_s: float | None = None

    def arrived(self, job: JobView, now_s: float) -> None:  # noqa: ARG002 (signature of Policy)
        """Take note of the job."""
        self._desk.arrived(job)

    def finished(self, job: JobView, pool: int, *, runtime_s: float) -> None:  # noqa: ARG002
        """Learn its run time."""
        self._desk.run_times.ended(job, runtime_s)

    def decide(self, situation: Situation) -> list[Start]:
        """Place what is new, start queues in order, at a tick relieve the congested pools."""
        desk, free = self._desk, list(situation.free)
        if situation.is_tick:
            desk.sort_anew(situation.now_s)
        self._remember(situation.now_s)
        spike = self._spikes(situation.now_s)
        starts: list[Start] = []
        for job in desk.news:
            pool = self._place(job, situation, free, spike=spike)
            if pool is None:
                desk.enqueue(job)
            else:
                starts.append(Start(job, pool))
                free[pool] -= job.units
        desk.news.clear()
        for pool, queue in enumerate(desk.queues):
            if queue and not spike[pool]:
                starts += desk.start_own(situation, free, pool, just_begun=starts)
        if situation.is_tick:
            starts += self._relieve(situation, free, spike=spike)
        desk.began(starts, situation.now_s)
        return starts

    def _key(self, job: JobView) -> float:
        return job.submit_s + self._settings.patience * self._desk.run_times.guess_s(job)

    def _congestion(self, pool: int) -> float:
        """USD that one more unit-hour of work on a pool costs those who wait there."""
        waiting = self._desk.waiting_units[pool]
        return self._terms.delay_usd[pool] * waiting / self._terms.capacity[pool]

    def _remember(self, now_s: float) -> None:
        before_s = now_s if self._priced_s is None else self._priced_s
        keep = 0.5 ** ((now_s - before_s) / self._settings.memory_s)
        self._priced_s = now_s
        for pool, old in enumerate(self._remembered):
            self._remembered[pool] = keep * old + (1.0 - keep) * self._congestion(pool)

    def _spikes(self, now_s: float) -> list[bool]:
        """Pools where an hour's delay costs less than this hour's energy above the usual."""
        prices = self._terms.prices
        return [
            now - usual > delay + self._congestion(pool)
            for pool, (now, usual, delay) in enumerate(
                zip(
                    prices.energy_usd(now_s),
                    prices.usual_usd(now_s),
                    self._terms.delay_usd,
                    strict=True,
                )
            )
        ]

    def _rate(self, now_s: float, hours: Floats) -> Floats:
        """(N, P) expected energy and carbon of a unit-hour over runs of these lengths, USD."""
        prices = self._terms.prices
        share = np.minimum(1.0, self._settings.now_h / np.maximum(hours, 1e-9))[:, None]
        now = np.asarray(prices.energy_usd(now_s))
        return np.asarray(share * now + (1.0 - share) * np.asarray(prices.usual_usd(now_s)))

    def _guest_rates(self, home: int) -> Floats:
        """(P,) egress and remembered congestion of a unit-hour for a job from home, USD."""
        egress = np.asarray(self._terms.egress_usd[home], dtype=np.float64)
        rates: Floats = egress + np.asarray(self._remembered, dtype=np.float64)
        rates[home] = self._remembered[home]
        return rates

    def _open(self, free: list[int], spike: list[bool]) -> list[int]:
        queues = self._desk.queues
        return [
            pool
            for pool, units in enumerate(free)
            if units > 0 and not queues[pool] and not spike[pool]
        ]

    def _place(
        self, job: JobView, situation: Situation, free: list[int], *, spike: list[bool]
    ) -> int | None:
        """Pool on which a new job begins at once, None to queue it at home."""
        pools = [
            pool
            for pool in self._open(free, spike)
            if free[pool] >= job.units and pool in job.allowed
        ]
        if not pools or pools == [job.home]:
            return job.home if pools else None
        hours = self._desk.run_times.expected_s(job) / HOUR_S
        rates = self._rate(situation.now_s, np.array([hours]))[0] + self._guest_rates(job.home)
        best = min(pools, key=lambda pool: (rates[pool], pool != job.home))
        if job.home in pools:
            return best
        wait_h = self._desk.last_wait_s(situation, job) / HOUR_S
        crowd = max(0.0, self._congestion(job.home) - self._remembered[job.home])
        worth = self._terms.delay_usd[job.home] * wait_h / hours + crowd
        return best if rates[best] < rates[job.home] + worth else None

    def _relieve(self, situation: Situation, free: list[int], *, spike: list[bool]) -> list[Start]:
        pools = self._open(free, spike)
        if not pools:
            return []
        offers: list[tuple[float, int, int, JobView, float]] = []
        for home, queue in enumerate(self._desk.queues):
            if queue:
                offers += self._offers(situation, home, pools)
        offers.sort(key=lambda offer: offer[:3])
        starts: list[Start] = []
        gone: dict[int, list[JobView]] = {}
        relieved_h = [0.0] * len(free)
        taken: set[int] = set()
        for negative, index, pool, job, hours in offers:
            # What has left this queue already makes the wait of the others shorter.
            relief = relieved_h[job.home] * self._terms.delay_usd[job.home] / hours
            if index in taken or free[pool] < job.units or -negative <= relief:
                continue
            taken.add(index)
            free[pool] -= job.units
            starts.append(Start(job, pool))
            gone.setdefault(job.home, []).append(job)
            relieved_h[job.home] += job.units * hours / self._terms.capacity[job.home]
        for home, jobs in gone.items():
            self._desk.take(jobs, home)
        return starts

    def _offers(
        self, situation: Situation, home: int, pools: list[int]
    ) -> list[tuple[float, int, int, JobView, float]]:
        """Moves that gain: (minus gain per unit-hour, job, pool, job's view, expected hours)."""
        desk, terms = self._desk, self._terms
        jobs = [job for _, _, job in desk.queues[home][:_DEPTH]]
        wait_h = desk.waits_s(situation, home)[: len(jobs)] / HOUR_S
        units = np.array([job.units for job in jobs], dtype=np.float64)
        hours = np.array([desk.run_times.expected_s(job) for job in jobs]) / HOUR_S
        behind = units.sum() - np.cumsum(units)
        delay = terms.delay_usd[home]
        saved = delay * (wait_h / hours + behind / terms.capacity[home])
        rate = self._rate(situation.now_s, hours)
        guest = self._guest_rates(home)
        offers = []
        for pool in pools:
            extra = rate[:, pool] - rate[:, home] + guest[pool]
            gain = saved - extra
            for i in np.flatnonzero(gain > 0.0).tolist():
                job = jobs[i]
                if pool in job.allowed and job.units <= situation.free[pool]:
                    offers.append((-float(gain[i]), job.index, pool, job, float(hours[i])))
        return offers
