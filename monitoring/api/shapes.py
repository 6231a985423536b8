"""Shapes readings for JSON: null is unknown, never zero."""

from typing import Any

from monitoring.domain.headroom import Load
from monitoring.domain.readings import PoolReading, RegionReading


def region_load(reading: RegionReading) -> dict[str, Any]:
    """Return a region's load."""
    return {
        **_load(reading.load),
        "price_per_unit_h": reading.price_per_unit_h,
        "carbon_g_per_kwh": reading.carbon_g_per_kwh,
        "pools": reading.load.pools,
        "known_pools": reading.load.known_pools,
    }


def pool_load(reading: PoolReading) -> dict[str, Any]:
    """Return a pool's load."""
    return {
        **_load(reading.load),
        "price_per_unit_h": reading.price_per_unit_h,
        "carbon_g_per_kwh": reading.carbon_g_per_kwh,
        "measured_at": reading.measured_at,
        "unavailable": reading.unavailable,
        "power_kw": reading.power_kw,
        "quality_rule": reading.quality_rule,
    }


def _load(load: Load) -> dict[str, Any]:
    return {
        "capacity": load.capacity,
        "allocated": load.allocated,
        "queued": load.queued,
        "demand": load.demand,
        "headroom": load.headroom,
        "utilization": load.utilization,
        "unmet": load.unmet,
        "age_s": load.age_s,
        "quality": load.quality.value,
    }
