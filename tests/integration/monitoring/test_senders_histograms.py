"""Native and exponential histograms, and exemplars, from the wire to what is read back."""

import math
import struct

import pytest
from django.db import connection
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

from monitoring import services
from monitoring.models import ExemplarRing, MappingSet, Provider, Series
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import ProviderFactory
from tests.read_back import NOW_MS, UP, account, stored, written

pytestmark = pytest.mark.django_db
OTLP = "/api/v1/otlp/v1/metrics"
NOW_NS = NOW_MS * 1_000_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
LATENCY = {"__name__": "latency", "job": "api"}
TWO_VALUES = {
    "count": 3,
    "sum": 4.5,
    "zero_count": 1,
    "zero_threshold": 0.001,
    "timestamp": NOW_MS,
    "positive_spans": [{"offset": 0, "length": 2}],
    "positive_deltas": [1, 0],
}
AS_CLASSIC = {
    ("latency_count", None): 3.0,
    ("latency_sum", None): 4.5,
    ("latency_bucket", "0.001"): 1.0,
    ("latency_bucket", "0.5"): 1.0,
    ("latency_bucket", "1"): 2.0,
    ("latency_bucket", "2"): 3.0,
    ("latency_bucket", "+Inf"): 3.0,
}


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""
    ProviderFactory()


def read_back():
    return {(labels["__name__"], labels.get("le")): value for labels, _, value in stored()}


def v1_of(labels, **histogram):
    request = wire.V1["WriteRequest"]()
    entry = request.timeseries.add()
    for name, text in labels.items():
        entry.labels.add(name=name, value=text)
    entry.histograms.add(**histogram)
    return request, entry


def v2_of(labels, **histogram):
    request = wire.V2Request()
    entry = request.add(labels, [])
    entry.histograms.add(**histogram)
    return request, entry


def test_both_messages_leave_the_series_of_a_classic_histogram(push, push_v2):
    old, _ = v1_of(LATENCY, **TWO_VALUES)
    new, _ = v2_of(LATENCY, **TWO_VALUES)

    answers = [push(old.SerializeToString()), push_v2(new)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert written(answers[1]) == ("0", "1", "0")
    assert read_back() == AS_CLASSIC
    assert {labels["job"] for labels, _, _ in stored()} == {"api"}
    # one item each: the second message is the first again
    tally = account()
    assert (tally.received, tally.accepted, tally.duplicate) == (2, 1, 1)


def test_another_histogram_for_the_same_time_is_one_conflict(push_v2):
    push_v2(v2_of(LATENCY, **TWO_VALUES)[0])

    answer = push_v2(v2_of(LATENCY, **{**TWO_VALUES, "sum": 9.0})[0])

    assert (answer.status_code, written(answer)) == (400, ("0", "0", "0"))
    assert (answer.json()["conflict"], account().conflict) == (1, 1)
    assert read_back() == AS_CLASSIC


def test_a_bad_histogram_refuses_itself_alone_with_exact_counts(push_v2):
    request, _ = v2_of(LATENCY, **TWO_VALUES)
    request.add({"__name__": "odd"}, []).histograms.add(count=1, schema=77, timestamp=NOW_MS)
    request.add({"__name__": "torn"}, []).histograms.add(
        count=1, timestamp=NOW_MS, positive_spans=[{"offset": 0, "length": 2}]
    )
    request.add({"job": "nameless"}, []).histograms.add(**TWO_VALUES)
    request.add(UP, [(NOW_MS, 1.0)])

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("1", "1", "0"))
    assert account().rejected_by_reason == {
        "unsupported-histogram": 1,
        "bad-buckets": 1,
        "no-metric-name": 1,
    }
    assert read_back() == {**AS_CLASSIC, ("up", None): 1.0}


def test_a_stale_histogram_ends_its_count_and_sum(push_v2):
    request, _ = v2_of(LATENCY, sum=STALE, timestamp=NOW_MS)

    answer = push_v2(request)

    assert written(answer) == ("0", "1", "0")
    assert {name for name, _ in read_back()} == {"latency_count", "latency_sum"}
    assert all(math.isnan(value) for value in read_back().values())


def test_a_histogram_beyond_the_limit_of_series_is_refused(push_v2):
    MappingSet.objects.create(
        provider=Provider.objects.get(), series_limit=3, changed_at=GRID_NOW, changed_by="test"
    )

    answer = push_v2(v2_of(LATENCY, **TWO_VALUES)[0])

    assert (answer.status_code, written(answer)) == (400, ("0", "0", "0"))
    assert account().rejected_by_reason == {"series-limit": 1}
    assert Series.objects.count() == 3


