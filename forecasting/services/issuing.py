"""Issues one forecast run per grid hour for all pools, regions and the grid."""

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from django.db import transaction

from controlplane.lib import events
from controlplane.lib.units import HOUR, floor_hour
from forecasting import selectors
from forecasting.domain.accuracy import score_past_runs
from forecasting.domain.fallback import Forecast, forecast_demand, run_state
from forecasting.domain.features import DAY_H
from forecasting.domain.forecasters import QUANTILES
from forecasting.domain.frames import Floats
from forecasting.domain.quality import Method, count_reasons
from forecasting.domain.runs import RunState, Scope, scope_and_code, series_code
from forecasting.models import ForecastModel, ForecastPoint, ForecastRun
from forecasting.services.alerting import sync_shortage_alerts
from forecasting.services.history import History, read_history
from forecasting.services.training import champion_model, train

logger = logging.getLogger(__name__)

HISTORY_DAYS = 35
KEPT = dt.timedelta(days=14)
ACCURACY_WINDOW = dt.timedelta(days=7)
ACCURACY_EVERY_H = 4
HORIZON_H = DAY_H


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
        train(now)
    return refresh(now)


def refresh(now: dt.datetime) -> ForecastRun | None:
    """Forecast the 24 hours from the present grid hour on; a second call returns the first run.

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
    champion = champion_model()
    model = champion[1] if champion else None
    forecast = _with_other_names(
        forecast_demand(history.panel, model, horizon_h=HORIZON_H), history
    )
    accuracy = _accuracy_until(issued_at, history)
    run = _store(forecast, champion[0] if champion else None, accuracy, issued_at, now)
    sync_shortage_alerts(now)
    return run


def _with_other_names(forecast: Forecast, history: History) -> Forecast:
    row_of = {code: row for row, code in enumerate(forecast.codes)}
    rows = [row_of[same] for same in history.same_as.values()]
    return replace(
        forecast,
        codes=(*forecast.codes, *history.same_as),
        demand=np.concatenate([forecast.demand, forecast.demand[rows]]),
        verdicts=(*forecast.verdicts, *(forecast.verdicts[row] for row in rows)),
    )


def _accuracy_until(issued_at: dt.datetime, history: History) -> dict[str, Any]:
    issued = selectors.issued_points(
        issued_at - ACCURACY_WINDOW, issued_at, every_h=ACCURACY_EVERY_H, scope=Scope.POOL
    )
    named = {
        moment: {series_code(Scope.POOL, code): values for code, values in points.items()}
        for moment, points in issued.items()
    }
    return score_past_runs(history.panel, named, quantiles=QUANTILES, horizon_h=HORIZON_H)


@transaction.atomic
def _store(
    forecast: Forecast,
    model: ForecastModel | None,
    accuracy: dict[str, Any],
    issued_at: dt.datetime,
    now: dt.datetime,
) -> ForecastRun:
    state = run_state(forecast.verdicts)
    by_model = any(verdict.method is Method.MODEL for verdict in forecast.verdicts)
    used = model if by_model else None
    run, is_new = ForecastRun.objects.get_or_create(
        issued_at=issued_at,
        defaults={
            "created_at": now,
            "state": state,
            "model": used,
            "model_name": used.name if used else _most_used(forecast),
            "model_version": used.version if used else "",
            "trained_until": used.trained_until if used else None,
            "degraded_reason": "" if state is RunState.READY else _reason(forecast),
            "fallbacks": _fallbacks(forecast),
            "accuracy": accuracy,
        },
    )
    if is_new:
        ForecastPoint.objects.bulk_create(_points(forecast, run, issued_at), batch_size=1000)
        _forget_old_runs(now)
        events.publish("grid", {"kind": "forecast", "run_id": run.pk})
        logger.info("forecast.issued", extra={"run": run.pk, "state": state.value})
    return run


def _points(
    forecast: Forecast, run: ForecastRun, issued_at: dt.datetime
) -> Iterator[ForecastPoint]:
    for name, path, verdict in zip(forecast.codes, forecast.demand, forecast.verdicts, strict=True):
        if verdict.method is Method.NONE:
            continue
        scope, code = scope_and_code(name)
        for hour, values in enumerate(path):
            yield ForecastPoint(
                run=run,
                scope=scope,
                code=code,
                valid_at=issued_at + hour * HOUR,
                lead_h=hour + 1,
                method=verdict.method,
                fallback_reason=verdict.reason or "",
                **_columns(values),
            )


def _columns(values: Floats) -> Mapping[str, float]:
    names = selectors.QUANTILE_COLUMNS
    return dict(zip(names, (float(value) for value in values), strict=True))


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
    ForecastPoint.objects.filter(run__in=old).delete()
    old.delete()
