"""Shelves hold for each pool what a row for each pool would hold."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.samples import FIELD_NAMES, PoolTable, PoolTerms
from monitoring.domain.shelves import (
    HOUR,
    NEVER_US,
    SHELF_SLOTS,
    STATE,
    add_hours,
    put_newest,
    read_records,
    read_shelves,
)
from monitoring.domain.sums import COUNT_NAMES, SUM_NAMES, HourSums, Rows

NOW_US = 77
PLACES = st.tuples(st.integers(0, 1), st.integers(0, SHELF_SLOTS - 1))


def rows_of(newest):
    """Return rows of {place: (measured_us, figure)}."""
    figures = np.array([figure for _, figure in newest.values()], float)
    codes = np.arange(len(newest)).astype(np.int16) % 5
    return Rows(
        pool_id=np.arange(len(newest)),
        measured_us=np.array([us for us, _ in newest.values()], np.int64),
        values={name: figures + n for n, name in enumerate(FIELD_NAMES)},
        quality=codes,
        rule=codes,
    )


def columns_of(places):
    row, slot = np.array(list(places), np.int64).reshape(len(places), 2).T
    return row, slot


@given(
    st.lists(
        st.dictionaries(PLACES, st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=8),
        max_size=5,
    )
)
def test_the_newest_sample_of_each_pool_is_kept(lots):
    stored, expected = [b"", b""], {}
    for lot in lots:
        shelves = read_shelves(stored, STATE)
        changed = put_newest(shelves, *columns_of(lot), rows_of(lot), now_us=NOW_US)
        newer = {place for place, (us, _) in lot.items() if us > expected.get(place, (-1,))[0]}
        assert set(np.flatnonzero(changed).tolist()) == {row for row, _ in newer}
        expected |= {place: lot[place] for place in newer}
        stored = [shelves.pack(row) for row in range(2)]

    records, row, slot = read_records(stored, STATE)

    has_reported = records["measured_us"] != NEVER_US
    found = {
        (at_row, at_slot): (record["measured_us"], record["capacity"])
        for at_row, at_slot, record, is_it in zip(row, slot, records, has_reported, strict=True)
        if is_it
    }
    assert found == expected
    assert set(records["received_us"][has_reported].tolist()) <= {NOW_US}


@given(
    st.lists(
        st.dictionaries(PLACES, st.tuples(st.integers(1, 9), st.integers(0, 99)), max_size=8),
        max_size=5,
    )
)
def test_sums_add_up_and_maxima_stay(lots):
    stored, expected = [b"", b""], {}
    for lot in lots:
        shelves = read_shelves(stored, HOUR)
        counts = np.array([count for count, _ in lot.values()], np.int64)
        figures = np.array([figure for _, figure in lot.values()], float)
        more = HourSums(
            np.arange(len(lot)),
            np.zeros(len(lot), np.int64),
            dict.fromkeys(COUNT_NAMES, counts),
            dict.fromkeys((*SUM_NAMES, "demand_max"), figures),
        )
        changed = add_hours(shelves, *columns_of(lot), more)
        assert set(np.flatnonzero(changed).tolist()) == {row for row, _ in lot}
        for place, (count, figure) in lot.items():
            before = expected.get(place, (0, 0.0, 0.0))
            highest = max(before[2], figure)
            expected[place] = (before[0] + count, before[1] + figure, highest)
        stored = [shelves.pack(row) for row in range(2)]

    records, row, slot = read_records(stored, HOUR)

    found = {
        (at_row, at_slot): (record["samples"], record["carbon_sum"], record["demand_max"])
        for at_row, at_slot, record in zip(row, slot, records, strict=True)
        if record["samples"]
    }
    assert found == expected


def test_slots_behind_the_last_one_in_use_are_not_stored():
    shelves = read_shelves([b""], STATE)

    put_newest(shelves, *columns_of([(0, 2)]), rows_of({(0, 2): (5, 1.0)}), now_us=NOW_US)

    assert len(shelves.pack(0)) == 3 * STATE.itemsize


def test_a_table_of_pools_gives_keys_and_contracts_in_the_order_asked_for():
    table = PoolTable({"a": PoolTerms(7, 1.5), "b": PoolTerms(9, 2.5)})

    pool_id, contract = table.columns_of(("b", "unknown", "a"))

    # the last one stands for what cannot be read
    assert pool_id.tolist() == [9, -1, 7, -1]
    assert contract.tolist() == [2.5, 0.0, 1.5, 0.0]
    assert table.columns_of(("b", "unknown", "a"))[0] is pool_id


def test_a_table_of_pools_forgets_the_lists_asked_for_long_ago():
    table = PoolTable({"a": PoolTerms(7, 1.5)})
    first = table.columns_of(("a",))[0]

    for number in range(20):
        table.columns_of((f"other-{number}",))

    assert table.columns_of(("a",))[0] is not first
    assert table.columns_of(("a",))[0].tolist() == first.tolist()
