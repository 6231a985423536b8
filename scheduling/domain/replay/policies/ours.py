"""Our policy: one queue for the whole grid, shortest expected first, placed at the last moment."""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

from scheduling.domain.replay.policies.hindrance import Hindrance
from scheduling.domain.replay.policies.outlook import Ledger, Outlook, list_schedule
from scheduling.domain.replay.policies.patience import Patience
from scheduling.domain.replay.policies.run_times import RunTimes
from scheduling.domain.replay.tariffs import HOUR_S
from scheduling.domain.replay.views import JobView, Situation, Start, Terms

_AT_ONCE_S = -1e12


@dataclass(frozen=True)
class OurSettings:
    """Constants of our policy; the same for every trace.

    Attributes:
        patience: a job may be passed by shorter ones that come within this many times its own
            expected run time.
        caution: how many times its expected cost a wait for a cheaper pool must save, as the
            ends of what runs there are guesses.
        memory_s: half-life of the remembered congestion of a pool.
        congestion: share of the remembered congestion that guests are charged.
        now_h: hours of a run that are priced as this hour; the rest as the last week.
        review_s: time between looks at the whole queue.
        trial: by how much a job counts as shorter while nothing is known of its like.
        tries: how many of its like run before it no longer does.
    """

    patience: float = 50.0
    caution: float = 10.0
    memory_s: float = 6 * HOUR_S
    congestion: float = 0.3
    now_h: float = 0.3
    review_s: float = HOUR_S / 2
    trial: float = 0.3
    tries: int = 2


