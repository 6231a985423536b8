"""Finds the shortages that the newest forecast foresees, region by region."""

import datetime as dt
from collections.abc import Sequence

from forecasting.domain.forecasters import QUANTILES
from forecasting.domain.runs import Scope
from forecasting.domain.shortages import Shortage, find_forecast_shortages
from forecasting.selectors.paths import QUANTILE_COLUMNS, quantile_frame
from forecasting.selectors.runs import latest_run
from monitoring import selectors as monitoring
from monitoring.domain.headroom import usable_units
from monitoring.domain.readings import PoolReading, read_region


def forecast_shortages(
    now: dt.datetime, *, already: frozenset[str] = frozenset()
) -> tuple[list[Shortage], set[str]]:
    """Return the regions whose 0.9 quantile of demand passes what they can run.

    What a region can run is, over its pools, the smaller of declared and contracted capacity,
    less the reserve. A region whose demand passes that already is left out: that is no warning.

    Args:
        now: present grid time.
        already: regions with a known shortage, for which a little less counts.

    Returns:
        The shortages, and the regions about which nothing can be said: no forecast, or a pool
        whose capacity is unknown.
    """
    readings = monitoring.pool_states(now)
    usable = _usable_capacity(readings)
    present = _present_demand(readings)
    run = latest_run(now)
    if run is None:
        return [], set(usable)
    frame = quantile_frame(run.id, scope=Scope.REGION)
    demand = {
        str(code): points[list(QUANTILE_COLUMNS)].to_numpy(float)
        for code, points in frame.groupby("code")
        if not _is_short(usable.get(str(code)), present.get(str(code)))
    }
    found = find_forecast_shortages(
        demand, usable, quantiles=QUANTILES, issued_at=run.issued_at, now=now, already=already
    )
    silent = set(usable) - set(frame["code"]) | {code for code in usable if usable[code] is None}
    return found, silent


def _usable_capacity(readings: Sequence[PoolReading]) -> dict[str, float | None]:
    declared = {reading.pool: reading.capacity for reading in readings}
    usable: dict[str, float | None] = {}
    for pool in monitoring.pools():
        capacity, before = declared.get(pool.code), usable.get(pool.region, 0.0)
        own = usable_units(capacity, contract=pool.contract, reserve=pool.reserve)
        usable[pool.region] = None if own is None or before is None else before + own
    return usable


def _present_demand(readings: Sequence[PoolReading]) -> dict[str, float | None]:
    regions = {reading.region for reading in readings}
    return {
        region: read_region(region, [own for own in readings if own.region == region]).load.demand
        for region in regions
    }


def _is_short(usable: float | None, demand: float | None) -> bool:
    return usable is not None and demand is not None and demand > usable
