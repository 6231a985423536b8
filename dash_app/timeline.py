"""Gathers what the map's time slider shows: each hour of the last day, and of the forecast day.

Past hours are hourly means of what was measured. Hours ahead are the median and the 0.9 quantile
of the newest forecast run, beside what can be run at present. What nobody knows is None.
"""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pandas as pd
from django.core.cache import cache

from controlplane.lib.units import HOUR, floor_hour
from forecasting.domain.runs import RunInfo, Scope
from forecasting.selectors import latest_run, quantile_frame
from monitoring import selectors as grid
from monitoring.domain.headroom import usable_units
from monitoring.domain.inventory import PoolInfo

PAST_H = 24
AHEAD_H = 24
KEPT_S = 30
"""Wall seconds for which an answer is kept: late telemetry corrects hours that are over."""
LEVELS = (0.5, 0.9)
_MEANS = ["allocated", "queued", "capacity"]

Rows = list[list[float] | None]


def timeline_json(now: dt.datetime) -> bytes:
    """Return the timeline as JSON, kept for a while for each forecast run and hour.

    Args:
        now: present grid time.
    """
    run = latest_run(now)
    key = f"timeline:{run.id if run else 0}:{floor_hour(now):%Y%m%d%H}"
    kept: bytes | None = cache.get(key)
    if kept is not None:
        return kept
    made = orjson.dumps(build_timeline(now, run))
    cache.set(key, made, KEPT_S)
    return made


def build_timeline(now: dt.datetime, run: RunInfo | None) -> dict[str, Any]:
    """Return supply and demand by hour for every region and site that has pools.

    Args:
        now: present grid time; its hour is the first one ahead.
        run: the newest forecast run, or None before the first one.

    Returns:
        `hours`: the beginnings of 24 past and 24 coming hours (ISO 8601, UTC). `forecast`: None,
        or `issued_at, model, degraded_reason`. `regions` and `sites`, by code: `pools` (how many),
        `usable` (units that they can run at present, None when a pool is unknown), `past` (per
        hour None, or [allocated, queued, capacity, pools known then]), `ahead` (per hour None, or
        [median, 0.9 quantile] of demand; the latter None where no series of its own was forecast)
        and `fallback` (why the model did not speak, or None).
    """
    start = floor_hour(now)
    past = [start - back * HOUR for back in range(PAST_H, 0, -1)]
    ahead = [start + lead * HOUR for lead in range(AHEAD_H)]
    pools = grid.pools()
    measured = grid.demand_frame(past[0], start)
    points = _points_of(run)
    usable = _usable_units(pools, now)
    described = {}
    for level, groups in _places(pools).items():
        described[level] = {
            code: {
                "pools": len(own),
                "usable": _total([usable[pool.code] for pool in own]),
                "past": past_rows(measured, {pool.code for pool in own}, past),
                **_forecast_of(_series_of(level, code, own, points), ahead),
            }
            for code, own in groups.items()
        }
    return {
        "hours": [hour.isoformat() for hour in (*past, *ahead)],
        "forecast": _declared(run),
        **described,
    }


def past_rows(measured: pd.DataFrame, pools: set[str], hours: Sequence[dt.datetime]) -> Rows:
    """Return what some pools measured together, hour by hour.

    Args:
        measured: hourly means of all pools: `pool, hour_at, allocated, queued, capacity`.
        pools: codes of those that count.
        hours: beginnings of the wanted hours.

    Returns:
        Per hour None when nothing is known, or [allocated, queued, capacity, pools known] (units).
    """
    own = measured[measured["pool"].isin(pools)].dropna(subset=_MEANS)
    grouped = own.groupby("hour_at")
    totals = grouped[_MEANS].sum()
    totals["known"] = grouped.size()
    rows = totals.reindex(pd.to_datetime(list(hours), utc=True)).round(2).to_numpy(float).tolist()
    return [None if math.isnan(row[-1]) else row for row in rows]


def _usable_units(pools: Sequence[PoolInfo], now: dt.datetime) -> dict[str, float | None]:
    declared = {reading.pool: reading.capacity for reading in grid.pool_states(now)}
    return {
        pool.code: usable_units(
            declared.get(pool.code), contract=pool.contract, reserve=pool.reserve
        )
        for pool in pools
    }


def _places(pools: Sequence[PoolInfo]) -> dict[str, dict[str, list[PoolInfo]]]:
    regions: defaultdict[str, list[PoolInfo]] = defaultdict(list)
    sites: defaultdict[str, list[PoolInfo]] = defaultdict(list)
    for pool in pools:
        regions[pool.region].append(pool)
        sites[pool.site].append(pool)
    return {"regions": regions, "sites": sites}


def _points_of(run: RunInfo | None) -> dict[tuple[str, str], pd.DataFrame]:
    if run is None:
        return {}
    frame = quantile_frame(run.id, LEVELS)
    return {(str(scope), str(code)): own for (scope, code), own in frame.groupby(["scope", "code"])}


def _series_of(
    level: str,
    code: str,
    pools: Sequence[PoolInfo],
    points: Mapping[tuple[str, str], pd.DataFrame],
) -> list[pd.DataFrame]:
    # regions are forecast as series of their own; a site is its region's only one, or its pools
    if level == "regions":
        wanted = [(Scope.REGION.value, code)]
    else:
        wanted = [(Scope.POOL.value, pool.code) for pool in pools]
    found = [points[key] for key in wanted if key in points]
    return found if len(found) == len(wanted) else []


def _forecast_of(series: Sequence[pd.DataFrame], hours: Sequence[dt.datetime]) -> dict[str, Any]:
    if not series:
        return {"ahead": [None] * len(hours), "fallback": None}
    points = pd.concat(series)
    reasons = [str(reason) for reason in points["fallback_reason"] if reason]
    hourly = points.groupby("valid_at")[["q50", "q90"]].sum()
    if len(series) > 1:
        # medians of pools add up nearly; their upper quantiles do not
        hourly["q90"] = math.nan
    rows = hourly.reindex(pd.to_datetime(list(hours), utc=True)).round(2).to_numpy(float).tolist()
    return {
        "ahead": [
            None if math.isnan(median) else [median, None if math.isnan(upper) else upper]
            for median, upper in rows
        ],
        "fallback": reasons[0] if reasons else None,
    }


def _declared(run: RunInfo | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {
        "issued_at": run.issued_at.isoformat(),
        "model": f"{run.model_name} {run.model_version}".strip(),
        "degraded_reason": run.degraded_reason or None,
    }


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
