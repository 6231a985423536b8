"""Past runs against what came true."""

import datetime as dt

import numpy as np
import pytest

from forecasting.domain.accuracy import score_past_runs
from tests.unit.forecasting.series import START, panel_of, wandering

HOUR = dt.timedelta(hours=1)
LEVELS = (0.1, 0.5, 0.9)


def test_only_what_came_true_is_measured_beside_the_naive_forecasts():
    rows = wandering()
    exact = np.repeat(np.pad(rows, ((0, 0), (0, 30)))[:, :, None], 3, axis=2)
    issued = {
        START + place * HOUR: {
            "pool:00": exact[0, place : place + 24],
            "pool:99": exact[1, place : place + 24],
        }
        for place in (300, 390)
    }

    result = score_past_runs(panel_of(rows), issued, quantiles=LEVELS, horizon_h=24)

    assert result["runs"] == 2
    # one pool is known; of the second run 10 of 24 hours have come true
    assert result["overall"]["hours"] == 24 + 10
    assert result["overall"]["wape"] == 0.0
    assert result["overall"]["skill"] == 1.0
    last = (
        np.abs(rows[0, 300:324] - rows[0, 299]).sum() + np.abs(rows[0, 390:] - rows[0, 389]).sum()
    )
    total = rows[0, 300:324].sum() + rows[0, 390:].sum()
    assert result["overall"]["naive"]["last"] == pytest.approx(last / total)
    assert result["by_lead"]["1"]["hours"] == 2


@pytest.mark.parametrize("place", [-5, 0, 400, 500])
def test_runs_outside_of_what_is_known_are_left_out(place):
    issued = {START + place * HOUR: {"pool:00": np.ones((24, 3))}}

    assert score_past_runs(panel_of(wandering()), issued, quantiles=LEVELS, horizon_h=24) == {}


def test_without_runs_there_is_nothing_to_say():
    assert score_past_runs(panel_of(wandering()), {}, quantiles=LEVELS, horizon_h=24) == {}
