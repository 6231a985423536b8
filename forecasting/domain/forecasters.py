"""Fits the model that the grid forecasts with, and forecasts demand with it.

Unlike forecasters are combined quantile by quantile: simple rules weighed by their own past
errors, with the spread of those errors; networks and trees that were taught by traces of other
grids and by the grid's own history. Each speaks in usual errors of its center, so one model
serves series of any size and restlessness.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from forecasting.domain.ensemble.library import Library, Source
from forecasting.domain.ensemble.mixing import mixed_quantiles
from forecasting.domain.ensemble.network import (
    Network,
    TrainingTerms,
    new_network,
    train_network,
)
from forecasting.domain.ensemble.prior import (
    DrawTerms,
    Lessons,
    NetworkRows,
    Prior,
    draw_lessons,
    joined_trees,
    learn_prior,
)
from forecasting.domain.ensemble.rows import FEATURES, Center
from forecasting.domain.ensemble.rules import lead_grid
from forecasting.domain.ensemble.trees import Forest, TreeTerms, grow_forest
from forecasting.domain.features import CONTEXT_H, WEEK_H
from forecasting.domain.frames import Bools, DemandPanel, Floats
from forecasting.domain.suspicion import Suspicion, suspect_series

QUANTILES = (0.05, 0.1, 0.5, 0.9, 0.95)
MODEL_NAME = "rules-network-trees"
CODE_VERSION = "2"

_FEWEST_EXAMPLES = 48
_TRACKED = 16_000
_MOST_STRIDE_H = 4
_SERIES_PER_CHUNK = 250
_THREADS = 2
_FIRST_RATE = 3e-3
_OWN_RATE = 1e-3


@dataclass(frozen=True)
class ModelSettings:
    """How the model is made.

    Attributes:
        horizon_h: leads 1..horizon_h, hours.
        quantiles: levels, ascending, 0.5 among them.
        trees: number of trees.
        min_leaf: fewest examples in a leaf.
        units: of each hidden layer of the networks.
        prior_epochs: passes over the shipped traces.
        own_epochs: passes over the own history.
        prior_rows: examples of each set of shipped traces for the networks.
        prior_tree_rows: examples of each set of shipped traces for the trees.
        max_rows: most own examples, drawn at random when there are more.
        max_series: most series that are learned from.
        prior_share: weight of a shipped example in the trees; an own one weighs 1.
        seed: of everything random.
    """

    horizon_h: int = 24
    quantiles: tuple[float, ...] = QUANTILES
    trees: int = 24
    min_leaf: int = 60
    units: int = 24
    prior_epochs: int = 8
    own_epochs: int = 4
    prior_rows: int = 4000
    prior_tree_rows: int = 800
    max_rows: int = 5000
    max_series: int = 200
    prior_share: float = 0.6
    seed: int = 20230505

    def training(self, *, epochs: int, rate: float) -> TrainingTerms:
        """Return the terms of a network."""
        return TrainingTerms(self.quantiles, self.units, epochs, rate, self.seed)


@dataclass(frozen=True)
class FittedModel:
    """A model that can forecast: arrays and settings only.

    Attributes:
        settings: what it was made with.
        networks: by name: `combined` and `last-value` taught by own history, `prior` not.
        forest: the grown trees.
        taught_by: names of the sets of shipped traces that it learned from.
        left_out: series that looked made up -> why; they were not learned from.
        trained_from: beginning of the data it knows.
        trained_until: end of the data it knows; nothing later was used.
    """

    settings: ModelSettings
    networks: dict[str, Network]
    forest: Forest
    taught_by: tuple[str, ...]
    left_out: dict[str, str]
    trained_from: dt.datetime
    trained_until: dt.datetime

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what it reads."""
        return FEATURES


