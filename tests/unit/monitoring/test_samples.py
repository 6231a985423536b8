"""Judging samples: each by itself, strictly, with a typed reason."""

import datetime as dt
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.lib.bodies import MalformedBody
from monitoring.domain.columns import parse_time, read_batch
from monitoring.domain.reports import add_reports, report_on
from monitoring.domain.samples import (
    FAULT_FIELDS,
    FIELD_NAMES,
    NO_FAULT,
    QUALITIES,
    REASONS,
    RULES,
    PoolTerms,
    Quality,
    QualityRule,
    Window,
    first_of_each,
    judge,
    live_window,
    same_values,
)
from monitoring.formats.rows import MAX_SAMPLES, MalformedBatch, TooManySamples, decode
from tests.strategies import NOT_PLAIN_NUMBERS, good_samples

NOW = dt.datetime(2023, 5, 26, 0, 12, tzinfo=dt.UTC)
POOLS = {"a-gpu": PoolTerms(pool_id=1, contract=100.0)}
WINDOW = live_window(NOW)
GOOD = {
    "pool": "a-gpu",
    "measured_at": "2023-05-26T00:10:00Z",
    "capacity": 100,
    "allocated": 40,
    "queued": 3.5,
}


def judged(*rows):
    return judge(decode(json.dumps({"samples": rows}).encode()), pools=POOLS, window=WINDOW)


def fault_of(verdict, position=0):
    if verdict.fault[position] == NO_FAULT:
        return None
    field = FAULT_FIELDS[verdict.fault_field[position]]
    return REASONS[verdict.fault[position]].value, field


def test_a_good_sample_is_taken_as_it_is():
    verdict = judged({**GOOD, "power_kw": 12.25})

    assert verdict.index.tolist() == [0]
    assert verdict.pool_id.tolist() == [1]
    assert [verdict.values[name][0] for name in ("capacity", "allocated", "queued")] == [
        100.0,
        40.0,
        3.5,
    ]
    assert verdict.values["power_kw"][0] == 12.25
    assert math.isnan(verdict.values["carbon_g_per_kwh"][0])
    assert QUALITIES[verdict.quality[0]] is Quality.GOOD


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"capacity": None}, ("missing", "capacity"), id="null"),
        pytest.param({"capacity": True}, ("not-a-number", "capacity"), id="boolean"),
        pytest.param({"queued": "1_000"}, ("not-a-number", "queued"), id="text"),
        pytest.param({"queued": " 7 "}, ("not-a-number", "queued"), id="padded text"),
        pytest.param({"queued": "١٢"}, ("not-a-number", "queued"), id="Arabic-Indic digits"),
        pytest.param({"queued": [1]}, ("not-a-number", "queued"), id="array"),
        pytest.param({"queued": {"a": 1}}, ("not-a-number", "queued"), id="object"),
        pytest.param({"queued": 10**400}, ("not-finite", "queued"), id="huge integer"),
        pytest.param({"queued": -1}, ("negative", "queued"), id="negative"),
        pytest.param({"power_kw": -0.5}, ("negative", "power_kw"), id="negative power"),
        pytest.param({"capacity": 1e9 + 1}, ("too-large", "capacity"), id="above 1e9"),
        pytest.param({"price_per_unit_h": -2e9}, ("too-large", "price_per_unit_h"), id="price"),
        pytest.param({"measured_at": None}, ("missing", "measured_at"), id="no time"),
        pytest.param({"measured_at": 1685059800}, ("bad-time", "measured_at"), id="epoch s"),
        pytest.param({"measured_at": 1685059800000}, ("bad-time", "measured_at"), id="epoch ms"),
        pytest.param({"measured_at": "1685059800"}, ("bad-time", "measured_at"), id="epoch text"),
        pytest.param(
            {"measured_at": "2023-05-26T00:10:00"}, ("bad-time", "measured_at"), id="no offset"
        ),
        pytest.param(
            {"measured_at": "2023-05-24T23:00:00Z"}, ("too-old", "measured_at"), id="yesterday"
        ),
        pytest.param(
            {"measured_at": "2024-05-26T00:10:00Z"},
            ("in-the-future", "measured_at"),
            id="next year",
        ),
        pytest.param({"pool": "b-gpu"}, ("unknown-pool", "pool"), id="unknown pool"),
        pytest.param({"pool": "a-gpu\u0000"}, ("unknown-pool", "pool"), id="NUL in a name"),
        pytest.param({"pool": "\ud800"}, ("unknown-pool", "pool"), id="lone surrogate"),
        pytest.param({"pool": 7}, ("unknown-pool", "pool"), id="number as pool"),
        pytest.param({"pool": None}, ("missing", "pool"), id="no pool"),
        pytest.param({"cpu_total": 0}, ("unknown-field", ""), id="field that does not exist"),
        pytest.param({"__proto__": 1}, ("unknown-field", ""), id="__proto__"),
    ],
)
def test_a_bad_value_is_refused_with_its_reason(change, fault):
    verdict = judged({**GOOD, **change})

    assert fault_of(verdict) == fault
    assert len(verdict.index) == 0


