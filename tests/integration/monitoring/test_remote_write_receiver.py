"""The receiver cases of Prometheus' own compliance suite, each with everything read back.

The ids name the suite's cases. Native histograms are kept as the series of a classic one, exemplars
of series that have a sample beside it: what is said to be written can be read back.
"""

import math
import struct
from dataclasses import dataclass, field

import pytest

from monitoring.domain.samples import to_us
from monitoring.models import ExemplarRing, Point, PointBlock, ProviderTally, Series
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import ProviderFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/prometheus/write"
NOW_MS = to_us(GRID_NOW) // 1000
MINUTE_MS = 60_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
VALUES = {"1.0": 1.0, "StaleNaN": STALE, "NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}
UP = {"__name__": "up", "job": "testjob", "instance": "localhost:9090"}


@dataclass
class Sent:
    """One series of a request.

    Attributes:
        labels: as sent.
        value: of its sample; None for a series without one.
        minutes: when, from now.
        exemplars: labels of each.
        histograms: how many native ones.
        metadata: type, help text.
        start_ms: when its count began.
    """

    labels: dict[str, str]
    value: float | None = None
    minutes: int = 0
    exemplars: list[dict[str, str]] = field(default_factory=list)
    histograms: int = 0
    metadata: tuple[int, str] | None = None
    start_ms: int = 0


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""
    ProviderFactory()


@pytest.fixture
def push(provider_client):
    client = provider_client("beiyun")

    def send(body, content_type=wire.V2_TYPE, encoding="snappy"):
        return client.post(URL, body, content_type=content_type, HTTP_CONTENT_ENCODING=encoding)

    return send


def body_of(series):
    request = wire.V2Request()
    for sent in series:
        samples = [] if sent.value is None else [(NOW_MS + sent.minutes * MINUTE_MS, sent.value)]
        entry = request.add(sent.labels, samples)
        for sample in entry.samples:
            sample.start_timestamp = sent.start_ms
        for labels in sent.exemplars:
            refs = [request.ref(text) for pair in labels.items() for text in pair]
            at_ms = NOW_MS + sent.minutes * MINUTE_MS
            entry.exemplars.add(labels_refs=refs, value=1.0, timestamp=at_ms)
        for _ in range(sent.histograms):
            entry.histograms.add(
                count=3,
                sum=4.5,
                timestamp=NOW_MS,
                positive_spans=[{"offset": 0, "length": 2}],
                positive_deltas=[1, 1],
            )
        if sent.metadata is not None:
            kind, words = sent.metadata
            entry.metadata.type, entry.metadata.help_ref = kind, request.ref(words)
    return wire.snappy(request.body())


def stored():
    """Everything that can be read back: by the view that people read, and the very bits."""
    rows = Point.objects.select_related("series").order_by("series_id", "measured_at")
    values = b"".join(
        bytes(block.values) for block in PointBlock.objects.order_by("shelf", "measured_at")
    )
    assert len(values) == 8 * len(rows)
    return [
        (row.series.labels, to_us(row.measured_at) // 1000 - NOW_MS, repr(row.value))
        for row in rows
    ], values


def sorted_items(labels):
    return tuple(sorted(labels.items()))


def read_exemplars():
    return sorted(
        (ring.series.labels["__name__"], measured_us // 1000 - NOW_MS, sorted_items(labels))
        for ring in ExemplarRing.objects.select_related("series")
        for measured_us, _, labels in ring.entries
    )


def expected(series):
    return [
        (sent.labels, sent.minutes * MINUTE_MS, repr(sent.value))
        for sent in series
        if sent.value is not None
    ]


def written(answer):
    return [
        int(answer[f"X-Prometheus-Remote-Write-{what}-Written"])
        for what in ("Samples", "Histograms", "Exemplars")
    ]


def assert_taken(answer, series):
    kept = [sent for sent in series if sent.value is not None]
    assert (answer.status_code, answer.content) == (204, b"")
    examples = sum(len(sent.exemplars) for sent in kept)
    assert written(answer) == [len(kept), 0, examples]
    assert read_exemplars() == sorted(
        (sent.labels["__name__"], sent.minutes * MINUTE_MS, labels)
        for sent in kept
        for labels in map(sorted_items, sent.exemplars)
    )
    rows, bits = stored()
    assert rows == expected(kept)
    if len({sent.minutes for sent in kept}) == 1:
        # the values of one moment stand in the order in which their series came
        assert bits == b"".join(struct.pack(">d", sent.value) for sent in kept)
    tally = ProviderTally.objects.filter(provider_id="beiyun").first()
    assert (tally.accepted if tally else 0) == len(kept)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"__name__": "up"}, id="simple metric"),
        pytest.param(UP, id="simple metric with multiple labels"),
        pytest.param(UP | {"job": "test\njob\n"}, id="simple metric with newlines"),
        pytest.param(
            {"__name__": "resource.cpu.usage", "job.name": "testjob"}, id="simple metric with dots"
        ),
        pytest.param(
            {"__name__": "resource cpu usage", "job name": "testjob"},
            id="simple metric with spaces",
        ),
    ],
)
def test_single_metric(push, labels, value):
    series = [Sent(labels, value)]

    assert_taken(push(body_of(series)), series)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"job": "testjob"}, id="simple metric without name label"),
        pytest.param({}, id="empty metric"),
    ],
)
def test_single_metric_that_is_none(push, labels, value):
    answer = push(body_of([Sent(labels, value)]))

    assert (answer.status_code, written(answer)) == (400, [0, 0, 0])
    assert stored() == ([], b"")
    assert not Series.objects.exists()


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize(
    ("nameless", "status"),
    [
        pytest.param((), 204, id="multiple metrics"),
        pytest.param((0,), 400, id="multiple metrics, 1 without name label"),
        pytest.param((0, 1, 2, 3), 400, id="multiple metrics, without name label"),
    ],
)
def test_multiple_metrics(push, nameless, status, value):
    series = [
        Sent(
            {
                **({} if place in nameless else {"__name__": "up"}),
                "instance": f"localhost:909{place}",
            },
            value,
        )
        for place in range(4)
    ]
    good = [sent for sent in series if "__name__" in sent.labels]

    answer = push(body_of(series))

    assert (answer.status_code, written(answer)) == (status, [len(good), 0, 0])
    assert stored()[0] == expected(good)


