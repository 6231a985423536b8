"""Holds traces of other grids, so that a model knows how demand behaves before it has history.

A trace is left out when the history at hand contains part of it, told by content and not by
name: a model is never measured on, or made surer by, the very data that it is to forecast.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from forecasting.domain.features import WEEK_H
from forecasting.domain.frames import DemandPanel, Floats

_WINDOW_H = 12
_LEAST_DISTINCT = 5
_ROUNDED_TO = 1e-5
_YOUNG_H = 72
_LOOKED_AT = 2_000_000


@dataclass(frozen=True, eq=False)
class Source:
    """One set of traces.

    Attributes:
        name: of the set.
        panel: its series.
    """

    name: str
    panel: DemandPanel


@dataclass(frozen=True)
class Library:
    """Sets of traces that a model may learn from beside the grid's own history.

    Attributes:
        sources: the sets.
    """

    sources: tuple[Source, ...]

    def without(self, panel: DemandPanel) -> "Library":
        """Return the library without the sets of which the panel contains a part."""
        # a long common stretch is found wherever its windows begin
        step_h = 1 + panel.demand.size // _LOOKED_AT
        own = prints_of(panel.demand, step_h=step_h)
        return Library(
            tuple(
                source
                for source in self.sources
                if not np.isin(prints_of(source.panel.demand), own).any()
            )
        )


def prints_of(demand: Floats, *, step_h: int = 1) -> npt.NDArray[np.int64]:
    """Return numbers that tell stretches of 12 hours apart, whatever their unit.

    Stretches that hardly move, or have unknown hours, have none: they look alike everywhere.

    Args:
        demand: (P, T) units.
        step_h: distance of the stretches, hours.
    """
    if demand.shape[1] < _WINDOW_H:
        return np.empty(0, dtype=np.int64)
    stretches = np.lib.stride_tricks.sliding_window_view(demand, _WINDOW_H, axis=1)[:, ::step_h]
    stretches = stretches.reshape(-1, _WINDOW_H)
    stretches = stretches[~np.isnan(stretches).any(axis=1)]
    peak = stretches.max(axis=1, keepdims=True, initial=0.0)
    stretches, peak = stretches[peak[:, 0] > 0], peak[peak[:, 0] > 0]
    whole = np.round(stretches / peak / _ROUNDED_TO).astype(np.int64)
    distinct = (np.diff(np.sort(whole, axis=1), axis=1) > 0).sum(axis=1) + 1
    factors = np.random.default_rng(12).integers(1, 2**62, _WINDOW_H)
    # products wrap around on purpose
    prints: npt.NDArray[np.int64] = (whole[distinct >= _LEAST_DISTINCT] * factors).sum(axis=1)
    return np.unique(prints)


def young(panel: DemandPanel, horizon_h: int) -> DemandPanel | None:
    """Return stretches of a panel that begin anew each week: series with hardly any history.

    Args:
        panel: the panel.
        horizon_h: how much is kept after the first three days.

    Returns:
        A panel of three days and the horizon; None when the panel is shorter.
    """
    length = _YOUNG_H + horizon_h
    starts = range(0, panel.hours - length + 1, WEEK_H)
    if not starts:
        return None

    def cut(values: Floats) -> Floats:
        return np.concatenate([values[:, start : start + length] for start in starts])

    return replace(
        panel,
        codes=tuple(f"{code}@{start}" for start in starts for code in panel.codes),
        demand=cut(panel.demand),
        queued=cut(panel.queued),
        capacity=cut(panel.capacity),
    )


def seasonal_examples(start_at: "DemandPanel", series: int = 24, seed: int = 7) -> DemandPanel:
    """Return made-up series with days, weeks, wandering levels, steps and bursts.

    The shipped traces of compute demand hardly have seasons; services have.

    Args:
        start_at: a panel whose axis of hours is taken.
        series: how many.
        seed: of what is random.
    """
    chance = np.random.default_rng(seed)
    hours = np.arange(start_at.hours)
    rows = [_made_up(chance, hours) for _ in range(series)]
    demand = np.stack(rows)
    unknown = np.full_like(demand, np.nan)
    codes = tuple(f"made-up:{place:02d}" for place in range(series))
    return DemandPanel(codes, start_at.start_at, demand, unknown, unknown)


def with_made_up(sources: Sequence[Source]) -> Library:
    """Return a library of the sources and made-up seasonal series."""
    longest = max(sources, key=lambda source: source.panel.hours).panel
    axis = longest.head(min(longest.hours, 8 * WEEK_H))
    return Library((*sources, Source("made-up", seasonal_examples(axis))))


def _made_up(chance: np.random.Generator, hours: npt.NDArray[np.int64]) -> Floats:
    day, week = chance.uniform(0.05, 0.6), chance.uniform(0.0, 0.4)
    angle = 2 * np.pi * (hours + chance.integers(24)) / 24
    shape = day * (
        np.cos(angle) + chance.uniform(0, 0.5) * np.cos(2 * angle + chance.uniform(0, 6))
    )
    weekend = np.where(hours % WEEK_H >= chance.choice([96, 120]), -week, 0.0)
    noise = chance.normal(0, chance.uniform(0.01, 0.15), len(hours))
    wander = np.zeros(len(hours))
    keep, shock = chance.uniform(0.9, 1.0), chance.normal(0, chance.uniform(0.0, 0.05), len(hours))
    for hour in range(1, len(hours)):
        wander[hour] = keep * wander[hour - 1] + shock[hour]
    steps = np.cumsum((chance.random(len(hours)) < 0.002) * chance.normal(0, 0.4, len(hours)))
    out: Floats = 100.0 * np.maximum(1.0 + shape + weekend + noise + wander + steps, 0.0)
    return out
