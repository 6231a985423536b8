"""Reads the quantiles of runs: as rows, for the planner's slots, and for measuring past runs."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import pandas as pd

from controlplane.lib.units import HOUR, floor_hour
from forecasting.domain.features import DAY_H
from forecasting.domain.forecasters import QUANTILES
from forecasting.domain.frames import Floats
from forecasting.domain.runs import EnergyScope, RunInfo, Scope
from forecasting.models import ForecastPath
from forecasting.selectors.runs import latest_run

HELD_H = 3
"""Hours past the last lead for which its quantiles still stand."""
QUANTILE_COLUMNS = ("q05", "q10", "q50", "q90", "q95")
LONG_H = 7 * DAY_H


@dataclass(frozen=True)
class MergedPath:
    """What is forecast of one series from an hour on, from the newest run that reaches each hour.

    Attributes:
        starts_at: beginning of the first hour.
        quantiles: (H, 5) units.
        declared: (H,) expected units by announced demand, within the quantiles.
        method: what made it.
        fallback_reason: why not the model, or "".
        from_long: place of the first hour that only the run of a week reaches; H when none.
    """

    starts_at: dt.datetime
    quantiles: Floats
    declared: Floats
    method: str
    fallback_reason: str
    from_long: int


def quantile_frame(
    run_id: int,
    quantiles: Sequence[float] = QUANTILES,
    *,
    scope: str = "",
    code: str = "",
    hours: int = DAY_H,
) -> pd.DataFrame:
    """Return the points of a run.

    Args:
        run_id: which run.
        quantiles: which of the stored levels 0.05, 0.1, 0.5, 0.9, 0.95.
        scope: only `pool`, `site`, `region` or `grid`, or a zone's `price` or `carbon`; all
            series of demand when empty.
        code: only this series; all when empty.
        hours: leads 1 to this.

    Returns:
        `scope, code, valid_at` (beginning of the hour, UTC), a column such as `q90` per level
        (units), `method, fallback_reason`; in order of scope, code and time.

    Raises:
        ValueError: a level is not stored.
    """
    names = [_column_of(level) for level in quantiles]
    rows = ForecastPath.objects.filter(
        run_id=run_id, scope__in=[scope] if scope else [each.value for each in Scope]
    )
    if code:
        rows = rows.filter(code=code)
    found = rows.order_by("scope", "code").values_list(
        "scope", "code", "run__issued_at", "method", "fallback_reason", *names
    )
    parts: dict[str, list[object]] = {
        name: [] for name in ("scope", "code", "valid_at", *names, "method", "fallback_reason")
    }
    for of_scope, of_code, issued_at, method, reason, *levels in found:
        count = min(hours, len(levels[0]))
        parts["scope"].extend(repeat(of_scope, count))
        parts["code"].extend(repeat(of_code, count))
        parts["valid_at"].extend(issued_at + hour * HOUR for hour in range(count))
        parts["method"].extend(repeat(method, count))
        parts["fallback_reason"].extend(repeat(reason, count))
        for name, values in zip(names, levels, strict=True):
            parts[name].extend(values[:count])
    return pd.DataFrame(parts)


def serving_runs(now: dt.datetime, *, hours: int = LONG_H) -> list[RunInfo]:
    """Return the runs that forecasts are read from: the newest, and one of a week behind it.

    Args:
        now: present grid time.
        hours: how far is asked; the run of a week is looked for only beyond the newest run.
    """
    newest = latest_run(now)
    if newest is None:
        return []
    long_run = latest_run(now, horizon_h=LONG_H) if newest.horizon_h < hours else None
    return [newest] if long_run is None else [newest, long_run]


def merged_paths(
    runs: Sequence[RunInfo], scope: Scope | EnergyScope, codes: Sequence[str] | None = None
) -> dict[str, MergedPath]:
    """Return the forecasts of series, the newest run first and the run of a week behind it.

    Args:
        runs: from `serving_runs`.
        scope: what the series add up.
        codes: which series; all of the scope when None.

    Returns:
        Code -> path from the newest run's first hour on; what has no forecast is missing.
    """
    rows = ForecastPath.objects.filter(run_id__in=[run.id for run in runs], scope=scope.value)
    if codes is not None:
        rows = rows.filter(code__in=list(codes))
    stored = {(row.run_id, row.code): row for row in rows}
    found = {}
    for code in sorted({code for _, code in stored}):
        parts = [(run, stored[run.id, code]) for run in runs if (run.id, code) in stored]
        found[code] = _merged(runs[0].issued_at, parts)
    return found


def demand_quantile(
    pool_codes: Sequence[str], start_at: dt.datetime, slots: int, quantile: float
) -> Floats:
    """Return a quantile of forecast demand per pool and slot, from the newest run at the start.

    A slot that does not begin on the hour touches two hours: the larger of the two is taken.
    Levels between stored ones are interpolated, levels beyond them take the outermost one. Slots
    beyond the newest run's leads are read from the newest run of a week; the last lead of all
    stands for up to three more hours, so that a run of an hour ago still serves a plan of 24
    slots.

    Args:
        pool_codes: P pools.
        start_at: beginning of slot 0; slots are hours.
        slots: T.
        quantile: level, 0 to 1.

    Returns:
        (P, T) float64, units; NaN where there is no forecast: unknown is not zero.
    """
    return slot_quantiles(Scope.POOL, pool_codes, start_at, slots=slots, quantile=quantile)


def slot_quantiles(
    scope: Scope | EnergyScope,
    codes: Sequence[str],
    start_at: dt.datetime,
    *,
    slots: int,
    quantile: float,
) -> Floats:
    """Return a quantile per series and slot, as `demand_quantile` does, of any scope."""
    table = np.full((len(codes), slots), np.nan)
    runs = serving_runs(start_at, hours=slots)
    paths = merged_paths(runs, scope, codes) if runs else {}
    touches_next = floor_hour(start_at) != start_at
    for row, code in enumerate(codes):
        path = paths.get(code)
        if path is not None:
            offset = int((floor_hour(start_at) - path.starts_at) / HOUR)
            values = [float(np.interp(quantile, QUANTILES, hour)) for hour in path.quantiles]
            held = np.array(values + values[-1:] * HELD_H)
            table[row] = _slots_of(held, offset, slots, touches_next=touches_next)
    return table


def issued_points(
    since: dt.datetime,
    until: dt.datetime,
    *,
    every_h: int,
    scope: str,
    codes: Sequence[str] | None = None,
) -> Mapping[dt.datetime, Mapping[str, Floats]]:
    """Return what past runs said, for measuring them.

    Args:
        since: first moment of issue, inclusive.
        until: last moment of issue, exclusive.
        every_h: only runs issued at hours divisible by this.
        scope: which series.
        codes: only these; all of the scope when None.

    Returns:
        Moment of issue -> code -> (H, 5) units, H by the run.
    """
    rows = ForecastPath.objects.filter(
        run__issued_at__gte=since,
        run__issued_at__lt=until,
        run__issued_at__hour__in=list(range(0, 24, every_h)),
        scope=scope,
    )
    if codes is not None:
        rows = rows.filter(code__in=list(codes))
    found: dict[dt.datetime, dict[str, Floats]] = {}
    columns = rows.order_by("run__issued_at", "code").values_list(
        "run__issued_at", "code", *QUANTILE_COLUMNS
    )
    for issued_at, code, *levels in columns:
        found.setdefault(issued_at, {})[code] = np.array(levels, dtype=float).T
    return found


def _merged(starts_at: dt.datetime, parts: Sequence[tuple[RunInfo, ForecastPath]]) -> MergedPath:
    _, first = parts[0]
    quantiles: list[Floats] = []
    declared: list[Floats] = []
    reached = 0
    from_long = 0
    for place, (run, row) in enumerate(parts):
        values = np.array([getattr(row, name) for name in QUANTILE_COLUMNS], dtype=float).T
        extra = np.array(row.declared or [0.0] * len(values))
        skipped = int((starts_at - run.issued_at) / HOUR) + reached
        quantiles.append(values[skipped:])
        declared.append(extra[skipped:])
        reached += max(0, len(values) - skipped)
        from_long = reached if place == 0 else from_long
    return MergedPath(
        starts_at=starts_at,
        quantiles=np.concatenate(quantiles),
        declared=np.concatenate(declared),
        method=first.method,
        fallback_reason=first.fallback_reason,
        from_long=from_long,
    )


def _slots_of(path: Floats, offset: int, slots: int, *, touches_next: bool) -> Floats:
    padded = np.concatenate([path, np.full(max(0, offset + slots + 1 - len(path)), np.nan)])
    own = padded[offset : offset + slots]
    if not touches_next:
        return own
    following = padded[offset + 1 : offset + slots + 1]
    return np.where(np.isnan(following), own, np.maximum(own, following))


def _column_of(level: float) -> str:
    if level not in QUANTILES:
        message = f"The quantile {level} is not stored: {', '.join(map(str, QUANTILES))} are."
        raise ValueError(message)
    return QUANTILE_COLUMNS[QUANTILES.index(level)]
