"""Adding rows up and packing them: what a loop over plain numbers finds too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.hour_matrix import (
    COLUMNS,
    DAY_HOURS,
    HourMatrix,
    columns_of,
    means,
    over_groups,
    pack_day,
)
from monitoring.domain.samples import FIELD_NAMES, QUALITIES, RULES, SOURCES, first_of_each
from monitoring.domain.sums import HOUR_US, Rows, hour_sums, newest_of_each_pool

MINUTE_US = 60_000_000
ROWS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.integers(0, 200),
        st.integers(0, 90).map(float),
        st.one_of(st.just(float("nan")), st.integers(0, 9).map(float)),
        st.integers(0, 2),
    ),
    max_size=30,
    unique_by=lambda row: row[:2],
)


def rows_of(entries):
    entries = sorted(entries, key=lambda entry: entry[:2])
    pool, minute, allocated, power, quality = zip(*entries, strict=True) if entries else ((),) * 5
    size = len(entries)
    values = {name: np.full(size, np.nan) for name in FIELD_NAMES}
    values["capacity"] = np.full(size, 100.0)
    values["allocated"] = np.array(allocated, float)
    values["queued"] = np.ones(size)
    values["power_kw"] = np.array(power, float)
    return Rows(
        np.array(pool, np.int64),
        np.array(minute, np.int64) * MINUTE_US,
        values,
        np.array(quality, np.int16),
        np.zeros(size, np.int16),
    )


@given(ROWS)
def test_hours_add_up_to_what_a_loop_finds(entries):
    found = hour_sums(rows_of(entries))

    expected = {}
    for pool, minute, allocated, power, quality in entries:
        hour = expected.setdefault((pool, minute // 60 * 60 * MINUTE_US), [0, 0, 0.0, 0, 0.0, 0.0])
        hour[0] += 1
        if quality == 0:
            hour[1] += 1
            hour[2] += allocated
            hour[3] += not np.isnan(power)
            hour[4] += 0.0 if np.isnan(power) else power
            hour[5] = max(hour[5], allocated + 1.0)
    columns = zip(
        found.pool_id.tolist(),
        found.hour_us.tolist(),
        found.counts["samples"].tolist(),
        found.counts["good_samples"].tolist(),
        found.sums["allocated_sum"].tolist(),
        found.counts["power_samples"].tolist(),
        found.sums["power_kw_sum"].tolist(),
        found.sums["demand_max"].tolist(),
        strict=True,
    )
    assert {(pool, hour): list(rest) for pool, hour, *rest in columns} == expected
    assert HOUR_US == 60 * MINUTE_US


@given(ROWS)
def test_the_newest_row_of_each_pool_is_its_last(entries):
    newest = newest_of_each_pool(rows_of(entries))

    expected = {pool: max(row[1] for row in entries if row[0] == pool) for pool, *_ in entries}
    found = dict(
        zip(newest.pool_id.tolist(), (newest.measured_us // MINUTE_US).tolist(), strict=True)
    )
    assert found == expected


@pytest.mark.parametrize("spread_us", [MINUTE_US, 2**61], ids=["one key", "two keys"])
def test_the_first_of_equal_keys_is_found_however_far_apart_times_are(spread_us):
    pools = np.array([7, 3, 7, 3, 7], np.int64)
    times = np.array([0, 5, 0, 5, spread_us], np.int64)

    first, group = first_of_each(pools, times)

    assert first.tolist() == [1, 0, 4]
    assert group.tolist() == [1, 0, 1, 0, 2]


def test_codes_of_stored_samples_never_change():
    assert SOURCES[:3] == ("provider", "history", "sender")
    assert QUALITIES[:5] == ("good", "stale", "suspect", "substituted", "invalid")
    assert RULES[:5] == (
        *("", "allocated-above-capacity", "over-claim", "partial-tick"),
        "carried-forward",
    )


def test_packed_days_are_put_back_where_they_were():
    rng = np.random.default_rng(3)
    whole = {name: rng.integers(0, 9, (3, 2 * DAY_HOURS)).astype(float) for name in COLUMNS}
    matrix = HourMatrix.empty(
        np.array([2, 5, 9]), start_us=0, end_us=2 * DAY_HOURS * HOUR_US, names=COLUMNS
    )
    second = {name: pack_day(column[1:, 24:]) for name, column in whole.items()}

    # the last pool is none of the matrix's
    strangers = {name: days + bytes(DAY_HOURS * 8) for name, days in second.items()}
    matrix.put_day(np.array([5, 9, 11]), DAY_HOURS * HOUR_US, strangers)

    for name, column in whole.items():
        assert matrix.columns[name][1:, 24:].tolist() == column[1:, 24:].tolist()
        assert not matrix.columns[name][:, :24].any()
        assert not matrix.columns[name][0].any()


def test_a_days_mean_is_over_its_samples_not_over_its_hours():
    names = columns_of(["demand"])
    matrix = HourMatrix.empty(np.array([1]), start_us=0, end_us=24 * HOUR_US, names=names)
    matrix.columns["allocated_sum"][0, :2] = [10.0, 90.0]
    matrix.columns["good_samples"][0, :2] = [1, 3]

    assert means(matrix, "demand")[0, :3].tolist()[:2] == [10.0, 30.0]
    assert np.isnan(means(matrix, "demand")[0, 2])
    assert means(matrix.by_day(), "demand").tolist() == [[25.0]]


def test_groups_are_over_their_known_rows():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 8.0]])
    group = np.array([0, 0, 1])

    average = over_groups(values, group, groups=2, adds_up=False)
    total = over_groups(values, group, groups=2, adds_up=True)

    np.testing.assert_array_equal(average, [[2.0, np.nan], [np.nan, 8.0]])
    np.testing.assert_array_equal(total, [[4.0, np.nan], [np.nan, 8.0]])
