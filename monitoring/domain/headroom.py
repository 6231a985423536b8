"""Decides what a pool's newest sample is worth now: capacity, headroom, age, and when unknown."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitoring.domain.samples import Quality


class ReadingQuality(StrEnum):
    """What a person may think of a reading."""

    GOOD = "good"
    SUSPECT = "suspect"
    STALE = "stale"
    UNKNOWN = "unknown"


def usable_units(capacity: float | None, *, contract: float, reserve: float = 0.0) -> float | None:
    """This function will say how much of a pool may be planned on at most.

    min(declared capacity, contract) - reserve, never below 0; what is unknown stays unknown.

    Args:
        capacity: what the pool says it can run now (units), None when that is unknown.
        contract: most that may be planned on (units).
        reserve: units kept free by policy.

    >>> usable_units(90.0, contract=80.0, reserve=8.0), usable_units(None, contract=9.0)
    (72.0, None)
    """
    return None if capacity is None else max(0.0, min(capacity, contract) - reserve)


@dataclass(frozen=True)
class LastSample:
    """The newest sample of a pool, in the pool's unit where not said otherwise."""

    measured_at: dt.datetime
    capacity: float
    allocated: float
    queued: float
    quality: Quality
    quality_rule: str = ""
    unavailable: float | None = None
    power_kw: float | None = None
    price_per_unit_h: float | None = None
    carbon_g_per_kwh: float | None = None


@dataclass(frozen=True)
class Load:
    """Supply and demand of a pool, a region or the grid; None = unknown, never zero.

    Attributes:
        capacity: what can run now (units).
        allocated: what running work holds (units).
        queued: what waiting work asks for (units).
        headroom: capacity - allocated - reserve (units); may be negative.
        unmet: queued demand that the headroom of its own pool cannot take (units).
        age_s: age of the oldest newest-sample behind the figures (s).
        quality: the worst quality behind the figures.
        pools: how many pools there are.
        known_pools: how many of them the figures cover.
    """

    capacity: float | None
    allocated: float | None
    queued: float | None
    headroom: float | None
    unmet: float | None
    age_s: float | None
    quality: ReadingQuality
    pools: int
    known_pools: int

    @property
    def demand(self) -> float | None:
        """Allocated and queued together (units)."""
        if self.allocated is None or self.queued is None:
            return None
        return self.allocated + self.queued

    @property
    def utilization(self) -> float | None:
        """Allocated / capacity, or None where capacity is unknown or zero."""
        if not self.capacity or self.allocated is None:
            return None
        return self.allocated / self.capacity


def headroom(*, capacity: float, allocated: float, reserve: float) -> float:
    """Return capacity - allocated - reserve (units); negative when a pool is overfull."""
    return capacity - allocated - reserve


def read_pool(
    last: LastSample | None, *, reserve: float, stale_after_s: float, now: dt.datetime
) -> Load:
    """Return what is known of a pool now.

    A pool whose newest sample is older than its limit has an unknown capacity: not zero, and not
    the last value either.

    Args:
        last: the newest sample, or None when the pool has never reported.
        reserve: units kept free by policy.
        stale_after_s: age at which the newest sample says nothing any more (s).
        now: present grid time.
    """
    if last is None:
        return Load(None, None, None, None, None, None, ReadingQuality.UNKNOWN, 1, 0)
    age_s = max(0.0, (now - last.measured_at).total_seconds())
    if age_s > stale_after_s:
        return Load(None, None, None, None, None, age_s, ReadingQuality.STALE, 1, 0)
    free = headroom(capacity=last.capacity, allocated=last.allocated, reserve=reserve)
    is_good = last.quality is Quality.GOOD
    return Load(
        capacity=last.capacity,
        allocated=last.allocated,
        queued=last.queued,
        headroom=free,
        unmet=max(0.0, last.queued - max(0.0, free)),
        age_s=age_s,
        quality=ReadingQuality.GOOD if is_good else ReadingQuality.SUSPECT,
        pools=1,
        known_pools=1,
    )


_WORST_FIRST = (
    ReadingQuality.UNKNOWN,
    ReadingQuality.STALE,
    ReadingQuality.SUSPECT,
    ReadingQuality.GOOD,
)


def add_up(loads: Sequence[Load]) -> Load:
    """Return the load of several pools together.

    Figures cover the known pools only; `known_pools` and `quality` say so when some are missing.
    With no known pool every figure is unknown.
    """
    known = [load for load in loads if load.known_pools]
    ages = [load.age_s for load in loads if load.age_s is not None]
    qualities = {load.quality for load in loads}
    worst = next((q for q in _WORST_FIRST if q in qualities), ReadingQuality.UNKNOWN)
    return Load(
        capacity=_total(load.capacity for load in known),
        allocated=_total(load.allocated for load in known),
        queued=_total(load.queued for load in known),
        headroom=_total(load.headroom for load in known),
        unmet=_total(load.unmet for load in known),
        age_s=max(ages, default=None),
        quality=worst,
        pools=sum(load.pools for load in loads),
        known_pools=sum(load.known_pools for load in loads),
    )


def _total(parts: Iterable[float | None]) -> float | None:
    numbers = [part for part in parts if part is not None]
    return sum(numbers) if numbers else None
