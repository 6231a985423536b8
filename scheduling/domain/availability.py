"""What a pool has left for movable work, from telemetry, forecast, reserve and promises."""

from dataclasses import dataclass

import numpy as np

from monitoring.domain.headroom import usable_units
from scheduling.domain.planner.problem import FloatArray


@dataclass(frozen=True)
class PoolLoad:
    """What holds one pool's capacity.

    Attributes:
        capacity: units that it can run now, from telemetry.
        contract: most that may be planned on.
        reserve: units kept free by policy.
        allocated: units held by running work, from telemetry.
        queued: units asked for by waiting work, from telemetry.
        running: units and remaining requested hours of each announced running workload.
        waiting_units: units of announced workloads that wait here and that the plan places.
        promised: units and hours of each workload that is promised to come here and that
            telemetry does not show yet.
        services: units that users ask of services here in each slot, none where there are none;
            the plan places these, too.
    """

    capacity: float
    contract: float
    reserve: float
    allocated: float
    queued: float
    running: tuple[tuple[float, float], ...] = ()
    waiting_units: float = 0.0
    promised: tuple[tuple[float, float], ...] = ()
    services: tuple[float, ...] = ()


def left_for_guests(load: PoolLoad, demand_quantile: FloatArray) -> FloatArray:
    """This function will say what a pool has left for work from elsewhere, slot by slot.

    usable - max(forecast demand at the risk quantile - waiting work that the plan itself places, 0)
    - reserve - promises, never below 0. Promises count in full from the first slot on, so that two
    bursts within one telemetry interval cannot fill the same capacity twice.

    Args:
        load: what holds the pool now.
        demand_quantile: (T,) forecast demand at the risk quantile, units, >= 0.

    Returns:
        (T,) units >= 0.
    """
    immovable = np.maximum(0.0, demand_quantile - load.waiting_units)
    promised = profile(load.promised, len(demand_quantile))
    left = _usable(load) - immovable - load.reserve - promised
    return np.maximum(0.0, left)


def left_for_locals(load: PoolLoad, slots: int) -> FloatArray:
    """This function will say what a pool has left for the work that waits in its own queue.

    Work that comes later queues behind it, so only what runs now and what is promised is in the
    way: running workloads until their requested end, and whatever else telemetry shows, which no
    workload explains, at its present level. Users of services do not queue: they come before what
    waits.

    Args:
        load: what holds the pool now.
        slots: number of slots T.

    Returns:
        (T,) units >= 0.
    """
    unexplained_waiting = max(0.0, load.queued - load.waiting_units)
    left = np.maximum(0.0, _usable(load) - busy_units(load, slots))
    asked = np.minimum(left, np.array(load.services)) if load.services else np.zeros(slots)
    room: FloatArray = asked + np.maximum(0.0, left - asked - unexplained_waiting)
    return room


def busy_units(load: PoolLoad, slots: int) -> FloatArray:
    """This function will say what holds a pool whatever is planned now.

    Running workloads until their requested end, what else telemetry shows to run at its present
    level, and what is promised to come. Services are a part of that level, and their users come
    first: only what exceeds what they ask for in a slot is in the way.

    Returns:
        (T,) units >= 0.
    """
    explained = sum(units for units, _ in load.running)
    asked = np.array(load.services) if load.services else np.zeros(slots)
    unexplained = np.maximum(0.0, load.allocated - explained - asked)
    return profile(load.running, slots) + unexplained + profile(load.promised, slots)


def room_now(load: PoolLoad) -> float:
    """This function will say how many units more a pool can start at this moment.

    Used right before a command is written: what telemetry shows and what is promised on top of it
    both count.
    """
    promised = sum(units for units, _ in load.promised)
    return _usable(load) - load.allocated - load.queued - load.reserve - promised


def profile(holds: tuple[tuple[float, float], ...], slots: int) -> FloatArray:
    """This function will add up who holds units until when.

    Args:
        holds: pairs of units and hours, hours > 0.
        slots: number of slots T.

    Returns:
        (T,) units held in each slot; a hold that ends within a slot counts for the whole of it.

    >>> profile(((4.0, 1.5),), 3).tolist()
    [4.0, 4.0, 0.0]
    """
    held: FloatArray = np.zeros(slots)
    for units, hours in holds:
        held[: max(1, int(np.ceil(hours)))] += units
    return held


def _usable(load: PoolLoad) -> float:
    # the reserve is kept from guests only, so it is not in here
    return usable_units(load.capacity, contract=load.contract) or 0.0
