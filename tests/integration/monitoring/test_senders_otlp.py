"""OTLP over HTTP, protobuf and JSON, as the specification has it, with everything read back."""

import gzip
import json
import math

import pytest
from django.db import OperationalError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from monitoring import ingest
from monitoring.domain.samples import to_us
from monitoring.models import Point, ProviderTally, Sample
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, ProviderFactory
from tests.wire import PROTOBUF

pytestmark = pytest.mark.django_db
URL = "/api/v1/otlp/v1/metrics"
NOW_NS = to_us(GRID_NOW) * 1000


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""
    ProviderFactory()


@pytest.fixture
def client(provider_client):
    return provider_client("beiyun")


@pytest.fixture
def push(client):
    def send(request, **headers):
        body = request if isinstance(request, bytes) else request.SerializeToString()
        return client.post(URL, body, **{"content_type": PROTOBUF, **headers})

    return send


@pytest.fixture
def push_json(client):
    def send(document, **headers):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return client.post(URL, body, content_type="application/json", **headers)

    return send


def request_of(*metrics, resource=None):
    request = ExportMetricsServiceRequest()
    holder = request.resource_metrics.add()
    for name, value in (resource or {"host.name": "a1"}).items():
        holder.resource.attributes.add(key=name).value.string_value = value
    scope = holder.scope_metrics.add()
    for make in metrics:
        make(scope.metrics.add())
    return request


def gauge(name, value, *, at_ns=NOW_NS, flags=0, **attributes):
    def make(metric):
        metric.name, metric.unit = name, "1"
        point = metric.gauge.data_points.add(time_unix_nano=at_ns, flags=flags)
        if isinstance(value, int):
            point.as_int = value
        elif value is not None:
            point.as_double = value
        for key, text in attributes.items():
            point.attributes.add(key=key).value.string_value = text

    return make


def total(name, value, temporality):
    def make(metric):
        metric.name = name
        metric.sum.aggregation_temporality = temporality
        metric.sum.is_monotonic = True
        metric.sum.data_points.add(time_unix_nano=NOW_NS, as_int=value)

    return make


def histogram(metric):
    metric.name = "latency"
    metric.histogram.aggregation_temporality = 2
    point = metric.histogram.data_points.add(time_unix_nano=NOW_NS, count=4, sum=2.5)
    point.bucket_counts.extend([1, 3])
    point.explicit_bounds.append(0.5)


def stored():
    rows = Point.objects.select_related("series").order_by("series__labels__" + "__name__", "pk")
    return {
        row.series.labels["__name__"]: (row.series.labels, row.value)
        for row in rows
        if row.measured_at == GRID_NOW
    }


def account():
    tally = ProviderTally.objects.get(provider_id="beiyun")
    assert tally.received == tally.accepted + tally.duplicate + tally.conflict + tally.rejected
    return tally


def partial(answer):
    found = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    return found.rejected_data_points, found.error_message


def test_gauges_and_sums_are_stored_with_all_their_attributes(push):
    answer = push(
        request_of(gauge("temp", 20.5, sensor="s1"), gauge("fans", -3), total("done", 7, 2))
    )

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Content-Type"] == PROTOBUF
    labels = {"host.name": "a1", "sensor": "s1", "__name__": "temp"}
    assert stored()["temp"] == (labels, 20.5)
    assert stored()["fans"][1] == -3.0
    assert stored()["done"][1] == 7.0


def test_a_delta_and_a_cumulative_sum_are_two_series(push):
    push(request_of(total("done", 7, 2)))
    answer = push(request_of(total("done", 1, 1)))

    assert partial(answer) == (0, "")
    assert Point.objects.count() == 2


def test_a_histogram_becomes_count_sum_and_buckets_that_count_up(push):
    answer = push(request_of(histogram))

    assert partial(answer) == (0, "")
    rows = Point.objects.select_related("series")
    assert {
        (row.series.labels["__name__"], row.series.labels.get("le")): row.value for row in rows
    } == {
        ("latency_count", None): 4.0,
        ("latency_sum", None): 2.5,
        ("latency_bucket", "0.5"): 1.0,
        ("latency_bucket", "+Inf"): 4.0,
    }
    assert (account().received, account().accepted) == (1, 1)


