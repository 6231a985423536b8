"""Fits the model that the grid forecasts with, and forecasts demand with it."""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from forecasting.domain.calibration import (
    Calibration,
    calibrated,
    fit_calibration,
    no_calibration,
)
from forecasting.domain.features import CONTEXT_H, WEEK_H, describe_states
from forecasting.domain.forest import Forest, ForestSettings, grow_forest, path_quantiles
from forecasting.domain.frames import Bools, DemandPanel, Floats

QUANTILES = (0.05, 0.1, 0.5, 0.9, 0.95)
MODEL_NAME = "analog-forest"
CODE_VERSION = "1"


@dataclass(frozen=True)
class ModelSettings:
    """How the model is made.

    Attributes:
        forest: how its forest is grown.
        quantiles: levels that are calibrated, ascending, an odd number with 0.5 in the middle.
        calibration_h: length of the later data on which it is calibrated, hours.
        calibration_step_h: least distance of the origins there, hours.
        calibration_rows: most forecasts looked at there; more series mean fewer origins.
    """

    forest: ForestSettings = field(default_factory=ForestSettings)
    quantiles: tuple[float, ...] = QUANTILES
    calibration_h: int = 96
    calibration_step_h: int = 3
    calibration_rows: int = 600


@dataclass(frozen=True)
class FittedModel:
    """A model that can forecast: arrays and settings only.

    Attributes:
        settings: what it was made with.
        forest: the grown forest.
        calibration: its corrections.
        trained_from: beginning of the data it knows.
        trained_until: end of the data it knows; nothing later was used.
    """

    settings: ModelSettings
    forest: Forest
    calibration: Calibration
    trained_from: dt.datetime
    trained_until: dt.datetime


def fit_model(panel: DemandPanel, settings: ModelSettings) -> FittedModel | None:
    """Fit a model to a panel.

    A first forest, grown without the last hours, is calibrated on them; the forest that stays is
    then grown from everything.

    Args:
        panel: the whole history that may be used.
        settings: how.

    Returns:
        The model, or None when the history is too short to learn from.
    """
    forest = grow_forest(panel, settings.forest)
    if forest is None:
        return None
    early = grow_forest(panel.head(max(0, panel.hours - settings.calibration_h)), settings.forest)
    correction = no_calibration(settings.quantiles)
    if early is not None:
        correction = _calibrate(early, panel, settings)
    return FittedModel(
        settings=settings,
        forest=forest,
        calibration=correction,
        trained_from=panel.start_at,
        trained_until=panel.end_at,
    )


def predict_with(model: FittedModel, panel: DemandPanel) -> Floats:
    """Forecast the hours after a panel.

    Args:
        model: the model.
        panel: P series up to the moment of issue; its last two weeks are looked at.

    Returns:
        (P, H, Q) units, >= 0, ascending along the last axis; NaN rows where a series has no
        known value or no week of history. An idle series stays as it is.
    """
    states = describe_states(panel.tail(CONTEXT_H))
    level, scale = states.level[:, -1], states.scale[:, -1]
    change = path_quantiles(model.forest, states.values[:, -1], model.settings.quantiles)
    change = calibrated(change, model.calibration)
    size = np.where(_is_idle(panel), 0.0, scale)
    demand = level[:, None, None] + size[:, None, None] * change
    return np.maximum(demand, 0.0)


def with_horizon(settings: ModelSettings, horizon_h: int) -> ModelSettings:
    """Return settings for another horizon."""
    return replace(settings, forest=replace(settings.forest, horizon_h=horizon_h))


def with_quantiles(settings: ModelSettings, quantiles: Sequence[float]) -> ModelSettings:
    """Return settings for other levels; the median and each level's mirror are added.

    >>> with_quantiles(ModelSettings(), [0.9]).quantiles
    (0.1, 0.5, 0.9)
    """
    levels = {0.5, *quantiles, *(round(1 - level, 6) for level in quantiles)}
    return replace(settings, quantiles=tuple(sorted(levels)))


def _calibrate(early: Forest, panel: DemandPanel, settings: ModelSettings) -> Calibration:
    states = describe_states(panel)
    horizon_h = settings.forest.horizon_h
    wanted_h = math.ceil(len(panel.codes) * settings.calibration_h / settings.calibration_rows)
    step_h = max(settings.calibration_step_h, wanted_h)
    origins = np.arange(panel.hours - 1, panel.hours - settings.calibration_h - 1, -step_h)
    row, place = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(panel.codes)), origins, indexing="ij")
    )
    usable = ~np.isnan(states.scale[row, place]) & (place >= WEEK_H)
    row, place = row[usable], place[usable]
    level, scale = states.level[row, place], states.scale[row, place]
    padded = np.pad(panel.demand, ((0, 0), (0, horizon_h)), constant_values=np.nan)
    truth = padded[row[:, None], place[:, None] + np.arange(horizon_h)]
    happened = (truth - level[:, None]) / scale[:, None]
    weights = (scale / scale.mean()) ** settings.forest.scale_power
    predicted = path_quantiles(early, states.values[row, place], settings.quantiles)
    return fit_calibration(predicted, happened, weights, settings.quantiles)


def _is_idle(panel: DemandPanel) -> Bools:
    week = panel.demand[:, -WEEK_H:]
    is_idle: Bools = (week == 0.0).any(axis=1) & ~(week > 0.0).any(axis=1)
    return is_idle
