"""Where and when a workload may start, and how much room pools and region limits leave."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from scheduling.domain.planner.outcome import Placement
from scheduling.domain.planner.problem import BoolArray, FloatArray, PlanningProblem

ROUNDING = 1e-9


def whole_capacity(problem: PlanningProblem) -> tuple[FloatArray, FloatArray]:
    """This function will return the units that guests, and guests with locals, may hold.

    Units and workloads are whole, so capacity is rounded down without losing a plan.

    Args:
        problem: the situation.

    Returns:
        Two (P, T) arrays of whole numbers: guests, and everybody (at least as much).
    """
    everybody = np.maximum(problem.available, problem.home_available)
    guests = np.floor(problem.available + ROUNDING)
    return guests, np.floor(everybody + ROUNDING)


def earliest_start(problem: PlanningProblem, group: int, pool: int) -> int:
    """This function will return the first slot within which the data of a workload arrive.

    start >= floor(transfer time); 0 at home. A slot is an hour: a workload whose data take ten
    minutes starts ten minutes into slot 0, and is taken to hold its units for the whole of it.
    """
    return math.floor(transfer_h(problem, group, pool) + ROUNDING)


def transfer_h(problem: PlanningProblem, group: int, pool: int) -> float:
    """This function will return the hours that the data of one workload travel; 0 at home."""
    demand = problem.groups[group]
    return demand.data_gb * float(problem.transfer_h_per_gb[demand.home, pool])


def usable_pools(problem: PlanningProblem, group: int) -> BoolArray:
    """This function will return (P,) where a group may run: allowed, pool and home known."""
    is_known = np.array([pool.is_known for pool in problem.pools], dtype=np.bool_)
    usable: BoolArray = problem.allowed[group] & is_known & is_known[problem.groups[group].home]
    return usable


def window_minimum(capacity: FloatArray, slots_held: int) -> FloatArray:
    """This function will return (P, T) the least capacity over the slots held from each start."""
    least = capacity.copy()
    for offset in range(1, min(slots_held, capacity.shape[1])):
        np.minimum(least[:, :-offset], capacity[:, offset:], out=least[:, :-offset])
    return least


def start_allowed(
    problem: PlanningProblem, group: int, *, pools: BoolArray | None = None
) -> BoolArray:
    """This function will return (P, T) where a group may start, whether there is room or not.

    Args:
        problem: the situation.
        group: index g.
        pools: (P,) pools to take instead of those that the rules allow.

    Returns:
        True where pool, data transfer and deadline allow a start.
    """
    earliest = np.array([earliest_start(problem, group, p) for p in range(len(problem.pools))])
    usable = usable_pools(problem, group) if pools is None else pools
    slot = np.arange(problem.slots)
    is_in_time = slot <= problem.groups[group].latest_start
    allowed: BoolArray = usable[:, None] & is_in_time & (slot >= earliest[:, None])
    return allowed


def movable_units(
    problem: PlanningProblem,
    group: int,
    out_units: Mapping[str, float],
    in_units: Mapping[str, float],
) -> FloatArray:
    """This function will return (P,) the units that limits per region let a group move.

    Args:
        problem: the situation.
        group: index g.
        out_units: per region, units that may still leave; a region that is not named has no limit.
        in_units: per region, units that may still come.

    Returns:
        Units by destination, infinite within the group's own region.
    """
    source = problem.pools[problem.groups[group].home].region
    leaving = out_units.get(source, math.inf)
    return np.array(
        [
            math.inf if pool.region == source else min(leaving, in_units.get(pool.region, math.inf))
            for pool in problem.pools
        ]
    )


def whole_limits(limits: Mapping[str, float]) -> dict[str, float]:
    """This function will round limits down to whole units and leave out infinite ones."""
    return {
        code: float(math.floor(units + ROUNDING))
        for code, units in limits.items()
        if math.isfinite(units)
    }


class Occupancy:
    """Room that placements leave, kept up to date while they come and go.

    Attributes:
        guest_room: (P, T) units that further guests may hold.
        room: (P, T) units that anybody may still hold.
    """

    def __init__(self, problem: PlanningProblem) -> None:
        self.problem = problem
        self.guest_room, self.room = whole_capacity(problem)
        self._out_room = whole_limits(problem.max_out_units)
        self._in_room = whole_limits(problem.max_in_units)
        self._regions = [pool.region for pool in problem.pools]

    @classmethod
    def after(cls, problem: PlanningProblem, placements: Iterable[Placement]) -> "Occupancy":
        """This function will return what is left when all the placements are made."""
        occupancy = cls(problem)
        for placement in placements:
            occupancy.add(placement.group, placement.pool, placement.slot, jobs=placement.jobs)
        return occupancy

    def add(self, group: int, pool: int, slot: int, *, jobs: int) -> None:
        """This function will take the room of `jobs` workloads; fewer than 0 gives it back."""
        demand = self.problem.groups[group]
        units = demand.units * jobs
        held = slice(slot, slot + demand.duration_slots)
        self.room[pool, held] -= units
        if pool == demand.home:
            return
        self.guest_room[pool, held] -= units
        source, destination = self._regions[demand.home], self._regions[pool]
        if source != destination:
            self._out_room[source] = self._out_room.get(source, math.inf) - units
            self._in_room[destination] = self._in_room.get(destination, math.inf) - units

    def fitting(self, group: int) -> FloatArray:
        """This function will count how many more workloads of a group fit, by pool and start.

        Pool room only: whether the group may run there, and the region limits, are apart.

        Args:
            group: index g.

        Returns:
            (P, T) whole numbers >= 0.
        """
        demand = self.problem.groups[group]
        room = np.minimum(self.room, self.guest_room)
        room[demand.home] = self.room[demand.home]
        least = window_minimum(room, demand.duration_slots)
        whole: FloatArray = np.maximum(0.0, np.floor(least / demand.units + ROUNDING))
        return whole

    def within_limits(self, group: int) -> FloatArray:
        """This function will return (P,) how many more workloads the region limits let move."""
        units = movable_units(self.problem, group, self._out_room, self._in_room)
        size = self.problem.groups[group].units
        whole: FloatArray = np.maximum(0.0, np.floor(units / size + ROUNDING))
        return whole
