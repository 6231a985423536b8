"""Reads what pools, regions and the grid look like now."""

import datetime as dt
import math
from collections import defaultdict

import numpy as np

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
from monitoring.domain.samples import QUALITIES, RULES, moment_of
from monitoring.domain.shelves import SHELF_SLOTS
from monitoring.models import Pool, Region
from monitoring.selectors.shelves import newest_records


def pool_states(
    now: dt.datetime, *, provider_code: str | None = None, pool_code: str | None = None
) -> list[PoolReading]:
    """Return each pool as it is known now, by code; a silent pool's figures are None.

    Args:
        now: present grid time.
        provider_code: only the pools of one provider.
        pool_code: only this pool.
    """
    rows = Pool.objects.select_related("site", "place").order_by("code")
    if provider_code is not None:
        rows = rows.filter(site__provider_id=provider_code)
    if pool_code is not None:
        rows = rows.filter(code=pool_code)
    pools = list(rows)
    last = _last_samples(pools)
    return [read_place(_place_of(pool), last.get(_stand_of(pool)), now) for pool in pools]


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


def _stand_of(pool: Pool) -> int:
    return pool.place.shelf_id * SHELF_SLOTS + pool.place.slot


def _last_samples(pools: list[Pool]) -> dict[int, LastSample]:
    shelves = sorted({pool.place.shelf_id for pool in pools})
    records, place = newest_records(np.array(shelves, np.int64))
    return {
        at: LastSample(
            measured_at=moment_of(record[0]),
            capacity=record[2],
            allocated=record[3],
            queued=record[4],
            unavailable=_known(record[5]),
            power_kw=_known(record[6]),
            price_per_unit_h=_known(record[7]),
            carbon_g_per_kwh=_known(record[8]),
            quality=QUALITIES[record[9]],
            quality_rule=RULES[record[10]].value,
        )
        for at, record in zip(place.tolist(), records.tolist(), strict=True)
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
