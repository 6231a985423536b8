"""Made-up histories are found, real-looking ones are not, and clean series do not suffer."""

import numpy as np
import pytest

from forecasting.domain.forecasters import fit_model, predict_with
from forecasting.domain.suspicion import Suspicion, suspect_series
from tests.unit.forecasting.series import SMALL, panel_of, wandering

HOURS = 480


def poisoned(kind):
    row = wandering(series=1, hours=HOURS, seed=77)[0]
    if kind is Suspicion.RAMP:
        row[-200:] = row[-201] + np.arange(1, 201) * 0.5
    elif kind is Suspicion.SPIKES:
        row[[-20, -60, -100, -140]] *= 100.0
    else:
        row[-168:] = row[-336:-168]
    return row


@pytest.mark.parametrize("kind", list(Suspicion))
def test_a_poisoned_series_is_flagged_and_only_it(kind):
    rows = np.vstack([wandering(hours=HOURS), poisoned(kind)])

    assert suspect_series(panel_of(rows)) == {"pool:04": kind}


def test_constant_idle_young_and_unknown_series_are_not_suspected():
    rows = np.vstack([np.full(HOURS, 8.0), np.zeros(HOURS), np.full((2, HOURS), np.nan)])
    rows[2, -5:] = [1.0, 9.0, 1.0, 2.0, 1.0]

    assert suspect_series(panel_of(rows)) == {}


@pytest.mark.parametrize("kind", list(Suspicion))
def test_a_poisoned_series_costs_the_clean_ones_less_than_a_tenth(kind):
    clean = wandering(hours=HOURS + 24)
    known = clean[:, :HOURS]
    truth = clean[:, HOURS:]

    errors = []
    for rows in (known, np.vstack([known, poisoned(kind)])):
        model = fit_model(panel_of(rows), SMALL)
        median = predict_with(model, panel_of(rows))[:4, :, 2]
        errors.append(float(np.abs(median - truth).mean()))

    assert list(model.left_out.values()) == [kind.value]
    assert errors[1] < 1.1 * errors[0]
