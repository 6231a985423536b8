"""Learns from past states which futures followed states like the present one.

A quantile regression forest: every past hour of every series is an example of a state and of the
path of demand that followed it, as a change relative to the series' scale. Randomized trees group
examples whose paths are alike; the forecast is the distribution of the paths that share leaves
with the present state. One forest serves all series, leads and quantiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesRegressor

from forecasting.domain.features import WEEK_H, StateFeatures, describe_states
from forecasting.domain.frames import DemandPanel, Floats

Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

_CHUNK = 64
_LEAF = -1
_FEWEST_EXAMPLES = 48


@dataclass(frozen=True)
class ForestSettings:
    """What a forest is grown from.

    Attributes:
        horizon_h: leads 1..horizon_h, hours.
        trees: number of trees.
        min_leaf: fewest examples in a leaf; an eighth of all when that is less.
        features_per_split: share of the features tried at a split, 0 to 1.
        max_rows: most examples learned from, drawn at random when there are more.
        scale_power: an example weighs its series' scale to this power; 0 counts all series alike,
            1 counts each unit of demand alike.
        squash: paths are compared after arcsinh(squash * change), so that bursts do not rule.
        seed: of everything random.
    """

    horizon_h: int = 24
    trees: int = 80
    min_leaf: int = 50
    features_per_split: float = 0.33
    max_rows: int = 8000
    scale_power: float = 0.5
    squash: float = 2.0
    seed: int = 20230505


@dataclass(frozen=True)
class Forest:
    """A grown forest as plain arrays: N examples, K trees of at most M nodes.

    Attributes:
        features: names of the F features that it reads.
        paths: (N, H) change of demand after each example, in scales.
        weights: (N,) weight of each example.
        leaves: (K, N) leaf of each example in each tree.
        split_feature: (K, M) feature of each node, -1 at a leaf.
        split_at: (K, M) threshold: not above goes left.
        left: (K, M) node on the left.
        right: (K, M) node on the right.
    """

    features: tuple[str, ...]
    paths: Singles
    weights: Singles
    leaves: Integers
    split_feature: Integers
    split_at: Floats
    left: Integers
    right: Integers


def grow_forest(panel: DemandPanel, settings: ForestSettings) -> Forest | None:
    """Grow a forest from everything a panel knows.

    Args:
        panel: the history; examples are origins whose whole path is known by its end.
        settings: sizes and seed.

    Returns:
        The forest, or None when there are fewer than 48 examples.

    Source:
        Meinshausen, Quantile Regression Forests, JMLR 7 (2006); Geurts et al., Extremely
        Randomized Trees, Machine Learning 63 (2006).
    """
    states = describe_states(panel)
    row, origin = _examples(panel, states, settings)
    if len(row) < _FEWEST_EXAMPLES:
        return None
    scale = states.scale[row, origin]
    ahead = origin[:, None] + np.arange(settings.horizon_h)
    paths = (panel.demand[row[:, None], ahead] - states.level[row, origin, None]) / scale[:, None]
    weights = (scale / scale.mean()) ** settings.scale_power
    inputs = _inputs(states.values[row, origin])
    trees = ExtraTreesRegressor(
        n_estimators=settings.trees,
        min_samples_leaf=min(settings.min_leaf, len(row) // 8),
        max_features=settings.features_per_split,
        random_state=settings.seed,
        n_jobs=1,
    )
    compared = np.arcsinh(settings.squash * paths[:, _compared_leads(settings.horizon_h)])
    trees.fit(inputs, compared, sample_weight=weights)
    return Forest(
        features=states.names,
        paths=paths.astype(np.float32),
        weights=weights.astype(np.float32),
        leaves=trees.apply(inputs).T.astype(np.int32),
        split_feature=_padded(trees, "feature", _LEAF).astype(np.int32),
        split_at=_padded(trees, "threshold", 0.0),
        left=_padded(trees, "children_left", _LEAF).astype(np.int32),
        right=_padded(trees, "children_right", _LEAF).astype(np.int32),
    )


def path_quantiles(forest: Forest, states: Floats, quantiles: Sequence[float]) -> Floats:
    """Return quantiles of the paths that followed states like the given ones.

    Args:
        forest: the forest.
        states: (N, F) features in the forest's order; NaN where not known.
        quantiles: Q levels between 0 and 1, ascending.

    Returns:
        (N, H, Q) float64 changes of demand from the last known one, in scales.
    """
    inputs = _inputs(states)
    levels = np.asarray(quantiles)
    order = np.argsort(forest.paths, axis=0, kind="stable")
    out = np.empty((len(inputs), forest.paths.shape[1], len(quantiles)))
    for first in range(0, len(inputs), _CHUNK):
        likeness = _likeness(forest, inputs[first : first + _CHUNK])
        for lead in range(forest.paths.shape[1]):
            ranked = order[:, lead]
            changes = forest.paths[ranked, lead]
            for place, reached in enumerate(np.cumsum(likeness[:, ranked], axis=1)):
                at = np.searchsorted(reached, levels * reached[-1])
                out[first + place, lead] = changes[np.minimum(at, len(changes) - 1)]
    return out


def _examples(
    panel: DemandPanel, states: StateFeatures, settings: ForestSettings
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    origins = panel.hours - settings.horizon_h + 1
    if origins <= WEEK_H:
        nothing = np.empty(0, dtype=np.intp)
        return nothing, nothing
    known = np.cumsum(np.pad(~np.isnan(panel.demand), ((0, 0), (1, 0))), axis=1)
    whole_path = known[:, settings.horizon_h :] - known[:, : -settings.horizon_h]
    usable = (whole_path == settings.horizon_h) & ~np.isnan(states.scale[:, :origins])
    usable[:, 1:] &= ~np.isnan(panel.demand[:, : origins - 1])
    usable[:, :WEEK_H] = False
    row, origin = np.nonzero(usable)
    if len(row) > settings.max_rows:
        chance = np.random.default_rng(settings.seed)
        kept = np.sort(chance.choice(len(row), settings.max_rows, replace=False))
        row, origin = row[kept], origin[kept]
    return row, origin


def _inputs(values: Floats) -> Singles:
    # what is not known is read as "no different from now"
    return np.nan_to_num(values, nan=0.0).astype(np.float32)


def _compared_leads(horizon_h: int) -> list[int]:
    return sorted({min(lead, horizon_h) - 1 for lead in (1, 3, 6, 12, 18, horizon_h)})


def _padded(trees: ExtraTreesRegressor, name: str, filler: float) -> Floats:
    columns = [getattr(tree.tree_, name) for tree in trees.estimators_]
    out = np.full((len(columns), max(len(column) for column in columns)), filler, dtype=np.float64)
    for place, column in enumerate(columns):
        out[place, : len(column)] = column
    # scikit-learn marks a leaf's feature with -2 and its children with -1
    return np.maximum(out, _LEAF) if name == "feature" else out


def _likeness(forest: Forest, inputs: Singles) -> Floats:
    total = np.zeros((len(inputs), len(forest.weights)))
    for tree in range(len(forest.leaves)):
        shares = forest.leaves[tree] == _leaves_of(forest, tree, inputs)[:, None]
        weighted = shares * forest.weights
        total += weighted / weighted.sum(axis=1, keepdims=True)
    return total


def _leaves_of(forest: Forest, tree: int, inputs: Singles) -> Integers:
    rows = np.arange(len(inputs))
    node = np.zeros(len(inputs), dtype=np.int32)
    while True:
        feature = forest.split_feature[tree, node]
        inner = feature != _LEAF
        if not inner.any():
            return node
        goes_left = inputs[rows, feature] <= forest.split_at[tree, node]
        below = np.where(goes_left, forest.left[tree, node], forest.right[tree, node])
        node = np.where(inner, below, node)
