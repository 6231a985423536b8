"""Reads the registry of models, who is in service, and how forecasts came true."""

import datetime as dt
from typing import Any

from forecasting.domain.runs import Target
from forecasting.domain.shortages import RISK_LEVEL
from forecasting.models import ForecastModel, ForecastRun


def accuracy(now: dt.datetime) -> dict[str, Any]:
    """Return how past runs came true, and how the model in service did before it was promoted.

    Args:
        now: present grid time.

    Returns:
        `issued_at` of the run that knew it, `live` (of pools, by lead and over all, with the skill
        against the best naive forecast, and `scopes` with the same for sites, regions, the grid
        and electricity; empty before anything has come true), `drift` (what the watch found; the
        quantiles' level of planning is `risk_quantile`) and `model` with `scores` of the
        promotion, or None.
    """
    run = ForecastRun.objects.filter(issued_at__lte=now).order_by("-issued_at").first()
    champion = champions().get(Target.DEMAND.value)
    return {
        "issued_at": None if run is None else run.issued_at,
        "risk_quantile": RISK_LEVEL,
        "live": {} if run is None else run.accuracy,
        "drift": {} if run is None else run.drift,
        "model": champion,
    }


def champions() -> dict[str, dict[str, Any]]:
    """Return the models in service by what they forecast."""
    rows = ForecastModel.objects.filter(is_champion=True).defer("artifact")
    return {model.target: describe_model(model) for model in rows}


def registry(*, limit: int = 30) -> list[dict[str, Any]]:
    """Return the newest models, promoted or not, newest first.

    Args:
        limit: at most this many.
    """
    rows = ForecastModel.objects.defer("artifact").order_by("-trained_at", "-pk")[:limit]
    return [describe_model(model) for model in rows]


def describe_model(model: ForecastModel) -> dict[str, Any]:
    """Return what a model is, what it was made from and how it did on later data."""
    names = ("target", "name", "version", "code_version", "trigger")
    times = ("trained_at", "trained_from", "trained_until")
    rest = ("features", "settings", "scores", "artifact_sha256")
    described = {name: getattr(model, name) for name in (*names, *times, *rest)}
    return {**described, "is_champion": model.is_champion}