HOUR_AGO_MS = NOW_MS - 60 * MINUTE_MS
TRACE = {"trace_id": "abc123def456"}
COUNTER, GAUGE = 1, 2


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(
            [Sent({"__name__": "http_requests_total", "job": "api"}, 100.0, start_ms=HOUR_AGO_MS)],
            id="counter with created timestamp",
        ),
        pytest.param([Sent(UP, 1.0, exemplars=[TRACE])], id="basic_exemplar"),
        pytest.param(
            [Sent(UP, 0.125, exemplars=[{"trace_id": "x", "span_id": "y"}])],
            id="exemplar_with_span_id",
        ),
        pytest.param(
            [Sent(UP, 0.85, exemplars=[{"user_id": "u"}])], id="exemplar_without_trace_id"
        ),
        pytest.param(
            [Sent(UP, 0.05, exemplars=[TRACE | {"user": "a", "endpoint": "/login"}])],
            id="exemplar_with_multiple_labels",
        ),
        pytest.param([Sent(UP, 1.0, exemplars=[{}])], id="exemplar_no_labels"),
        pytest.param(
            [Sent(UP, 42.0, exemplars=[{"trace_id": "a-b_c.1"}])], id="exemplar_with_special_chars"
        ),
        pytest.param(
            [Sent(UP | {"region": "🌍"}, 100.0, exemplars=[{"trace_id": "测试"}])],
            id="exemplar_with_unicode",
        ),
        pytest.param(
            [Sent(UP, 250.0, exemplars=[TRACE], start_ms=HOUR_AGO_MS)],
            id="exemplar with created timestamp",
        ),
        pytest.param(
            [
                Sent({"__name__": "request_duration", "method": "GET"}, 0.1, exemplars=[TRACE]),
                Sent({"__name__": "request_duration", "method": "POST"}, 0.25, exemplars=[TRACE]),
                Sent({"__name__": "error_count"}, 1.0, exemplars=[TRACE]),
            ],
            id="multiple exemplars",
        ),
        pytest.param(
            [
                Sent({"__name__": "latency_hist"}, 0.05, minutes=-60, exemplars=[TRACE]),
                Sent({"__name__": "latency_hist"}, 0.15, minutes=-1, exemplars=[TRACE]),
                Sent({"__name__": "latency_hist"}, 0.08, exemplars=[TRACE]),
            ],
            id="exemplar timestamps",
        ),
        *(
            pytest.param([Sent(UP, value, exemplars=[TRACE])], id=f"exemplar {name}")
            for name, value in {
                "zero_value": 0.0,
                "negative_value": -123.456,
                "large_value": 1e10,
                "small_value": 1e-10,
                "nan_value": math.nan,
                "inf_value": math.inf,
                "-inf_value": -math.inf,
            }.items()
        ),
        *(
            pytest.param([Sent(UP, 1.0, metadata=(kind, words))], id=name)
            for name, kind, words in (
                ("counter_metadata", COUNTER, "Total number"),
                ("gauge_metadata", GAUGE, "Current usage"),
                ("metadata_no_help_no_unit", COUNTER, ""),
                ("metadata_with_special_chars", GAUGE, 'new\nlines and "quotes" äöü'),
                ("unspecified_metadata_type", 0, "Unknown"),
                ("gauge_histogram_metadata_type", 4, "Distribution"),
                ("summary_metadata_type", 5, "Latency"),
                ("info_metadata_type", 6, "Build"),
                ("stateset_metadata_type", 7, "State"),
            )
        ),
        pytest.param(
            [Sent(UP, 150.0, metadata=(COUNTER, "Total"), start_ms=HOUR_AGO_MS)],
            id="counter metadata with created timestamp",
        ),
        pytest.param(
            [
                Sent({"__name__": "cpu_usage"}, 85.5, metadata=(GAUGE, "CPU")),
                Sent({"__name__": "memory_usage"}, 4096000000.0, metadata=(GAUGE, "Memory")),
                Sent({"__name__": "disk_usage", "device": "sda1"}, 75.2, metadata=(GAUGE, "Disk")),
            ],
            id="multiple metadata",
        ),
        pytest.param(
            [Sent(UP, 1.0, metadata=(COUNTER, "Total"), exemplars=[TRACE])],
            id="samples with metadata and exemplars",
        ),
        pytest.param(
            [
                Sent({"__name__": "cpu"}, 0.85, metadata=(GAUGE, "CPU"), exemplars=[TRACE]),
                Sent({"__name__": "memory"}, 8589934592.0, metadata=(GAUGE, "Memory")),
            ],
            id="complex samples request",
        ),
        pytest.param(
            [
                Sent({"__name__": "http_total", "status": "200"}, 1000.0, exemplars=[TRACE]),
                Sent({"__name__": "temperature"}, 23.5, metadata=(GAUGE, "Temperature")),
            ],
            id="multiple metric families samples",
        ),
        pytest.param(
            [Sent({"__name__": "orphan"}, metadata=(COUNTER, "Orphan"))],
            id="metadata_without_data",
        ),
        pytest.param(
            [Sent({"__name__": "orphan"}, exemplars=[TRACE])], id="exemplars_without_data"
        ),
        pytest.param(
            [
                Sent({"__name__": "old_metric"}, 1.0, minutes=-60, exemplars=[TRACE]),
                Sent({"__name__": "new_metric"}, 2.0),
            ],
            id="mixed_timestamp_data",
        ),
        pytest.param(
            [Sent({"__name__": f"counter_{n}"}, 100.0 * n, exemplars=[TRACE]) for n in range(50)],
            id="many samples",
        ),
        pytest.param(
            [
                Sent(
                    {"__name__": "test", "job": "a_b.c@d", "environment": "test🚀"},
                    42.0,
                    metadata=(GAUGE, 'äöü\n"q"'),
                    exemplars=[{"trace_id": "äöü-1", "span_id": "a.b-c_d"}],
                )
            ],
            id="special characters combined",
        ),
    ],
)
def test_samples_with_what_stands_beside_them(push, series):
    assert_taken(push(body_of(series)), series)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"job": "test"}, id="exemplar_without_name_label"),
        pytest.param({"__name__": ""}, id="exemplar_with_empty_name"),
    ],
)
@pytest.mark.parametrize("more", [{"exemplars": [TRACE]}, {"metadata": (COUNTER, "Test help")}])
def test_what_stands_beside_a_nameless_sample_does_not_save_it(push, labels, more):
    answer = push(body_of([Sent(labels, 1.0, **more)]))

    assert (answer.status_code, written(answer)) == (400, [0, 0, 0])
    assert stored() == ([], b"")


