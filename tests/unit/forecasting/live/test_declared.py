"""Announced demand is counted once, by its probability, and no longer than it is to come."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.domain.live.declared import (
    MOVES,
    Announced,
    DeclarationState,
    expected_change,
    look_for,
    merge_announced,
)

ISSUED_AT = dt.datetime(2023, 5, 26, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
BASE = np.tile([80.0, 85.0, 100.0, 120.0, 130.0], (12, 1))
WORK = Announced(
    id=1,
    series="pool:a",
    units=40.0,
    starts_at=ISSUED_AT + 4 * HOUR,
    ends_at=ISSUED_AT + 8 * HOUR,
    probability=1.0,
    state=DeclarationState.ANNOUNCED,
)


def merged(*works, base=BASE):
    return merge_announced(base, works, ISSUED_AT, LEVELS)


def test_certain_work_shifts_every_quantile_in_its_window_only():
    out = merged(WORK)

    assert (out[4:8] == BASE[4:8] + 40).all()
    assert (out[:4] == BASE[:4]).all()
    assert (out[8:] == BASE[8:]).all()


def test_part_of_an_hour_counts_in_part():
    work = replace(WORK, starts_at=ISSUED_AT + 4.25 * HOUR, ends_at=ISSUED_AT + 5 * HOUR)

    assert merged(work)[4, 2] == pytest.approx(130.0)


def test_unlikely_work_moves_the_upper_quantiles_more_than_the_median():
    out = merged(replace(WORK, probability=0.3))[4] - BASE[4]

    assert out[0] < out[2] < out[3] <= 40.0
    assert out[2] < 12.0


def test_the_quantiles_are_those_of_the_sum():
    chance = np.random.default_rng(7)
    uniform = chance.uniform(0.0, 1.0, 400_000)
    base = np.interp(uniform, LEVELS, BASE[0])
    works = [replace(WORK, probability=0.4), replace(WORK, id=2, units=25.0, probability=0.7)]
    draws = base + sum(w.units * (chance.uniform(size=len(base)) < w.probability) for w in works)

    out = merged(*works)[5]

    assert out == pytest.approx(np.quantile(draws, LEVELS), abs=0.8)


def test_work_that_arrived_is_not_added_and_leaves_after_its_window():
    arrived = replace(WORK, state=DeclarationState.ARRIVED, seen_units=40.0)

    out = merged(arrived)

    assert (out[:8] == BASE[:8]).all()
    assert (out[8:] == np.maximum(BASE[8:] - 40, 0)).all()


def test_late_work_is_believed_less_every_hour():
    late = replace(WORK, starts_at=ISSUED_AT - 6 * HOUR)

    assert expected_change([late], ISSUED_AT, 3).tolist() == [20.0, 20.0, 20.0]


@pytest.mark.parametrize(
    ("after", "hours_late", "expected"),
    [
        pytest.param([132.0], 1, DeclarationState.ARRIVED, id="a-rise-by-80-percent"),
        pytest.param([131.0], 1, DeclarationState.ANNOUNCED, id="too-small-a-rise"),
        pytest.param([np.nan], 1, DeclarationState.ANNOUNCED, id="unknown-is-no-rise"),
        pytest.param([101.0], 24, DeclarationState.LAPSED, id="not-there-for-a-day"),
    ],
)
def test_the_telemetry_says_what_became_of_it(after, hours_late, expected):
    work = replace(WORK, ends_at=ISSUED_AT + 100 * HOUR)

    seen = look_for(work, 100.0, np.array(after), work.starts_at + hours_late * HOUR)

    assert seen.state is expected


def test_work_that_arrived_stays_so_when_demand_falls_and_is_over_at_its_end():
    arrived = replace(WORK, state=DeclarationState.ARRIVED, seen_units=40.0)

    later = look_for(arrived, 100.0, np.array([90.0]), WORK.starts_at + 2 * HOUR)
    at_end = look_for(arrived, 100.0, np.array([90.0]), WORK.ends_at)

    assert (later.state, later.seen_units) == (DeclarationState.ARRIVED, 40.0)
    assert at_end.state is DeclarationState.OVER


def test_without_a_known_hour_before_nothing_is_taken_for_the_work():
    seen = look_for(WORK, None, np.array([500.0]), WORK.starts_at + HOUR)

    assert seen.state is DeclarationState.ANNOUNCED


def test_every_state_is_in_the_table_and_closed_ones_lead_nowhere():
    assert set(MOVES) == set(DeclarationState)
    assert not MOVES[DeclarationState.WITHDRAWN] | MOVES[DeclarationState.OVER]


@given(
    st.lists(
        st.tuples(st.floats(0.1, 500), st.floats(0.01, 1), st.integers(0, 11), st.integers(1, 12)),
        max_size=12,
    )
)
def test_quantiles_never_cross_and_never_fall_below_the_base(entries):
    works = [
        replace(
            WORK,
            id=place,
            units=units,
            probability=chance,
            starts_at=ISSUED_AT + first * HOUR,
            ends_at=ISSUED_AT + (first + hours) * HOUR,
        )
        for place, (units, chance, first, hours) in enumerate(entries)
    ]

    out = merged(*works)

    assert (np.diff(out, axis=1) >= 0).all()
    assert (out >= BASE - 1e-6).all()
