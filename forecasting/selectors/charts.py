"""Reads what charts show: history and forecast, and past forecasts laid over what came."""

import datetime as dt
from typing import Any

import numpy as np

from controlplane.lib.units import HOUR, floor_hour
from forecasting.domain.features import DAY_H
from forecasting.domain.forecasters import QUANTILES
from forecasting.domain.runs import GRID_CODE, Scope
from forecasting.selectors.paths import MergedPath, issued_points, merged_paths, serving_runs
from forecasting.selectors.runs import declaration_of
from monitoring import selectors as monitoring

HISTORY = dt.timedelta(hours=24)
LONGEST_HISTORY_H = 14 * DAY_H
_MEDIAN = QUANTILES.index(0.5)


def series(
    scope: str, code: str, now: dt.datetime, *, hours: int = DAY_H, history_h: int = DAY_H
) -> dict[str, Any]:
    """Return history and the newest forecast of one series, for a chart.

    The grid, regions and sites with several pools are forecast as series of their own and then
    made to fit their parts.

    Args:
        scope: `pool`, `site`, `region` or `grid`.
        code: pool, site or region code; anything for the grid.
        now: present grid time.
        hours: how many hours ahead at most; those beyond the newest run come from the run of a
            week.
        history_h: how many hours back.

    Returns:
        `history`: rows [time, demand, capacity]; `forecast`: None, or `run_id, issued_at, model,
        version, trained_until, degraded_reason, method, fallback_reason, declaration`, `points`:
        rows [time, q05, q10, q50, q90, q95] and `declared`: expected units of announced demand
        within each of them. Times are ISO 8601, units those of the series.

    Raises:
        ValueError: the scope is none of the four.
    """
    wanted = Scope(scope)
    name = GRID_CODE if wanted is Scope.GRID else code
    since = floor_hour(now) - min(history_h, LONGEST_HISTORY_H) * HOUR
    history = monitoring.series(wanted.value, name, since, until=now)
    past = zip(history["hour_at"], history["demand"], history["capacity"], strict=True)
    return {
        "history": [[_iso(at), _known(demand), _known(size)] for at, demand, size in past],
        "forecast": _forecast_of(wanted, name, now, hours),
    }


def past_against_truth(
    scope: str, code: str, now: dt.datetime, *, lead_h: int, days: int
) -> list[list[Any]]:
    """Return what was said of each past hour so many hours before it.

    Args:
        scope: `pool`, `site`, `region` or `grid`.
        code: pool, site or region code; anything for the grid.
        now: present grid time.
        lead_h: how many hours ahead, from 1 on.
        days: how far back.

    Returns:
        Rows [time, q05, q10, q50, q90, q95] of the hours that are over, oldest first; hours that
        no kept run reaches are missing.
    """
    wanted = Scope(scope)
    name = GRID_CODE if wanted is Scope.GRID else code
    present = floor_hour(now)
    since = present - dt.timedelta(days=days) - lead_h * HOUR
    issued = issued_points(since, present, every_h=1, scope=wanted.value, codes=[name])
    rows = []
    for issued_at, points in sorted(issued.items()):
        at = issued_at + (lead_h - 1) * HOUR
        path = points[name]
        if len(path) >= lead_h and at + HOUR <= present:
            rows.append([_iso(at), *(round(float(value), 3) for value in path[lead_h - 1])])
    return rows


def _forecast_of(scope: Scope, code: str, now: dt.datetime, hours: int) -> dict[str, Any] | None:
    runs = serving_runs(now, hours=hours)
    if not runs:
        return None
    run = runs[0]
    path = merged_paths(runs, scope, [code]).get(code)
    fallback = run.fallbacks.get(f"{scope.value}:{code}", {})
    return {
        "run_id": run.id,
        "issued_at": _iso(run.issued_at),
        "model": run.model_name,
        "version": run.model_version,
        "trained_until": None if run.trained_until is None else _iso(run.trained_until),
        "degraded_reason": run.degraded_reason,
        "method": fallback.get("method", "model"),
        "fallback_reason": fallback.get("reason", ""),
        "declaration": declaration_of(run),
        "points": [] if path is None else _rows(path, hours),
        "declared": [] if path is None else np.round(path.declared[:hours], 3).tolist(),
    }


def _rows(path: MergedPath, hours: int) -> list[list[Any]]:
    return [
        [_iso(path.starts_at + hour * HOUR), *(round(float(value), 4) for value in values)]
        for hour, values in enumerate(path.quantiles[:hours])
    ]


def _iso(moment: dt.datetime) -> str:
    return moment.isoformat()


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