@pytest.mark.parametrize(
    "series",
    [
        pytest.param([Sent({"__name__": "h"}, histograms=1)], id="basic_histogram"),
        pytest.param(
            [Sent({"__name__": "h"}, histograms=1, start_ms=HOUR_AGO_MS)],
            id="histogram with created timestamp",
        ),
        pytest.param(
            [Sent({"__name__": f"h{n}"}, histograms=1) for n in range(2)],
            id="multiple histograms",
        ),
        pytest.param(
            [Sent({"__name__": "h"}, histograms=1, metadata=(3, "Duration"), exemplars=[TRACE])],
            id="histogram with metadata and exemplar",
        ),
        pytest.param(
            [Sent({"__name__": f"h{n}"}, histograms=1, exemplars=[TRACE]) for n in range(50)],
            id="many histograms",
        ),
        pytest.param([Sent({"__name__": "h"}, histograms=1), Sent(UP, 1.0)], id="beside a sample"),
    ],
)
def test_native_histograms_are_kept_as_classic_ones(push, series):
    kept = [sent for sent in series if sent.value is not None]
    histograms = [sent for sent in series if sent.histograms]

    answer = push(body_of(series))

    examples = sum(len(sent.exemplars) for sent in series)
    assert (answer.status_code, answer.content) == (204, b"")
    assert written(answer) == [len(kept), len(histograms), examples]
    read = {
        (labels["__name__"], labels.get("le", "")): float(value)
        for labels, _, value in stored()[0]
        if labels["__name__"] != "up"
    }
    for sent in histograms:
        name = sent.labels["__name__"]
        assert read[f"{name}_count", ""] == 3.0
        assert read[f"{name}_sum", ""] == 4.5
        # one value in (0.5, 1], two in (1, 2]
        buckets = {le: count for (of, le), count in read.items() if of == f"{name}_bucket"}
        assert buckets == {"0.5": 0.0, "1": 1.0, "2": 3.0, "+Inf": 3.0}
    tally = ProviderTally.objects.get(provider_id="beiyun")
    assert (tally.received, tally.accepted) == (len(kept) + len(histograms),) * 2