@pytest.mark.parametrize(
    ("counts", "bounds"),
    [
        pytest.param([1, 3], [], id="a bound is missing"),
        pytest.param([1, 2], [0.5], id="does not add up"),
        pytest.param([1, 2, 1], [0.5, 0.5], id="bounds that do not rise"),
        pytest.param([1, 3], [math.nan], id="bound that is no number"),
        pytest.param([1, 3], [math.inf], id="bound without end"),
        pytest.param([4] + [0] * 300, [float(n) for n in range(300)], id="too many"),
    ],
)
def test_buckets_that_make_no_sense_refuse_their_point_only(push, counts, bounds):
    def odd(metric):
        histogram(metric)
        point = metric.histogram.data_points[0]
        del point.bucket_counts[:], point.explicit_bounds[:]
        point.bucket_counts.extend(counts)
        point.explicit_bounds.extend(bounds)

    answer = push(request_of(odd, gauge("temp", 1.0)))

    assert partial(answer)[0] == 1
    assert list(stored()) == ["temp"]
    assert account().rejected_by_reason == {"bad-buckets": 1}


def test_of_summaries_count_and_sum_are_kept(push):
    def summary(metric):
        metric.name = "rpc"
        point = metric.summary.data_points.add(time_unix_nano=NOW_NS, count=2, sum=9.0)
        point.attributes.add(key="a").value.string_value = "b"

    push(request_of(summary))

    found = {name: value for name, (_, value) in stored().items()}
    assert found == {"rpc_count": 2.0, "rpc_sum": 9.0}
    assert stored()["rpc_sum"][0]["a"] == "b"


def test_a_scale_that_nobody_knows_is_refused_and_nothing_of_it_is_kept(push):
    def exponential(metric):
        metric.name = "size"
        point = metric.exponential_histogram.data_points.add(time_unix_nano=NOW_NS, count=5)
        point.sum, point.scale = 8.0, 99

    answer = push(request_of(exponential, gauge("temp", 1.0)))

    rejected, message = partial(answer)
    assert rejected == 1
    assert "scale of the histogram" in message
    assert list(stored()) == ["temp"]
    assert account().rejected_by_reason == {"unsupported-histogram": 1}


def test_a_refused_data_point_is_a_200_that_says_so(push):
    answer = push(
        request_of(
            gauge("old", 1.0, at_ns=10**15), gauge("none", None), gauge("fine", 2.0, at_ns=NOW_NS)
        )
    )

    rejected, message = partial(answer)
    assert (answer.status_code, rejected) == (200, 2)
    assert "old: the time is before what is taken" in message
    assert list(stored()) == ["fine"]
    assert account().rejected_by_reason == {"too-old": 1, "no-value": 1}


def test_a_point_without_time_is_refused(push):
    assert partial(push(request_of(gauge("x", 1.0, at_ns=0))))[0] == 1


def test_no_recorded_value_ends_a_series(push):
    answer = push(request_of(gauge("temp", 0.0, flags=1)))

    assert partial(answer) == (0, "")
    assert math.isnan(stored()["temp"][1])


def test_sending_again_changes_nothing(push):
    request = request_of(gauge("temp", 20.5), histogram)

    answers = [push(request), push(request)]

    assert [partial(answer) for answer in answers] == [(0, ""), (0, "")]
    assert Point.objects.count() == 5
    assert (account().accepted, account().duplicate) == (2, 2)


