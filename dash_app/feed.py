"""Gathers what the Grid page shows into one JSON-able frame: absolute, never a difference.

A frame is what every viewer may see; who may decide what is left to the server that is asked.
"""

import datetime as dt
import json
import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from controlplane.lib.units import HOUR, floor_hour
from dash_app.alert_words import alert_words
from forecasting.selectors import latest_run
from monitoring import selectors as grid
from monitoring.domain.alerts import AlertKind
from monitoring.domain.headroom import Load, add_up
from monitoring.domain.inventory import RegionInfo, SiteInfo
from monitoring.domain.readings import PoolReading, RegionReading, read_grid, read_region
from scheduling.selectors import dispatch, plans

logger = logging.getLogger(__name__)

FRAME_VERSION = 1
TREND_H = 24
DONE = "done"

Frame = dict[str, Any]


def build_frame(*, now: dt.datetime, wall_now: dt.datetime) -> Frame:
    """Return the frame of one moment, without the numbering that a hub adds.

    Args:
        now: present grid time.
        wall_now: present wall time.

    Returns:
        `v, grid_now, clock, headline, regions, sites, flows, plans, planning, dispatch, alerts,
        forecast, system`; every figure that is not known is None. Times are ISO 8601 in UTC, units
        those of the pools.
    """
    readings = grid.pool_states(now)
    regions, sites = grid.regions(), grid.sites()
    names = {info.code: (info.name_zh, info.name_en) for info in regions}
    names |= {info.code: (info.name_zh, info.name_en) for info in sites}
    names |= {info.code: (info.name_zh, info.name_en) for info in grid.providers()}
    return {
        "v": FRAME_VERSION,
        "epoch": "",
        "seq": 0,
        "grid_now": now.isoformat(),
        "clock": {"rate": settings.GRID_CLOCK.rate, "real": wall_now.isoformat()},
        "headline": _headline(readings, now),
        "regions": region_rows(regions, readings),
        "sites": site_rows(sites, readings),
        "flows": plans.flows(),
        "plans": plans.plan_cards(now),
        "planning": _planning(now),
        "dispatch": dispatch.dispatch_state(),
        # the watchdog says that alerting works; that is news for machines outside only
        "alerts": [
            _alert(alert, names)
            for alert in grid.open_alerts(now)
            if alert.kind != AlertKind.WATCHDOG
        ],
        "forecast": _forecast(now),
        "system": system_state(settings.SUPERVISOR_STATUS),
    }


def region_rows(regions: Sequence[RegionInfo], readings: Sequence[PoolReading]) -> list[Frame]:
    """Return one row per region, those without pools among them.

    Args:
        regions: the inventory's regions.
        readings: all pools now.
    """
    groups = _grouped(readings, "region")
    rows = []
    for region in regions:
        reading = read_region(region.code, groups.get(region.code, []))
        carbon = reading.carbon_g_per_kwh
        rows.append(
            {
                "code": region.code,
                "zh": region.name_zh,
                "en": region.name_en,
                **_load(reading.load),
                "pools": reading.load.pools,
                "carbon": region.carbon_g_per_kwh if carbon is None else carbon,
                "price": _price(reading),
            }
        )
    return rows


def site_rows(sites: Sequence[SiteInfo], readings: Sequence[PoolReading]) -> list[Frame]:
    """Return one row per site with its pools.

    Args:
        sites: the inventory's sites.
        readings: all pools now.
    """
    groups = _grouped(readings, "site")
    return [
        {
            "code": site.code,
            "zh": site.name_zh,
            "en": site.name_en,
            "region": site.region,
            "lat": site.lat,
            "lon": site.lon,
            "is_hub": site.is_hub,
            "provider": site.provider,
            **_load(add_up([reading.load for reading in groups.get(site.code, [])])),
            "pools": [_pool(reading) for reading in groups.get(site.code, [])],
        }
        for site in sites
    ]


