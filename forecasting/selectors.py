"""Reads forecasts, their declarations and their accuracy for charts, the API and the planner."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from controlplane.lib.units import HOUR, floor_hour
from forecasting.domain.forecasters import QUANTILES
from forecasting.domain.frames import Floats
from forecasting.domain.runs import GRID_CODE, RunInfo, RunState, Scope
from forecasting.domain.shortages import RISK_LEVEL, Shortage, find_forecast_shortages
from forecasting.models import ForecastModel, ForecastPoint, ForecastRun
from monitoring import selectors as monitoring
from monitoring.domain.headroom import usable_units
from monitoring.domain.readings import PoolReading, read_region

HISTORY = dt.timedelta(hours=24)
HELD_H = 3
"""Hours past the last lead for which its quantiles still stand."""
QUANTILE_COLUMNS = ("q05", "q10", "q50", "q90", "q95")
_ISSUED = (RunState.READY.value, RunState.DEGRADED.value)


def latest_run(now: dt.datetime) -> RunInfo | None:
    """Return the newest run with forecasts that had been issued by a moment.

    Args:
        now: present grid time.

    Returns:
        The run with its declaration, or None before the first one.
    """
    rows = ForecastRun.objects.filter(issued_at__lte=now, state__in=_ISSUED)
    run = rows.defer("accuracy").order_by("-issued_at").first()
    return None if run is None else _declare(run, now)


def recent_runs(now: dt.datetime, *, limit: int = 48) -> list[RunInfo]:
    """Return the runs issued by a moment, newest first, failed ones among them.

    Args:
        now: present grid time.
        limit: at most this many.
    """
    rows = ForecastRun.objects.filter(issued_at__lte=now).defer("accuracy")
    return [_declare(run, now) for run in rows.order_by("-issued_at")[:limit]]


def quantile_frame(
    run_id: int, quantiles: Sequence[float] = QUANTILES, *, scope: str = "", code: str = ""
) -> pd.DataFrame:
    """Return the points of a run.

    Args:
        run_id: which run.
        quantiles: which of the stored levels 0.05, 0.1, 0.5, 0.9, 0.95.
        scope: only `pool`, `region` or `grid`; all when empty.
        code: only this series; all when empty.

    Returns:
        `scope, code, valid_at` (beginning of the hour, UTC), a column such as `q90` per level
        (units), `method, fallback_reason`; in order of scope, code and time.

    Raises:
        ValueError: a level is not stored.
    """
    names = [_column_of(level) for level in quantiles]
    columns = ["scope", "code", "valid_at", *names, "method", "fallback_reason"]
    rows = ForecastPoint.objects.filter(run_id=run_id)
    if scope:
        rows = rows.filter(scope=scope)
    if code:
        rows = rows.filter(code=code)
    found = rows.order_by("scope", "code", "valid_at").values_list(*columns)
    return pd.DataFrame.from_records(list(found), columns=columns)


def demand_quantile(
    pool_codes: Sequence[str], start_at: dt.datetime, slots: int, quantile: float
) -> Floats:
    """Return a quantile of forecast demand per pool and slot, from the newest run at the start.

    A slot that does not begin on the hour touches two hours: the larger of the two is taken.
    Levels between stored ones are interpolated, levels beyond them take the outermost one. The
    last lead stands for up to three more hours, so that a run of an hour ago still serves a plan
    of 24 slots.

    Args:
        pool_codes: P pools.
        start_at: beginning of slot 0; slots are hours.
        slots: T.
        quantile: level, 0 to 1.

    Returns:
        (P, T) float64, units; NaN where there is no forecast: unknown is not zero.
    """
    table = np.full((len(pool_codes), slots), np.nan)
    run = latest_run(start_at)
    if run is None:
        return table
    frame = quantile_frame(run.id, scope=Scope.POOL)
    offset = int((floor_hour(start_at) - run.issued_at) / HOUR)
    touches_next = floor_hour(start_at) != start_at
    by_pool = dict(tuple(frame.groupby("code")))
    for row, code in enumerate(pool_codes):
        points = by_pool.get(code)
        if points is None:
            continue
        stored = points[list(QUANTILE_COLUMNS)].to_numpy(float)
        path = _held([float(np.interp(quantile, QUANTILES, hour)) for hour in stored])
        table[row] = _slots_of(path, offset, slots, touches_next=touches_next)
    return table


def series(scope: str, code: str, now: dt.datetime) -> dict[str, Any]:
    """Return a day of history and the newest forecast of one series, for a chart.

    The grid and regions with several pools are forecast as series of their own: quantiles do not
    add up.

    Args:
        scope: `pool`, `region` or `grid`.
        code: pool or region code; anything for the grid.
        now: present grid time.

    Returns:
        `history`: rows [time, demand, capacity]; `forecast`: None, or `run_id, issued_at, model,
        version, trained_until, degraded_reason, method, fallback_reason` and `points`: rows
        [time, q05, q10, q50, q90, q95]. Times are ISO 8601, units those of the series.

    Raises:
        ValueError: the scope is none of the three.
    """
    wanted = Scope(scope)
    name = GRID_CODE if wanted is Scope.GRID else code
    history = monitoring.series(wanted.value, name, floor_hour(now) - HISTORY, until=now)
    run = latest_run(now)
    past = zip(history["hour_at"], history["demand"], history["capacity"], strict=True)
    return {
        "history": [[_iso(at), _known(demand), _known(size)] for at, demand, size in past],
        "forecast": None if run is None else _forecast_of(run, wanted, name),
    }


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


def accuracy(now: dt.datetime) -> dict[str, Any]:
    """Return how past runs came true, and how the model in service did before it was promoted.

    Args:
        now: present grid time.

    Returns:
        `issued_at` of the run that knew it, `live` (by lead and over all, with the skill against
        the best naive forecast; empty before anything has come true; the quantiles' level
        of planning is `risk_quantile`) and `model` with `scores` of the promotion, or None.
    """
    run = ForecastRun.objects.filter(issued_at__lte=now).order_by("-issued_at").first()
    champion = ForecastModel.objects.filter(is_champion=True).defer("artifact").first()
    return {
        "issued_at": None if run is None else run.issued_at,
        "risk_quantile": RISK_LEVEL,
        "live": {} if run is None else run.accuracy,
        "model": None if champion is None else describe_model(champion),
    }


def describe_model(model: ForecastModel) -> dict[str, Any]:
    """Return what a model is, what it was made from and how it did on later data."""
    names = ("name", "version", "trained_at", "trained_from", "trained_until", "scores")
    return {**{name: getattr(model, name) for name in names}, "is_champion": model.is_champion}


def issued_points(
    since: dt.datetime, until: dt.datetime, *, every_h: int, scope: str
) -> Mapping[dt.datetime, Mapping[str, Floats]]:
    """Return what past runs said, for measuring them.

    Args:
        since: first moment of issue, inclusive.
        until: last moment of issue, exclusive.
        every_h: only runs issued at hours divisible by this.
        scope: which series.

    Returns:
        Moment of issue -> code -> (H, 5) units.
    """
    names = ("run__issued_at", "code", *QUANTILE_COLUMNS)
    hours = list(range(0, 24, every_h))
    rows = (
        ForecastPoint.objects.filter(
            run__issued_at__gte=since,
            run__issued_at__lt=until,
            run__issued_at__hour__in=hours,
            scope=scope,
        )
        .order_by("run__issued_at", "code", "valid_at")
        .values_list(*names)
    )
    frame = pd.DataFrame.from_records(list(rows), columns=list(names))
    found: dict[dt.datetime, dict[str, Floats]] = {}
    for (_, code), points in frame.groupby(["run__issued_at", "code"]):
        values = points[list(QUANTILE_COLUMNS)].to_numpy(float)
        issued_at = points["run__issued_at"].iloc[0].to_pydatetime()
        found.setdefault(issued_at, {})[str(code)] = values
    return found


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


def _declare(run: ForecastRun, now: dt.datetime) -> RunInfo:
    return RunInfo(
        id=run.pk,
        issued_at=run.issued_at,
        state=RunState(run.state),
        model_name=run.model_name,
        model_version=run.model_version,
        trained_until=run.trained_until,
        degraded_reason=run.degraded_reason,
        fallbacks=run.fallbacks,
        age=now - run.issued_at,
    )


def _forecast_of(run: RunInfo, scope: Scope, code: str) -> dict[str, Any]:
    # a chart asks for 24 rows: a frame would cost more than reading them
    points = (
        ForecastPoint.objects.filter(run_id=run.id, scope=scope, code=code)
        .order_by("valid_at")
        .values_list("valid_at", *QUANTILE_COLUMNS)
    )
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
        "points": [[_iso(at), *(round(value, 4) for value in row)] for at, *row in points],
    }


def _held(path: list[float]) -> Floats:
    return np.array(path + path[-1:] * HELD_H)


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


def _iso(moment: dt.datetime) -> str:
    return moment.isoformat()


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
