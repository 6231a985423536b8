"""What is left of every limit while jobs are placed one group at a time."""

import numpy as np

from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.prices import Market, counted
from scheduling.domain.planner.terms import ROUNDING

FULL = 1e15


class Room:
    """Room of pools, regions, quotas and carbon caps, and the fair shares still owed.

    Attributes:
        guests, everybody: (P, T) units left.
        out, into: (R,) units left.
        quotas: (rows, T) units left.
        caps_kg: per carbon cap.
        has_shared_limits: whether quotas or caps bind several pools together.
        owed_unit_h: per fair share, unit-hours still owed; negative when passed.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        problem, arcs, space = market.problem, market.arcs, market.space
        pools = len(problem.pools)
        slotted, self.out, self.into, self.caps_kg, owed = space.parts(space.limits.copy())
        self.everybody = slotted[:pools].copy()
        self.guests = slotted[pools : 2 * pools].copy()
        self.quotas = slotted[2 * pools :].copy()
        self.owed_unit_h = -owed
        self.region_of = problem.region_of
        self.carbon_kg = problem.carbon_kg_per_unit_h
        self.cap_of_pool = market.cap_of_pool
        self.home = np.array([group.home for group in problem.groups], dtype=np.int64)
        self.bounds = np.searchsorted(arcs.group, np.arange(len(problem.groups) + 1))
        tenants = {tenant: n for n, tenant in enumerate(arcs.tenants)}
        self._tenant_rows = [
            [n for n, row in enumerate(arcs.quotas) if tenant in row.tenants] for tenant in tenants
        ]
        self.has_shared_limits = bool(arcs.quotas or space.caps)
        self._tenant = [tenants.get(group.tenant, 0) for group in problem.groups]
        self._row_pools = [
            np.array([not row.regions or pool.region in row.regions for pool in problem.pools])
            for row in arcs.quotas
        ]

    def arcs_of(self, group: int) -> slice:
        """This function will return where a group's arcs stand."""
        return slice(int(self.bounds[group]), int(self.bounds[group + 1]))

    def left_of_limits(self) -> FloatArray:
        """This function will return what is left of all hard limits, in the order of prices."""
        slotted = (self.everybody.ravel(), self.guests.ravel(), self.quotas.ravel())
        return np.concatenate([*slotted, self.out, self.into, self.caps_kg])

    def jobs_that_fit(self, group: int, chosen: IntArray) -> FloatArray:
        """This function will count how many more jobs of a group fit, start by start.

        Args:
            group: index g.
            chosen: (A,) indices of some of its arcs.

        Returns:
            (A, T) whole numbers >= 0; starts that are too early or late for the arc included.
        """
        arcs = self.market.arcs
        pool = arcs.pool[chosen]
        slots = arcs.rides.slots[arcs.ride[chosen]]
        away = pool != self.home[group]
        room = self.everybody[pool]
        room[away] = np.minimum(room[away], self.guests[pool[away]])
        for row in self._tenant_rows[self._tenant[group]]:
            paying = self._row_pools[row][pool]
            room[paying] = np.minimum(room[paying], self.quotas[row])
        room = sliding_minimum(room, slots)
        source, region = self.region_of[self.home[group]], self.region_of[pool]
        crossing = region != source
        lane_room = np.where(crossing, np.minimum(self.out[source], self.into[region]), FULL)
        room = np.minimum(room, lane_room[:, None])
        fits: FloatArray = np.floor(room / arcs.units[group] + ROUNDING)
        if len(self.caps_kg):
            fits = np.minimum(fits, self._fits_caps(group, pool, slots))
        return np.maximum(fits, 0.0)

    def fits_at(self, group: int, arc: int, slot: int) -> int:
        """This function will count how many more jobs of a group fit at one start."""
        return int(self.jobs_that_fit(group, np.array([arc]))[0, slot])

    def take(self, group: int, arc: int, slot: int, jobs: float) -> None:
        """This function will take the room of some jobs; fewer than 0 gives it back."""
        arcs = self.market.arcs
        pool = int(arcs.pool[arc])
        units = jobs * float(arcs.units[group])
        held = slice(slot, slot + int(arcs.rides.slots[arcs.ride[arc]]))
        self.everybody[pool, held] -= units
        source, region = self.region_of[self.home[group]], self.region_of[pool]
        if pool != self.home[group]:
            self.guests[pool, held] -= units
        if source != region:
            self.out[source] -= units
            self.into[region] -= units
        for row in self._tenant_rows[self._tenant[group]]:
            if self._row_pools[row][pool]:
                self.quotas[row, held] -= units
        for cap, kg in enumerate(self._kg_by_cap(pool, held) if len(self.caps_kg) else ()):
            self.caps_kg[cap] -= units * kg
        share = int(self.market.space.fair_of[group])
        if share < len(self.owed_unit_h):
            self.owed_unit_h[share] -= units * float(arcs.hours[group])

    def fair_usd(self, group: int) -> float:
        """This function will return what one more unit of a group earns by its tenant's share."""
        share = int(self.market.space.fair_of[group])
        if share >= len(self.owed_unit_h) or self.owed_unit_h[share] <= 0:
            return 0.0
        weight = self.market.problem.weights.fairness_usd_per_unit_h
        return weight * float(self.market.arcs.hours[group])

    def _kg_by_cap(self, pool: int, held: slice) -> FloatArray:
        caps = self.cap_of_pool[pool, held]
        return counted(caps, self.carbon_kg[pool, held], len(self.caps_kg) + 1)[:-1]

    def _fits_caps(self, group: int, pool: IntArray, slots: IntArray) -> FloatArray:
        """(A, T) jobs that the carbon caps of the slots held leave room for."""
        fits = np.full((len(pool), self.everybody.shape[1]), FULL)
        for cap, left_kg in enumerate(self.caps_kg):
            kg = np.where(self.cap_of_pool[pool] == cap, self.carbon_kg[pool], 0.0)
            sums = np.concatenate([np.zeros((len(pool), 1)), np.cumsum(kg, axis=1)], axis=1)
            start = np.arange(kg.shape[1])
            ends = np.minimum(start + slots[:, None], kg.shape[1])
            one = (np.take_along_axis(sums, ends, 1) - sums[:, :-1]) * self.market.arcs.units[group]
            most = np.full_like(one, FULL)
            np.divide(max(0.0, left_kg), one, out=most, where=one > ROUNDING)
            fits = np.minimum(fits, np.floor(most + ROUNDING))
        return fits


def sliding_minimum(room: FloatArray, slots: IntArray) -> FloatArray:
    """This function will return (A, T) the least room over the slots held from each start.

    Windows double, so that a window of n slots takes log2 n steps.

    Args:
        room: (A, T) units.
        slots: (A,) slots held, >= 1; slots after the horizon have any room.
    """
    wanted = int(slots.max(initial=1))
    if wanted == 1:
        return room
    if int(slots.min()) != wanted:
        least = np.empty_like(room)
        for held in np.unique(slots):
            same = slots == held
            least[same] = sliding_minimum(room[same], slots[same])
        return least
    width = room.shape[1]
    wanted = min(wanted, width)
    least, reach = room, 1
    while reach < wanted:
        step = min(reach, wanted - reach)
        shorter = least
        least = shorter.copy()
        np.minimum(least[:, :-step], shorter[:, step:], out=least[:, :-step])
        reach += step
    return least
