"""What remote-write refuses, and what it bears: types, hostile bodies, limits, an outage."""

import datetime as dt
import time

import pytest
from django.db import OperationalError

from monitoring import ingest, services
from monitoring.domain.samples import to_us
from monitoring.models import MappingSet, Provider, Series
from monitoring.senders import memory
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import ProviderFactory
from tests.integration.monitoring.conftest import WRITE_URL
from tests.read_back import NOW_MS, UP, account, stored

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still."""
    ProviderFactory()


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
        WRITE_URL,
        wire.snappy(body),
        content_type=wire.PROTOBUF,
        HTTP_CONTENT_ENCODING="snappy",
    )

    assert answer.status_code == 204
    assert sorted(Series.objects.values_list("provider_id", flat=True)) == ["beiyun", "jingchu"]


def test_without_a_key_nothing_is_looked_at(client, operator, client_of):
    answers = [
        client.post(WRITE_URL, b"x", content_type=wire.PROTOBUF),
        client_of(operator).post(WRITE_URL, b"x", content_type=wire.PROTOBUF),
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


def test_a_flood_of_new_label_sets_costs_bounded_memory_and_nobody_else(
    push, provider_client, monkeypatch
):
    """Drill D27, small; `benchmarks/cardinality.py` sends a million."""
    monkeypatch.setattr(memory, "MAX_BYTES", 200_000)
    memory.forget_all()
    ProviderFactory(code="jingchu")
    for code in ("beiyun", "jingchu"):
        MappingSet.objects.create(
            provider_id=code, series_limit=100, changed_at=GRID_NOW, changed_by="test"
        )
    other = provider_client("jingchu")
    quiet = wire.snappy(
        wire.write_v1([({"__name__": f"m{n}"}, [(NOW_MS, 1.0)]) for n in range(50)])
    )
    sizes, others = [], set()
    for first in range(0, 5_000, 500):
        names = range(first, first + 500)
        push(wire.write_v1([(UP | {"pod": f"pod-{n}"}, [(NOW_MS, 1.0)]) for n in names]))
        sizes.append(memory.memory_of("beiyun").heads.size_bytes)
        headers = {"content_type": wire.PROTOBUF, "HTTP_CONTENT_ENCODING": "snappy"}
        others.add(other.post(WRITE_URL, quiet, **headers).status_code)

    assert (others, Series.objects.filter(provider_id="jingchu").count()) == ({204}, 50)
    assert Series.objects.filter(provider_id="beiyun").count() == 100
    assert account().rejected_by_reason == {"series-limit": 4_900}
    # one request may pass the bound, the next one begins anew
    assert max(sizes) < 300_000
    memory.forget_all()
