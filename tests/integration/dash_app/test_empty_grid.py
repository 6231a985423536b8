"""A grid without any pool has hours, and nothing else."""

import pytest

from dash_app.feed import trend_rows
from dash_app.timeline import build_timeline
from forecasting.selectors import latest_run

pytestmark = pytest.mark.django_db


def test_an_empty_grid_has_hours_and_no_places(grid_time):
    made = build_timeline(grid_time.now, latest_run(grid_time.now))

    assert len(made["hours"]) == 48
    assert made["regions"] == made["sites"] == {}


def test_an_empty_grid_has_no_trend(grid_time):
    assert trend_rows(grid_time.now) == []
