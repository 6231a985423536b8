"""Randomized trees that group states after which truth strayed alike from the combined rules.

Each leaf keeps the quantiles of its examples at every lead; a forecast is the mean over the trees
of the leaves that a state falls into. All is kept as plain arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesRegressor

from forecasting.domain.ensemble.rows import FEATURES, HINTS, Rows
from forecasting.domain.ensemble.rules import RULES, Places
from forecasting.domain.frames import Floats

Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

_LEAF = -1
_COMPARED_TO_H = 24
_SHOWN_LEADS_H = (6, 1, 3, 12, 24)
_SQUEEZE_LIMIT = 3.0
_FARTHEST = 10.0


@dataclass(frozen=True)
class TreeTerms:
    """How trees are grown.

    Attributes:
        quantiles: Q levels.
        trees: how many.
        min_leaf: fewest examples in a leaf.
        features_per_split: share of the features tried at a split, 0 to 1.
        seed: of everything random.
    """

    quantiles: tuple[float, ...]
    trees: int = 40
    min_leaf: int = 40
    features_per_split: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class Forest:
    """Grown trees: K trees of at most M nodes, J leaves in all, L leads.

    Attributes:
        split_feature: (K, M) input, -1 at a leaf.
        split_at: (K, M) threshold: not above goes left.
        left: (K, M) node on the left; at a leaf the row of `table`.
        right: (K, M) node on the right.
        table: (J, L, Q) quantiles of the targets.
    """

    split_feature: Integers
    split_at: Floats
    left: Integers
    right: Integers
    table: Singles


def tree_inputs(rows: Rows, leads: Places) -> Singles:
    """Return (N, G) float32: the middle lead's features whole, and the rules at other leads."""
    shown = [int(np.argmin(np.abs(leads - lead))) for lead in _SHOWN_LEADS_H]
    whole, *others = shown
    first = FEATURES.index(f"rule_{RULES[0]}")
    rules = slice(first, first + len(RULES))
    hints = slice(FEATURES.index(HINTS[0]), FEATURES.index(HINTS[-1]) + 3)
    parts = [rows.values[:, whole]]
    parts += [rows.values[:, lead, rules] for lead in others]
    parts += [rows.values[:, lead, hints] for lead in others[::3]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def grow_forest(
    inputs: Singles, targets: Floats, weight: Floats, leads: Places, terms: TreeTerms
) -> Forest:
    """Grow trees on examples.

    Args:
        inputs: (N, G).
        targets: (N, L) in usual errors; NaN where unknown.
        weight: (N,).
        leads: (L,) hours.
        terms: how.

    Returns:
        The forest.

    Source:
        Geurts et al., Extremely Randomized Trees, Machine Learning 63 (2006); Meinshausen,
        Quantile Regression Forests, JMLR 7 (2006).
    """
    compared = np.flatnonzero(leads <= _COMPARED_TO_H)[::2]
    wanted = np.nan_to_num(np.arcsinh(targets[:, compared]))
    trees = ExtraTreesRegressor(
        n_estimators=terms.trees,
        min_samples_leaf=max(1, min(terms.min_leaf, len(inputs) // 8)),
        max_features=terms.features_per_split,
        random_state=terms.seed,
        n_jobs=1,
    )
    trees.fit(inputs, np.clip(wanted, -_SQUEEZE_LIMIT, _SQUEEZE_LIMIT), sample_weight=weight)
    feature = _padded(trees, "feature", _LEAF).astype(np.int32)
    left = _padded(trees, "children_left", _LEAF).astype(np.int32)
    ranked = _Ranked(targets, weight, terms.quantiles)
    tables: list[Singles] = []
    for tree, reached in enumerate(trees.apply(inputs).T):
        order = np.argsort(reached, kind="stable")
        leaves, starts = np.unique(reached[order], return_index=True)
        for leaf, members in zip(leaves, np.split(order, starts[1:]), strict=True):
            left[tree, leaf] = len(tables)
            tables.append(ranked.quantiles_of(members))
    return Forest(
        split_feature=feature,
        split_at=_padded(trees, "threshold", 0.0),
        left=left,
        right=_padded(trees, "children_right", _LEAF).astype(np.int32),
        table=np.stack(tables),
    )


def ask_forest(forest: Forest, inputs: Singles) -> Floats:
    """Return (N, L, Q) quantiles of the targets."""
    total = np.zeros((len(inputs), *forest.table.shape[1:]))
    for tree in range(len(forest.left)):
        total += forest.table[forest.left[tree, _leaves_of(forest, tree, inputs)]]
    return total / len(forest.left)


class _Ranked:
    """Weighted quantiles of some of the examples, lead by lead."""

    def __init__(self, targets: Floats, weight: Floats, quantiles: Sequence[float]) -> None:
        # one burst of a strange trace must not make the tail of a leaf
        self.targets, self.weight = np.clip(targets, -_FARTHEST, _FARTHEST), weight
        self.quantiles = np.asarray(quantiles)
        self.overall = np.zeros((targets.shape[1], len(quantiles)), dtype=np.float32)
        self.overall = self.quantiles_of(np.arange(len(targets)))

    def quantiles_of(self, members: Places) -> Singles:
        targets = self.targets[members]
        order = np.argsort(targets, axis=0, kind="stable")  # unknown ones go to the end
        ranked = np.take_along_axis(targets, order, axis=0)
        weight = np.where(np.isnan(ranked), 0.0, self.weight[members][order])
        total = weight.sum(axis=0)
        reached = (np.cumsum(weight, axis=0) - 0.5 * weight) / np.maximum(total, 1e-12)
        out = self.overall.copy()
        for lead in np.flatnonzero(total > 0):
            known = ~np.isnan(ranked[:, lead])
            out[lead] = np.interp(self.quantiles, reached[known, lead], ranked[known, lead])
        return out


def _padded(trees: ExtraTreesRegressor, name: str, filler: float) -> Floats:
    columns = [getattr(tree.tree_, name) for tree in trees.estimators_]
    out = np.full((len(columns), max(len(column) for column in columns)), filler, dtype=np.float64)
    for place, column in enumerate(columns):
        out[place, : len(column)] = column
    # scikit-learn marks a leaf's feature with -2 and its children with -1
    return np.maximum(out, _LEAF) if name == "feature" else out


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