def system_state(status_path: str) -> Frame:
    """Return the supervisor's running parts and how often each was restarted.

    Steps of the start that are done are left out.

    Args:
        status_path: the supervisor's status file, or "" where none supervises; a file that is
            missing or half written shows as no children, never as an error.
    """
    if not status_path:
        return {"children": []}
    try:
        status = json.loads(Path(status_path).read_bytes())
        children = [
            {"name": row["name"], "state": row["state"], "restarts": row["restarts"]}
            for row in status["children"]
            if row["state"] != DONE
        ]
    except (OSError, ValueError, KeyError, TypeError):
        logger.warning("frame.supervisor_status_unreadable", exc_info=True)
        return {"children": []}
    return {"children": children}


def _headline(readings: Sequence[PoolReading], now: dt.datetime) -> Frame:
    headline = read_grid(readings)
    return {
        "supply": headline.supply,
        "demand": headline.demand,
        "allocated": headline.allocated,
        "queued": headline.queued,
        "headroom": headline.headroom,
        "unmet": headline.unmet,
        "pools": headline.pools,
        "unknown_pools": headline.unknown_pools,
        "stale_pools": headline.stale_pools,
        "oldest_age_s": headline.oldest_age_s,
        "quality": headline.quality,
        "trend": trend_rows(now),
    }


def trend_rows(now: dt.datetime) -> list[list[Any]]:
    """Return [hour, demand, supply, queued] of the last full hours, oldest first (units).

    Args:
        now: present grid time.
    """
    frame = grid.series("grid", "", floor_hour(now) - TREND_H * HOUR, until=now)
    columns = [frame[name].tolist() for name in ("demand", "capacity", "queued")]
    hours = [stamp.isoformat() for stamp in frame["hour_at"]]
    return [
        [hour, *(None if math.isnan(value) else round(value, 1) for value in values)]
        for hour, *values in zip(hours, *columns, strict=True)
    ]


def _load(load: Load) -> Frame:
    return {
        "capacity": load.capacity,
        "allocated": load.allocated,
        "queued": load.queued,
        "headroom": load.headroom,
        "utilization": load.utilization,
        # what the map colors: above 1 where more is asked for than there is
        "pressure": pressure(load),
        "quality": load.quality,
        "age_s": load.age_s,
    }


def pressure(load: Load) -> float | None:
    """Return demand / capacity; None where either is unknown or there is no capacity."""
    if load.demand is None or not load.capacity:
        return None
    return load.demand / load.capacity


def _pool(reading: PoolReading) -> Frame:
    return {
        "code": reading.pool,
        "capacity": reading.capacity,
        "allocated": reading.allocated,
        "queued": reading.queued,
        "quality": reading.quality,
        "age_s": reading.age_s,
        "price": reading.price_per_unit_h,
        "carbon": reading.carbon_g_per_kwh,
    }


def _price(reading: RegionReading) -> float | None:
    price = reading.price_per_unit_h
    return None if price is None else round(price, 5)


def _alert(alert: grid.AlertView, names: Mapping[str, tuple[str, str]]) -> Frame:
    words_zh, words_en = alert_words(
        alert.kind, alert.scope, alert.detail, names, annotations=alert.annotations
    )
    return {
        "id": alert.id,
        "kind": alert.kind,
        "severity": alert.severity,
        "scope": alert.scope,
        "zh": words_zh,
        "en": words_en,
        "since": (alert.fired_at or alert.pending_at).isoformat(),
        "state": alert.state,
        "acknowledged_by": alert.acknowledged_by or None,
    }


def _planning(now: dt.datetime) -> Frame | None:
    run = plans.newest_run(now)
    if run is None:
        return None
    shown = ("as_of", "status", "gap", "objective_usd", "do_nothing_usd", "solve_s")
    return {name: run[name] for name in shown} | {"waiting": len(run["waiting"])}


def _forecast(now: dt.datetime) -> Frame:
    run = latest_run(now)
    if run is None:
        return {"run_id": None, "issued_at": None, "model": None, "degraded_reason": None}
    return {
        "run_id": run.id,
        "issued_at": run.issued_at.isoformat(),
        "model": f"{run.model_name} {run.model_version}".strip(),
        "degraded_reason": run.degraded_reason or None,
    }


def _grouped(readings: Sequence[PoolReading], attribute: str) -> dict[str, list[PoolReading]]:
    groups: defaultdict[str, list[PoolReading]] = defaultdict(list)
    for reading in readings:
        groups[getattr(reading, attribute)].append(reading)
    return groups
