"""Reads hourly history as frames, and stored samples."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from controlplane.lib.units import HOUR
from monitoring.domain.rollups import add_up_hours, demand_means, energy_means
from monitoring.domain.samples import FIELD_NAMES, Source, moment_of, to_us
from monitoring.domain.sums import HOUR_US
from monitoring.models import Sample, SampleBlock
from monitoring.selectors.hours import Places, hour_matrix, places

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
    return demand_means(_hours_frame(places(), since, min(until, as_of or until), _DEMAND_SUMS))


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
    return energy_means(_hours_frame(places(), since, min(until, as_of or until), _ENERGY_SUMS))


def series(scope: str, code: str, since: dt.datetime, *, until: dt.datetime) -> pd.DataFrame:
    """Return the hourly history of the grid, a region or a pool, for a chart.

    Args:
        scope: `grid`, `region`, `site` or `pool`.
        code: region, site or pool code; not looked at for the grid.
        since: first hour, inclusive.
        until: only hours that were over by then.

    Returns:
        `hour_at` (UTC), `demand, allocated, queued, capacity` (units, over the pools known in the
        hour) and `pools` (how many those were), in order of time.

    Raises:
        ValueError: the scope is none of the four.
    """
    everywhere = places()
    if scope == "grid":
        chosen = everywhere
    elif scope in ("region", "site", "pool"):
        chosen = everywhere.where(getattr(everywhere, scope) == code)
    else:
        message = f"There is no scope {scope!r}: it is grid, region, site or pool."
        raise ValueError(message)
    return add_up_hours(demand_means(_hours_frame(chosen, since, until, _DEMAND_SUMS)))


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
    return SampleBlock.objects.filter(source=Source.HISTORY).exists()


_DEMAND_SUMS = ("samples", "good_samples", "capacity_sum", "allocated_sum", "queued_sum")
_ENERGY_SUMS = (
    *("samples", "power_kw_sum", "power_samples", "price_sum", "price_samples"),
    *("carbon_sum", "carbon_samples"),
)


def _hours_frame(
    chosen: Places, since: dt.datetime, until: dt.datetime, sums: Sequence[str]
) -> pd.DataFrame:
    # full hours only: the first that begins at or after since, the last that is over by until
    first_us, end_us = -(-to_us(since) // HOUR_US) * HOUR_US, to_us(until) // HOUR_US * HOUR_US
    matrix = hour_matrix(chosen.pool_id, moment_of(first_us), moment_of(end_us), names=sums)
    # in order of code, as the places are; the matrix is in order of id
    order = np.searchsorted(matrix.pool_id, chosen.pool_id)
    columns = {name: column[order] for name, column in matrix.columns.items()}
    pools, hours = np.nonzero(columns["samples"] > 0)
    hour_at = (first_us + hours * HOUR_US).view("datetime64[us]")
    return pd.DataFrame(
        {
            "pool": chosen.pool[pools],
            "region": chosen.region[pools],
            "hour_at": pd.DatetimeIndex(hour_at).tz_localize("UTC"),
            **{name: column[pools, hours] for name, column in columns.items()},
        }
    )
