"""Reads what is forecast of prices and carbon, per zone and per pool."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np

from controlplane.lib.units import HOUR, floor_hour
from forecasting.domain.features import DAY_H
from forecasting.domain.frames import Floats
from forecasting.domain.live.energy import UNIT_OF, PoolEnergy, zone_panel
from forecasting.domain.runs import EnergyScope
from forecasting.selectors.paths import merged_paths, serving_runs, slot_quantiles
from forecasting.selectors.runs import declaration_of
from monitoring import selectors as monitoring


def pool_energy() -> dict[str, PoolEnergy]:
    """Return, per pool, its zones; the price follows the zone, carbon the region that reports it.

    A pool that uses no power has no price of electricity and is left out.
    """
    return {
        pool.code: PoolEnergy(
            price_zone=pool.energy_zone or pool.region,
            carbon_zone=pool.region,
            kw_per_unit=pool.kw_per_unit * pool.pue,
        )
        for pool in monitoring.pools()
        if pool.kw_per_unit > 0
    }


def energy_quantile(
    pool_codes: Sequence[str], start_at: dt.datetime, slots: int, quantile: float = 0.5
) -> tuple[Floats, Floats]:
    """Return forecast prices and carbon per pool and slot.

    Args:
        pool_codes: P pools.
        start_at: beginning of slot 0; slots are hours.
        slots: T.
        quantile: level, 0 to 1; the median is what a plan reckons with.

    Returns:
        Price in USD per unit-hour and carbon in g/kWh, each (P, T) float64; NaN where there is no
        forecast.
    """
    energy = pool_energy()
    tables = []
    for scope in EnergyScope:
        zone_of = [_zone(energy.get(code), scope) for code in pool_codes]
        names = sorted({zone for zone in zone_of if zone})
        by_zone = slot_quantiles(scope, names, start_at, slots=slots, quantile=quantile)
        row_of = {name: row for row, name in enumerate(names)}
        table = np.full((len(pool_codes), slots), np.nan)
        for place, zone in enumerate(zone_of):
            if zone:
                table[place] = by_zone[row_of[zone]]
        tables.append(table)
    kw = np.array([energy[code].kw_per_unit if code in energy else np.nan for code in pool_codes])
    return tables[0] * kw[:, None] / 1000.0, tables[1]


def zones() -> list[dict[str, str]]:
    """Return the zones whose electricity is forecast: `scope` and `code`, in order."""
    found = {
        (scope.value, _zone(each, scope))
        for each in pool_energy().values()
        for scope in EnergyScope
    }
    return [{"scope": scope, "code": code} for scope, code in sorted(found)]


def energy_series(
    scope: str, code: str, now: dt.datetime, *, hours: int = DAY_H, history_h: int = DAY_H
) -> dict[str, Any]:
    """Return history and forecast of a zone's price or carbon, for a chart.

    Args:
        scope: `price` or `carbon`.
        code: zone.
        now: present grid time.
        hours: how many hours ahead at most.
        history_h: how many hours back.

    Returns:
        `unit`, `history`: rows [time, value], `forecast`: None, or `run_id, declaration, method,
        fallback_reason, points`: rows [time, q05, q10, q50, q90, q95].

    Raises:
        ValueError: the scope is neither.
    """
    wanted = EnergyScope(scope)
    present = floor_hour(now)
    frame = monitoring.energy_frame(present - history_h * HOUR, present, as_of=present)
    panel = zone_panel(frame, pool_energy(), wanted, present)
    past: list[list[Any]] = []
    if code in panel.codes:
        values = panel.demand[panel.codes.index(code)]
        past = [
            [(panel.start_at + hour * HOUR).isoformat(), None if np.isnan(value) else float(value)]
            for hour, value in enumerate(values)
        ]
    runs = serving_runs(now, hours=hours)
    path = merged_paths(runs, wanted, [code]).get(code) if runs else None
    forecast = None
    if path is not None:
        forecast = {
            "run_id": runs[0].id,
            "declaration": declaration_of(runs[0]),
            "method": path.method,
            "fallback_reason": path.fallback_reason,
            "points": [
                [(path.starts_at + hour * HOUR).isoformat(), *np.round(row, 4).tolist()]
                for hour, row in enumerate(path.quantiles[:hours])
            ],
        }
    return {"unit": UNIT_OF[wanted], "history": past, "forecast": forecast}


def _zone(energy: PoolEnergy | None, scope: EnergyScope) -> str:
    if energy is None:
        return ""
    return energy.price_zone if scope is EnergyScope.PRICE else energy.carbon_zone
