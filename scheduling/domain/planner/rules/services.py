"""Turns services into demand groups, one per slot: units may be served elsewhere hour by hour."""

import math
from dataclasses import dataclass

from scheduling.domain.planner.problem import DemandGroup, FloatArray


@dataclass(frozen=True)
class ServiceDemand:
    """What the users of one region ask of a service.

    Attributes:
        key: stable name of the service and its users, such as `chat/CN-BJ`.
        home: index of the pool that serves them now.
        data_class: open, internal or restricted.
        units: (T,) units asked for in each slot, >= 0; rounded up, for a unit is whole.
        user_zone: network zone of the users.
        latency_bound_ms: most round trip.
        requirement, tenant: as in `DemandGroup`.
    """

    key: str
    home: int
    data_class: str
    units: FloatArray
    user_zone: int
    latency_bound_ms: float = math.inf
    requirement: str = ""
    tenant: str = ""


def service_groups(service: ServiceDemand) -> tuple[DemandGroup, ...]:
    """This function will state a service as demand groups of one slot each.

    A unit of a slot starts in that slot or is unmet: service cannot be put off. Traffic is sent
    elsewhere without data, so nothing travels; each hour served away counts as one move.

    Args:
        service: what is asked for.

    Returns:
        One group per slot in which anything is asked for.
    """
    return tuple(
        DemandGroup(
            key=f"{service.key}@{slot:03d}",
            home=service.home,
            data_class=service.data_class,
            units=1,
            jobs=math.ceil(float(asked) - 1e-9),
            duration_slots=1,
            duration_h=1.0,
            latest_start=slot,
            data_gb=0.0,
            first_start=slot,
            requirement=service.requirement,
            tenant=service.tenant,
            user_zone=service.user_zone,
            latency_bound_ms=service.latency_bound_ms,
            service=service.key,
        )
        for slot, asked in enumerate(service.units)
        if asked > 1e-9
    )