def fit_model(
    panel: DemandPanel, settings: ModelSettings, library: Library | None = None
) -> FittedModel | None:
    """Fit a model to a panel.

    Args:
        panel: the whole history that may be used.
        settings: how.
        library: traces of other grids; sets of which the panel holds a part are left out.

    Returns:
        The model, or None when there is too little to learn from.
    """
    suspected = suspect_series(panel)
    chosen = _chosen_series(panel, suspected, settings)
    stride_h = min(_MOST_STRIDE_H, 1 + chosen.demand.size // _TRACKED)
    lessons = draw_lessons(
        chosen,
        DrawTerms(settings.horizon_h, settings.max_rows, stride_h=stride_h, seed=settings.seed),
    )
    others = library.without(panel) if library else None
    prior = _prior_of(others.sources, settings) if others else None
    if lessons is not None and lessons.count < _FEWEST_EXAMPLES:
        lessons = None
    if lessons is None and prior is None:
        return None
    return FittedModel(
        settings=settings,
        networks=_networks(lessons, prior, settings),
        forest=_forest(lessons, prior, settings),
        taught_by=tuple(source.name for source in others.sources) if others else (),
        left_out={code: reason.value for code, reason in suspected.items()},
        trained_from=panel.start_at,
        trained_until=panel.end_at,
    )


def predict_with(model: FittedModel, panel: DemandPanel, *, horizon_h: int | None = None) -> Floats:
    """Forecast the hours after a panel.

    Args:
        model: the model.
        panel: P series up to the moment of issue; its last weeks are looked at.
        horizon_h: leads 1..horizon_h, at most the model's own; None for all of them.

    Returns:
        (P, H, Q) units, >= 0, ascending along the last axis; NaN rows where a series has no
        known value. An idle series stays idle, and one that never moved stays where it is.
    """
    recent = panel.tail(CONTEXT_H)
    settings = model.settings
    reach_h = horizon_h or settings.horizon_h

    def forecast_part(first: int) -> Floats:
        return mixed_quantiles(
            recent.rows(slice(first, first + _SERIES_PER_CHUNK)),
            model.networks,
            model.forest,
            settings.quantiles,
            horizon_h=reach_h,
            grid_h=settings.horizon_h,
        )

    # numpy lets other threads run meanwhile; the order of the parts stays
    with ThreadPoolExecutor(_THREADS) as threads:
        parts = list(threads.map(forecast_part, range(0, len(panel.codes), _SERIES_PER_CHUNK)))
    nothing = np.empty((0, reach_h, len(settings.quantiles)))
    out = np.concatenate([nothing, *parts])
    still = _still_level(recent)
    return np.where(np.isnan(still)[:, None, None], out, still[:, None, None])


def with_horizon(settings: ModelSettings, horizon_h: int) -> ModelSettings:
    """Return settings for another horizon."""
    return replace(settings, horizon_h=horizon_h)


def with_quantiles(settings: ModelSettings, quantiles: Sequence[float]) -> ModelSettings:
    """Return settings for other levels; the median and each level's mirror are added.

    >>> with_quantiles(ModelSettings(), [0.9]).quantiles
    (0.1, 0.5, 0.9)
    """
    levels = {0.5, *quantiles, *(round(1 - level, 6) for level in quantiles)}
    return replace(settings, quantiles=tuple(sorted(levels)))


@lru_cache(maxsize=4)
def _prior_of(sources: tuple[Source, ...], settings: ModelSettings) -> Prior | None:
    # the same traces teach the same, so that a rolling evaluation learns them once
    return learn_prior(
        Library(sources),
        settings.training(epochs=settings.prior_epochs, rate=_FIRST_RATE),
        horizon_h=settings.horizon_h,
        most=settings.prior_rows,
        tree_most=settings.prior_tree_rows,
    )


def _chosen_series(
    panel: DemandPanel, suspected: Mapping[str, Suspicion], settings: ModelSettings
) -> DemandPanel:
    is_sound = np.array([code not in suspected for code in panel.codes], dtype=bool)
    moves = np.flatnonzero((np.nansum(panel.demand, axis=1) > 0) & is_sound)
    if len(moves) > settings.max_series:
        chance = np.random.default_rng(settings.seed)
        moves = np.sort(chance.choice(moves, settings.max_series, replace=False))
    return panel.rows(moves)


def _networks(
    lessons: Lessons | None, prior: Prior | None, settings: ModelSettings
) -> dict[str, Network]:
    begun = prior.networks if prior else {}
    networks = {center.value: network for center, network in begun.items()}
    if lessons:
        networks = {
            center.value: _network(rows, begun.get(center), settings)
            for center, rows in lessons.by_center.items()
        }
    if prior:
        networks["prior"] = prior.networks[Center.COMBINED]
    return networks


def _network(rows: NetworkRows, begun: Network | None, settings: ModelSettings) -> Network:
    if begun is not None:
        terms = settings.training(epochs=settings.own_epochs, rate=_OWN_RATE)
        return train_network(begun, rows.inputs, rows.target, rows.weight, terms)
    terms = settings.training(epochs=settings.prior_epochs, rate=_FIRST_RATE)
    fresh = new_network(rows.inputs, rows.target, terms)
    return train_network(fresh, rows.inputs, rows.target, rows.weight, terms)


def _forest(lessons: Lessons | None, prior: Prior | None, settings: ModelSettings) -> Forest:
    parts = [lessons.for_trees] if lessons else []
    shares = [1.0] if lessons else []
    if prior:
        parts.append(prior.for_trees)
        shares.append(settings.prior_share)
    rows = joined_trees(parts, shares)
    terms = TreeTerms(settings.quantiles, settings.trees, settings.min_leaf, seed=settings.seed)
    return grow_forest(rows.inputs, rows.targets, rows.weight, lead_grid(settings.horizon_h), terms)


def _still_level(panel: DemandPanel) -> Floats:
    """Return (P,): where a series that does not move stays; NaN where it moves."""
    low = np.fmin.reduce(panel.demand, axis=1, initial=np.inf)
    high = np.fmax.reduce(panel.demand, axis=1, initial=-np.inf)
    known = ~np.isnan(panel.demand)
    week = panel.demand[:, -WEEK_H:]
    idle: Bools = (week == 0.0).any(axis=1) & ~(week > 0.0).any(axis=1)
    is_still = (low == high) & (known.sum(axis=1) >= 2)
    return np.where(idle, 0.0, np.where(is_still, high, np.nan))
