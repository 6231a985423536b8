"""Reads what pools, regions and the grid look like now."""

import datetime as dt
from collections import defaultdict

from monitoring.domain.headroom import LastSample
from monitoring.domain.readings import (
    Headline,
    PoolPlace,
    PoolReading,
    RegionReading,
    read_grid,
    read_place,
    read_region,
)
from monitoring.domain.samples import Quality
from monitoring.models import Pool, PoolState, Region


def pool_states(
    now: dt.datetime, *, provider_code: str | None = None, pool_code: str | None = None
) -> list[PoolReading]:
    """Return each pool as it is known now, by code; a silent pool's figures are None.

    Args:
        now: present grid time.
        provider_code: only the pools of one provider.
        pool_code: only this pool.
    """
    rows = Pool.objects.select_related("site", "state").order_by("code")
    if provider_code is not None:
        rows = rows.filter(site__provider_id=provider_code)
    if pool_code is not None:
        rows = rows.filter(code=pool_code)
    return [read_place(_place_of(pool), _last_of(pool), now) for pool in rows]


def region_states(now: dt.datetime) -> list[RegionReading]:
    """Return each region as it is known now, by code, those without pools among them.

    Args:
        now: present grid time.
    """
    groups: defaultdict[str, list[PoolReading]] = defaultdict(list)
    for reading in pool_states(now):
        groups[reading.region].append(reading)
    codes = Region.objects.order_by("code").values_list("code", flat=True)
    return [read_region(code, groups[code]) for code in codes]


def headline(now: dt.datetime) -> Headline:
    """Return supply, demand, headroom and unmet demand of the whole grid now.

    Args:
        now: present grid time.
    """
    return read_grid(pool_states(now))


def _place_of(pool: Pool) -> PoolPlace:
    return PoolPlace(
        pool=pool.code,
        site=pool.site_id,
        region=pool.site.region_id,
        provider=pool.site.provider_id,
        reserve=pool.reserve,
        stale_after_s=pool.stale_after_s,
    )


def _last_of(pool: Pool) -> LastSample | None:
    try:
        state = pool.state
    except PoolState.DoesNotExist:
        return None
    return LastSample(
        measured_at=state.measured_at,
        capacity=state.capacity,
        allocated=state.allocated,
        queued=state.queued,
        quality=Quality(state.quality),
        quality_rule=state.quality_rule,
        unavailable=state.unavailable,
        power_kw=state.power_kw,
        price_per_unit_h=state.price_per_unit_h,
        carbon_g_per_kwh=state.carbon_g_per_kwh,
    )
