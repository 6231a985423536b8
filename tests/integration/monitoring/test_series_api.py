"""Finding series of standard senders and reading their points back over the API."""

import math

import pytest

from monitoring.domain.samples import to_us
from monitoring.models import Series
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import ProviderFactory

pytestmark = pytest.mark.django_db
NOW_MS = to_us(GRID_NOW) // 1000
CPU = {"__name__": "node_cpu", "cpu": "0", "instance": "a1"}


@pytest.fixture(autouse=True)
def _pushed(grid_time, provider_client):
    ProviderFactory()
    ProviderFactory(code="nanyun")
    series = [
        (CPU, [(NOW_MS - 120_000, 1.5), (NOW_MS - 60_000, math.nan)]),
        (CPU | {"cpu": "1"}, [(NOW_MS - 60_000, 3.0)]),
        ({"__name__": "up"}, [(NOW_MS - 60_000, 1.0)]),
    ]
    for code in ("beiyun", "nanyun"):
        provider_client(code).post(
            "/api/v1/prometheus/write",
            wire.snappy(wire.write_v1(series)),
            content_type=wire.PROTOBUF,
            HTTP_CONTENT_ENCODING="snappy",
        )


def key_of(provider, **labels):
    return Series.objects.get(provider_id=provider, labels__contains=labels).pk


def test_series_are_found_by_name_and_labels(client_of, operator):
    found = client_of(operator).get("/api/v1/series?name=node_cpu&label=cpu:1&provider=beiyun")

    assert [one["labels"] for one in found.json()["series"]] == [CPU | {"cpu": "1"}]
    assert found.json()["next_after"] is None


def test_a_provider_finds_its_own_series_only(provider_client):
    found = provider_client("beiyun").get("/api/v1/series?provider=nanyun").json()["series"]

    assert {one["provider"] for one in found} == {"beiyun"}
    assert len(found) == 3


def test_points_come_back_oldest_first_and_no_number_is_null(client_of, operator):
    answer = client_of(operator).get(f"/api/v1/series/{key_of('beiyun', cpu='0')}/points")

    assert answer.json()["value"] == [1.5, None]
    assert len(answer.json()["measured_at"]) == 2


def test_the_end_of_the_asked_time_is_not_in_it(client_of, operator):
    until = "2023-05-26T00:11:00Z"

    answer = client_of(operator).get(
        f"/api/v1/series/{key_of('beiyun', cpu='0')}/points?until={until}"
    )

    assert answer.json()["value"] == [1.5]


def test_another_providers_series_is_not_there(provider_client):
    path = f"/api/v1/series/{key_of('nanyun', cpu='0')}/points"

    assert provider_client("beiyun").get(path).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "series?label=cpu",
        "series?label=cpu:%00",
        "series?name=%00",
        "series?after=-1",
        "series/1/points?since=yesterday",
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client_of, operator, query):
    if query.startswith("series/1"):
        query = query.replace("/1/", f"/{key_of('beiyun', cpu='0')}/")

    assert client_of(operator).get(f"/api/v1/{query}").status_code == 400


def test_more_than_a_day_is_refused(client_of, operator):
    path = f"/api/v1/series/{key_of('beiyun', cpu='0')}/points?since=2023-05-20T00:00:00Z"

    assert client_of(operator).get(path).status_code == 400


def test_strangers_see_nothing(client):
    assert client.get("/api/v1/series").status_code in (401, 403)
