"""What tenants are owed, and how fair plans and days were."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.fair import Stay, fairness_of_past, owed_unit_h, used_unit_h

NOW = dt.datetime(2023, 5, 26, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SIZES = st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1e4), min_size=1)


def test_who_had_much_lately_is_owed_less_now():
    owed = owed_unit_h({"a": 10.0, "b": 10.0}, {"a": 6.0}, {}, 10.0)

    assert owed == {"a": 2.0, "b": 8.0}


def test_a_weight_of_two_is_owed_twice_as_much():
    owed = owed_unit_h({"a": 90.0, "b": 90.0}, {}, {"a": 2.0}, 30.0)

    assert owed == {"a": 20.0, "b": 10.0}


@given(SIZES, SIZES, st.floats(0, 1e4))
def test_nobody_is_owed_more_than_asked_and_all_together_no_more_than_comes(asked, used, coming):
    owed = owed_unit_h(asked, used, {}, coming)

    assert all(0 <= owed[who] <= asked[who] for who in asked)
    lately = sum(used.get(who, 0.0) for who in asked)
    assert sum(owed.values()) <= coming + lately + 1e-6


def stay(who, *, units=8, waits_h=0, runs_h=0, since=NOW - 10 * HOUR):
    start = since + waits_h * HOUR
    return Stay(who, units, since, start if runs_h else None, start + runs_h * HOUR)


def test_only_hours_within_the_stretch_count():
    used = used_unit_h([stay("a", runs_h=10)], since=NOW - 4 * HOUR, until=NOW)

    assert used == {"a": 32.0}


def test_equal_waiting_is_fair_and_one_who_only_waits_is_not():
    stretch = {"since": NOW - 10 * HOUR, "until": NOW}
    even = [stay(who, waits_h=5, runs_h=5) for who in "ab"]
    uneven = [stay("a", runs_h=10), stay("b", waits_h=10)]

    assert fairness_of_past(even, {}, **stretch).index == pytest.approx(1.0)
    assert fairness_of_past(uneven, {}, **stretch).index == pytest.approx(0.5)


def test_without_any_work_nothing_is_unfair():
    assert fairness_of_past([], {}, since=NOW - HOUR, until=NOW).index == 1.0
