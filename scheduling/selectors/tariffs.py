"""Reads what energy and the movement of data cost."""

import datetime as dt

import numpy as np

from controlplane.lib.units import HOUR, floor_hour
from monitoring import selectors as grid
from monitoring.domain.inventory import PoolInfo
from scheduling.domain.planner.problem import FloatArray
from scheduling.models import Link

DEFAULT_LINK = (0.05, 1.0)
_HOURS_PER_GBIT = 1.0 / 3600.0


def energy_prices(
    pools: tuple[PoolInfo, ...], now: dt.datetime, slots: int
) -> tuple[FloatArray, FloatArray]:
    """This function will expect the energy price and carbon of the same hour a day before.

    Returns:
        (P, T) USD and (P, T) kg CO2e per unit-hour.
    """
    since = floor_hour(now) - 24 * HOUR
    frame = grid.energy_frame(since=since, until=floor_hour(now))
    energy = np.zeros((len(pools), slots))
    carbon = np.zeros((len(pools), slots))
    by_pool = {code: rows.set_index("hour_at") for code, rows in frame.groupby("pool")}
    hours = [floor_hour(now + t * HOUR) for t in range(slots)]
    for position, pool in enumerate(pools):
        rows = by_pool.get(pool.code)
        if rows is None:
            continue
        same_hour = [since + (hour - since) % (24 * HOUR) for hour in hours]
        picked = rows.reindex(same_hour)
        price = picked["price_per_unit_h"].astype(float)
        grams = picked["carbon_g_per_kwh"].astype(float)
        energy[position] = price.fillna(rows["price_per_unit_h"].mean()).fillna(0.0)
        kwh = pool.kw_per_unit * pool.pue
        filled = grams.fillna(rows["carbon_g_per_kwh"].mean()).fillna(0.0)
        carbon[position] = filled.to_numpy() * kwh / 1000.0
    return energy, carbon


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