@pytest.mark.parametrize("row", [7, None, "text", [], True])
def test_what_is_not_an_object_is_refused_alone(row):
    verdict = judged(GOOD, row)

    assert fault_of(verdict, 1) == ("not-an-object", "")
    assert verdict.index.tolist() == [0]


def test_a_number_beyond_floats_is_refused_alone():
    body = json.dumps({"samples": [GOOD, {**GOOD, "queued": "X"}]}).replace('"X"', "1e400")

    verdict = judge(decode(body.encode()), pools=POOLS, window=WINDOW)

    assert fault_of(verdict, 0) is None
    assert fault_of(verdict, 1) == ("not-finite", "queued")


def test_minus_zero_is_zero():
    verdict = judged({**GOOD, "queued": -0.0}, {**GOOD, "queued": -0.0, "power_kw": None})

    assert [math.copysign(1, number) for number in verdict.values["queued"]] == [1.0, 1.0]


def test_a_price_may_be_negative():
    assert fault_of(judged({**GOOD, "price_per_unit_h": -0.02})) is None


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"allocated": 100.5}, QualityRule.ALLOCATED_ABOVE_CAPACITY),
        ({"capacity": 0, "allocated": 1}, QualityRule.ALLOCATED_ABOVE_CAPACITY),
        ({"capacity": 120}, QualityRule.OVER_CLAIM),
        ({"capacity": 100.0 + 1e-10}, QualityRule.NONE),
    ],
)
def test_an_implausible_sample_is_taken_but_suspect(change, rule):
    verdict = judged({**GOOD, **change})

    assert RULES[verdict.rule[0]] is rule
    is_good = QUALITIES[verdict.quality[0]] is Quality.GOOD
    assert is_good == (rule is QualityRule.NONE)


@given(
    row=good_samples("a-gpu", NOW),
    name=st.sampled_from(FIELD_NAMES),
    junk=NOT_PLAIN_NUMBERS,
)
def test_a_bad_sample_never_blocks_a_good_one(row, name, junk):
    verdict = judged(row, {**row, name: junk}, row)

    assert fault_of(verdict, 1) == ("not-a-number", name)
    assert verdict.index.tolist() == [0, 2]


@given(rows=st.lists(good_samples("a-gpu", NOW), min_size=1, max_size=6))
def test_rows_and_columns_say_the_same(rows):
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}

    from_rows = judged(*rows)
    from_columns = judge(
        decode(json.dumps({"columns": columns}).encode()), pools=POOLS, window=WINDOW
    )

    assert from_rows.index.tolist() == from_columns.index.tolist()
    assert same_values(from_rows.values, from_columns.values).all()


