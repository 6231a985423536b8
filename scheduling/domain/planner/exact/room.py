"""Room that placements leave, kept up to date while they come and go."""

import math
from collections.abc import Iterable

import numpy as np

from scheduling.domain.planner.occupancy import (
    held_minimum,
    movable_units,
    whole_capacity,
    whole_limits,
)
from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import BoolArray, FloatArray, PlanningProblem
from scheduling.domain.planner.rules.carbon import cap_places
from scheduling.domain.planner.rules.quotas import quota_rows
from scheduling.domain.planner.terms import ROUNDING, Terms, terms_of


class Occupancy:
    """What is left of every limit.

    Attributes:
        guest_room: (P, T) units that further guests may hold.
        room: (P, T) units that anybody may still hold.
        owed_unit_h: per tenant, unit-hours of its fair share that are not served yet.
    """

    def __init__(self, problem: PlanningProblem) -> None:
        self.problem = problem
        self.guest_room, self.room = whole_capacity(problem)
        self.owed_unit_h = dict(problem.fair_unit_h)
        self._out_room = whole_limits(problem.max_out_units)
        self._in_room = whole_limits(problem.max_in_units)
        self._regions = [pool.region for pool in problem.pools]
        self._terms: dict[int, Terms] = {}
        self._quotas = quota_rows(problem)
        self._quota_room = [
            np.full(problem.slots, math.floor(row.most_units + ROUNDING)) for row in self._quotas
        ]
        self._quota_pools = [
            np.array([not row.regions or region in row.regions for region in self._regions])
            for row in self._quotas
        ]
        self._cap_of = cap_places(problem)
        self._cap_room_kg = [cap.most_kg for cap in problem.carbon_caps]

    @classmethod
    def after(cls, problem: PlanningProblem, placements: Iterable[Placement]) -> "Occupancy":
        """This function will return what is left when all the placements are made."""
        occupancy = cls(problem)
        for placement in placements:
            occupancy.add(placement.group, placement.pool, placement.slot, jobs=placement.jobs)
        return occupancy

    def terms(self, group: int) -> Terms:
        """This function will return the group's terms on all pools."""
        if group not in self._terms:
            self._terms[group] = terms_of(self.problem, group)
        return self._terms[group]

    def add(self, group: int, pool: int, slot: int, *, jobs: int) -> None:
        """This function will take the room of `jobs` workloads; fewer than 0 gives it back."""
        demand = self.problem.groups[group]
        units = demand.units * jobs
        held = slice(slot, slot + int(self.terms(group).slots[pool]))
        self.room[pool, held] -= units
        for row in self._rows_of(group):
            if self._quota_pools[row][pool]:
                self._quota_room[row][held] -= units
        for cap, kg in self._kg_by_cap(pool, held).items():
            self._cap_room_kg[cap] -= units * kg
        if demand.tenant in self.owed_unit_h:
            self.owed_unit_h[demand.tenant] -= units * demand.duration_h
        if pool == demand.home:
            return
        self.guest_room[pool, held] -= units
        source, destination = self._regions[demand.home], self._regions[pool]
        if source != destination:
            self._out_room[source] = self._out_room.get(source, math.inf) - units
            self._in_room[destination] = self._in_room.get(destination, math.inf) - units

    def fitting(self, group: int, *, in_pools_only: bool = False) -> FloatArray:
        """This function will count how many more workloads of a group fit, by pool and start.

        Room of pools, quotas and carbon caps: whether the group may run there, and the region
        limits, are apart.

        Args:
            group: index g.
            in_pools_only: leaves quotas and carbon caps out.

        Returns:
            (P, T) whole numbers >= 0.
        """
        demand = self.problem.groups[group]
        room = np.minimum(self.room, self.guest_room)
        room[demand.home] = self.room[demand.home]
        for row in [] if in_pools_only else self._rows_of(group):
            paying = self._quota_pools[row]
            room[paying] = np.minimum(room[paying], self._quota_room[row])
        least = held_minimum(room, self.terms(group).slots)
        whole: FloatArray = np.maximum(0.0, np.floor(least / demand.units + ROUNDING))
        if self._cap_room_kg and not in_pools_only:
            whole = np.minimum(whole, self._within_caps(group))
        return whole

    def within_limits(self, group: int) -> FloatArray:
        """This function will return (P,) how many more workloads the region limits let move."""
        units = movable_units(self.problem, group, self._out_room, self._in_room)
        size = self.problem.groups[group].units
        whole: FloatArray = np.maximum(0.0, np.floor(units / size + ROUNDING))
        return whole

    def jobs_at(self, group: int) -> FloatArray:
        """This function will return (P, T) how many more workloads all limits let start."""
        fits: FloatArray = np.minimum(self.fitting(group), self.within_limits(group)[:, None])
        return fits

    def fair_usd(self, group: int) -> float:
        """This function will return what one more workload earns by its tenant's fair share."""
        demand = self.problem.groups[group]
        owed = max(0.0, self.owed_unit_h.get(demand.tenant, 0.0))
        served = min(owed, demand.units * demand.duration_h)
        return served * self.problem.weights.fairness_usd_per_unit_h

    def _rows_of(self, group: int) -> list[int]:
        tenant = self.problem.groups[group].tenant
        return [n for n, row in enumerate(self._quotas) if tenant in row.tenants]

    def _kg_by_cap(self, pool: int, held: slice) -> dict[int, float]:
        if not self._cap_room_kg:
            return {}
        kg = self.problem.carbon_kg_per_unit_h[pool, held]
        sums = np.bincount(self._cap_of[pool, held], kg, len(self._cap_room_kg) + 1)
        return {cap: float(sums[cap]) for cap in range(len(self._cap_room_kg)) if sums[cap] > 0}

    def _within_caps(self, group: int) -> FloatArray:
        """(P, T) workloads that the carbon caps of the slots held leave room for."""
        demand, slots = self.problem.groups[group], self.terms(group).slots
        shape = self.room.shape
        fits = np.full(shape, np.inf)
        start = np.arange(shape[1])
        ends = np.minimum(start + slots[:, None], shape[1])
        for cap, left_kg in enumerate(self._cap_room_kg):
            kg = np.where(self._cap_of == cap, self.problem.carbon_kg_per_unit_h, 0.0)
            sums = np.concatenate([np.zeros((shape[0], 1)), np.cumsum(kg, axis=1)], axis=1)
            one = demand.units * (np.take_along_axis(sums, ends, 1) - sums[:, :-1])
            counts: BoolArray = one > ROUNDING
            most = np.full(shape, np.inf)
            np.divide(max(0.0, left_kg) + ROUNDING, one, out=most, where=counts)
            fits = np.minimum(fits, np.floor(most))
        return fits
