"""Arranges prices and carbon of electricity zones as series for the forecaster.

The price of a zone is read back from what its pools pay per unit and hour, so that pools of
different hardware speak of the same market; carbon intensity is a pool's own report.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasting.domain.frames import DemandPanel, Floats, panel_of_frame
from forecasting.domain.runs import EnergyScope

UNIT_OF = {EnergyScope.PRICE: "USD/MWh", EnergyScope.CARBON: "g/kWh"}


@dataclass(frozen=True)
class PoolEnergy:
    """What turns a zone's figures into a pool's.

    Attributes:
        price_zone: name of the price series.
        carbon_zone: name of the carbon series.
        kw_per_unit: at the wall, cooling included, > 0.
    """

    price_zone: str
    carbon_zone: str
    kw_per_unit: float


def zone_panel(
    hours: pd.DataFrame,
    pools: Mapping[str, PoolEnergy],
    quantity: EnergyScope,
    issued_at: dt.datetime,
) -> DemandPanel:
    """Return hourly prices or carbon of every zone, as the forecaster reads series.

    Args:
        hours: `pool, hour_at, price_per_unit_h` (USD), `carbon_g_per_kwh`; NaN where unknown.
        pools: what is known of each pool; others are left out.
        quantity: which of both.
        issued_at: end of the panel.

    Returns:
        Series per zone in USD/MWh or g/kWh: the median over the zone's pools in each hour, which
        one wrong reporter among several does not move.
    """
    known = hours[hours["pool"].isin(list(pools))]
    if quantity is EnergyScope.PRICE:
        kw = known["pool"].map({code: pool.kw_per_unit for code, pool in pools.items()})
        value = known["price_per_unit_h"] / kw * 1000.0
        zone = known["pool"].map({code: pool.price_zone for code, pool in pools.items()})
    else:
        value = known["carbon_g_per_kwh"]
        zone = known["pool"].map({code: pool.carbon_zone for code, pool in pools.items()})
    rows = pd.DataFrame(
        {"series": zone, "hour_at": known["hour_at"], "demand": value.astype(float)}
    )
    by_hour = rows.dropna().groupby(["series", "hour_at"])["demand"].median().reset_index()
    return panel_of_frame(by_hour, key="series", issued_at=issued_at)


def persistence(panel: DemandPanel, horizon_h: int) -> Floats:
    """Return (P, H): every hour as the same hour of the last known day; NaN where unknown."""
    day = panel.demand[:, -24:]
    if day.shape[1] < 24:
        return np.full((len(panel.codes), horizon_h), np.nan)
    return day[:, np.arange(horizon_h) % 24]
