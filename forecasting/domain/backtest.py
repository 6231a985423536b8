"""Replays forecasts at many past moments and measures them by lead; nothing later is used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from forecasting.domain.baselines import Baseline, predict_baseline
from forecasting.domain.calibration import LEAD_BUCKETS
from forecasting.domain.ensemble.library import Library
from forecasting.domain.fallback import forecast_demand
from forecasting.domain.features import DAY_H
from forecasting.domain.forecasters import ModelSettings, fit_model
from forecasting.domain.frames import DemandPanel, Floats
from forecasting.domain.metrics import Score, score_forecasts

Predictor = Callable[[DemandPanel], Floats]
"""Takes everything known at an origin, P series of hours, and returns (P, H, Q) units."""
Trainer = Callable[[DemandPanel], Predictor]
"""Takes everything known at an origin and returns what forecasts from then on."""
Stopwatch = Callable[[], float]
"""Returns seconds; only differences count."""

OURS = "ours"
_PEAK_LEVEL = 0.9


@dataclass(frozen=True)
class BacktestPlan:
    """At which moments is forecast, and how far.

    Attributes:
        horizon_h: leads 1..horizon_h.
        origins: most origins, the newest ones.
        step_h: distance between origins, hours.
        min_train_h: fewest hours before the first origin.
        train_every: a trainer is asked at every so many origins and serves those after it.
        quantiles: levels that are measured, ascending, 0.5 among them.
    """

    horizon_h: int = DAY_H
    origins: int = 28
    step_h: int = DAY_H
    min_train_h: int = 336
    train_every: int = 1
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9, 0.95)

    def places(self, hours: int) -> list[int]:
        """Return the origins in a history of so many hours, oldest first."""
        newest = hours - self.horizon_h
        places = [newest - self.step_h * back for back in range(self.origins)]
        return sorted(place for place in places if place >= self.min_train_h)


@dataclass(frozen=True)
class ModelScore:
    """How one model did.

    Attributes:
        overall: over all leads.
        by_lead: by bucket of leads, where there were any.
        train_s: seconds spent on training, all together.
        predict_s: seconds spent on forecasting, all together.
    """

    overall: Score
    by_lead: dict[str, Score]
    train_s: float
    predict_s: float

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)


def run_backtest(
    panel: DemandPanel,
    plan: BacktestPlan,
    trainers: Mapping[str, Trainer],
    *,
    stopwatch: Stopwatch,
) -> dict[str, ModelScore]:
    """Let every model forecast at every origin and measure it on what came true.

    A model sees the hours before an origin and nothing else: it is given a panel that ends there.

    Args:
        panel: P series, T hours.
        plan: origins, leads and quantiles.
        trainers: name of each model -> its trainer.
        stopwatch: measures seconds.

    Returns:
        Scores by name of the model; empty when the history has no origin.
    """
    places = plan.places(panel.hours)
    if not places or not panel.codes:
        return {}
    truth = _Truth(
        actual=np.concatenate([_ahead(panel, place, plan.horizon_h) for place in places]),
        day_change=np.concatenate([_day_change(panel.head(place)) for place in places]),
        peak_above=np.concatenate([_peak_level(panel.head(place)) for place in places]),
        quantiles=plan.quantiles,
    )
    scores = {}
    for name, trainer in trainers.items():
        predicted, train_s, predict_s = _replay(panel, places, trainer, plan, stopwatch)
        overall = truth.score(predicted, 1, plan.horizon_h)
        by_lead = {
            label: truth.score(predicted, first, last)
            for label, first, last in LEAD_BUCKETS
            if first <= plan.horizon_h
        }
        scores[name] = ModelScore(overall, by_lead, train_s, predict_s)
    return scores


def our_trainer(
    settings: ModelSettings, plan: BacktestPlan, library: Library | None = None
) -> Trainer:
    """Return a trainer of the grid's own model with its fallback chain.

    Args:
        settings: of the model; its levels must hold those of the plan.
        plan: tells the horizon and the levels that are kept.
        library: traces of other grids.
    """
    kept = [settings.quantiles.index(level) for level in plan.quantiles]

    def train(history: DemandPanel) -> Predictor:
        model = fit_model(history, settings, library)

        def predict(known: DemandPanel) -> Floats:
            if model is None:
                return predict_baseline(
                    known, Baseline.LAST, horizon_h=plan.horizon_h, quantiles=plan.quantiles
                )
            forecast = forecast_demand(known, model, horizon_h=plan.horizon_h)
            return forecast.demand[:, :, kept]

        return predict

    return train


def baseline_trainer(baseline: Baseline, plan: BacktestPlan) -> Trainer:
    """Return a trainer of a naive rule, which has nothing to learn."""

    def predict(known: DemandPanel) -> Floats:
        return predict_baseline(known, baseline, horizon_h=plan.horizon_h, quantiles=plan.quantiles)

    return lambda _history: predict


def best_naive_of(wape: Mapping[str, float | None]) -> str | None:
    """Return the naive rule with the smallest WAPE, or None when none was measured.

    >>> best_naive_of({"last": 0.2, "sn24": 0.3, "ours": 0.1, "sn168": None})
    'last'
    """
    rules = {rule.value for rule in Baseline}
    measured = {name: error for name, error in wape.items() if name in rules and error is not None}
    return min(measured, key=lambda name: measured[name]) if measured else None


@dataclass(frozen=True)
class _Truth:
    actual: Floats
    day_change: Floats
    peak_above: Floats
    quantiles: tuple[float, ...]

    def score(self, predicted: Floats, first_lead: int, last_lead: int) -> Score:
        leads = slice(first_lead - 1, last_lead)
        return score_forecasts(
            self.actual[:, leads],
            predicted[:, leads],
            self.quantiles,
            day_change=self.day_change,
            peak_above=self.peak_above,
        )


def _replay(
    panel: DemandPanel,
    places: Sequence[int],
    trainer: Trainer,
    plan: BacktestPlan,
    stopwatch: Stopwatch,
) -> tuple[Floats, float, float]:
    train_s = predict_s = 0.0
    parts: list[Floats] = []
    predictor: Predictor | None = None
    for turn, place in enumerate(places):
        known = panel.head(place)
        began = stopwatch()
        if predictor is None or turn % plan.train_every == 0:
            predictor = trainer(known)
        trained = stopwatch()
        parts.append(predictor(known))
        train_s += trained - began
        predict_s += stopwatch() - trained
    return np.concatenate(parts), train_s, predict_s


def _ahead(panel: DemandPanel, place: int, horizon_h: int) -> Floats:
    return panel.demand[:, place : place + horizon_h]


def _day_change(history: DemandPanel) -> Floats:
    change = np.abs(history.demand[:, DAY_H:] - history.demand[:, :-DAY_H])
    known = ~np.isnan(change)
    total: Floats = np.where(known, change, 0.0).sum(axis=1)
    mean: Floats = total / np.maximum(known.sum(axis=1), 1)
    return mean


def _peak_level(history: DemandPanel) -> Floats:
    rows = [row[~np.isnan(row)] for row in history.demand]
    return np.array([np.quantile(row, _PEAK_LEVEL) if len(row) else np.nan for row in rows])