@given(
    honest=st.lists(st.integers(-600, 0), min_size=1, max_size=10),
    skews=st.lists(st.integers(-(10**7), 10**7), max_size=10),
)
def test_wrong_clocks_change_nothing_for_honest_samples(honest, skews):
    def rows_at(seconds):
        return [
            {**GOOD, "measured_at": (NOW + dt.timedelta(seconds=s)).isoformat()} for s in seconds
        ]

    alone = judged(*rows_at(honest))
    mixed = judged(*rows_at([*honest, *skews]))

    assert mixed.index[: len(honest)].tolist() == alone.index.tolist() == list(range(len(honest)))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="100,000 brackets"),
        pytest.param(b'{"samples":' * 50_000, id="50,000 objects deep"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe{}", id="not UTF-8"),
        pytest.param(b'{"samples": [NaN]}', id="NaN"),
        pytest.param(b'{"samples": [], "samples": []}', id="key twice"),
        pytest.param(b'{"samples": [{"pool": "a", "pool" : "b"}]}', id="key twice in a sample"),
        pytest.param(b'{"samples": [{"x": {"a": 1, "a": 2}}]}', id="key twice deep inside"),
        pytest.param(b'{"samples": []} {}', id="trailing bytes"),
        pytest.param(b'{"samples": [' + b"1" * 5_000 + b"]}", id="5,000 digits"),
    ],
)
def test_a_body_that_is_not_clear_json_is_refused_as_a_whole(body):
    with pytest.raises(MalformedBody):
        decode(body)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param([], id="array"),
        pytest.param({}, id="empty"),
        pytest.param({"samples": {}}, id="samples no array"),
        pytest.param({"columns": []}, id="columns no object"),
        pytest.param({"samples": [], "columns": {}}, id="both"),
        pytest.param({"samples": [], "extra": 1}, id="extra key"),
        pytest.param({"columns": {"pool": ["a-gpu"]}}, id="column missing"),
        pytest.param({"columns": {name: [1] for name in GOOD} | {"pool": []}}, id="unequal"),
        pytest.param({"columns": {name: [1] for name in GOOD} | {"pool": "a"}}, id="no array"),
        pytest.param({"columns": {name: [1] for name in GOOD} | {"x\n": [1]}}, id="no such column"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_as_a_whole(document):
    with pytest.raises(MalformedBatch) as refusal:
        decode(json.dumps(document).encode())

    assert "\n" not in refusal.value.detail


def test_an_escaped_quote_before_a_colon_is_not_taken_for_a_key():
    verdict = judged({**GOOD, "pool": 'a":"b'}, GOOD)

    assert verdict.index.tolist() == [1]


def test_a_batch_has_a_largest_size():
    body = json.dumps({"samples": [0] * (MAX_SAMPLES + 1)}).encode()

    with pytest.raises(TooManySamples):
        decode(body)


@pytest.mark.parametrize(
    "text",
    [
        "2023-05-26T00:10:00",
        "2023-05-26 00:10Z",
        "2023-02-30T00:00:00Z",
        "2023-05-26T00:00:60Z",
        "2023-05-26T24:00:01Z",
        "2023-05-26T00:00:00+24:01",
        "2023-05-26T00:00:00.Z",
        "2023-05-26T00:00:00Z\n",
        "２０２３-05-26T00:00:00Z",
        "0001-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59-08:00",
        "20230526T000000Z",
        "2023-W21-5T00:00:00Z",
        "1685059800",
        "",
        "Z" * 1_000,
    ],
)
def test_only_rfc3339_with_an_offset_is_a_time(text):
    assert parse_time(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "2023-05-26T00:10:00Z",
        "2023-05-26t00:10:00z",
        "2023-05-26 08:10:00+08:00",
        "2023-05-25T19:10:00.000-05:00",
        "2023-05-26T00:10:00.000000999Z",
    ],
)
def test_every_spelling_of_a_moment_is_that_moment(text):
    assert parse_time(text) == dt.datetime(2023, 5, 26, 0, 10, tzinfo=dt.UTC)


def test_far_years_are_times_but_outside_the_window():
    verdict = judged(
        *({**GOOD, "measured_at": f"{year}-01-01T00:00:00Z"} for year in ("0001", "2040", "9999"))
    )

    assert [fault_of(verdict, position)[0] for position in range(3)] == [
        "too-old",
        "in-the-future",
        "in-the-future",
    ]


@pytest.mark.parametrize(
    ("rate", "back", "ahead"),
    [
        (1.0, dt.timedelta(hours=24), dt.timedelta(minutes=2)),
        (0.0, dt.timedelta(hours=24), dt.timedelta(minutes=2)),
        (60.0, dt.timedelta(hours=60), dt.timedelta(minutes=5)),
    ],
)
def test_the_live_window_is_never_shorter_than_wall_time_needs(rate, back, ahead):
    assert live_window(NOW, rate=rate) == Window(NOW - back, NOW + ahead)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), max_size=20))
def test_first_of_each_finds_the_first_sample_of_each_key(keys):
    pool_id = np.array([key[0] for key in keys], np.int64)
    measured_us = np.array([key[1] for key in keys], np.int64)

    first, group = first_of_each(pool_id, measured_us)

    assert [keys[position] for position in first] == sorted(set(keys))
    assert all(first[group[position]] == keys.index(key) for position, key in enumerate(keys))


@given(
    st.lists(
        st.sampled_from([GOOD, {**GOOD, "queued": -1}, {**GOOD, "pool": "?"}, 3]), max_size=150
    ),
    st.randoms(use_true_random=False),
)
def test_every_sample_is_accounted_for_once(rows, random):
    verdict = judged(*rows)
    taken = len(verdict.index)
    accepted = np.array([random.random() < 0.5 for _ in range(taken)], bool)
    conflict = ~accepted & np.array([random.random() < 0.5 for _ in range(taken)], bool)

    account = report_on(verdict, accepted=accepted, conflict=conflict)

    assert account.received == len(rows)
    parts = account.accepted, account.duplicate, account.conflict, account.rejected
    assert sum(parts) == account.received
    assert sum(account.rejected_by_reason.values()) == account.rejected
    assert account.errors_total == account.rejected + account.conflict
    assert len(account.errors) == min(100, account.errors_total)
    assert [error.index for error in account.errors] == sorted(e.index for e in account.errors)
    assert add_reports([account, account]).received == 2 * account.received


def test_an_absent_column_was_reported_by_nobody():
    columns = {name: [value] for name, value in GOOD.items()}

    batch = read_batch(columns, size=1)

    assert math.isnan(batch.values["power_kw"][0])
    assert len(batch) == 1