class Ours:
    """Minimizes expected energy, carbon, egress and delay.

    Jobs wait in one queue and are bound to a pool when they begin. Money for delay grows with
    units, work with units times run time, so the shortest expected job comes first (Smith's
    rule), unless it alone makes up most of what waits: who holds up nobody need not stand back.
    Of jobs whose like has never ended a few are tried early, as what they teach orders the rest.
    Each job begins on the cheapest pool that is free now; it waits for a cheaper one only if
    that saves many times the cost of the wait. Who can begin at home leaves only if that is
    worth the harm that it may do as a guest (`Hindrance`). The first few that are blocked are
    promised the units that come back earliest. `Patience` keeps the longest waits near those at
    home.

    Args:
        terms: what it may know of the grid.
        settings: constants.
        run_times: who guesses; benchmarks pass one that knows, to see what guessing costs.

    Source: W. E. Smith, Various optimizers for single-stage production, Naval Research Logistics
        Quarterly 3 (1956), doi:10.1002/nav.3800030106.
    """

    def __init__(
        self,
        terms: Terms,
        settings: OurSettings | None = None,
        *,
        run_times: RunTimes | None = None,
    ) -> None:
        self._terms = terms
        self._settings = settings or OurSettings()
        pools = len(terms.capacity)
        self._run_times = run_times or RunTimes()
        self._patience = Patience(terms.capacity)
        self._ledger = Ledger([[] for _ in range(pools)])
        self._queue: list[tuple[float, int, JobView]] = []
        self._keys: dict[int, float] = {}
        self._news: list[JobView] = []
        self._urgent: set[int] = set()
        self._waiting_units = [0] * pools
        self._remembered = [0.0] * pools
        self._hindrance = Hindrance(terms.capacity, terms.delay_usd)
        self._priced_s: float | None = None
        self._reviewed_s = float("-inf")
        self._now_s = 0.0
        self._free: Sequence[int] = terms.capacity

    def arrived(self, job: JobView, now_s: float) -> None:  # noqa: ARG002 (signature of Policy)
        """Take note of the job."""
        self._run_times.submitted(job)
        self._patience.arrived(job)
        self._hindrance.arrived(job)
        self._news.append(job)

    def finished(self, job: JobView, pool: int, *, runtime_s: float) -> None:
        """Learn its run time."""
        self._run_times.ended(job, runtime_s)
        self._patience.ended(job, runtime_s)
        self._ledger.end(job, pool)
        self._hindrance.ended(job, pool)

    def decide(self, situation: Situation) -> list[Start]:
        """Order what waits, begin what can begin at its cheapest place."""
        now_s = situation.now_s
        for job in self._news:
            self._waiting_units[job.home] += job.units
        if situation.is_tick:
            self._look_around(now_s)
        for job in self._news:
            self._enqueue(job)
        self._news.clear()
        self._remember(now_s)
        if not any(situation.free):
            return []
        self._ledger.renew(now_s)
        self._now_s, self._free = now_s, situation.free
        prices = self._terms.prices
        energy, usual = prices.energy_usd(now_s), prices.usual_usd(now_s)
        starts = list_schedule(
            (job for _, _, job in self._queue),
            Outlook(self._ledger, situation.free, now_s),
            self._run_times,
            costs=lambda job, hours: self._costs(job, hours, energy=energy, usual=usual),
            wait_usd=lambda job: self._settings.caution * self._terms.delay_usd[job.home],
        )
        for start in starts:
            self._begin(start, now_s)
        return starts

    def _look_around(self, now_s: float) -> None:
        """Guess anew where something was learned; from time to time order the whole queue."""
        renewed = self._run_times.renew(now_s)
        if now_s - self._reviewed_s < self._settings.review_s:
            for job in renewed:
                if job.index in self._keys:
                    self._dequeue(job)
                    self._enqueue(job)
            return
        self._reviewed_s = now_s
        self._patience.advance(now_s, self._run_times.expected_s)
        jobs = [job for _, _, job in self._queue]
        self._urgent = self._patience.urgent(jobs, now_s, self._run_times.expected_s)
        self._keys = {job.index: self._key(job) for job in jobs}
        self._queue = sorted((self._keys[job.index], job.index, job) for job in jobs)

    def _key(self, job: JobView) -> float:
        expected_s = self._run_times.expected_s(job)
        if job.index in self._urgent:
            return _AT_ONCE_S + expected_s
        if self._run_times.is_untried(job, self._settings.tries):
            expected_s *= self._settings.trial
        share = job.units / max(sum(self._waiting_units), 1)
        return job.submit_s + self._settings.patience * expected_s * max(0.0, 1.0 - share)

    def _enqueue(self, job: JobView) -> None:
        self._keys[job.index] = key = self._key(job)
        insort(self._queue, (key, job.index, job))

    def _dequeue(self, job: JobView) -> None:
        entry = (self._keys.pop(job.index), job.index)
        low, high = 0, len(self._queue)
        while low < high:
            middle = (low + high) // 2
            if self._queue[middle][:2] < entry:
                low = middle + 1
            else:
                high = middle
        del self._queue[low]

    def _begin(self, start: Start, now_s: float) -> None:
        job, pool = start
        self._dequeue(job)
        self._waiting_units[job.home] -= job.units
        self._ledger.begin(job, pool, now_s=now_s, limit_s=self._run_times.limit_s(job))
        self._run_times.started(job, now_s)
        self._run_times.look_again(job)
        self._patience.started(job, now_s)
        self._hindrance.began(job, pool)

    def _remember(self, now_s: float) -> None:
        before_s = now_s if self._priced_s is None else self._priced_s
        keep = 0.5 ** ((now_s - before_s) / self._settings.memory_s)
        self._priced_s = now_s
        for pool, old in enumerate(self._remembered):
            share = self._waiting_units[pool] / self._terms.capacity[pool]
            self._remembered[pool] = keep * old + (1.0 - keep) * self._terms.delay_usd[pool] * share

    def _costs(
        self, job: JobView, hours: float, *, energy: Sequence[float], usual: Sequence[float]
    ) -> list[float]:
        """(P,) expected energy, carbon, egress and congestion of one unit of a job, USD."""
        now = min(1.0, self._settings.now_h / max(hours, 1e-9))
        rest, congestion = 1.0 - now, self._settings.congestion
        costs = [
            hours * (now * energy[p] + rest * usual[p] + egress + congestion * self._remembered[p])
            for p, egress in enumerate(self._terms.egress_usd[job.home])
        ]
        if self._free[job.home] < job.units:
            return costs
        # Who can begin at home goes elsewhere only if that is worth the harm it may do there.
        square_h2 = self._run_times.square_s2(job) / HOUR_S**2
        hinders = self._hindrance.unit_usd(job, square_h2, self._now_s)
        return [cost + harm for cost, harm in zip(costs, hinders, strict=True)]
