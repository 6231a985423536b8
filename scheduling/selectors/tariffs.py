"""Reads what energy and the movement of data cost."""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from controlplane.lib.units import HOUR, floor_hour
from forecasting import selectors as forecasts
from monitoring import selectors as grid
from monitoring.domain.inventory import PoolInfo
from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.models import Link

DEFAULT_LINK = (0.05, 1.0)
RTT_WITHIN_REGION_MS = 2.0
UNKNOWN_RTT_MS = 1e6
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


@dataclass(frozen=True)
class Network:
    """What lies between regions; each region is one network zone.

    Attributes:
        zones: index of each region's code, 0..Z-1.
        egress_usd_per_gb, transfer_h_per_gb: (Z, Z) from row to column; on the diagonal between two
            pools of one region.
        rtt_ms: (Z, Z) round trip; what nobody measured is farther than any bound.
    """

    zones: dict[str, int]
    egress_usd_per_gb: FloatArray
    transfer_h_per_gb: FloatArray
    rtt_ms: FloatArray

    def zone_of(self, pools: tuple[PoolInfo, ...]) -> IntArray:
        """This function will return (P,) the zone of each pool."""
        return np.array([self.zones[pool.region] for pool in pools], dtype=np.int64)


def network() -> Network:
    """This function will read what it takes to move data, and how far regions are apart."""
    zones = {region.code: place for place, region in enumerate(grid.regions())}
    egress_usd, gbps = DEFAULT_LINK
    shape = (len(zones), len(zones))
    egress = np.full(shape, egress_usd)
    transfer = np.full(shape, 8.0 / gbps * _HOURS_PER_GBIT)
    rtt = np.full(shape, UNKNOWN_RTT_MS)
    np.fill_diagonal(rtt, RTT_WITHIN_REGION_MS)
    for link in Link.objects.all():
        source, destination = (
            zones.get(link.source_region),
            zones.get(link.destination_region),
        )
        if source is not None and destination is not None and source != destination:
            egress[source, destination] = link.egress_usd_per_gb
            transfer[source, destination] = 8.0 / link.gbps * _HOURS_PER_GBIT
            rtt[source, destination] = link.rtt_ms
    return Network(zones, egress, transfer, rtt)
