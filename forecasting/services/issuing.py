"""Issues one forecast run per grid hour for all pools, sites, regions, the grid and electricity."""

import datetime as dt
import logging
from collections import Counter
from typing import Any

import numpy as np
import orjson
from django.db import connection, transaction

from controlplane.lib import events
from controlplane.lib.units import floor_hour
from forecasting import selectors
from forecasting.domain.fallback import Forecast, run_state
from forecasting.domain.features import DAY_H
from forecasting.domain.frames import Floats
from forecasting.domain.quality import Method, count_reasons
from forecasting.domain.runs import RunState, scope_and_code
from forecasting.models import ForecastModel, ForecastPath, ForecastRun
from forecasting.services.alerting import sync_shortage_alerts
from forecasting.services.announced import sight_declarations
from forecasting.services.aside import left_out
from forecasting.services.history import read_history
from forecasting.services.making import Made, make_demand, make_energy
from forecasting.services.training import train
from forecasting.services.watching import Watched, watch_runs

logger = logging.getLogger(__name__)

HISTORY_DAYS = 49  # what the model looks back at
KEPT = dt.timedelta(days=14)
LONG_EVERY = dt.timedelta(hours=6)
DAY_HORIZON_H = DAY_H
LONG_HORIZON_H = 7 * DAY_H
_LEVELS = len(selectors.QUANTILE_COLUMNS)
_ROWS_PER_INSERT = 500
_INSERT = """
INSERT INTO forecasting_forecastpath
    (run_id, scope, code, method, fallback_reason, declared, q05, q10, q50, q90, q95)
SELECT %s, scope, code, method, reason, declared::float8[],
       q05::float8[], q10::float8[], q50::float8[], q90::float8[], q95::float8[]
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS v(scope, code, method, reason, declared, q05, q10, q50, q90, q95)
"""


def refresh_if_due(now: dt.datetime) -> ForecastRun | None:
    """Issue a run when the present grid hour has none yet; hours that were missed stay missed.

    A grid that has history but never had a model gets one first: its first run is then no fallback.

    Args:
        now: present grid time.

    Returns:
        The new run, or None when none was due or nothing is known of any pool.
    """
    if ForecastRun.objects.filter(issued_at=floor_hour(now)).exists():
        return None
    if not ForecastModel.objects.exists():
        train(now, trigger="first")
    return refresh(now)


def refresh(now: dt.datetime) -> ForecastRun | None:
    """Forecast the hours from the present grid hour on; a second call returns the first run.

    Every run reaches a day; one every six hours reaches a week, so that a week is never older than
    that and the tables stay small.

    Args:
        now: present grid time; the run is issued at the beginning of its hour and knows the hours
            before it.

    Returns:
        The run of this hour; None while nothing has ever been known of any pool.
    """
    issued_at = floor_hour(now)
    existing = ForecastRun.objects.filter(issued_at=issued_at).first()
    if existing is not None:
        return existing
    history = read_history(now, days=HISTORY_DAYS)
    if not history.panel.codes:
        return None
    sight_declarations(history, now)
    horizon_h = _horizon(issued_at)
    made = make_demand(history, issued_at, horizon_h=horizon_h)
    energy = make_energy(now, horizon_h=horizon_h, days=HISTORY_DAYS)
    watched = watch_runs(history.panel, issued_at)
    run = _store(made, energy, watched, issued_at, now)
    sync_shortage_alerts(now)
    return run


def _horizon(issued_at: dt.datetime) -> int:
    has_long = ForecastRun.objects.filter(
        issued_at__gt=issued_at - LONG_EVERY, horizon_h__gte=LONG_HORIZON_H
    ).exists()
    return DAY_HORIZON_H if has_long else LONG_HORIZON_H


@transaction.atomic
def _store(
    made: Made, energy: Forecast, watched: Watched, issued_at: dt.datetime, now: dt.datetime
) -> ForecastRun:
    run, is_new = ForecastRun.objects.get_or_create(
        issued_at=issued_at,
        defaults=_facts_of(made)
        | {
            "created_at": now,
            "fallbacks": _fallbacks(made.forecast) | _fallbacks(energy),
            "accuracy": watched.accuracy,
            "drift": watched.drift,
            "set_aside": left_out(issued_at),
        },
    )
    if is_new:
        _insert_paths(made.forecast, run.pk, made.declared)
        _insert_paths(energy, run.pk, {})
        _forget_old_runs(now)
        events.publish("grid", {"kind": "forecast", "run_id": run.pk})
        logger.info("forecast.issued", extra={"run": run.pk, "state": run.state})
    return run


def _facts_of(made: Made) -> dict[str, Any]:
    forecast = made.forecast
    state = run_state(forecast.verdicts)
    by_model = any(verdict.method is Method.MODEL for verdict in forecast.verdicts)
    used = made.model if by_model else None
    return {
        "state": state,
        "horizon_h": forecast.demand.shape[1],
        "model": used,
        "model_name": used.name if used else _most_used(forecast),
        "model_version": used.version if used else "",
        "trained_from": used.trained_from if used else None,
        "trained_until": used.trained_until if used else None,
        "degraded_reason": "" if state is RunState.READY else _reason(forecast),
        "steps": list(made.steps),
        "declared": made.merged,
    }


def _insert_paths(forecast: Forecast, run_id: int, declared: dict[str, list[float]]) -> None:
    """Store every series as one row, in few statements: thousands of pools within seconds."""
    rows = [
        (*_names(name), name, path, verdict)
        for name, path, verdict in zip(
            forecast.codes, forecast.demand, forecast.verdicts, strict=True
        )
        if verdict.method is not Method.NONE
    ]
    with connection.cursor() as cursor:
        for first in range(0, len(rows), _ROWS_PER_INSERT):
            part = rows[first : first + _ROWS_PER_INSERT]
            levels = [[_array(path[:, q]) for _, _, _, path, _ in part] for q in range(_LEVELS)]
            extra = [
                _array(declared[name]) if name in declared else None for _, _, name, *_ in part
            ]
            columns: list[list[Any]] = [
                [scope for scope, *_ in part],
                [code for _, code, *_ in part],
                [verdict.method.value for *_, verdict in part],
                [verdict.reason.value if verdict.reason else "" for *_, verdict in part],
                extra,
                *levels,
            ]
            cursor.execute(_INSERT, [run_id, *columns])


def _names(series: str) -> tuple[str, str]:
    scope, code = scope_and_code(series)
    return scope.value, code


def _array(values: Floats | list[float]) -> str:
    """Return numbers as PostgreSQL reads an array; far quicker than one parameter per number."""
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    return "{" + orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode() + "}"


def _fallbacks(forecast: Forecast) -> dict[str, dict[str, str]]:
    return {
        name: {"method": verdict.method.value, "reason": verdict.reason.value}
        for name, verdict in zip(forecast.codes, forecast.verdicts, strict=True)
        if verdict.reason is not None
    }


def _reason(forecast: Forecast) -> str:
    fallen = [verdict for verdict in forecast.verdicts if verdict.reason is not None]
    counts = ", ".join(f"{reason} {count}" for reason, count in count_reasons(fallen).items())
    return f"{len(fallen)} of {len(forecast.verdicts)} series not by the model: {counts}"


def _most_used(forecast: Forecast) -> str:
    counts: Counter[Method] = Counter(verdict.method for verdict in forecast.verdicts)
    return counts.most_common(1)[0][0].value


def _forget_old_runs(now: dt.datetime) -> None:
    old = ForecastRun.objects.filter(issued_at__lt=now - KEPT)
    ForecastPath.objects.filter(run__in=old).delete()
    old.delete()
