"""Builds demand panels for tests."""

import datetime as dt

import numpy as np

from forecasting.domain.forecasters import ModelSettings
from forecasting.domain.frames import DemandPanel

START = dt.datetime(2023, 5, 1, tzinfo=dt.UTC)
SMALL = ModelSettings(
    trees=4, min_leaf=10, units=8, prior_epochs=2, own_epochs=1, max_rows=400, prior_rows=200
)


def panel_of(demand, *, queued=None, capacity=None, start_at=START, codes=None):
    """Return a panel of rows of hourly demand; nothing waits and capacity is 100 unless said."""
    demand = np.atleast_2d(np.asarray(demand, float))
    names = codes or [f"pool:{row:02d}" for row in range(len(demand))]
    return DemandPanel(
        codes=tuple(names),
        start_at=start_at,
        demand=demand,
        queued=np.zeros_like(demand) if queued is None else np.asarray(queued, float),
        capacity=np.full_like(demand, 100.0) if capacity is None else np.asarray(capacity, float),
    )


def wandering(series=4, hours=400, *, seed=1, level=40.0):
    """Return (P, T) demand that strays from its level and comes back."""
    shocks = np.random.default_rng(seed).normal(0, 0.06 * level, (series, hours))
    away = np.zeros((series, hours))
    for hour in range(1, hours):
        away[:, hour] = 0.93 * away[:, hour - 1] + shocks[:, hour]
    return np.maximum(0.0, level * (1 + np.arange(series))[:, None] + away)