def test_exemplars_come_back_with_their_series(push, push_v2, provider_client):
    request = wire.V2Request()
    entry = request.add(UP, [(NOW_MS, 1.0)])
    refs = [request.ref("trace_id"), request.ref("4bf92f")]
    entry.exemplars.add(labels_refs=refs, value=0.25, timestamp=NOW_MS - 500)
    old = wire.V1["WriteRequest"].FromString(wire.write_v1([(UP, [(NOW_MS, 1.0)])]))
    again = old.timeseries[0].exemplars.add(value=0.5, timestamp=NOW_MS - 250)
    again.labels.add(name="trace_id", value="a0892f")

    answers = [push_v2(request), push_v2(request), push(old.SerializeToString())]

    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert [written(answer)[2] for answer in answers[:2]] == ["1", "1"]
    series = Series.objects.get()
    body = provider_client("beiyun").get(f"/api/v1/series/{series.pk}/points").json()
    assert [(one["value"], one["labels"]) for one in body["exemplars"]] == [
        (0.5, {"trace_id": "a0892f"}),
        (0.25, {"trace_id": "4bf92f"}),
    ]


def test_an_exemplar_of_a_histogram_stands_with_the_bucket_that_holds_it(push_v2):
    request, entry = v2_of(LATENCY, **TWO_VALUES)
    refs = [request.ref("trace_id"), request.ref("x")]
    for value in (0.7, 1.0, 1.5, 99.0):
        entry.exemplars.add(labels_refs=refs, value=value, timestamp=NOW_MS)

    answer = push_v2(request)

    assert written(answer) == ("0", "1", "4")
    rings = ExemplarRing.objects.select_related("series")
    found = {ring.series.labels["le"]: sorted(v for _, v, _ in ring.entries) for ring in rings}
    assert found == {"1": [0.7, 1.0], "2": [1.5], "+Inf": [99.0]}


def test_exemplars_that_cannot_be_kept_are_not_said_to_be_written_and_do_no_harm(push_v2):
    request = wire.V2Request()
    entry = request.add(UP, [(NOW_MS, 1.0)])
    trace, long = request.ref("trace_id"), request.ref("x" * 200)
    entry.exemplars.add(labels_refs=[trace, long], value=1.0, timestamp=NOW_MS)
    entry.exemplars.add(labels_refs=[trace, 9999], value=1.0, timestamp=NOW_MS)
    entry.exemplars.add(labels_refs=[trace], value=1.0, timestamp=NOW_MS)
    entry.exemplars.add(labels_refs=[trace, trace], value=1.0, timestamp=NOW_MS + 10**9)
    entry.exemplars.add(labels_refs=[trace, trace, trace, long], value=1.0, timestamp=NOW_MS)
    orphan = request.add({"__name__": "orphan"}, [])
    orphan.exemplars.add(labels_refs=[trace, trace], value=1.0, timestamp=NOW_MS)

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (204, ("1", "0", "0"))
    assert not ExemplarRing.objects.exists()


def test_a_series_keeps_its_newest_ten(push_v2):
    request = wire.V2Request()
    entry = request.add(UP, [(NOW_MS, 1.0)])
    refs = [request.ref("trace_id"), request.ref("x")]
    for step in range(25):
        entry.exemplars.add(labels_refs=refs, value=float(step), timestamp=NOW_MS - step)

    answer = push_v2(request)

    assert written(answer)[2] == "10"
    (ring,) = ExemplarRing.objects.all()
    assert [value for _, value, _ in ring.entries] == [float(step) for step in range(10)]


def test_exemplars_past_their_retention_are_forgotten(push_v2, settings, grid_time):
    settings.RETENTION_DAYS = 14.0
    request = wire.V2Request()
    entry = request.add(UP, [(NOW_MS, 1.0)])
    refs = [request.ref("trace_id"), request.ref("x")]
    entry.exemplars.add(labels_refs=refs, value=1.0, timestamp=NOW_MS)
    push_v2(request)

    early = services.forget_exemplars(GRID_NOW)
    late = services.forget_exemplars(grid_time.advance(days=15))

    assert (early, late, ExemplarRing.objects.count()) == (0, 1, 0)


