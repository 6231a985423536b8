"""Reads hourly history as frames, and stored samples."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
from django.db.models import BigIntegerField, QuerySet
from django.db.models.functions import Cast, Extract

from controlplane.lib.units import HOUR
from monitoring.domain.rollups import add_up_hours, demand_means, energy_means
from monitoring.domain.samples import FIELD_NAMES
from monitoring.models import Pool, PoolHour, Sample

MAX_SAMPLES_READ = 5_000


def demand_frame(
    since: dt.datetime, until: dt.datetime, *, as_of: dt.datetime | None = None
) -> pd.DataFrame:
    """Return hourly means of supply and demand of every pool.

    Args:
        since: first hour, inclusive.
        until: end, exclusive.
        as_of: only hours that were over by then; without it, by `until`.

    Returns:
        One row per pool and hour that has samples: `pool, region, hour_at` (UTC), `demand,
        allocated, queued, capacity` (units; means over good samples, NaN when the hour has none),
        `good_share` (0-1), `samples`; in order of pool and hour. An hour without a sample has no
        row. A sample that came late corrects its hour, whenever it came.
    """
    last_hour = min(until, as_of or until) - HOUR
    rows = PoolHour.objects.filter(hour_at__gte=since, hour_at__lt=until, hour_at__lte=last_hour)
    return demand_means(_hours_frame(rows, _DEMAND_SUMS))


def energy_frame(
    since: dt.datetime, until: dt.datetime, *, as_of: dt.datetime | None = None
) -> pd.DataFrame:
    """Return hourly means of price, carbon intensity and power of every pool.

    Args:
        since: first hour, inclusive.
        until: end, exclusive.
        as_of: only hours that were over by then; without it, by `until`.

    Returns:
        One row per pool and hour that has samples: `pool, region, hour_at` (UTC),
        `price_per_unit_h` (USD), `carbon_g_per_kwh`, `power_kw`; NaN where nothing was reported;
        in order of pool and hour.
    """
    last_hour = min(until, as_of or until) - HOUR
    rows = PoolHour.objects.filter(hour_at__gte=since, hour_at__lt=until, hour_at__lte=last_hour)
    return energy_means(_hours_frame(rows, _ENERGY_SUMS))


def series(scope: str, code: str, since: dt.datetime, *, until: dt.datetime) -> pd.DataFrame:
    """Return the hourly history of the grid, a region or a pool, for a chart.

    Args:
        scope: `grid`, `region` or `pool`.
        code: region or pool code; not looked at for the grid.
        since: first hour, inclusive.
        until: only hours that were over by then.

    Returns:
        `hour_at` (UTC), `demand, allocated, queued, capacity` (units, over the pools known in the
        hour) and `pools` (how many those were), in order of time.

    Raises:
        ValueError: the scope is none of the three.
    """
    rows = PoolHour.objects.filter(hour_at__gte=since, hour_at__lte=until - HOUR)
    if scope == "region":
        rows = rows.filter(pool__site__region_id=code)
    elif scope == "pool":
        rows = rows.filter(pool__code=code)
    elif scope != "grid":
        message = f"There is no scope {scope!r}: it is grid, region or pool."
        raise ValueError(message)
    return add_up_hours(demand_means(_hours_frame(rows, _DEMAND_SUMS)))


def trend(now: dt.datetime, *, hours: int = 24) -> list[tuple[dt.datetime, float, float]]:
    """Return (hour, demand, supply) of the grid for the last full hours, oldest first (units).

    Args:
        now: present grid time.
        hours: how many hours to look back.
    """
    frame = series("grid", "", now - (hours + 1) * HOUR, until=now)
    moments = [stamp.to_pydatetime() for stamp in frame["hour_at"]]
    return list(zip(moments, frame["demand"].tolist(), frame["capacity"].tolist(), strict=True))


def samples_of(
    pool_code: str, since: dt.datetime, *, limit: int = MAX_SAMPLES_READ
) -> list[dict[str, Any]]:
    """Return a pool's stored samples from a time on, oldest first.

    Args:
        pool_code: which pool; an unknown one has no samples.
        since: first moment, inclusive.
        limit: at most this many.
    """
    rows = Sample.objects.filter(pool__code=pool_code, measured_at__gte=since)
    names = ("measured_at", "received_at", *FIELD_NAMES, "quality", "quality_rule", "source")
    return list(rows.order_by("measured_at").values(*names)[:limit])


def has_history() -> bool:
    """Whether a load of past telemetry has been stored."""
    return Sample.objects.filter(source="history").exists()


# Whole seconds: a datetime object for each row would take longer than all the rest. Without the
# zone Django would take the epoch of the local time.
_HOUR_EPOCH_S = Cast(Extract("hour_at", "epoch", tzinfo=dt.UTC), BigIntegerField())
_DEMAND_SUMS = ("samples", "good_samples", "capacity_sum", "allocated_sum", "queued_sum")
_ENERGY_SUMS = (
    *("power_kw_sum", "power_samples", "price_sum", "price_samples"),
    *("carbon_sum", "carbon_samples"),
)


def _hours_frame(rows: QuerySet[PoolHour], sums: Sequence[str]) -> pd.DataFrame:
    # codes come from one small query: joined, they would be sent with every row
    places = {
        pool_id: (code, region)
        for pool_id, code, region in Pool.objects.values_list("pk", "code", "site__region_id")
    }
    found = list(rows.values_list("pool_id", _HOUR_EPOCH_S, *sums))
    frame = pd.DataFrame.from_records(found, columns=["pool_id", "hour_at", *sums])
    frame["pool"] = [places[pool_id][0] for pool_id in frame["pool_id"]]
    frame["region"] = [places[pool_id][1] for pool_id in frame["pool_id"]]
    frame["hour_at"] = pd.to_datetime(frame["hour_at"], unit="s", utc=True).dt.as_unit("us")
    return frame.astype(dict.fromkeys(sums, float))
