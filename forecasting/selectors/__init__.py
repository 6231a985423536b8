"""Reads forecasts, their declarations and their accuracy for charts, the API and the planner."""

from forecasting.selectors.announced import (
    declaration_card,
    declarations,
    expected_by_hour,
    open_announced,
)
from forecasting.selectors.charts import past_against_truth, series
from forecasting.selectors.energy import energy_quantile, energy_series, zones
from forecasting.selectors.models import accuracy, champions, describe_model, registry
from forecasting.selectors.paths import (
    HELD_H,
    QUANTILE_COLUMNS,
    demand_quantile,
    issued_points,
    merged_paths,
    quantile_frame,
    serving_runs,
)
from forecasting.selectors.runs import declaration_of, latest_run, recent_runs
from forecasting.selectors.shortages import forecast_shortages

__all__ = [
    "HELD_H",
    "QUANTILE_COLUMNS",
    "accuracy",
    "champions",
    "declaration_card",
    "declaration_of",
    "declarations",
    "demand_quantile",
    "describe_model",
    "energy_quantile",
    "energy_series",
    "expected_by_hour",
    "forecast_shortages",
    "issued_points",
    "latest_run",
    "merged_paths",
    "open_announced",
    "past_against_truth",
    "quantile_frame",
    "recent_runs",
    "registry",
    "series",
    "serving_runs",
    "zones",
]
