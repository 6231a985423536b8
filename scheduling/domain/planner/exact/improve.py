"""Betters a valid set of placements one workload at a time, until no single change helps.

Makes a plan out of a rounded relaxation, and frees a solver's plan of moves that gain nothing.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from scheduling.domain.planner.costs import GroupCosts
from scheduling.domain.planner.exact.room import Occupancy
from scheduling.domain.planner.occupancy import start_allowed
from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import FloatArray, IntArray, PlanningProblem

WORTH_A_CHANGE_USD = 1e-9
Start = tuple[int, int]


class _Improver:
    """Placements that change, with the room they leave and the price of every allowed start."""

    def __init__(
        self, problem: PlanningProblem, costs: tuple[GroupCosts, ...], *, with_guests: bool
    ) -> None:
        self.occupancy = Occupancy(problem)
        self.problem = problem
        self.placed: list[dict[Start, int]] = [{} for _ in problem.groups]
        self.left = [group.jobs for group in problem.groups]
        self.price: list[FloatArray] = []
        sites = [pool.site for pool in problem.pools]
        self.site_pools: dict[str, IntArray] = {
            site: np.flatnonzero([one == site for one in sites]) for site in sorted(set(sites))
        }
        self.unplaced_usd = [cost.unplaced.total_usd for cost in costs]
        for g, group in enumerate(problem.groups):
            is_away = np.arange(len(problem.pools)) != group.home
            allowed = start_allowed(problem, g)
            if not with_guests:
                allowed &= ~is_away[:, None]
            self.price.append(np.where(allowed, costs[g].total_usd, np.inf))

    def put(self, group: int, start: Start, jobs: int) -> None:
        held = self.placed[group].get(start, 0) + jobs
        self.placed[group][start] = held
        if not held:
            del self.placed[group][start]
        self.left[group] -= jobs
        self.occupancy.add(group, *start, jobs=jobs)

    def take_back(self, group: int) -> None:
        for start, jobs in list(self.placed[group].items()):
            self.put(group, start, -jobs)

    def best_start(
        self, group: int, below_usd: float, *, or_home: bool
    ) -> tuple[Start, int] | None:
        """Return the cheapest start with room that costs less, or as much but at home."""
        fits = self.occupancy.jobs_at(group)
        price = np.where(fits >= 1, self.price[group], np.inf)
        home = self.problem.groups[group].home
        slot = int(price[home].argmin())
        pool = home
        if price[home, slot] > price.min() + WORTH_A_CHANGE_USD:
            pool, slot = divmod(int(price.argmin()), self.problem.slots)
        gain_usd = below_usd - float(price[pool, slot])
        is_better = gain_usd > WORTH_A_CHANGE_USD
        comes_home = or_home and pool == home and gain_usd > -WORTH_A_CHANGE_USD
        if not (is_better or comes_home):
            return None
        return (pool, slot), int(fits[pool, slot])

    def place_left(self, group: int) -> bool:
        if self.problem.groups[group].is_running:
            return self.stay(group)
        changed = False
        while self.left[group]:
            # a fair share pays per workload until it is served, so the price of none changes
            aim_usd = self.unplaced_usd[group] + self.occupancy.fair_usd(group)
            found = self.best_start(group, aim_usd, or_home=False)
            if found is None:
                break
            start, fits = found
            is_owed = self.occupancy.fair_usd(group) > 0
            self.put(group, start, 1 if is_owed else min(fits, self.left[group]))
            changed = True
        return changed

    def stay(self, group: int) -> bool:
        """Let running workloads that have no place go on at home, where room is kept for them."""
        if not self.left[group]:
            return False
        self.put(group, (self.problem.groups[group].home, 0), self.left[group])
        return True

    def place_gang(self, group: int) -> bool:
        """Place all workloads of a site gang anew where they cost least together, or nowhere."""
        before = dict(self.placed[group])
        home = self.problem.groups[group].home
        for start, jobs in before.items():
            self.put(group, start, -jobs)
        aim_usd = self.unplaced_usd[group] * self.problem.groups[group].jobs
        aim_usd += self._gang_credit_usd(group)
        options: list[tuple[float, int, int, dict[Start, int]]] = []
        if not before:
            options.append((aim_usd, 0, -1, {}))
        options += [
            (sum(self.price[group][s] * n for s, n in starts.items()), away, slot, starts)
            for starts, slot in self._gang_starts(group)
            for away in (sum(n for (pool, _), n in starts.items() if pool != home),)
        ]
        if before:
            spent = sum(self.price[group][s] * n for s, n in before.items())
            away = sum(n for (pool, _), n in before.items() if pool != home)
            options += [(spent, away, -2, before), (aim_usd, 0, -1, {})]
        least = min(cost for cost, *_ in options) + WORTH_A_CHANGE_USD
        best = min((one for one in options if one[0] <= least), key=lambda one: (one[1], one[2]))
        for start, jobs in best[3].items():
            self.put(group, start, jobs)
        return best[3] != before

    def _gang_credit_usd(self, group: int) -> float:
        """What the whole gang earns by its tenant's fair share."""
        demand = self.problem.groups[group]
        owed = max(0.0, self.occupancy.owed_unit_h.get(demand.tenant, 0.0))
        served = min(owed, demand.jobs * demand.units * demand.duration_h)
        return served * self.problem.weights.fairness_usd_per_unit_h

    def _gang_starts(self, group: int) -> Iterator[tuple[dict[Start, int], int]]:
        """Yield, by site and slot, the cheapest way to start the whole gang there."""
        jobs = self.problem.groups[group].jobs
        fits = np.where(np.isfinite(self.price[group]), self.occupancy.jobs_at(group), 0.0)
        for pools in self.site_pools.values():
            total = fits[pools].sum(axis=0)
            for slot in np.flatnonzero(total >= jobs):
                starts: dict[Start, int] = {}
                left = jobs
                for pool in pools[np.argsort(self.price[group][pools, slot], kind="stable")]:
                    count = int(min(left, fits[pool, slot]))
                    if count:
                        starts[int(pool), int(slot)] = count
                        left -= count
                if self._keeps_limits(group, starts):
                    yield starts, int(slot)

    def _keeps_limits(self, group: int, starts: dict[Start, int]) -> bool:
        """Whether all starts together keep the limits that pools share."""
        done: list[tuple[Start, int]] = []
        for start, jobs in starts.items():
            if self.occupancy.jobs_at(group)[start] < jobs:
                break
            self.put(group, start, jobs)
            done.append((start, jobs))
        for start, jobs in done:
            self.put(group, start, -jobs)
        return len(done) == len(starts)

    def relocate(self, group: int, start: Start) -> bool:
        """Shift as many workloads of one start as fit to the best other; put the rest back.

        Putting back always fits: where both starts overlap, as many units are held as before.
        """
        jobs = self.placed[group][start]
        is_away = start[0] != self.problem.groups[group].home
        self.put(group, start, -jobs)
        price_usd = float(self.price[group][start])
        found = self.best_start(group, price_usd, or_home=is_away)
        moved = min(found[1], jobs) if found else 0
        if found and moved:
            self.put(group, found[0], moved)
        if jobs > moved:
            self.put(group, start, jobs - moved)
        return moved > 0

    def exchange_all(self) -> bool:
        """Let alike workloads of two groups change places where that gains or saves a move.

        Prices belong to (group, start), so gains computed at the beginning stay true.
        """
        entries = [(g, start) for g, starts in enumerate(self.placed) for start in sorted(starts)]
        entries = [one for one in entries if not self.problem.groups[one[0]].is_site_gang]
        if not entries:
            return False
        of_group = np.array([g for g, _ in entries])
        pool, slot = np.array([start for _, start in entries]).T
        price = np.array([self.price[g][pool, slot] for g in range(len(self.placed))])[of_group]
        home = np.array([group.home for group in self.problem.groups])[of_group]
        is_away = (pool[None, :] != home[:, None]).astype(np.int64)
        own, away = np.diag(price), np.diag(is_away)
        gain = own[:, None] + own[None, :] - price - price.T
        fewer = away[:, None] + away[None, :] - is_away - is_away.T
        shape = np.array(
            [
                (group.units, min(group.duration_slots, self.problem.slots))
                for group in self.problem.groups
            ]
        )[of_group]
        is_alike = (shape[:, None, :] == shape[None, :, :]).all(axis=2)
        is_worth = (gain > WORTH_A_CHANGE_USD) | ((gain > -WORTH_A_CHANGE_USD) & (fewer > 0))
        changed = False
        for one, other in np.argwhere(np.triu(is_alike & is_worth, k=1)):
            changed |= self.exchange(entries[one], entries[other])
        return changed

    def exchange(self, one: tuple[int, Start], other: tuple[int, Start]) -> bool:
        jobs = min(self.placed[one[0]].get(one[1], 0), self.placed[other[0]].get(other[1], 0))
        if not jobs:
            return False
        for group, start in (one, other):
            self.put(group, start, -jobs)
        crossed = ((one[0], other[1]), (other[0], one[1]))
        done = [place for place in crossed if self.put_if_fits(*place, jobs)]
        if len(done) == len(crossed):
            return True
        for group, start in done:
            self.put(group, start, -jobs)
        for group, start in (one, other):
            self.put(group, start, jobs)
        return False

    def put_if_fits(self, group: int, start: Start, jobs: int) -> bool:
        if not np.isfinite(self.price[group][start]) or self.occupancy.jobs_at(group)[start] < jobs:
            return False
        self.put(group, start, jobs)
        return True

    def sweep(self) -> bool:
        changed = False
        for group in range(len(self.placed)):
            if self.problem.groups[group].is_site_gang:
                changed |= self.place_gang(group)
                continue
            changed |= self.place_left(group)
            for start in sorted(self.placed[group], key=lambda s: -self.price[group][s]):
                while start in self.placed[group] and self.relocate(group, start):
                    changed = True
        return self.exchange_all() or changed


