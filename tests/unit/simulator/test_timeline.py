from array import array
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.clock import GridClock
from simulator.domain import timeline, workloads
from simulator.domain.native import NativeLoad

WEEK_S = 7 * timeline.DAY_S
helios_levels = NativeLoad(array("H", [i % 997 for i in range(24 * 288)]))


def test_the_live_part_starts_three_weeks_after_the_history():
    assert timeline.rfc3339(timeline.HISTORY_START) == "2023-05-04T16:00:00Z"
    assert timeline.rfc3339(timeline.LIVE_START) == "2023-05-25T16:00:00Z"


def test_each_trace_keeps_its_weekday():
    philly_friday = datetime(2017, 10, 6, tzinfo=UTC)
    helios_friday = timeline.HELIOS_START_LOCAL
    pinned_to_local = datetime(2023, 5, 5, tzinfo=UTC)

    weekdays = {moment.weekday() for moment in (philly_friday, helios_friday, pinned_to_local)}

    assert weekdays == {4}
    assert timeline.HELIOS_REPEAT_S % WEEK_S == 0
    assert timeline.PHILLY_LAP_S % WEEK_S == 0


@given(st.integers(0, 2**33))
def test_rfc3339_text_is_read_back_as_the_same_second(at):
    assert timeline.parse_rfc3339(timeline.rfc3339(at) or "") == at


def test_a_time_without_an_offset_is_refused():
    with pytest.raises(ValueError, match="offset"):
        timeline.parse_rfc3339("2023-05-25T16:00:00")


def test_a_missing_moment_stays_missing():
    assert timeline.rfc3339(None) is None


@given(
    st.integers(timeline.HISTORY_START - 40 * timeline.DAY_S, timeline.HISTORY_START + 2**24),
    st.integers(0, 200 * timeline.DAY_S),
)
def test_lap_windows_cover_every_second_once(after, length):
    windows = timeline.lap_windows(after, after + length)

    spans = [
        (a + lap * timeline.PHILLY_LAP_S, b + lap * timeline.PHILLY_LAP_S) for a, b, lap in windows
    ]
    assert sum(b - a for a, b in spans) == length
    assert all(left[1] == right[0] for left, right in pairwise(spans))
    assert all(b < timeline.PHILLY_LAP_END for _, b, _ in windows)
    assert all(a >= timeline.HISTORY_START - 1 for a, _, lap in windows if lap)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        pytest.param("2023-01-01T00:59:59Z", 0, id="first hour"),
        pytest.param("2023-12-31T23:00:00Z", 8759, id="last hour"),
        pytest.param("2024-01-01T00:00:00Z", 0, id="next year starts over"),
    ],
)
def test_prices_are_those_of_the_same_hour_of_2023(text, hour):
    assert timeline.price_hour(timeline.parse_rfc3339(text)) == hour


def test_the_next_tick_is_always_later():
    assert [timeline.next_tick(at) for at in (599, 600, 601)] == [600, 900, 900]


def test_native_demand_repeats_its_last_three_weeks():
    day_25 = timeline.HISTORY_START + 24 * timeline.DAY_S
    day_4 = timeline.HISTORY_START + 3 * timeline.DAY_S

    for offset in (0, 300, 7 * timeline.DAY_S, 20 * timeline.DAY_S):
        original = helios_levels.level_at(day_4 + offset)
        assert helios_levels.level_at(day_25 + offset) == original
        assert helios_levels.level_at(day_25 + timeline.HELIOS_REPEAT_S + offset) == original


@given(
    st.integers(timeline.HISTORY_START - 900, timeline.HISTORY_START + 50 * timeline.DAY_S),
    st.integers(0, 7200),
)
def test_native_changes_lead_from_level_to_level(after, length):
    level = helios_levels.level_at(after)

    changes = dict(helios_levels.changes(after, after + length))

    for at in range(after + 1, after + length + 1):
        level = changes.get(at, level)
        if at % 150 == 0 or at in changes:
            assert level == helios_levels.level_at(at)


def test_a_pool_without_native_demand_has_none():
    empty = NativeLoad(array("H"))

    assert empty.level_at(timeline.LIVE_START) == 0
    assert empty.changes(0, timeline.LIVE_START) == []


def test_the_grid_clock_runs_from_its_anchor_at_its_rate():
    clock = GridClock.from_environment(
        {
            "TIAODU_CLOCK_ANCHOR_REAL": "1000.5",
            "TIAODU_CLOCK_ANCHOR_GRID": "5000",
            "TIAODU_CLOCK_RATE": "60",
        }
    )

    assert clock.grid_at(1001.5) == 5060
    assert clock.real_wait_s(clock.now() - 100) == 0
    assert 4 < clock.real_wait_s(clock.now() + 300) <= 5


def test_without_an_anchor_grid_time_is_real_time():
    assert GridClock.from_environment({}).grid_at(1234.0) == 1234.0


def test_a_clock_that_stands_still_is_refused():
    environment = {
        "TIAODU_CLOCK_ANCHOR_REAL": "0",
        "TIAODU_CLOCK_ANCHOR_GRID": "0",
        "TIAODU_CLOCK_RATE": "0",
    }

    with pytest.raises(ValueError, match="positive"):
        GridClock.from_environment(environment)


@given(st.integers(1, 1440 * 3600))
def test_the_requested_time_covers_the_run_time_by_the_next_usual_limit(runtime_s):
    requested_s = workloads.requested_duration_s(runtime_s)

    smaller = [h * 3600 for h in workloads.REQUEST_LADDER_H if h * 3600 < requested_s]
    assert runtime_s <= requested_s
    assert all(limit < runtime_s for limit in smaller)


def test_a_run_time_beyond_every_limit_is_refused():
    with pytest.raises(ValueError, match="no limit"):
        workloads.requested_duration_s(1440 * 3600 + 1)


def test_data_classes_have_the_stated_shares():
    classes = [workloads.data_class(f"philly-{i}") for i in range(20_000)]

    shares = {name: classes.count(name) / len(classes) for name in set(classes)}

    assert shares == pytest.approx({"open": 0.7, "internal": 0.2, "restricted": 0.1}, abs=0.01)


@pytest.mark.parametrize(
    ("units", "requested_s", "gb"),
    [
        pytest.param(8, 900, 2.0, id="one gigabyte per unit-hour"),
        pytest.param(8, 168 * 3600, 500.0, id="never more than 500"),
    ],
)
def test_data_grows_with_the_requested_unit_hours(units, requested_s, gb):
    assert workloads.data_gb(units, requested_s) == gb


def test_the_deadline_leaves_a_day_and_twice_the_requested_time():
    assert workloads.deadline_at(1000, 3600) == 1000 + 86_400 + 7200


def test_jobs_from_four_requested_hours_on_are_checkpointable():
    assert [workloads.is_checkpointable(h * 3600) for h in (2, 4, 8)] == [False, True, True]
