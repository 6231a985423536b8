"""Native histograms as classic ones: every bucket counts what lies at or below its bound."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.exemplars import (
    KEPT_EXEMPLARS,
    count_kept,
    merge_ring,
    read_entry,
    write_entry,
)
from monitoring.domain.points import PointFault
from monitoring.formats.native_histograms import (
    CUSTOM_SCHEMA,
    MAX_KEPT_BUCKETS,
    NativeHistogram,
    Side,
    classic_buckets,
    fault_of,
    read_histogram,
)
from monitoring.formats.otlp_exponential import side_of
from monitoring.formats.protobuf import MalformedProtobuf, Patience
from tests import wire


def side_of_values(values, schema):
    """Count values as a client library does: bucket i reaches from base^(i-1) to base^i."""
    index = np.ceil(np.log2(values) * 2.0**schema - 1e-9).astype(np.int64)
    found, count = np.unique(index, return_counts=True)
    return Side(found, count.astype(float))


VALUES = st.lists(
    st.floats(0.001, 1000.0).filter(lambda value: abs(math.log2(value) * 16 % 1 - 0.5) < 0.45),
    max_size=60,
)


@given(low=VALUES, high=VALUES, zeros=st.integers(0, 5), schema=st.integers(-4, 4))
def test_each_bucket_counts_what_is_at_or_below_its_bound(low, high, zeros, schema):
    values = np.array([*(-value for value in low), *[0.0] * zeros, *high])
    histogram = NativeHistogram(
        count=float(len(values)),
        total=float(values.sum()),
        schema=schema,
        zero_threshold=1e-9,
        zero_count=float(zeros),
        negative=side_of_values(np.array(low), schema) if low else Side.none(),
        positive=side_of_values(np.array(high), schema) if high else Side.none(),
    )

    buckets = classic_buckets(histogram)

    assert fault_of(histogram) is None
    assert [bound for bound, _ in buckets] == sorted({bound for bound, _ in buckets})
    assert buckets[-1] == (math.inf, float(len(values)))
    for bound, below in buckets:
        assert below == (values <= bound).sum()


def test_many_buckets_are_merged_without_an_error():
    random = np.random.default_rng(3)
    values = np.exp(random.normal(0, 3, 4000))
    fine = side_of_values(values, 8)

    buckets = classic_buckets(NativeHistogram(4000.0, 1.0, schema=8, positive=fine))

    assert len(fine.index) > 1000
    assert 40 < len(buckets) <= MAX_KEPT_BUCKETS + 1
    for bound, below in buckets:
        assert below == (values <= bound * (1 + 1e-12)).sum()


def test_otlps_scales_beyond_the_schemas_are_merged_down():
    counts = [1] * 64
    histogram = NativeHistogram(64.0, None, schema=12, positive=side_of(0, counts))

    bounds = [bound for bound, _ in classic_buckets(histogram)]

    # 2^(64/4096) lies within four buckets of schema 8
    assert bounds[:-1] == [2 ** (step / 256) for step in range(5)]


def test_custom_bounds_are_kept_as_they_are():
    histogram = NativeHistogram(
        10.0, 5.0, schema=CUSTOM_SCHEMA,
        positive=Side(np.array([0, 2, 3]), np.array([1.0, 4.0, 5.0])), bounds=(0.1, 0.5, 2.5),
    )  # fmt: skip

    assert classic_buckets(histogram) == [(0.1, 1.0), (0.5, 1.0), (2.5, 5.0), (math.inf, 10.0)]


@pytest.mark.parametrize(
    ("histogram", "fault"),
    [
        (NativeHistogram(1.0, 1.0, schema=77), PointFault.HISTOGRAM),
        (NativeHistogram(-1.0, 1.0), PointFault.BAD_BUCKETS),
        (NativeHistogram(math.nan, 1.0), PointFault.BAD_BUCKETS),
        (NativeHistogram(2.0, 1.0, zero_count=3.0), PointFault.BAD_BUCKETS),
        (NativeHistogram(2.0, 1.0, positive=Side(np.array([0]), np.array([9.0]))),
         PointFault.BAD_BUCKETS),
        (NativeHistogram(2.0, 1.0, positive=Side(np.array([0]), np.array([-1.0]))),
         PointFault.BAD_BUCKETS),
        (NativeHistogram(2.0, 1.0, schema=CUSTOM_SCHEMA, bounds=(2.0, 1.0)),
         PointFault.BAD_BUCKETS),
        (NativeHistogram(2.0, math.nan), None),
    ],
)  # fmt: skip
def test_what_no_histogram_can_be_is_a_fault(histogram, fault):
    assert fault_of(histogram) is fault


def read(**parts):
    body = wire.V1["Histogram"](**parts).SerializeToString()
    return read_histogram(body, 0, len(body), Patience())


def test_spans_and_deltas_are_read_as_the_format_has_them():
    histogram, time_ms = read(
        count=12, sum=18.4, schema=1, zero_threshold=0.001, zero_count=2, timestamp=99,
        positive_spans=[{"offset": 0, "length": 2}, {"offset": 1, "length": 2}],
        positive_deltas=[1, 1, -1, 0],
        negative_spans=[{"offset": -3, "length": 1}], negative_deltas=[5],
    )  # fmt: skip

    assert (histogram.count, histogram.total, time_ms) == (12.0, 18.4, 99)
    assert histogram.positive.index.tolist() == [0, 1, 3, 4]
    assert histogram.positive.count.tolist() == [1.0, 2.0, 1.0, 1.0]
    assert (histogram.negative.index.tolist(), histogram.negative.count.tolist()) == ([-3], [5.0])


def test_float_histograms_are_read():
    histogram, _ = read(
        count_float=2.5, zero_count_float=0.5, schema=-2, sum=1.0,
        positive_spans=[{"offset": -1, "length": 2}], positive_counts=[0.5, 1.5],
    )  # fmt: skip

    assert (histogram.count, histogram.zero_count, histogram.schema) == (2.5, 0.5, -2)
    assert histogram.positive.count.tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    "parts",
    [
        {"count": 3, "positive_spans": [{"offset": 0, "length": 3}], "positive_deltas": [1]},
        {"count": 3, "positive_deltas": [1]},
        {"count": 3, "positive_spans": [{"offset": 2**31 - 1, "length": 2}],
         "positive_deltas": [1, 0]},
    ],
)  # fmt: skip
def test_spans_that_do_not_fit_to_their_counts_are_a_fault(parts):
    histogram, _ = read(**parts)

    assert fault_of(histogram) is PointFault.BAD_BUCKETS


@pytest.mark.parametrize(
    "parts",
    [
        {"positive_spans": [{"offset": 0, "length": 2**32 - 1}]},
        {"positive_deltas": [0] * 5000},
        {"positive_counts": [0.0] * 5000},
        {"positive_spans": [{"offset": 0, "length": 1}] * 5000},
    ],
)
def test_a_histogram_of_too_many_buckets_is_refused_before_it_costs_anything(parts):
    with pytest.raises(MalformedProtobuf):
        read(**parts)


def test_a_ring_keeps_the_newest_each_once():
    entries = [(us, float(us), (("trace_id", "x"),)) for us in range(30)]

    ring = merge_ring(entries[:20], [*entries[10:], entries[29], (29, math.nan, ())])

    assert len(ring) == KEPT_EXEMPLARS
    assert [us for us, _, _ in ring] == [29, 29, 28, 27, 26, 25, 24, 23, 22, 21]
    assert count_kept(ring, [entries[29], entries[3], (29, math.nan, ())]) == 2


@pytest.mark.parametrize("value", [1.5, math.inf, -math.inf, math.nan, -0.0])
def test_every_exemplar_comes_back_as_it_was(value):
    entry = (7, value, (("span_id", "b"), ("trace_id", "a")))

    assert repr(read_entry(write_entry(entry))) == repr(entry)
