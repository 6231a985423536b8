"""Traces of other grids teach a model, but never what the history at hand contains itself."""

import numpy as np
import pytest

from forecasting.artifacts import shipped_library
from forecasting.domain.ensemble.library import Library, Source, prints_of, young
from forecasting.domain.forecasters import fit_model, predict_with
from tests.unit.forecasting.series import SMALL, panel_of, wandering

OTHER = Library((Source("other", panel_of(wandering(seed=21, hours=500))),))


@pytest.mark.parametrize(
    "share",
    [
        pytest.param(slice(0, 400), id="the whole"),
        pytest.param(slice(100, 130), id="a day of it"),
    ],
)
def test_a_set_that_the_history_holds_a_part_of_is_left_out(share):
    own = 8.0 * wandering(seed=21, hours=500)[1:2, share]

    assert OTHER.without(panel_of(own)).sources == ()


def test_a_set_that_the_history_does_not_hold_stays():
    assert OTHER.without(panel_of(wandering(seed=22))) == OTHER


def test_shipped_traces_are_told_from_each_other_and_from_themselves():
    library = shipped_library()

    for source in library.sources:
        kept = {other.name for other in library.without(source.panel.tail(400)).sources}
        assert kept == {other.name for other in library.sources} - {source.name}


def test_stretches_that_hardly_move_have_no_print():
    rows = np.tile([4.0, 4.0, 8.0, 8.0], 20)

    assert len(prints_of(rows[None])) == 0


@pytest.mark.parametrize("hours", [1, 3, 24])
def test_with_a_library_the_first_hours_of_a_grid_have_a_model(hours):
    panel = panel_of(wandering(hours=hours))

    model = fit_model(panel, SMALL, OTHER)
    demand = predict_with(model, panel)

    assert model.taught_by == ("other",)
    assert np.isfinite(demand).all()
    assert (np.diff(demand, axis=2) >= 0).all()


def test_what_follows_the_issue_does_not_decide_what_teaches():
    rows = wandering(seed=30, hours=400)
    later = np.hstack([rows, wandering(seed=21, hours=500)[:, :100]])

    first = fit_model(panel_of(rows), SMALL, OTHER)
    second = fit_model(panel_of(later).head(400), SMALL, OTHER)

    known = panel_of(rows)
    assert first.taught_by == second.taught_by == ("other",)
    assert predict_with(first, known).tobytes() == predict_with(second, known).tobytes()


def test_young_series_begin_anew_each_week():
    panel = panel_of(wandering(hours=400))

    fresh = young(panel, 24)

    assert fresh.demand.shape == (4 * 2, 96)
    np.testing.assert_array_equal(fresh.demand[4:], panel.demand[:, 168:264])
    assert young(panel.head(90), 24) is None
