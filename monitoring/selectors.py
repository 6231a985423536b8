"""Reads the inventory, the present state, hourly history and alerts for all other packages."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from django.db.models import QuerySet

from controlplane.lib.units import HOUR
from monitoring.domain.alerts import AlertState
from monitoring.domain.headroom import LastSample
from monitoring.domain.inventory import PoolInfo, ProviderInfo, RegionInfo, SiteInfo
from monitoring.domain.readings import (
    Headline,
    PoolPlace,
    PoolReading,
    RegionReading,
    read_grid,
    read_place,
    read_region,
)
from monitoring.domain.rollups import add_up_hours, demand_means, energy_means
from monitoring.domain.samples import FIELD_NAMES, Quality
from monitoring.models import (
    Alert,
    Pool,
    PoolHour,
    PoolState,
    Provider,
    ProviderTally,
    Region,
    Sample,
    Site,
)

MAX_SAMPLES_READ = 5_000


@dataclass(frozen=True)
class AlertView:
    """An alert as people see it."""

    id: int
    kind: str
    severity: str
    scope: str
    region_code: str
    state: str
    detail: Mapping[str, Any]
    pending_at: dt.datetime
    fired_at: dt.datetime | None
    resolved_at: dt.datetime | None
    acknowledged_at: dt.datetime | None
    acknowledged_by: str
    comment: str


@dataclass(frozen=True)
class Tally:
    """What became of all samples that a provider ever sent."""

    provider: str
    received: int
    accepted: int
    duplicate: int
    conflict: int
    rejected: int
    rejected_by_reason: Mapping[str, int]
    last_batch_at: dt.datetime | None


# field of the dataclass -> where the database has it, in the dataclass's order
_SITE_COLUMNS = (
    *("code", "name_zh", "name_en", "provider_id", "region_id", "lat", "lon"),
    *("is_hub", "hub_zh", "hub_en", "pue", "energy_zone"),
)
_POOL_COLUMNS = (
    *("id", "code", "site_id", "site__region_id", "site__provider_id"),
    *("site__region__jurisdiction", "unit", "installed", "contract", "reserve", "kw_per_unit"),
    *("site__pue", "site__energy_zone", "site__lat", "site__lon"),
    *("stale_after_s", "engine", "engine_url"),
)


def regions() -> list[RegionInfo]:
    """Return all regions, by code."""
    return [RegionInfo(**row) for row in Region.objects.order_by("code").values()]


def providers() -> list[ProviderInfo]:
    """Return all providers, by code."""
    return [ProviderInfo(**row) for row in Provider.objects.order_by("code").values()]


def sites() -> list[SiteInfo]:
    """Return all sites, by code."""
    return [SiteInfo(*row) for row in Site.objects.order_by("code").values_list(*_SITE_COLUMNS)]


def pools() -> list[PoolInfo]:
    """Return all pools, by code."""
    return [PoolInfo(*row) for row in Pool.objects.order_by("code").values_list(*_POOL_COLUMNS)]


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


def open_alerts(now: dt.datetime, *, include_pending: bool = False) -> list[AlertView]:
    """Return the alerts that fire, newest first.

    Args:
        now: present grid time; an alert of a later time is left out.
        include_pending: the ones that do not fire yet as well.
    """
    states = [AlertState.FIRING, *([AlertState.PENDING] if include_pending else [])]
    rows = Alert.objects.filter(state__in=states, pending_at__lte=now)
    return [view_of(alert) for alert in rows.order_by("-pending_at", "pk")]


def recent_alerts(now: dt.datetime, *, limit: int = 200) -> list[AlertView]:
    """Return the newest alerts in any state, newest first.

    Args:
        now: present grid time.
        limit: at most this many.
    """
    rows = Alert.objects.filter(pending_at__lte=now).order_by("-pending_at", "pk")
    return [view_of(alert) for alert in rows[:limit]]


def view_of(alert: Alert) -> AlertView:
    """Return an alert as people see it."""
    return AlertView(**{name: getattr(alert, name) for name in AlertView.__dataclass_fields__})


def provider_tallies() -> list[Tally]:
    """Return each provider's account of samples, by code; zeros for one that sent nothing."""
    tallies = {tally.provider_id: tally for tally in ProviderTally.objects.all()}
    codes = Provider.objects.order_by("code").values_list("code", flat=True)
    return [_tally_of(code, tallies.get(code)) for code in codes]


def provider_tally(provider_code: str) -> Tally:
    """Return one provider's account of samples."""
    return _tally_of(provider_code, ProviderTally.objects.filter(provider_id=provider_code).first())


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
    found = list(rows.values_list("pool_id", "hour_at", *sums))
    frame = pd.DataFrame.from_records(found, columns=["pool_id", "hour_at", *sums])
    frame["pool"] = [places[pool_id][0] for pool_id in frame["pool_id"]]
    frame["region"] = [places[pool_id][1] for pool_id in frame["pool_id"]]
    frame["hour_at"] = pd.to_datetime(frame["hour_at"], utc=True)
    return frame.astype(dict.fromkeys(sums, float))


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


def _tally_of(provider_code: str, tally: ProviderTally | None) -> Tally:
    if tally is None:
        return Tally(provider_code, 0, 0, 0, 0, 0, {}, None)
    return Tally(
        provider=provider_code,
        received=tally.received,
        accepted=tally.accepted,
        duplicate=tally.duplicate,
        conflict=tally.conflict,
        rejected=tally.rejected,
        rejected_by_reason=tally.rejected_by_reason,
        last_batch_at=tally.last_batch_at,
    )
