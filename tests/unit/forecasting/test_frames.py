"""Rows become panels: hours aligned, the unknown kept unknown, nothing after the issue."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.domain.frames import (
    BadDemandFrame,
    carried_forward,
    panel_of_frame,
    with_sums,
)
from tests.unit.forecasting.series import START, panel_of

HOUR = dt.timedelta(hours=1)
NAN = np.nan


def rows_of(series, **columns):
    """Return a frame of one row per series and hour; None leaves the hour out."""
    rows = [
        {"pool": code, "hour_at": START + hour * HOUR, "demand": value}
        for code, values in series.items()
        for hour, value in enumerate(values)
        if value is not None
    ]
    frame = pd.DataFrame(rows, columns=["pool", "hour_at", "demand"])
    frame["hour_at"] = pd.to_datetime(frame["hour_at"], utc=True)
    return frame.assign(**columns)


def test_missing_hours_are_unknown_and_not_zero():
    frame = rows_of({"b": [1.0, None, 3.0], "a": [None, 5.0, None]})

    panel = panel_of_frame(frame, key="pool", issued_at=START + 3 * HOUR)

    assert panel.codes == ("a", "b")
    assert panel.start_at == START
    np.testing.assert_array_equal(panel.demand, [[NAN, 5.0, NAN], [1.0, NAN, 3.0]])
    assert np.isnan(panel.queued).all()


def test_the_panel_ends_at_the_issue_even_when_nobody_reported_lately():
    panel = panel_of_frame(rows_of({"a": [1.0]}), key="pool", issued_at=START + 5 * HOUR)

    assert panel.end_at == START + 5 * HOUR
    np.testing.assert_array_equal(panel.demand, [[1.0, NAN, NAN, NAN, NAN]])


@pytest.mark.parametrize("hours", [0, 1, 2])
def test_hours_that_are_not_over_at_the_issue_are_left_out(hours):
    frame = rows_of({"a": [1.0, 2.0, 3.0]})

    panel = panel_of_frame(frame, key="pool", issued_at=START + hours * HOUR)

    assert panel.hours == hours
    assert panel.demand.size == hours


def test_values_that_cannot_be_demand_are_unknown():
    frame = rows_of({"a": [-1.0, np.inf, NAN, 4.0]})

    panel = panel_of_frame(frame, key="pool", issued_at=START + 4 * HOUR)

    np.testing.assert_array_equal(panel.demand, [[NAN, NAN, NAN, 4.0]])


def test_hours_measured_mostly_badly_are_unknown():
    frame = rows_of({"a": [1.0, 2.0, 3.0]}, good_share=[1.0, 0.4, 0.5])

    panel = panel_of_frame(frame, key="pool", issued_at=START + 3 * HOUR)

    np.testing.assert_array_equal(panel.demand, [[1.0, NAN, 3.0]])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        pytest.param(rows_of({"a": [1.0]}).drop(columns="demand"), "missing", id="no column"),
        pytest.param(
            pd.concat([rows_of({"a": [1.0]})] * 2, ignore_index=True), "two rows", id="twice"
        ),
        pytest.param(
            rows_of({"a": [1.0]}).assign(hour_at=pd.Timestamp("2023-05-01")), "zone", id="naive"
        ),
        pytest.param(
            rows_of({"a": [1.0]}).assign(hour_at=pd.Timestamp("2023-05-01T00:30Z")),
            "beginning of an hour",
            id="half past",
        ),
        pytest.param(
            rows_of({"a": [1.0]}).assign(hour_at=pd.Timestamp("2003-05-01T00:00Z")),
            "at most",
            id="too long",
        ),
    ],
)
def test_rows_that_are_no_hourly_demand_are_refused(frame, words):
    with pytest.raises(BadDemandFrame, match=words):
        panel_of_frame(frame, key="pool", issued_at=START + 5 * HOUR)


def test_a_sum_is_unknown_when_a_member_is_but_a_new_member_adds_nothing_before():
    members = panel_of([[1.0, 2.0, NAN, 4.0], [NAN, NAN, 10.0, 20.0]])

    panel = with_sums(members, {"region:X": ["pool:00", "pool:01"]})

    assert panel.codes == ("pool:00", "pool:01", "region:X")
    np.testing.assert_array_equal(panel.demand[2], [1.0, 2.0, NAN, 24.0])
    np.testing.assert_array_equal(panel.capacity[2], [200.0] * 4)


def test_a_sum_over_members_that_nobody_knows_is_left_out():
    panel = with_sums(panel_of([[1.0]]), {"region:X": ["pool:99"]})

    assert panel.codes == ("pool:00",)


def test_before_any_member_was_known_a_sum_is_unknown_and_not_zero():
    members = panel_of([[NAN, 2.0], [NAN, NAN], [7.0, 7.0]])

    panel = with_sums(members, {"r": ["pool:00", "pool:01"]})

    np.testing.assert_array_equal(panel.demand[-1], [NAN, 2.0])


def test_values_are_carried_forward_as_far_as_allowed():
    values = np.array([[NAN, 1.0, NAN, NAN, NAN, 2.0]])

    np.testing.assert_array_equal(carried_forward(values, 2), [[NAN, 1, 1, 1, NAN, 2]])
    np.testing.assert_array_equal(carried_forward(values), [[NAN, 1, 1, 1, 1, 2]])


@given(st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(order):
    frame = rows_of({"a": [1.0, 2.0, 3.0, 4.0], "b": [5.0] * 4, "c": [0.0, 9.0, 0.0, 9.0]})

    shuffled = panel_of_frame(frame.iloc[order], key="pool", issued_at=START + 4 * HOUR)

    straight = panel_of_frame(frame, key="pool", issued_at=START + 4 * HOUR)
    assert shuffled.codes == straight.codes
    np.testing.assert_array_equal(shuffled.demand, straight.demand)
