"""Makes the forecasts of pools, sites, regions and the grid fit each other, level by level.

The medians add up exactly afterwards. Upper and lower quantiles do not add up in truth (not every
pool peaks in the same hour), so they are only kept within what is possible: the whole is never
below its largest part at the same level, and never further from its median than all its parts'
distances together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecasting.domain.frames import Floats

Places = npt.NDArray[np.intp]
NO_PARENT = -1
_LEAST_SHARE_OF_SPREAD = 1e-3


@dataclass(frozen=True)
class _Tree:
    """Who belongs to whom: `levels` holds the nodes from the deepest up to the roots."""

    parent: Places
    levels: tuple[Places, ...]


def parents_of(codes: Sequence[str], members: Mapping[str, Sequence[str]]) -> Places:
    """Return the smallest whole that each series is part of.

    Args:
        codes: N series.
        members: whole -> the parts that it is the sum of, at any depth below it.

    Returns:
        (N,) position of the parent, -1 for a root. A whole that misses a part among the codes has
        no parts here: its forecast stands for itself.

    >>> parents_of(["a", "b", "all"], {"all": ["a", "b"]}).tolist()
    [2, 2, -1]
    """
    place = {code: row for row, code in enumerate(codes)}
    whole = {
        name: frozenset(parts)
        for name, parts in members.items()
        if name in place and all(part in place for part in parts)
    }
    reach = {code: whole.get(code, frozenset([code])) for code in codes}
    by_size = sorted(whole, key=lambda name: (len(whole[name]), name))
    parent = np.full(len(codes), NO_PARENT, dtype=np.intp)
    owner: dict[str, str] = {}
    for name in by_size:
        # the parts of the new whole that nobody owns yet become its children
        tops = {_top(part, owner) for part in whole[name]} - {name}
        if all(reach[top] <= whole[name] for top in tops):
            for top in tops:
                owner[top] = name
                parent[place[top]] = place[name]
    return parent


def reconcile(demand: Floats, parent: Places, quantiles: Sequence[float]) -> Floats:
    """Make forecasts of a tree of series coherent.

    The medians are combined by generalised least squares with each forecast's own spread as its
    uncertainty, in two passes over the tree (up: what the parts say together joins what was
    forecast for the whole; down: what the whole gained is handed to the parts by their
    uncertainty). Every quantile keeps its distance from the median within the bounds above.

    Args:
        demand: (N, H, Q) units, >= 0, ascending along the last axis; NaN rows have no forecast
            and are left alone, and so is every whole that they are part of.
        parent: (N,) position of the parent, -1 for none.
        quantiles: Q levels with 0.5 among them.

    Returns:
        (N, H, Q) units, >= 0, ascending; medians of parts sum to the median of their whole.

    Source:
        Wickramasuriya, Athanasopoulos, Hyndman, Optimal Forecast Reconciliation, JASA 114 (2019),
        with a diagonal error covariance; on a tree this is belief propagation of Gaussians.
    """
    middle = list(quantiles).index(0.5)
    tree = _tree_of(_without_unknown(parent, demand))
    median = demand[:, :, middle]
    agreed = _agreed_medians(median, _variance(demand), tree)
    distance = demand - median[:, :, None]
    return _with_bounds(agreed, distance, tree, middle)


def _agreed_medians(median: Floats, variance: Floats, tree: _Tree) -> Floats:
    said, doubt = median.copy(), variance.copy()
    parts_said, parts_doubt = np.zeros_like(said), np.zeros_like(said)
    has_parts = np.zeros(len(said), dtype=bool)
    for nodes in tree.levels:
        whole = nodes[has_parts[nodes]]
        own, below = doubt[whole], parts_doubt[whole]
        said[whole] = (said[whole] * below + parts_said[whole] * own) / (own + below)
        doubt[whole] = own * below / (own + below)
        child = nodes[tree.parent[nodes] != NO_PARENT]
        np.add.at(parts_said, tree.parent[child], said[child])
        np.add.at(parts_doubt, tree.parent[child], doubt[child])
        has_parts[tree.parent[child]] = True
    for nodes in reversed(tree.levels):
        child = nodes[tree.parent[nodes] != NO_PARENT]
        above = tree.parent[child]
        share = doubt[child] / parts_doubt[above]
        said[child] += share * (said[above] - parts_said[above])
    return _summed_up(np.maximum(said, 0.0), tree)


def _summed_up(values: Floats, tree: _Tree) -> Floats:
    # a part cut off at zero leaves a rest: the wholes are the sums of what the parts became
    sums = np.zeros_like(values)
    out = values.copy()
    has_parts = np.isin(np.arange(len(values)), tree.parent)
    for nodes in tree.levels:
        whole = nodes[has_parts[nodes]]
        out[whole] = sums[whole]
        child = nodes[tree.parent[nodes] != NO_PARENT]
        np.add.at(sums, tree.parent[child], out[child])
    return out


def _with_bounds(median: Floats, distance: Floats, tree: _Tree, middle: int) -> Floats:
    out = np.maximum(median[:, :, None] + distance, 0.0)
    out[:, :, middle] = median
    most = np.zeros_like(out)
    peak = np.zeros_like(out)
    has_parts = np.isin(np.arange(len(out)), tree.parent)
    for nodes in tree.levels:
        whole = nodes[has_parts[nodes]]
        away = out[whole] - median[whole, :, None]
        away = np.clip(away, np.minimum(most[whole], 0.0), np.maximum(most[whole], 0.0))
        out[whole] = np.maximum(median[whole, :, None] + away, peak[whole])
        out[whole, :, middle] = median[whole]
        child = nodes[tree.parent[nodes] != NO_PARENT]
        np.add.at(most, tree.parent[child], out[child] - median[child, :, None])
        np.maximum.at(peak, tree.parent[child], out[child])
    return np.sort(out, axis=-1)


def _variance(demand: Floats) -> Floats:
    spread = demand[:, :, -1] - demand[:, :, 0]
    size = np.abs(demand).max(axis=(1, 2), keepdims=True)[:, :, 0]
    # a forecast without any spread is trusted much, but not without limit
    least = _LEAST_SHARE_OF_SPREAD * np.where(np.isfinite(size), size, 1.0) + 1e-6
    return np.maximum(spread, least) ** 2


def _without_unknown(parent: Places, demand: Floats) -> Places:
    unknown = ~np.isfinite(demand).all(axis=(1, 2))
    out = parent.copy()
    for child in np.flatnonzero(unknown & (parent != NO_PARENT)):
        out[parent == parent[child]] = NO_PARENT
    out[np.isin(parent, np.flatnonzero(unknown))] = NO_PARENT
    out[unknown] = NO_PARENT
    return out


def _tree_of(parent: Places) -> _Tree:
    depth = np.zeros(len(parent), dtype=np.intp)
    node = parent.copy()
    while (node != NO_PARENT).any():
        depth += node != NO_PARENT
        node = np.where(node != NO_PARENT, parent[node], NO_PARENT)
    deepest = int(depth.max(initial=0))
    levels = tuple(np.flatnonzero(depth == level) for level in range(deepest, -1, -1))
    return _Tree(parent, levels)


def _top(code: str, owner: Mapping[str, str]) -> str:
    while code in owner:
        code = owner[code]
    return code