def test_attributes_of_every_kind_become_text(push):
    request = request_of(gauge("x", 1.0))
    attributes = request.resource_metrics[0].resource.attributes
    attributes.add(key="flag").value.bool_value = True
    attributes.add(key="count").value.int_value = -5
    attributes.add(key="ratio").value.double_value = 0.5
    attributes.add(key="raw").value.bytes_value = b"\x01\xff"
    inner = attributes.add(key="args").value.array_value
    inner.values.add().string_value = "run"
    inner.values.add().int_value = 3
    attributes.add(key="map").value.kvlist_value.values.add(key="k").value.string_value = "v"

    push(request)

    labels = stored()["x"][0]
    assert [labels[key] for key in ("flag", "count", "ratio", "raw", "args", "map")] == [
        "true",
        "-5",
        "0.5",
        "01ff",
        '["run",3]',
        '{"k":"v"}',
    ]


def test_gzip_is_unpacked(push):
    body = gzip.compress(request_of(gauge("temp", 1.0)).SerializeToString())

    answer = push(body, HTTP_CONTENT_ENCODING="gzip")

    assert answer.status_code == 200
    assert list(stored()) == ["temp"]


BOMB = gzip.compress(b"\0" * (40 * 1024 * 1024))


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        pytest.param(BOMB, "gzip", 413, id="bomb"),
        pytest.param(gzip.compress(gzip.compress(b"\x0a\x00")), "gzip", 400, id="gzip of gzip"),
        pytest.param(gzip.compress(b"\x0a\x00")[:-4], "gzip", 400, id="cut short"),
        pytest.param(gzip.compress(b"") + b"x", "gzip", 400, id="goes on"),
        pytest.param(gzip.compress(b"") * 2, "gzip", 400, id="two members"),
        pytest.param(b"\x0a\x00", "gzip", 400, id="no gzip"),
        pytest.param(gzip.compress(b""), "gzip, gzip", 415, id="twice"),
        pytest.param(b"", "zstd", 415, id="zstd"),
        pytest.param(b"\x0a\xff", "identity", 400, id="not the message"),
        pytest.param(b"\x0a\x02\x12\x05", "identity", 400, id="past the end"),
        pytest.param(b"\x0a\x00" * 4_000_000, "identity", 400, id="millions of empty parts"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_a_status(push, body, encoding, status):
    answer = push(body, HTTP_CONTENT_ENCODING=encoding)

    assert answer.status_code == status
    assert answer["Content-Type"] == PROTOBUF
    assert answer.content.startswith(b"\x12")  # Status.message


def test_attributes_nested_too_deeply_are_refused(push):
    request = request_of(gauge("x", 1.0))
    value = request.resource_metrics[0].resource.attributes.add(key="deep").value
    for _ in range(40):
        value = value.array_value.values.add()
    value.string_value = "end"

    answer = push(request)

    assert answer.status_code == 400
    assert not Point.objects.exists()


def test_a_request_above_the_limit_of_points_is_refused_whole(push):
    request = request_of(gauge("x", 1.0))
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    points.extend([points[0]] * 50_000)

    answer = push(request)

    assert answer.status_code == 413
    assert not Point.objects.exists()


def test_a_database_that_is_away_is_a_503_with_a_time_to_wait(push, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(ingest, "account_for", away)
    answer = push(request_of(gauge("x", 1.0)))

    assert (answer.status_code, answer["Content-Type"]) == (503, PROTOBUF)
    assert 1 <= int(answer["Retry-After"]) <= 5


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", " "])
def test_another_type_is_a_415(push, content_type):
    assert push(b"", content_type=content_type).status_code == 415


def test_without_a_key_nothing_is_looked_at(push, client):
    client.credentials()

    assert push(b"\xff").status_code == 401


def document(point, *, shape="gauge", **holder):
    metric = {"name": "temp", shape: {"dataPoints": [point], **holder}}
    resource = {"attributes": [{"key": "host.name", "value": {"stringValue": "a1"}}]}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}


@pytest.mark.parametrize(
    "point",
    [
        pytest.param({"timeUnixNano": str(NOW_NS), "asDouble": 7.0}, id="time as text"),
        pytest.param({"timeUnixNano": NOW_NS, "asInt": "7"}, id="integer as text"),
        pytest.param({"timeUnixNano": NOW_NS, "asInt": 7}, id="integer as number"),
        pytest.param(
            {"timeUnixNano": NOW_NS, "asInt": 7, "exemplars": [{"traceId": "0AfF"}], "news": {}},
            id="hex ids and unknown fields",
        ),
    ],
)
def test_json_says_the_same_as_protobuf(push_json, push, point):
    answer = push_json(document(point))
    again = push(request_of(gauge("temp", 7.0)))

    assert (answer.status_code, answer.json()) == (200, {})
    assert answer["Content-Type"] == "application/json"
    assert stored()["temp"] == ({"host.name": "a1", "__name__": "temp"}, 7.0)
    assert partial(again) == (0, "")
    assert account().duplicate == 1


def test_json_of_a_histogram_becomes_count_sum_and_buckets(push_json):
    point = {"timeUnixNano": str(NOW_NS), "count": "4", "sum": 2.5, "bucketCounts": ["1", 3]}

    push_json(
        document(point | {"explicitBounds": [1]}, shape="histogram", aggregationTemporality=2)
    )

    rows = Point.objects.select_related("series")
    found = {
        (row.series.labels["__name__"], row.series.labels.get("le")): row.value for row in rows
    }
    assert found == {
        ("temp_count", None): 4.0,
        ("temp_sum", None): 2.5,
        ("temp_bucket", "1"): 1.0,
        ("temp_bucket", "+Inf"): 4.0,
    }


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"bucketCounts": "1"}, id="no array"),
        pytest.param({"bucketCounts": [None]}, id="nothing"),
        pytest.param({"bucketCounts": [1.5]}, id="fraction"),
        pytest.param({"bucketCounts": [True]}, id="truth"),
        pytest.param({"explicitBounds": ["one"]}, id="word"),
    ],
)
def test_json_of_buckets_that_are_no_numbers_is_a_400(push_json, odd):
    point = {"timeUnixNano": str(NOW_NS), "count": "4", "bucketCounts": ["4"]} | odd

    answer = push_json(document(point, shape="histogram", aggregationTemporality=2))

    assert answer.status_code == 400
    assert not Point.objects.exists()


