"""Reads what pools, regions and the grid look like now."""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache

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
from monitoring.selectors.hours import inventory_version
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
    grid = _grid_at(inventory_version())
    if pool_code is not None:
        standing = grid.get(pool_code)
        chosen = [] if standing is None else [standing]
    else:
        chosen = list(grid.values())
    if provider_code is not None:
        chosen = [standing for standing in chosen if standing.place.provider == provider_code]
    last = _last_samples({standing.at for standing in chosen})
    return [read_place(standing.place, last.get(standing.at), now) for standing in chosen]


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


@dataclass(frozen=True)
class _Standing:
    """A pool, and where its newest sample stands: shelf * SHELF_SLOTS + slot."""

    place: PoolPlace
    at: int


@lru_cache(maxsize=4)
def _grid_at(version: int) -> dict[str, _Standing]:  # noqa: ARG001
    """Return all pools by code, in order of it; nothing of that changes without the version."""
    pools = Pool.objects.select_related("site", "place").order_by("code")
    return {
        pool.code: _Standing(
            PoolPlace(
                pool=pool.code,
                site=pool.site_id,
                region=pool.site.region_id,
                provider=pool.site.provider_id,
                reserve=pool.reserve,
                stale_after_s=pool.stale_after_s,
            ),
            pool.place.shelf_id * SHELF_SLOTS + pool.place.slot,
        )
        for pool in pools
    }


def _last_samples(wanted: Set[int]) -> dict[int, LastSample]:
    shelves = sorted({at // SHELF_SLOTS for at in wanted})
    records, place = newest_records(np.array(shelves, np.int64))
    if len(wanted) < len(place):
        is_wanted = np.isin(place, np.fromiter(wanted, np.int64, len(wanted)))
        records, place = records[is_wanted], place[is_wanted]
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
