"""Remote-write 1.0 and 2.0 as the specifications have it, with everything read back."""

import datetime as dt
import math
import time

import pytest
from django.db import OperationalError

from monitoring import ingest, services
from monitoring.domain.samples import to_us
from monitoring.models import MappingSet, Point, Provider, ProviderTally, Sample, Series
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, ProviderFactory, make_pool

pytestmark = pytest.mark.django_db
URL = "/api/v1/prometheus/write"
NOW_MS = to_us(GRID_NOW) // 1000
UP = {"__name__": "up", "job": "node", "instance": "localhost:9090"}


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""
    ProviderFactory()


@pytest.fixture
def push(provider_client):
    client = provider_client("beiyun")

    def send(body, *, content_type=wire.PROTOBUF, encoding="snappy", compress=True, **headers):
        payload = wire.snappy(body) if compress else body
        if encoding is not None:
            headers["HTTP_CONTENT_ENCODING"] = encoding
        return client.post(URL, payload, content_type=content_type, **headers)

    return send


@pytest.fixture
def push_v2(push):
    def send(request, **options):
        return push(request.body(), content_type=wire.V2_TYPE, **options)

    return send


def account():
    tally = ProviderTally.objects.get(provider_id="beiyun")
    assert tally.received == tally.accepted + tally.duplicate + tally.conflict + tally.rejected
    return tally


def stored():
    rows = Point.objects.select_related("series").order_by("series_id", "measured_at")
    return [(row.series.labels, to_us(row.measured_at) // 1000, row.value) for row in rows]


def written(answer):
    return tuple(
        answer.get(f"X-Prometheus-Remote-Write-{what}-Written")
        for what in ("Samples", "Histograms", "Exemplars")
    )


def test_a_first_message_is_stored_to_the_last_sample(push):
    body = wire.write_v1([(UP, [(NOW_MS - 15_000, 1.0), (NOW_MS, 0.0)])])

    answer = push(body)

    assert (answer.status_code, answer.content) == (204, b"")
    assert stored() == [(UP, NOW_MS - 15_000, 1.0), (UP, NOW_MS, 0.0)]
    assert (account().received, account().accepted) == (2, 2)


def test_a_second_message_says_what_it_has_written(push_v2):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, 1.5)])

    answer = push_v2(request, HTTP_X_PROMETHEUS_REMOTE_WRITE_VERSION="2.0.0")

    assert (answer.status_code, written(answer)) == (204, ("1", "0", "0"))
    assert stored() == [(UP, NOW_MS, 1.5)]


@pytest.mark.parametrize("value", [1.0, -0.5, math.inf, -math.inf, 1e308])
def test_every_finite_and_infinite_value_comes_back(push_v2, value):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, value)])

    answer = push_v2(request)

    assert written(answer) == ("1", "0", "0")
    assert stored() == [(UP, NOW_MS, value)]


def test_a_value_that_is_no_number_is_stored_and_is_its_own_duplicate(push):
    body = wire.write_v1([(UP, [(NOW_MS, math.nan)])])

    first, second = push(body), push(body)

    assert (first.status_code, second.status_code) == (204, 204)
    assert math.isnan(Point.objects.get().value)
    assert (account().accepted, account().duplicate) == (1, 1)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"__name__": "up", "job": "test\njob\n"}, id="newlines"),
        pytest.param({"__name__": "resource.cpu.usage", "job.name": "x"}, id="dots"),
        pytest.param({"__name__": "resource cpu usage", "job name": "x"}, id="spaces"),
        pytest.param({"__name__": "up", "地区": "北京🚀"}, id="any language"),
        pytest.param({"zone": "b", "__name__": "up", "area": "a"}, id="labels out of order"),
    ],
)
def test_labels_come_back_as_they_were_sent(push_v2, labels):
    request = wire.V2Request()
    request.add(labels, [(NOW_MS, 1.0)])

    answer = push_v2(request)

    assert written(answer) == ("1", "0", "0")
    assert stored() == [(labels, NOW_MS, 1.0)]