@pytest.mark.parametrize("content_type", ["application/json", "image/png"])
def test_bad_content_types(push, content_type):
    assert push(body_of([Sent(UP, 1.0)]), content_type=content_type).status_code == 415
    assert stored() == ([], b"")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bad_content_encodings(push, encoding):
    assert push(body_of([Sent(UP, 1.0)]), encoding=encoding).status_code == 415
    assert stored() == ([], b"")


@pytest.mark.parametrize("content_type", [wire.V2_TYPE, wire.PROTOBUF])
@pytest.mark.parametrize("first", [b"0", b"\xff"])
def test_corrupt_request_body(push, first, content_type):
    answer = push(first + body_of([Sent(UP, 1.0)])[1:], content_type=content_type)

    assert answer.status_code == 400
    assert stored() == ([], b"")


def test_rw1_basic_compatibility(push):
    series = [Sent(UP, 1.0), Sent({"__name__": "http_requests_total"}, 100.0)]
    body = wire.write_v1([(sent.labels, [(NOW_MS, sent.value)]) for sent in series])

    answer = push(wire.snappy(body), content_type=wire.PROTOBUF)

    assert (answer.status_code, answer.content) == (204, b"")
    assert not any(name.startswith("X-Prometheus") for name in answer.headers)
    assert stored()[0] == expected(series)
