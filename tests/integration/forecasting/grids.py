"""Makes small grids with some weeks of demand, and rules that train a small model in a moment."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from controlplane.lib.units import HOUR
from forecasting.artifacts import shipped_library
from forecasting.domain.ensemble.library import Library
from forecasting.domain.forecasters import ModelSettings
from forecasting.services import TrainingRules
from monitoring.models import Pool
from tests.factories import make_pool, report_hours

DAYS = 18
ISSUED_AT = dt.datetime(2023, 5, 26, 0, tzinfo=dt.UTC)
NOW = ISSUED_AT + dt.timedelta(minutes=12)
SMALL = TrainingRules(
    model=ModelSettings(trees=10, min_leaf=20, max_rows=800, prior_rows=300, prior_tree_rows=200)
)
_SHIPPED_SERIES = 2
_SHIPPED_H = 3 * 7 * 24


def daily_wave(level: float, seed: int) -> list[float]:
    """Demand that only the hour of the day explains."""
    noise = np.random.default_rng(seed).normal(0, 0.05 * level, DAYS * 24)
    wave = level + 12.0 * np.sin(2 * np.pi * np.arange(DAYS * 24) / 24)
    return np.maximum(0.0, wave + noise).tolist()


def wandering(level: float, seed: int, *, days: int = DAYS) -> list[float]:
    """Demand that strays from its level and comes back, whatever the hour."""
    shocks = np.random.default_rng(seed).normal(0, 0.06 * level, days * 24)
    away = np.zeros(days * 24)
    for hour in range(1, days * 24):
        away[hour] = 0.93 * away[hour - 1] + shocks[hour]
    return np.maximum(0.0, level + away).tolist()


def make_grid(demand_of: Callable[[float, int], list[float]] = wandering) -> None:
    """Three pools in two regions with their demand up to the present hour."""
    pools = [
        make_pool("beijing-gpu", region="CN-BJ", provider="beiyun"),
        make_pool("haidian-gpu", region="CN-BJ", provider="beiyun"),
        make_pool("horinger-gpu", region="CN-NM", provider="huadong"),
    ]
    for seed, pool in enumerate(pools):
        report_hours(pool, ISSUED_AT - DAYS * 24 * HOUR, demand_of(30.0 + 10 * seed, seed))


def stored_pools() -> list[Pool]:
    """Pools in the order in which they were made."""
    return list(Pool.objects.order_by("pk"))


@cache
def cut_library() -> Library:
    """The shipped traces, a few series of each for some weeks: quick to learn from."""
    return Library(
        tuple(
            replace(source, panel=source.panel.rows(slice(_SHIPPED_SERIES)).head(_SHIPPED_H))
            for source in shipped_library().sources
        )
    )