def test_an_empty_label_value_is_an_absent_label(push):
    push(wire.write_v1([({**UP, "zone": ""}, [(NOW_MS, 1.0)])]))

    answer = push(wire.write_v1([(UP, [(NOW_MS, 1.0)])]))

    assert answer.status_code == 204
    assert account().duplicate == 1


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        pytest.param({"job": "node"}, "no-metric-name", id="no name"),
        pytest.param({"__name__": "", "job": "node"}, "no-metric-name", id="empty name"),
        pytest.param({}, "no-metric-name", id="no labels"),
        pytest.param({"__name__": "up", "": "x"}, "bad-labels", id="empty label name"),
        pytest.param({"__name__": "up", "a": "b\0c"}, "bad-labels", id="zero byte"),
        pytest.param({"__name__": "up", "a": "b" * 5000}, "bad-labels", id="too long"),
        pytest.param(
            {"__name__": "up", **{f"l{n}": "x" for n in range(64)}}, "too-many-labels", id="65"
        ),
    ],
)
def test_a_bad_series_is_refused_alone_with_exact_counts(push_v2, labels, code):
    request = wire.V2Request()
    request.add(labels, [(NOW_MS, 1.0)])
    request.add(UP, [(NOW_MS, 1.0), (NOW_MS - 1000, 2.0)])

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("2", "0", "0"))
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["accepted"], body["rejected"], body["errors"][0]["index"]) == (2, 1, 0)
    assert body["errors"][0]["code"] == code
    assert len(stored()) == 2
    assert account().rejected_by_reason == {code: 1}


def test_a_label_that_comes_twice_is_refused(push):
    message = wire.V1["WriteRequest"].FromString(wire.write_v1([(UP, [(NOW_MS, 1.0)])]))
    message.timeseries[0].labels.add(name="job", value="other")

    answer = push(message.SerializeToString())

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "bad-labels")
    assert stored() == []


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda entry: entry.labels_refs.append(1), id="odd number of references"),
        pytest.param(lambda entry: entry.labels_refs.extend([1, 999]), id="reference too large"),
    ],
)
def test_references_that_lead_nowhere_refuse_their_series_only(push_v2, spoil):
    request = wire.V2Request()
    spoil(request.add(UP, [(NOW_MS, 1.0)]))
    request.add({"__name__": "fine"}, [(NOW_MS, 1.0)])

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("1", "0", "0"))
    assert [labels for labels, _, _ in stored()] == [{"__name__": "fine"}]


def test_a_table_of_symbols_that_does_not_begin_empty_is_refused(push_v2):
    request = wire.V2Request()
    request.message.symbols[0] = "x"
    request.add(UP, [(NOW_MS, 1.0)])

    answer = push_v2(request)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-body")
    assert stored() == []


def test_samples_and_histograms_in_one_series_are_refused(push_v2):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, 1.0)]).histograms.add(count=3, sum=1.0)

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("0", "0", "0"))
    assert account().rejected_by_reason == {
        "samples-and-histograms": 1,
        "unsupported-histogram": 1,
    }


def test_a_native_histogram_is_never_said_to_be_written(push_v2):
    request = wire.V2Request()
    request.add(UP, []).histograms.add(count=3, sum=1.0)
    request.add({"__name__": "fine"}, [(NOW_MS, 1.0)])

    answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("1", "0", "0"))
    assert answer.json()["errors"][0]["code"] == "unsupported-histogram"


def test_exemplars_and_metadata_do_no_harm_and_are_not_said_to_be_written(push_v2, push):
    request = wire.V2Request()
    entry = request.add(UP, [(NOW_MS, 1.0)])
    entry.exemplars.add(labels_refs=[1, 2], value=1.0)
    entry.metadata.type = 1
    request.add({"__name__": "only_metadata"}, []).metadata.type = 2
    old = wire.V1["WriteRequest"](metadata=[{"type": 1, "metric_family_name": "up"}])

    answers = [push_v2(request), push(old.SerializeToString())]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert written(answers[0]) == ("1", "0", "0")
    assert len(stored()) == 1


def test_an_empty_message_is_fine(push, push_v2):
    assert [push(b"").status_code, push_v2(wire.V2Request()).status_code] == [204, 204]


def test_a_start_time_is_passed_over(push_v2):
    request = wire.V2Request()
    request.add(UP, [(NOW_MS, 1.0)]).samples[0].start_timestamp = NOW_MS - 3_600_000

    assert written(push_v2(request)) == ("1", "0", "0")


@pytest.mark.parametrize(
    ("minutes", "code"), [(-25 * 60, "too-old"), (3, "in-the-future"), (1e9, "in-the-future")]
)
def test_a_sample_out_of_time_refuses_only_itself(push, minutes, code):
    body = wire.write_v1([(UP, [(int(NOW_MS + minutes * 60_000), 9.0), (NOW_MS, 1.0)])])

    answer = push(body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)
    assert stored() == [(UP, NOW_MS, 1.0)]


def test_a_time_beyond_all_times_is_refused_without_harm(push):
    body = wire.write_v1([(UP, [(2**62, 9.0), (-(2**63), 9.0)])])

    answer = push(body)

    assert account().rejected_by_reason == {"bad-time": 2}
    assert answer.status_code == 400


def test_sending_again_in_another_order_and_cut_changes_nothing(push):
    samples = [(NOW_MS - 1000 * step, float(step)) for step in range(30)]
    push(wire.write_v1([(UP, samples)]))
    before = stored()

    answers = [push(wire.write_v1([(UP, samples[::-1][at : at + 7])])) for at in range(0, 30, 7)]

    assert {answer.status_code for answer in answers} == {204}
    assert stored() == before
    assert account().duplicate == 30