def test_json_answers_what_was_refused_in_json(push_json):
    answer = push_json(document({"timeUnixNano": "1", "asDouble": 1.0}))

    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "1"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(document({}, aggregationTemporality="DELTA"), id="enumeration as text"),
        pytest.param(document({"timeUnixNano": True}), id="boolean as time"),
        pytest.param(document({"asDouble": "7"}), id="number as text"),
        pytest.param(document({"asInt": 10**30}), id="beyond 64 bits"),
        pytest.param(document([]), id="list as object"),
        pytest.param({"resourceMetrics": {}}, id="object as list"),
        pytest.param(b"[" * 100_000, id="brackets"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff", id="not UTF-8"),
    ],
)
def test_json_of_another_shape_is_refused_as_a_whole(push_json, body):
    answer = push_json(body)

    assert answer.status_code == 400
    assert answer.json()["message"]
    assert not Point.objects.exists()


def test_snake_case_is_unknown_and_unknown_is_passed_over(push_json):
    answer = push_json({"resource_metrics": [{"whatever": 1}]})

    assert (answer.status_code, answer.json()) == (200, {})
    assert not Point.objects.exists()


def test_half_a_character_in_json_refuses_its_point_only(push_json):
    body = document({"timeUnixNano": NOW_NS, "asInt": 7})
    text = json.dumps(body).replace("a1", "\\ud800")

    answer = push_json(text.encode())

    assert answer.status_code in (200, 400)
    assert not Point.objects.exists()


def test_the_grids_own_metrics_become_a_wide_row(push):
    pool = PoolFactory()
    figures = {"capacity": 100, "allocated": 40, "queued": 2}

    push(
        request_of(
            *(gauge(f"tiaodu_{name}", value) for name, value in figures.items()),
            resource={"tiaodu_pool": pool.code},
        )
    )

    row = Sample.objects.get()
    assert (row.capacity, row.allocated, row.queued, row.quality) == (100.0, 40.0, 2.0, "good")
