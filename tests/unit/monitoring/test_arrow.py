"""Arrow streams: the same batch as JSON would give, and no byte that could hurt."""

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from controlplane.lib.errors import GridError
from monitoring.domain.samples import FAULT_FIELDS, FIELD_NAMES, NO_FAULT, REASONS
from monitoring.formats import arrow, rows

TIMES = ["2023-05-26T00:00:00Z", "2023-05-26T00:05:00.123456Z"]


def stream(table, *, max_chunksize=2, **options):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=max_chunksize)
    return sink.getvalue()


def columns(**changes):
    moments = np.array([text.removesuffix("Z") for text in TIMES], "datetime64[us]")
    base = {
        "pool": pa.array(["a", "b"]),
        "measured_at": pa.array(moments, pa.timestamp("us", tz="UTC")),
        "capacity": pa.array([100, 200]),
        "allocated": pa.array([1.5, 2.5]),
        "queued": pa.array([0, 1], pa.uint8()),
    }
    return {name: column for name, column in {**base, **changes}.items() if column is not None}


def pools(batch):
    return [batch.pools[ordinal] if ordinal >= 0 else "" for ordinal in batch.pool_ref]


def faults(batch):
    return [
        None if code == NO_FAULT else (REASONS[code].value, FAULT_FIELDS[field])
        for code, field in zip(batch.fault.tolist(), batch.fault_field.tolist(), strict=True)
    ]


def test_a_stream_says_the_same_as_columns_in_json():
    read = arrow.decode(stream(pa.table(columns(power_kw=pa.array([None, 4.0])))))

    expected = rows.decode(
        b'{"columns":{"pool":["a","b"],"measured_at":["2023-05-26T00:00:00Z",'
        b'"2023-05-26T00:05:00.123456Z"],"capacity":[100,200],"allocated":[1.5,2.5],'
        b'"queued":[0,1],"power_kw":[null,4.0]}}'
    )
    assert pools(read) == pools(expected)
    assert read.measured_us.tolist() == expected.measured_us.tolist()
    for name in FIELD_NAMES:
        np.testing.assert_array_equal(read.values[name], expected.values[name])
    assert faults(read) == [None, None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_resolution_of_time_is_read(unit):
    times = pa.array([1_685_059_200, 0], pa.timestamp("s", tz="UTC"))
    times = times.cast(pa.timestamp(unit, tz="Asia/Shanghai"))

    read = arrow.decode(stream(pa.table(columns(measured_at=times))))

    assert read.measured_us.tolist() == [1_685_059_200_000_000, 0]


def test_dictionary_encoded_pools_are_read():
    codes = pa.array(["a", "a"]).dictionary_encode()

    assert pools(arrow.decode(stream(pa.table(columns(pool=codes))))) == ["a", "a"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"pool": pa.array(["a", None])}, ("missing", "pool")),
        ({"pool": pa.array(["a", ""])}, ("missing", "pool")),
        (
            {"measured_at": pa.array([1, None], pa.timestamp("us", tz="UTC"))},
            ("missing", "measured_at"),
        ),
        (
            {"measured_at": pa.array([1, 2**62], pa.timestamp("s", tz="UTC"))},
            ("bad-time", "measured_at"),
        ),
        ({"queued": pa.array([1.0, float("nan")])}, ("not-finite", "queued")),
        ({"queued": pa.array([1.0, float("inf")])}, ("not-finite", "queued")),
    ],
)
def test_a_bad_value_is_a_fault_of_its_sample_only(changes, fault):
    assert faults(arrow.decode(stream(pa.table(columns(**changes))))) == [None, fault]


def test_a_required_value_that_is_null_is_left_for_the_judge():
    read = arrow.decode(stream(pa.table(columns(queued=pa.array([1, None])))))

    assert np.isnan(read.values["queued"]).tolist() == [False, True]


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(columns(queued=None), id="column missing"),
        pytest.param(columns(region=pa.array(["x", "y"])), id="column unknown"),
        pytest.param(columns(queued=pa.array(["1", "2"])), id="numbers as text"),
        pytest.param(columns(queued=pa.array([True, False])), id="booleans"),
        pytest.param(columns(queued=pa.array([[1], [2]])), id="lists"),
        pytest.param(columns(queued=pa.nulls(2)), id="nulls without a type"),
        pytest.param(columns(pool=pa.array([b"a", b"b"])), id="pools as bytes"),
        pytest.param(columns(pool=pa.array(["a" * 300, "b"])), id="pool too long"),
        pytest.param(columns(measured_at=pa.array([1, 2])), id="times as numbers"),
        pytest.param(columns(measured_at=pa.array([1, 2], pa.timestamp("us"))), id="no zone"),
    ],
)
def test_a_table_of_another_shape_is_refused_as_a_whole(table):
    with pytest.raises(rows.MalformedBatch):
        arrow.decode(stream(pa.table(table)))


def test_a_column_that_comes_twice_is_refused():
    table = pa.table(columns()).append_column("queued", pa.array([5, 6]))

    with pytest.raises(rows.MalformedBatch, match="twice"):
        arrow.decode(stream(table))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_buffers_are_refused_before_they_are_unpacked(compression):
    with pytest.raises(rows.MalformedBatch, match="compressed"):
        arrow.decode(stream(pa.table(columns()), compression=compression))


def test_a_compressed_dictionary_is_refused_too():
    pools = pa.array(["a" * 200, "b" * 200]).dictionary_encode()

    with pytest.raises(rows.MalformedBatch, match="compressed"):
        arrow.decode(stream(pa.table(columns(pool=pools)), compression="zstd"))


def test_more_samples_than_a_batch_holds_are_refused_by_the_headers():
    table = pa.concat_tables([pa.table(columns())] * 25_001)

    with pytest.raises(rows.TooManySamples):
        arrow.decode(stream(table.combine_chunks(), max_chunksize=20_000))


def test_a_stream_of_countless_parts_is_refused():
    table = pa.concat_tables([pa.table(columns())] * 10_001)

    with pytest.raises(rows.MalformedBatch, match="parts"):
        arrow.decode(stream(table))


@pytest.mark.parametrize("body", [b"", b"\0" * 100, b"ARROW1\0\0" + b"\xff" * 64, b"{}"])
def test_what_is_no_stream_is_refused(body):
    with pytest.raises(rows.MalformedBatch):
        arrow.decode(body)


GOOD = stream(pa.table(columns(pool=pa.array(["a", "b"]).dictionary_encode())))


@hypothesis_settings(max_examples=400)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(GOOD)),
)
def test_a_stream_with_bytes_changed_is_read_or_refused_but_does_no_harm(changes, cut):
    body = bytearray(GOOD)
    for position, byte in changes:
        body[position] = byte

    for candidate in (bytes(body), bytes(body[:cut])):
        try:
            batch = arrow.decode(candidate)
        except GridError:
            continue
        assert len(batch) <= rows.MAX_SAMPLES