def test_requests_without_exemplars_cost_no_statement_more(push_v2):
    push_v2(v2_of(LATENCY, **TWO_VALUES)[0])

    connection.queries_log.clear()
    connection.force_debug_cursor = True
    try:
        request = wire.V2Request()
        request.add(UP, [(NOW_MS, 1.0)])
        push_v2(request)
    finally:
        connection.force_debug_cursor = False

    assert not any("exemplarring" in query["sql"] for query in connection.queries)


# --- OTLP -------------------------------------------------------------------------------------


def exponential(**parts):
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    metric = scope.metrics.add(name="latency")
    metric.exponential_histogram.aggregation_temporality = 2
    point = metric.exponential_histogram.data_points.add(time_unix_nano=NOW_NS, **parts)
    point.attributes.add(key="job").value.string_value = "api"
    return request, point


EXPONENTIAL = {
    "count": 3,
    "sum": 4.5,
    "zero_count": 1,
    "zero_threshold": 0.001,
    "positive": {"offset": -1, "bucket_counts": [1, 1]},
}
AS_JSON = {
    "resourceMetrics": [{"scopeMetrics": [{"metrics": [{
        "name": "latency",
        "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [{
            "attributes": [{"key": "job", "value": {"stringValue": "api"}}],
            "timeUnixNano": str(NOW_NS), "count": "3", "sum": 4.5, "scale": 0,
            "zeroCount": "1", "zeroThreshold": 0.001,
            "positive": {"offset": -1, "bucketCounts": ["1", "1"]},
            "exemplars": [{"timeUnixNano": str(NOW_NS), "asDouble": 1.5, "traceId": "4bf92f",
                           "filteredAttributes": [
                               {"key": "user", "value": {"stringValue": "a"}}]}],
        }]},
    }]}]}],
}  # fmt: skip


def test_exponential_histograms_are_the_same_in_protobuf_and_json(provider_client):
    client = provider_client("beiyun")
    request, point = exponential(**EXPONENTIAL)
    example = point.exemplars.add(time_unix_nano=NOW_NS, as_double=1.5, trace_id=b"\x4b\xf9\x2f")
    example.filtered_attributes.add(key="user").value.string_value = "a"

    first = client.post(OTLP, request.SerializeToString(), content_type=wire.PROTOBUF)
    second = client.post(OTLP, AS_JSON, format="json")

    assert (first.status_code, first.content, second.json()) == (200, b"", {})
    assert read_back() == AS_CLASSIC
    assert (account().accepted, account().duplicate) == (1, 1)
    ring = ExemplarRing.objects.select_related("series").get()
    assert ring.series.labels["le"] == "2"
    assert ring.entries == [[NOW_MS * 1000, 1.5, {"trace_id": "4bf92f", "user": "a"}]]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"count": 1, "scale": 50}, "unsupported-histogram"),
        ({"count": 1, "positive": {"offset": 0, "bucket_counts": [5]}}, "bad-buckets"),
    ],
)
def test_a_bad_exponential_histogram_is_a_rejected_data_point(provider_client, parts, code):
    request, _ = exponential(**parts)

    answer = provider_client("beiyun").post(
        OTLP, request.SerializeToString(), content_type=wire.PROTOBUF
    )

    assert answer.status_code == 200
    assert account().rejected_by_reason == {code: 1}


def test_what_the_sdk_measures_can_be_asked_for_again(provider_client):
    reader = InMemoryMetricReader()
    view = View(instrument_name="latency", aggregation=ExponentialBucketHistogramAggregation())
    meter = MeterProvider(metric_readers=[reader], views=[view]).get_meter("test")
    instrument = meter.create_histogram("latency")
    values = [0.011, 0.02, 0.3, 0.31, 2.5, 9.0]
    for value in values:
        instrument.record(value)
    (measured,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    (data,) = measured.data.data_points
    request, _ = exponential(
        count=data.count, sum=data.sum, scale=data.scale, zero_count=data.zero_count,
        positive={"offset": data.positive.offset, "bucket_counts": data.positive.bucket_counts},
    )  # fmt: skip

    provider_client("beiyun").post(OTLP, request.SerializeToString(), content_type=wire.PROTOBUF)

    read = read_back()
    assert (read["latency_count", None], read["latency_sum", None]) == (6.0, sum(values))
    for (name, le), below in read.items():
        if name == "latency_bucket":
            assert below == sum(value <= float(le.replace("+Inf", "inf")) for value in values)