def test_another_value_for_the_same_time_is_a_conflict_and_the_first_stays(push_v2):
    for value in (1.0, 2.0):
        request = wire.V2Request()
        request.add(UP, [(NOW_MS, value)])
        answer = push_v2(request)

    assert (answer.status_code, written(answer)) == (400, ("0", "0", "0"))
    assert answer.json()["errors"][0]["code"] == "conflict"
    assert stored() == [(UP, NOW_MS, 1.0)]
    assert account().conflict == 1


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"content_type": "application/json"}, id="JSON"),
        pytest.param({"content_type": "image/png"}, id="a picture"),
        pytest.param({"content_type": "application/x-protobuf;proto=other"}, id="other message"),
        pytest.param({"content_type": " "}, id="no type"),
        pytest.param({"encoding": "gzip"}, id="gzip"),
        pytest.param({"encoding": "deflate"}, id="deflate"),
        pytest.param({"encoding": "snappy, snappy"}, id="snappy twice"),
        pytest.param({"encoding": None}, id="no encoding"),
    ],
)
def test_another_type_or_encoding_is_a_415(push, options):
    answer = push(b"", **options)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-format")


@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "SNAPPY"},
        {"content_type": "Application/X-Protobuf;proto=prometheus.WriteRequest"},
        {"content_type": "application/x-protobuf; proto=prometheus.WriteRequest"},
    ],
)
def test_spelling_that_the_standards_allow_is_taken(push, options):
    assert push(wire.write_v1([(UP, [(NOW_MS, 1.0)])]), **options).status_code == 204


def test_any_accept_is_taken(push):
    assert push(b"", HTTP_ACCEPT="application/x-protobuf").status_code == 204


GOOD = wire.snappy(wire.write_v1([(UP, [(NOW_MS, 1.0)])]))


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"\xff\x06\x00\x00sNaPpY" + GOOD, 400, id="framed snappy"),
        pytest.param(b"\x1f\x8b\x08\x00" + GOOD, 400, id="gzip called snappy"),
        pytest.param(GOOD[:-3], 400, id="cut short"),
        pytest.param(GOOD + b"\x00\x00\x00", 400, id="goes on after its end"),
        pytest.param(b"\xff" + GOOD[1:], 400, id="first byte spoilt"),
        pytest.param(b"\x80\x80\x80\x80\x01" + GOOD, 413, id="claims 256 MiB"),
        pytest.param(b"\x80\x80\x80\x08" + b"\x00a" * 9, 400, id="claims what it cannot hold"),
        pytest.param(wire.snappy(b"[" * 100_000), 400, id="brackets"),
        pytest.param(wire.snappy(b"\x0a\xff\xff\xff\xff\x0f"), 400, id="field past the end"),
        pytest.param(wire.snappy(b"\x0b" * 50_000), 400, id="groups"),
        pytest.param(wire.snappy(b"\x02\x00"), 400, id="field number 0"),
        pytest.param(wire.snappy(b"\x80" * 30), 400, id="number without end"),
        pytest.param(wire.snappy(b"\x08\x01" * 4_000_000), 400, id="millions of strange fields"),
        pytest.param(wire.snappy(b"\x0a\x00" * 4_000_000), 400, id="millions of empty series"),
        pytest.param(
            wire.snappy(b"\x0a\xfe\xff\x03" + b"\x0a\x00" * 32_767), 400, id="32,767 empty labels"
        ),
        pytest.param(
            wire.snappy(wire.write_v1([({"__name__": "x", "a": "b"}, [])]).replace(b"b", b"\xff")),
            400,
            id="label that is not UTF-8",
        ),
    ],
)
def test_a_hostile_body_is_refused_in_bounded_time(push, payload, status):
    began_s = time.process_time()
    answer = push(payload, compress=False)
    took_s = time.process_time() - began_s

    assert answer.status_code == status
    assert took_s < 1.0
    assert not Series.objects.exists()


def test_a_request_above_the_limit_of_points_is_refused_whole(push):
    samples = [(NOW_MS, 1.0)] * 50_001

    answer = push(wire.write_v1([(UP, samples)]))

    assert (answer.status_code, answer.json()["code"]) == (413, "too-many-samples")
    assert stored() == []


