"""Draws examples from traces and learns from those of other grids before any own history."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.domain.ensemble.library import Library, young
from forecasting.domain.ensemble.network import (
    Network,
    TrainingTerms,
    new_network,
    train_network,
)
from forecasting.domain.ensemble.rows import Center, describe_rows
from forecasting.domain.ensemble.rules import Places, lead_grid
from forecasting.domain.ensemble.tracks import Track, follow
from forecasting.domain.ensemble.trees import Singles, tree_inputs
from forecasting.domain.features import DAY_H
from forecasting.domain.frames import DemandPanel, Floats

_YOUNG_SHARE = 0.15
_LEADS_PER_EXAMPLE = 5
_WEIGHT_OF_SPREAD = 0.7
_WEIGHT_OF_SCALE = 0.5


@dataclass(frozen=True)
class NetworkRows:
    """What a network learns from: N rows of F inputs.

    Attributes:
        inputs: (N, F) float32.
        target: (N,) in usual errors of the center.
        weight: (N,) restless and big series count more, but not all.
    """

    inputs: Singles
    target: Floats
    weight: Floats


@dataclass(frozen=True)
class TreeRows:
    """What the trees learn from: N examples of G inputs and L leads.

    Attributes:
        inputs: (N, G) float32.
        targets: (N, L) in usual errors of the combined center; NaN where unknown.
        weight: (N,).
    """

    inputs: Singles
    targets: Floats
    weight: Floats


@dataclass(frozen=True)
class Lessons:
    """Examples of one panel, for every learner.

    Attributes:
        count: number of examples (series and origin).
        by_center: rows for the networks.
        for_trees: examples for the trees.
    """

    count: int
    by_center: dict[Center, NetworkRows]
    for_trees: TreeRows


@dataclass(frozen=True)
class Prior:
    """What other grids taught.

    Attributes:
        networks: one per center.
        for_trees: examples to grow trees from, beside the own ones.
    """

    networks: dict[Center, Network]
    for_trees: TreeRows


@dataclass(frozen=True)
class DrawTerms:
    """How examples are drawn.

    Attributes:
        horizon_h: leads up to this one.
        most: examples at most.
        stride_h: distance of origins, hours.
        since_h: first origin.
        seed: of the draw.
    """

    horizon_h: int
    most: int
    stride_h: int = 1
    since_h: int = DAY_H
    seed: int = 0


def draw_lessons(panel: DemandPanel, terms: DrawTerms) -> Lessons | None:
    """Draw examples from a panel.

    Args:
        panel: P series; only examples whose next day is known are used.
        terms: how many.

    Returns:
        The examples, or None when there are none.
    """
    leads = lead_grid(terms.horizon_h)
    track = follow(panel, leads, stride_h=terms.stride_h, since_h=terms.since_h)
    chance = np.random.default_rng(terms.seed)
    row, place = _usable(track, terms.horizon_h)
    if len(row) > terms.most:
        kept = np.sort(chance.choice(len(row), terms.most, replace=False))
        row, place = row[kept], place[kept]
    if not len(row):
        return None
    by_center = {}
    for center in Center:
        rows = describe_rows(panel, track, row=row, place=place, about=center)
        lead = _drawn_leads(chance, len(row), len(track.leads))
        example = np.arange(len(row))[:, None]
        known = ~np.isnan(rows.target[example, lead])
        weight = (rows.spread[example, lead] / rows.spread.mean()) ** _WEIGHT_OF_SPREAD
        by_center[center] = NetworkRows(
            inputs=rows.values[example, lead][known],
            target=rows.target[example, lead][known],
            weight=weight[known],
        )
        if center is Center.COMBINED:
            scale = track.scale[row, place]
            for_trees = TreeRows(
                inputs=tree_inputs(rows, track.leads),
                targets=rows.target.astype(np.float64),
                weight=(scale / scale.mean()) ** _WEIGHT_OF_SCALE,
            )
    return Lessons(len(row), by_center, for_trees)


def learn_prior(
    library: Library, terms: TrainingTerms, *, horizon_h: int, most: int, tree_most: int
) -> Prior | None:
    """Learn from traces of other grids.

    Args:
        library: the traces; each set counts alike.
        terms: of the networks.
        horizon_h: leads up to this one.
        most: examples of each set for the networks.
        tree_most: examples of each set for the trees.

    Returns:
        The prior; None when the library is empty.
    """
    lessons = list(_lessons_of(library, horizon_h, most, terms.seed))
    if not lessons:
        return None
    networks = {}
    for center in Center:
        rows = joined([lesson.by_center[center] for lesson in lessons])
        begun = new_network(rows.inputs, rows.target, terms)
        networks[center] = train_network(begun, rows.inputs, rows.target, rows.weight, terms)
    trees = [_thinned(lesson.for_trees, tree_most, terms.seed) for lesson in lessons]
    return Prior(networks, joined_trees(trees))


def joined(parts: Sequence[NetworkRows]) -> NetworkRows:
    """Return the rows of several sets, each set weighing as much as its rows are many."""
    return NetworkRows(
        inputs=np.concatenate([part.inputs for part in parts]),
        target=np.concatenate([part.target for part in parts]),
        weight=np.concatenate([part.weight / part.weight.mean() for part in parts]),
    )


def joined_trees(parts: Sequence[TreeRows], shares: Sequence[float] | None = None) -> TreeRows:
    """Return the examples of several sets; a share scales the mean weight of a set."""
    factors = shares or [1.0] * len(parts)
    return TreeRows(
        inputs=np.concatenate([part.inputs for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        weight=np.concatenate(
            [
                factor * part.weight / part.weight.mean()
                for part, factor in zip(parts, factors, strict=True)
            ]
        ),
    )


def _lessons_of(library: Library, horizon_h: int, most: int, seed: int) -> Iterator[Lessons]:
    for source in library.sources:
        stride_h = 1 + source.panel.demand.size // 20_000
        grown = draw_lessons(
            source.panel,
            DrawTerms(horizon_h, most, stride_h=stride_h, since_h=2 * DAY_H, seed=seed),
        )
        begun = young(source.panel, horizon_h)
        fresh = begun and draw_lessons(
            begun,
            DrawTerms(horizon_h, int(_YOUNG_SHARE * most), stride_h=5, since_h=3, seed=seed),
        )
        yield from (lesson for lesson in (grown, fresh) if lesson)


def _usable(track: Track, horizon_h: int) -> tuple[Places, Places]:
    near = track.leads <= min(DAY_H, horizon_h)
    whole = ~np.isnan(track.truth[:, :, near]).any(axis=2)
    row, place = np.nonzero(whole & ~np.isnan(track.scale) & ~np.isnan(track.level))
    return row.astype(np.intp), place.astype(np.intp)


def _drawn_leads(chance: np.random.Generator, examples: int, leads: int) -> Places:
    wanted = min(_LEADS_PER_EXAMPLE, leads)
    order: Places = np.argsort(chance.random((examples, leads)), axis=1)[:, :wanted]
    return order


def _thinned(rows: TreeRows, most: int, seed: int) -> TreeRows:
    if len(rows.inputs) <= most:
        return rows
    kept = np.sort(np.random.default_rng(seed).choice(len(rows.inputs), most, replace=False))
    return TreeRows(rows.inputs[kept], rows.targets[kept], rows.weight[kept])
