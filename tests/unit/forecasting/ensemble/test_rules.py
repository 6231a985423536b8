"""Simple rules: each says what its name says, none reads ahead, and their combination adapts."""

import numpy as np
import pytest

from forecasting.domain.ensemble.rules import RULES, apply_rules, lead_grid
from forecasting.domain.ensemble.tracks import follow
from tests.unit.forecasting.series import panel_of, wandering


@pytest.mark.parametrize(
    ("rule", "lead", "expected"),
    [
        ("yesterday", 1, 376.0),
        ("yesterday", 25, 376.0),
        ("last_week", 1, 232.0),
        ("mean_of_week", 5, 315.5),
        ("level_and_last_weeks_shape", 3, 402.0),
    ],
)
def test_a_rule_says_what_it_is_called(rule, lead, expected):
    rows = np.arange(400.0)[None]

    said = apply_rules(rows, np.array([400]), np.array([lead]))

    assert said[0, 0, 0, RULES.index(rule)] == pytest.approx(expected)


def test_a_rule_without_the_history_it_needs_says_the_last_value():
    said = apply_rules(np.array([[3.0, 5.0]]), np.array([2]), np.array([1, 24]))

    assert said[0, 0, :, RULES.index("last_week")].tolist() == [5.0, 5.0]


def test_nothing_at_an_origin_depends_on_what_comes_after_it():
    rows = wandering(hours=700)
    other = rows.copy()
    other[:, 600:] = 1e6

    first, second = (
        follow(panel_of(values), lead_grid(24), stride_h=20) for values in (rows, other)
    )

    before = first.origins <= 600
    for name in ("rules", "center", "rule_error", "last_error", "center_error", "hints"):
        ours, theirs = (getattr(track, name)[:, before] for track in (first, second))
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("period_h", [24, 168])
def test_the_combination_finds_the_season(period_h):
    hours = np.arange(900)
    rows = 50.0 + 20.0 * np.sin(2 * np.pi * hours / period_h)[None]

    track = follow(panel_of(rows), lead_grid(24), stride_h=4)

    error = np.abs(track.truth - track.center)[:, -40:-8]
    assert np.nanmean(error) < 0.6
    assert np.nanmean(np.abs(track.truth - track.level[:, :, None])[:, -40:-8]) > 3.0


def test_the_combination_stays_with_a_level_that_stays():
    track = follow(panel_of(np.full((1, 400), 7.0)), lead_grid(24), stride_h=4)

    np.testing.assert_allclose(track.center, 7.0)


def test_the_grid_of_leads_ends_with_the_horizon():
    assert lead_grid(24).tolist()[-3:] == [18, 21, 24]
    assert lead_grid(300).tolist()[-3:] == [216, 264, 300]