def test_new_series_above_the_limit_are_refused_and_known_ones_go_on(push):
    MappingSet.objects.create(
        provider=Provider.objects.get(), series_limit=2, changed_at=GRID_NOW, changed_by="test"
    )
    names = [{"__name__": f"m{number}"} for number in range(5)]

    first = push(wire.write_v1([(labels, [(NOW_MS - 1000, 1.0)]) for labels in names]))
    again = push(wire.write_v1([(names[0], [(NOW_MS, 1.0)])]))

    assert (first.status_code, first.json()["accepted"], first.json()["rejected"]) == (400, 2, 3)
    assert again.status_code == 204
    assert Series.objects.count() == 2
    assert account().rejected_by_reason == {"series-limit": 3}


def test_refused_points_register_no_series(push):
    push(wire.write_v1([(UP, [(NOW_MS - 10**9, 1.0)]), ({"a": "b"}, [(NOW_MS, 1.0)])]))

    assert not Series.objects.exists()


def test_two_providers_have_series_of_their_own(push, provider_client):
    ProviderFactory(code="jingchu")
    body = wire.write_v1([(UP, [(NOW_MS, 1.0)])])
    push(body)

    answer = provider_client("jingchu").post(
        URL,
        wire.snappy(body),
        content_type=wire.PROTOBUF,
        HTTP_CONTENT_ENCODING="snappy",
    )

    assert answer.status_code == 204
    assert sorted(Series.objects.values_list("provider_id", flat=True)) == ["beiyun", "jingchu"]


def test_without_a_key_nothing_is_looked_at(client, operator, client_of):
    answers = [
        client.post(URL, b"x", content_type=wire.PROTOBUF),
        client_of(operator).post(URL, b"x", content_type=wire.PROTOBUF),
    ]

    assert [answer.status_code for answer in answers] == [401, 403]


def test_a_database_that_is_away_is_a_503_and_the_same_again_is_stored_once(push, monkeypatch):
    body = wire.write_v1([(UP, [(NOW_MS, 1.0)])])

    def away(*args, **kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(ingest, "account_for", away)
    refused = push(body)
    monkeypatch.undo()
    taken = push(body)

    assert (refused.status_code, taken.status_code) == (503, 204)
    assert 1 <= int(refused["Retry-After"]) <= 5
    assert (account().received, account().accepted) == (1, 1)


def test_points_that_no_partition_takes_make_their_partition(push, grid_time):
    later = grid_time.advance(days=200)

    answer = push(wire.write_v1([(UP, [(to_us(later) // 1000, 1.0)])]))

    assert answer.status_code == 204
    assert len(stored()) == 1


def test_points_past_their_retention_go_with_their_partition(push, settings):
    settings.RETENTION_DAYS = 14.0
    push(wire.write_v1([(UP, [(NOW_MS, 1.0)])]))

    services.keep_partitions(GRID_NOW + dt.timedelta(days=30))

    assert stored() == []


WIDE = {"capacity": 100.0, "allocated": 60.0, "queued": 5.0}


def grid_series(pool, at_ms, **values):
    return [
        ({"__name__": f"tiaodu_{name}", "tiaodu_pool": pool}, [(at_ms, value)])
        for name, value in values.items()
    ]


def test_the_grids_own_metrics_become_a_wide_row_at_once(push):
    pool = PoolFactory()

    answer = push(wire.write_v1(grid_series(pool.code, NOW_MS, **WIDE, power_kw=40.0)))

    assert answer.status_code == 204
    row = Sample.objects.get()
    assert (row.capacity, row.allocated, row.queued, row.power_kw) == (100.0, 60.0, 5.0, 40.0)
    assert (row.quality, row.source) == ("good", "sender")
    assert row.measured_at == GRID_NOW.replace(second=0)
    assert pool.state.allocated == 60.0
    assert account().received == 4


def test_a_scrape_that_is_cut_in_two_requests_is_one_row(push):
    pool = PoolFactory()
    series = grid_series(pool.code, NOW_MS, **WIDE)

    push(wire.write_v1(series[:1]))
    nothing_yet = Sample.objects.count()
    push(wire.write_v1(series[1:]))

    assert nothing_yet == 0
    assert Sample.objects.get().queued == 5.0
    assert (account().accepted, account().rejected) == (3, 0)


def test_a_pool_of_another_provider_is_an_unknown_pool(push):
    PoolFactory()
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")

    answer = push(wire.write_v1(grid_series("wuhan-gpu", NOW_MS, **WIDE)))

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown-pool")
    assert not Sample.objects.exists()
    assert not Series.objects.exists()


def test_reversed_and_sorted_senders_leave_the_same_rows(push):
    pool = PoolFactory()
    minute = 60_000
    series = [
        part
        for step in range(8)
        for part in grid_series(pool.code, NOW_MS - step * minute, **{**WIDE, "queued": step})
    ]

    for part in series:
        push(wire.write_v1([part]))

    rows = Sample.objects.order_by("-measured_at").values_list("queued", "quality")
    assert list(rows) == [(float(step), "good") for step in range(8)]
