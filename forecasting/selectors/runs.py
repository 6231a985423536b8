"""Reads forecast runs and their declarations."""

import datetime as dt
from typing import Any

from forecasting.domain.runs import RunInfo, RunState
from forecasting.models import ForecastRun

_ISSUED = (RunState.READY.value, RunState.DEGRADED.value)


def latest_run(now: dt.datetime, *, horizon_h: int = 1) -> RunInfo | None:
    """Return the newest run with forecasts that had been issued by a moment.

    Args:
        now: present grid time.
        horizon_h: only runs that reach at least this far; every hour has a run of a day, a run of
            a week comes every few hours.

    Returns:
        The run with its declaration, or None before the first one.
    """
    rows = ForecastRun.objects.filter(
        issued_at__lte=now, state__in=_ISSUED, horizon_h__gte=horizon_h
    )
    run = rows.defer("accuracy").order_by("-issued_at").first()
    return None if run is None else declare(run, now)


def recent_runs(now: dt.datetime, *, limit: int = 48) -> list[RunInfo]:
    """Return the runs issued by a moment, newest first, failed ones among them.

    Args:
        now: present grid time.
        limit: at most this many.
    """
    rows = ForecastRun.objects.filter(issued_at__lte=now).defer("accuracy")
    return [declare(run, now) for run in rows.order_by("-issued_at")[:limit]]


def declaration_of(run: RunInfo) -> dict[str, Any]:
    """Return what has to go with every forecast that leaves the grid: what made it, and how.

    Args:
        run: the run that it comes from.

    Returns:
        `automated` (always true), `model_name`, `model_version`, `trained_from`, `trained_until`,
        `issued_at`, `created_at`, `steps` (codes in order), `reviewer` (nobody looks at a forecast
        before it is shown: always None, people decide on plans) and `degraded_reason`.
    """
    return {
        "automated": True,
        "model_name": run.model_name,
        "model_version": run.model_version,
        "trained_from": run.trained_from,
        "trained_until": run.trained_until,
        "issued_at": run.issued_at,
        "created_at": run.created_at,
        "steps": list(run.steps),
        "reviewer": None,
        "degraded_reason": run.degraded_reason,
    }


def declare(run: ForecastRun, now: dt.datetime) -> RunInfo:
    """Return a stored run as callers see it."""
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
        created_at=run.created_at,
        horizon_h=run.horizon_h,
        trained_from=run.trained_from,
        steps=tuple(run.steps),
        set_aside=run.set_aside,
    )
