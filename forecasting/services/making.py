"""Makes the forecasts of one run: by the model or a fallback, with announced demand, summing up."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from controlplane.lib.units import HOUR
from forecasting import selectors
from forecasting.domain.fallback import Forecast, forecast_demand
from forecasting.domain.forecasters import FittedModel
from forecasting.domain.live.declared import Announced, merge_announced
from forecasting.domain.live.reconcile import parents_of, reconcile
from forecasting.domain.quality import QualityRules
from forecasting.domain.runs import EnergyScope, Target, series_code
from forecasting.models import ForecastModel
from forecasting.services.history import History, read_target
from forecasting.services.training import champion_model

# a yearly factor is constant for good reason: a flat line is suspect for demand only
_ENERGY_RULES = QualityRules(flat_min_h=10**6)


@dataclass(frozen=True)
class Made:
    """The demand forecasts of a run.

    Attributes:
        forecast: all series under all their names.
        model: the model that was asked, None without one.
        steps: codes of what was done, in order.
        declared: series -> expected units of announced demand per hour, within the quantiles.
        merged: the announcements that were counted, for the record.
    """

    forecast: Forecast
    model: ForecastModel | None
    steps: tuple[str, ...]
    declared: dict[str, list[float]]
    merged: list[dict[str, Any]]


def make_demand(history: History, issued_at: dt.datetime, *, horizon_h: int) -> Made:
    """Forecast demand of all series.

    Args:
        history: what is known.
        issued_at: end of it.
        horizon_h: leads 1 to this; less when the model in service does not reach so far.

    Returns:
        The forecasts, with what was done to make them.
    """
    champion = champion_model(Target.DEMAND)
    row, model = champion or (None, None)
    reach_h = _reach(model, horizon_h)
    forecast = forecast_demand(history.panel, model, horizon_h=reach_h)
    steps = ["hourly-means", "quality-check", "model" if model else "fallback"]
    works = selectors.open_announced(issued_at + reach_h * HOUR)
    by_series = _by_series(works, history)
    if by_series:
        forecast = _with_announced(forecast, by_series, issued_at)
        steps.append("announced-demand")
    if history.members:
        forecast = _summing_up(forecast, history)
        steps.append("reconciled")
    declared = {
        name: selectors.expected_by_hour(
            [replace(w, series=name) for w in own], issued_at, reach_h
        )[name]
        for name, own in by_series.items()
    }
    for name, same in history.same_as.items():
        if same in declared:
            declared[name] = declared[same]
    merged = [
        {"id": work.id, "series": work.series, "units": work.units, "state": work.state.value}
        for work in works
    ]
    return Made(_with_other_names(forecast, history), row, tuple(steps), declared, merged)


def make_energy(now: dt.datetime, *, horizon_h: int, days: int) -> Forecast:
    """Forecast price and carbon of every zone that has history.

    Args:
        now: present grid time.
        horizon_h: leads 1 to this; less when a model in service does not reach so far.
        days: how much history is read.
    """
    parts = []
    for scope in EnergyScope:
        panel = read_target(now, Target(scope.value), days=days)
        champion = champion_model(Target(scope.value))
        model = champion[1] if champion else None
        reach_h = _reach(model, horizon_h)
        part = forecast_demand(panel, model, horizon_h=reach_h, rules=_ENERGY_RULES)
        named = tuple(series_code(scope, code) for code in part.codes)
        parts.append(replace(part, codes=named))
    return _joined(parts, horizon_h)


def _reach(model: FittedModel | None, horizon_h: int) -> int:
    return horizon_h if model is None else min(horizon_h, model.settings.horizon_h)


def _by_series(works: Sequence[Announced], history: History) -> dict[str, list[Announced]]:
    """Return, per series of the panel, the announced work that it contains."""
    known = set(history.panel.codes)
    found: defaultdict[str, list[Announced]] = defaultdict(list)
    for work in works:
        name = history.canonical(work.series)
        within = {name} | {
            whole
            for whole, parts in history.members.items()
            if set(_parts(name, history)) <= set(parts)
        }
        for series in within & known:
            found[series].append(work)
    return dict(found)


def _parts(name: str, history: History) -> tuple[str, ...]:
    return history.members.get(name, (name,))


def _with_announced(
    forecast: Forecast, by_series: dict[str, list[Announced]], issued_at: dt.datetime
) -> Forecast:
    demand = forecast.demand.copy()
    for place, name in enumerate(forecast.codes):
        if name in by_series and np.isfinite(demand[place]).all():
            demand[place] = merge_announced(
                demand[place], by_series[name], issued_at, forecast.quantiles
            )
    return replace(forecast, demand=demand)


def _summing_up(forecast: Forecast, history: History) -> Forecast:
    parent = parents_of(forecast.codes, history.members)
    return replace(forecast, demand=reconcile(forecast.demand, parent, forecast.quantiles))


def _with_other_names(forecast: Forecast, history: History) -> Forecast:
    row_of = {code: row for row, code in enumerate(forecast.codes)}
    rows = [row_of[same] for same in history.same_as.values()]
    return replace(
        forecast,
        codes=(*forecast.codes, *history.same_as),
        demand=np.concatenate([forecast.demand, forecast.demand[rows]]),
        verdicts=(*forecast.verdicts, *(forecast.verdicts[row] for row in rows)),
    )


def _joined(parts: Sequence[Forecast], horizon_h: int) -> Forecast:
    reach_h = min([horizon_h, *(part.demand.shape[1] for part in parts)])
    return Forecast(
        codes=tuple(code for part in parts for code in part.codes),
        quantiles=parts[0].quantiles,
        demand=np.concatenate([part.demand[:, :reach_h] for part in parts]),
        verdicts=tuple(verdict for part in parts for verdict in part.verdicts),
    )
