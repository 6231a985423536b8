"""Decides what pools, regions and the whole grid look like now, from each pool's newest sample."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.domain.headroom import LastSample, Load, ReadingQuality, add_up, read_pool


@dataclass(frozen=True)
class PoolPlace:
    """Where a pool stands and what reading it needs.

    Attributes:
        pool: pool code.
        site: site code.
        region: region code.
        provider: provider code.
        reserve: units kept free by policy.
        stale_after_s: age at which its newest sample says nothing any more (s).
    """

    pool: str
    site: str
    region: str
    provider: str
    reserve: float = 0.0
    stale_after_s: float = 900.0


@dataclass(frozen=True)
class PoolReading:
    """One pool now; every figure is None when the pool is stale or has never reported.

    Attributes:
        place: where it stands.
        load: supply and demand (units).
        measured_at: time of the newest sample, stale or not.
        quality_rule: the rule that made the newest sample suspect, or "".
        unavailable: units out of service.
        power_kw: power drawn (kW).
        price_per_unit_h: cost of one unit for one hour (USD).
        carbon_g_per_kwh: carbon intensity of its electricity (g/kWh).
    """

    place: PoolPlace
    load: Load
    measured_at: dt.datetime | None = None
    quality_rule: str = ""
    unavailable: float | None = None
    power_kw: float | None = None
    price_per_unit_h: float | None = None
    carbon_g_per_kwh: float | None = None

    @property
    def pool(self) -> str:
        """Pool code."""
        return self.place.pool

    @property
    def site(self) -> str:
        """Site code."""
        return self.place.site

    @property
    def region(self) -> str:
        """Region code."""
        return self.place.region

    @property
    def provider(self) -> str:
        """Provider code."""
        return self.place.provider

    @property
    def capacity(self) -> float | None:
        """What can run now (units)."""
        return self.load.capacity

    @property
    def allocated(self) -> float | None:
        """What running work holds (units)."""
        return self.load.allocated

    @property
    def queued(self) -> float | None:
        """What waiting work asks for (units)."""
        return self.load.queued

    @property
    def headroom(self) -> float | None:
        """Capacity - allocated - reserve (units); may be negative."""
        return self.load.headroom

    @property
    def utilization(self) -> float | None:
        """Allocated / capacity."""
        return self.load.utilization

    @property
    def age_s(self) -> float | None:
        """Age of the newest sample (s); None when there is none."""
        return self.load.age_s

    @property
    def quality(self) -> ReadingQuality:
        """What a person may think of the figures."""
        return self.load.quality


@dataclass(frozen=True)
class RegionReading:
    """One region now; a region without pools has `load.pools == 0` and no figures.

    Attributes:
        region: region code.
        load: supply and demand of its known pools (units).
        price_per_unit_h: mean cost of one unit-hour over its known pools, by capacity (USD).
        carbon_g_per_kwh: mean carbon intensity over its known pools, by capacity (g/kWh).
    """

    region: str
    load: Load
    price_per_unit_h: float | None = None
    carbon_g_per_kwh: float | None = None


@dataclass(frozen=True)
class Headline:
    """The grid now, over its known pools; None = unknown, never zero.

    Attributes:
        supply: capacity of the known pools (units).
        demand: allocated + queued (units).
        allocated: held by running work (units).
        queued: asked for by waiting work (units).
        headroom: free beyond the reserves (units).
        unmet: queued demand beyond the headroom of its own pool (units).
        pools: all pools.
        unknown_pools: pools without a usable sample, the stale ones among them.
        stale_pools: pools that have reported, but not lately.
        oldest_age_s: age of the oldest newest-sample (s).
        quality: the worst quality of any pool.
    """

    supply: float | None
    demand: float | None
    allocated: float | None
    queued: float | None
    headroom: float | None
    unmet: float | None
    pools: int
    unknown_pools: int
    stale_pools: int
    oldest_age_s: float | None
    quality: ReadingQuality


def read_place(place: PoolPlace, last: LastSample | None, now: dt.datetime) -> PoolReading:
    """Return one pool as it is known now.

    Args:
        place: the pool.
        last: its newest sample, or None.
        now: present grid time.
    """
    load = read_pool(last, reserve=place.reserve, stale_after_s=place.stale_after_s, now=now)
    if last is None or not load.known_pools:
        return PoolReading(place, load, measured_at=last.measured_at if last else None)
    return PoolReading(
        place=place,
        load=load,
        measured_at=last.measured_at,
        quality_rule=last.quality_rule,
        unavailable=last.unavailable,
        power_kw=last.power_kw,
        price_per_unit_h=last.price_per_unit_h,
        carbon_g_per_kwh=last.carbon_g_per_kwh,
    )


def read_region(region: str, readings: Sequence[PoolReading]) -> RegionReading:
    """Return one region from the readings of its pools."""
    return RegionReading(
        region=region,
        load=add_up([reading.load for reading in readings]),
        price_per_unit_h=_weighted(
            [(reading.price_per_unit_h, reading.capacity) for reading in readings]
        ),
        carbon_g_per_kwh=_weighted(
            [(reading.carbon_g_per_kwh, reading.capacity) for reading in readings]
        ),
    )


def read_grid(readings: Sequence[PoolReading]) -> Headline:
    """Return the whole grid from the readings of all pools."""
    load = add_up([reading.load for reading in readings])
    return Headline(
        supply=load.capacity,
        demand=load.demand,
        allocated=load.allocated,
        queued=load.queued,
        headroom=load.headroom,
        unmet=load.unmet,
        pools=load.pools,
        unknown_pools=load.pools - load.known_pools,
        stale_pools=sum(reading.quality is ReadingQuality.STALE for reading in readings),
        oldest_age_s=load.age_s,
        quality=load.quality,
    )


def _weighted(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    known = [(value, weight) for value, weight in pairs if value is not None and weight]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None
