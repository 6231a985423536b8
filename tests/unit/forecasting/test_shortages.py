"""Shortages to come: from when, how surely, with how much warning, and without flapping."""

import datetime as dt

import numpy as np
import pytest

from forecasting.domain.shortages import chance_above, find_forecast_shortages

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
ISSUED_AT = dt.datetime(2023, 5, 26, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def bands(*upper):
    return np.array([[q90 - 40, q90 - 30, q90 - 10, q90, q90 + 10] for q90 in upper], float)


def find(demand, usable=100.0, *, now=ISSUED_AT, already=()):
    return find_forecast_shortages(
        {"CN-BJ": demand},
        {"CN-BJ": usable},
        quantiles=LEVELS,
        issued_at=ISSUED_AT,
        now=now,
        already=frozenset(already),
    )


def test_a_shortage_says_from_when_how_much_and_how_surely():
    [shortage] = find(bands(90, 95, 105, 120, 101, 80), now=ISSUED_AT + dt.timedelta(minutes=10))

    assert shortage.from_at == ISSUED_AT + 2 * HOUR
    assert shortage.lead_h == 1
    assert shortage.worst_at == ISSUED_AT + 3 * HOUR
    assert shortage.short_units == 20.0
    # 100 lies between the 0.1 (90) and the 0.5 quantile (110) of the worst hour
    assert shortage.probability == pytest.approx(1 - 0.3)


@pytest.mark.parametrize("upper", [[100.0] * 4, [0.0] * 4])
def test_what_fits_is_no_shortage(upper):
    assert find(bands(*upper)) == []


def test_hours_that_are_over_are_no_warning():
    assert find(bands(120, 90, 90), now=ISSUED_AT + HOUR) == []


def test_a_shortage_in_the_running_hour_has_no_hours_left():
    [shortage] = find(bands(120, 90), now=ISSUED_AT + dt.timedelta(minutes=59))

    assert shortage.lead_h == 0


def test_nothing_is_said_where_the_capacity_is_unknown():
    assert find(bands(120), usable=None) == []


@pytest.mark.parametrize(("q90", "is_short"), [(97.0, True), (94.0, False)])
def test_a_known_shortage_ends_only_when_there_is_clearly_room(q90, is_short):
    assert find(bands(q90)) == []
    assert bool(find(bands(q90), already=["CN-BJ"])) is is_short


@pytest.mark.parametrize(
    ("limit", "chance"), [(0.0, 0.95), (1000.0, 0.05), (60.0, 0.95), (110.0, 0.05)]
)
def test_beyond_the_outermost_quantiles_nothing_surer_is_claimed(limit, chance):
    assert chance_above(limit, bands(100.0)[0], LEVELS) == pytest.approx(chance)
