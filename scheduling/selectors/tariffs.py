"""Reads what energy and the movement of data cost."""

import datetime as dt

import numpy as np

from controlplane.lib.units import HOUR, floor_hour
from forecasting import selectors as forecasts
from monitoring import selectors as grid
from monitoring.domain.inventory import PoolInfo
from scheduling.domain.planner.problem import FloatArray
from scheduling.models import Link

DEFAULT_LINK = (0.05, 1.0)
_HOURS_PER_GBIT = 1.0 / 3600.0


def energy_prices(
    pools: tuple[PoolInfo, ...], now: dt.datetime, slots: int
) -> tuple[FloatArray, FloatArray]:
    """This function will expect the energy price and carbon of the coming hours.

    The forecast's median where there is one; else what was reported in the same hour of the day
    before, or that day's mean; else nothing is counted. Prices of the future are never looked up.

    Args:
        pools: P pools.
        now: the moment; slot 0 begins now.
        slots: number of hourly slots T.

    Returns:
        (P, T) USD and (P, T) kg CO2e per unit-hour.
    """
    price, grams = forecasts.energy_quantile([pool.code for pool in pools], now, slots)
    old_price, old_grams = _day_before(pools, now, slots)
    price = np.where(np.isnan(price), old_price, price)
    grams = np.where(np.isnan(grams), old_grams, grams)
    kwh = np.array([pool.kw_per_unit * pool.pue for pool in pools])
    return np.nan_to_num(price), np.nan_to_num(grams) * kwh[:, None] / 1000.0


def _day_before(
    pools: tuple[PoolInfo, ...], now: dt.datetime, slots: int
) -> tuple[FloatArray, FloatArray]:
    since = floor_hour(now) - 24 * HOUR
    frame = grid.energy_frame(since=since, until=floor_hour(now))
    hours = [since + (floor_hour(now + t * HOUR) - since) % (24 * HOUR) for t in range(slots)]
    price, grams = np.full((2, len(pools), slots), np.nan)
    by_pool = {code: rows.set_index("hour_at") for code, rows in frame.groupby("pool")}
    for position, pool in enumerate(pools):
        rows = by_pool.get(pool.code)
        if rows is not None:
            same_hour = rows.reindex(hours)
            for table, name in ((price, "price_per_unit_h"), (grams, "carbon_g_per_kwh")):
                table[position] = same_hour[name].astype(float).fillna(rows[name].mean())
    return price, grams


def links_between(pools: tuple[PoolInfo, ...]) -> tuple[FloatArray, FloatArray]:
    """This function will read what it takes to move data.

    Returns:
        (P, P) USD per GB and (P, P) hours per GB, from row to column, 0 on the diagonal.
    """
    table = {
        (link.source_region, link.destination_region): (link.egress_usd_per_gb, link.gbps)
        for link in Link.objects.all()
    }
    count = len(pools)
    egress, transfer = np.zeros((count, count)), np.zeros((count, count))
    for i, source in enumerate(pools):
        for j, destination in enumerate(pools):
            if i != j:
                usd, gbps = table.get((source.region, destination.region), DEFAULT_LINK)
                egress[i, j] = usd
                transfer[i, j] = 8.0 / gbps * _HOURS_PER_GBIT
    return egress, transfer