def improve(
    problem: PlanningProblem,
    placements: Iterable[Placement],
    costs: tuple[GroupCosts, ...],
    *,
    with_guests: bool = True,
    most_sweeps: int = 20,
) -> tuple[Placement, ...]:
    """This function will place what is left and shift workloads while any single shift gains.

    A workload goes to the cheapest start with room; at equal cost it stays at, or returns to, its
    home pool. The result never costs more than the input.

    Args:
        problem: the situation.
        placements: valid placements, may be none.
        costs: `costs.all_group_costs(problem)`.
        with_guests: False places at home only.
        most_sweeps: passes over all groups; each that changes something lowers the cost, or the
            number of moves at the same cost.

    Returns:
        Valid placements, sorted.
    """
    state = _Improver(problem, costs, with_guests=with_guests)
    for placement in placements:
        state.put(placement.group, (placement.pool, placement.slot), placement.jobs)
    for group, demand in enumerate(problem.groups):
        if demand.is_running:
            state.stay(group)
        if demand.is_site_gang and 0 < state.left[group] < demand.jobs:
            state.take_back(group)
    for _ in range(most_sweeps):
        if not state.sweep():
            break
    return tuple(
        Placement(group, pool, slot, jobs)
        for group, starts in enumerate(state.placed)
        for (pool, slot), jobs in sorted(starts.items())
    )
