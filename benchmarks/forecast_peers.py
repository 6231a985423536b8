"""Public forecasters in the shape that the backtest asks for; each learns at every origin anew."""

import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from forecasting.domain.backtest import Predictor, Trainer
from forecasting.domain.frames import DemandPanel, Floats, carried_forward

DAY_H, WEEK_H = 24, 168
STATISTICAL = ("ets", "theta", "mstl")
_HISTORY_H = 6 * WEEK_H
_LAGS_H = (0, 1, 2, 3, 5, 11, 23, 24, 47, 71, 143, 167)
_LEADS_PER_ORIGIN = 6
_MOST_ROWS = 60_000


def missing_packages() -> list[str]:
    """Return the names of the peers' packages that are not installed."""
    names = ("statsforecast", "lightgbm")
    return [name for name in names if importlib.util.find_spec(name) is None]


def statistical_trainers(horizon_h: int, quantiles: Sequence[float]) -> dict[str, Trainer]:
    """Return trainers of AutoETS, Theta and MSTL by statsforecast, season of a day.

    Args:
        horizon_h: leads 1..horizon_h.
        quantiles: levels; those beside the median come from the models' own intervals.
    """
    # only there in the benchmark's own environment
    from statsforecast.models import MSTL, AutoETS, AutoTheta  # noqa: PLC0415

    models: Mapping[str, Callable[[], Any]] = {
        "ets": lambda: AutoETS(season_length=DAY_H),
        "theta": lambda: AutoTheta(season_length=DAY_H),
        "mstl": lambda: MSTL(season_length=[DAY_H, WEEK_H]),
    }

    def trainer_of(name: str) -> Trainer:
        def predict(known: DemandPanel) -> Floats:
            rows = np.nan_to_num(carried_forward(known.tail(_HISTORY_H).demand))
            return np.stack([_one(models[name](), row, horizon_h, quantiles) for row in rows])

        return lambda _history: predict

    return {name: trainer_of(name) for name in models}


def boosted_trainer(horizon_h: int, quantiles: Sequence[float]) -> Trainer:
    """Return a trainer of LightGBM: one model per quantile over all series, lead as a feature."""
    import lightgbm  # noqa: PLC0415

    def train(history: DemandPanel) -> Predictor:
        filled = carried_forward(history.demand)
        inputs, target, weight = _boosting_rows(filled, history, horizon_h)
        data = lightgbm.Dataset(inputs, target, weight=weight, free_raw_data=False)
        boosters = [
            lightgbm.train(
                {
                    "objective": "quantile",
                    "alpha": level,
                    "learning_rate": 0.05,
                    "num_leaves": 15,
                    "min_data_in_leaf": 100,
                    "feature_fraction": 0.6,
                    "verbosity": -1,
                    "num_threads": 1,
                    "seed": 1,
                },
                data,
                150,
            )
            for level in quantiles
        ]

        def predict(known: DemandPanel) -> Floats:
            now = carried_forward(known.demand)
            row = np.repeat(np.arange(len(now)), horizon_h)
            lead = np.tile(np.arange(1, horizon_h + 1), len(now))
            origin = np.full(len(row), known.hours)
            rows, level, size = _inputs(now, row, origin, lead, known)
            answer = np.stack([booster.predict(rows) for booster in boosters], axis=-1)
            demand = level[:, None] + size[:, None] * np.sort(answer, axis=-1)
            return np.maximum(demand, 0.0).reshape(len(now), horizon_h, -1)

        return predict

    return train


def _one(model: Any, row: Floats, horizon_h: int, quantiles: Sequence[float]) -> Floats:
    levels = sorted({round(100 * abs(2 * q - 1)) for q in quantiles if q != 0.5})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            said = model.forecast(row, h=horizon_h, level=levels)
        except Exception:  # noqa: BLE001
            # a series that a model cannot fit (constant, idle) stays where it is
            return np.full((horizon_h, len(quantiles)), row[-1])
    columns = []
    for q in quantiles:
        name = "mean" if q == 0.5 else f"{'lo' if q < 0.5 else 'hi'}-{round(100 * abs(2 * q - 1))}"
        columns.append(np.asarray(said[name], dtype=float))
    out = np.nan_to_num(np.stack(columns, axis=-1), nan=row[-1])
    return np.sort(np.maximum(out, 0.0), axis=-1)


def _boosting_rows(
    filled: Floats, panel: DemandPanel, horizon_h: int
) -> tuple[Floats, Floats, Floats]:
    chance = np.random.default_rng(1)
    row, origin = np.nonzero(~np.isnan(filled[:, : panel.hours - horizon_h]))
    row, origin = row[origin >= WEEK_H], origin[origin >= WEEK_H]
    wanted = min(len(row), _MOST_ROWS // _LEADS_PER_ORIGIN)
    kept = chance.choice(len(row), wanted, replace=False)
    row, origin = (np.repeat(values[kept], _LEADS_PER_ORIGIN) for values in (row, origin))
    lead = chance.integers(1, horizon_h + 1, len(row))
    inputs, level, size = _inputs(filled, row, origin, lead, panel)
    target = (filled[row, origin + lead - 1] - level) / size
    return inputs, target, (size / size.mean()) ** 0.5


def _inputs(
    filled: Floats, row: Any, origin: Any, lead: Any, panel: DemandPanel
) -> tuple[Floats, Floats, Floats]:
    def at(hour: Any) -> Floats:
        return np.where(hour >= 0, filled[row, np.maximum(hour, 0)], np.nan)

    level = at(origin - 1)
    known = np.nan_to_num(filled)
    sums = np.cumsum(np.pad(known, ((0, 0), (1, 0))), axis=1)
    week = (sums[row, origin] - sums[row, np.maximum(origin - WEEK_H, 0)]) / WEEK_H
    size = np.maximum(week, 0.05 * np.maximum(known.mean(axis=1)[row], 1e-9)) + 1e-9
    first = panel.start_at.weekday() * DAY_H + panel.start_at.hour
    hour = (first + origin + lead - 1) % WEEK_H
    days_back = ((lead - 1) // DAY_H + 1) * DAY_H
    lags = [at(origin - 1 - back) - level for back in _LAGS_H[1:]]
    same = [at(origin + lead - 1 - days_back) - level, at(origin + lead - 1 - WEEK_H) - level]
    relative = [values / size for values in (*lags, *same, week - level, level)]
    return np.stack([*relative, lead, hour % DAY_H, hour // DAY_H], axis=-1), level, size
