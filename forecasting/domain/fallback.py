"""Forecasts every series by the best method that its data allow, and says which and why.

The chain is model, seasonal naive, last value, no forecast; each step down has a typed reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.domain.baselines import Baseline, predict_baseline
from forecasting.domain.features import DAY_H
from forecasting.domain.forecasters import QUANTILES, FittedModel, predict_with
from forecasting.domain.frames import DemandPanel, Floats
from forecasting.domain.quality import (
    FallbackReason,
    Method,
    QualityRules,
    Verdict,
    judge_series,
    simpler_method,
)
from forecasting.domain.runs import RunState

_BASELINE_OF = {
    Method.SEASONAL_NAIVE: Baseline.SAME_HOUR_YESTERDAY,
    Method.LAST_VALUE: Baseline.LAST,
}


@dataclass(frozen=True)
class Forecast:
    """Forecasts of all series of a panel from one moment on.

    Attributes:
        codes: names of the series; P of them.
        quantiles: Q levels.
        demand: (P, H, Q) units, >= 0, ascending along the last axis; NaN where none was made.
        verdicts: P entries: what made each forecast, and why not the model.
    """

    codes: tuple[str, ...]
    quantiles: tuple[float, ...]
    demand: Floats
    verdicts: tuple[Verdict, ...]


def forecast_demand(
    panel: DemandPanel,
    model: FittedModel | None,
    *,
    horizon_h: int = DAY_H,
    rules: QualityRules | None = None,
) -> Forecast:
    """Forecast the hours after a panel.

    Args:
        panel: P series up to the moment of issue.
        model: the model in service, or None when there is none.
        horizon_h: leads 1..horizon_h; at most the model's own.
        rules: what the model may forecast.

    Returns:
        Forecasts with the method and the reason of each series.
    """
    limits = rules or QualityRules()
    quantiles = model.settings.quantiles if model else QUANTILES
    verdicts = judge_series(panel, limits)
    demand = np.full((len(panel.codes), horizon_h, len(quantiles)), np.nan)
    asked = [row for row, verdict in enumerate(verdicts) if verdict.method is Method.MODEL]
    if asked:
        by_model = _by_model(panel, asked, model, horizon_h)
        for place, row in enumerate(asked):
            if by_model is not None and np.isfinite(by_model[place]).all():
                demand[row] = by_model[place]
            else:
                reason = FallbackReason.MODEL_FAILED if model else FallbackReason.NO_MODEL
                verdicts[row] = Verdict(simpler_method(panel.demand[row], limits), reason)
    for method, baseline in _BASELINE_OF.items():
        rows = [row for row, verdict in enumerate(verdicts) if verdict.method is method]
        if rows:
            part = panel.select([panel.codes[row] for row in rows])
            demand[rows] = predict_baseline(
                part, baseline, horizon_h=horizon_h, quantiles=quantiles
            )
    return Forecast(panel.codes, quantiles, demand, tuple(verdicts))


def run_state(verdicts: Sequence[Verdict]) -> RunState:
    """Return the state of a run: READY when every series was forecast by the model.

    >>> run_state([])
    <RunState.FAILED: 'FAILED'>
    """
    methods = {verdict.method for verdict in verdicts}
    if methods <= {Method.NONE}:
        return RunState.FAILED
    return RunState.READY if methods == {Method.MODEL} else RunState.DEGRADED


def _by_model(
    panel: DemandPanel, rows: Sequence[int], model: FittedModel | None, horizon_h: int
) -> Floats | None:
    if model is None or model.settings.horizon_h < horizon_h:
        return None
    part = panel.select([panel.codes[row] for row in rows])
    return predict_with(model, part, horizon_h=horizon_h)
