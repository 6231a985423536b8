"""Waits per pool over HTTP, from telemetry, announced workloads and earlier waits."""

import datetime as dt

import pytest

from scheduling.models import Workload
from tests.factories import make_pool, report_hours

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2023, 5, 26, 0, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ADDRESS = "/api/v1/forecasts/waits?units=8&requested_duration_s=7200"


def workload(pool, number, **fields):
    base = {
        "provider_code": pool.site.provider_id,
        "external_id": f"w{number}",
        "pool": pool,
        "tenant": "lab",
        "units": 8,
        "requested_duration_s": 4 * 3600.0,
        "submitted_at": NOW - 5 * HOUR,
        "deadline_at": NOW + 90 * HOUR,
        "data_class": "open",
        "data_gb": 1.0,
        "state": "QUEUED",
        "updated_at": NOW,
    }
    return Workload.objects.create(**base | fields)


@pytest.fixture
def pools(grid_time):
    grid_time.set(NOW)
    busy = make_pool("beijing-gpu", region="CN-BJ", provider="beiyun")
    free = make_pool("horinger-gpu", region="CN-NM", provider="huadong")
    silent = make_pool("guian-gpu", region="CN-GZ", provider="huadong")
    report_hours(busy, NOW - dt.timedelta(hours=60, minutes=7), [100.0] * 61)
    report_hours(free, NOW - dt.timedelta(hours=60, minutes=7), [20.0] * 61)
    return busy, free, silent


def by_pool(response):
    return {row["pool"]: row for row in response.json()["pools"]}


def test_a_free_pool_starts_at_once_and_a_full_one_after_the_first_end(pools, client_of, auditor):
    for number in range(12):
        ends_in_h = 1 + number
        workload(
            pools[0], number, state="RUNNING",
            started_at=NOW - (4 - min(ends_in_h, 4)) * HOUR,
            requested_duration_s=(ends_in_h + 4 - min(ends_in_h, 4)) * 3600.0,
        )  # fmt: skip

    found = by_pool(client_of(auditor).get(ADDRESS))

    assert found["horinger-gpu"]["played_h"] == 0.0
    assert found["beijing-gpu"]["played_h"] == pytest.approx(1.0)
    assert found["beijing-gpu"]["method"] == "played"
    assert list(found) == ["horinger-gpu", "beijing-gpu", "guian-gpu"]


def test_earlier_waits_of_the_pool_are_learned_from(pools, client_of, auditor):
    for number in range(30):
        submitted = NOW - (50 - number) * HOUR
        workload(
            pools[0], number, state="DONE", submitted_at=submitted,
            started_at=submitted + 3 * HOUR, finished_at=submitted + 4 * HOUR,
        )  # fmt: skip

    row = by_pool(client_of(auditor).get(ADDRESS))["beijing-gpu"]

    assert (row["method"], row["examples"]) == ("calibrated", 30)
    assert row["wait_h"] == pytest.approx([3.0, 3.0, 3.0], abs=0.01)


def test_a_pool_that_is_silent_has_no_forecast(pools, client_of, auditor):
    row = by_pool(client_of(auditor).get(ADDRESS))["guian-gpu"]

    assert (row["method"], row["wait_h"]) == ("unknown", [None, None, None])


@pytest.mark.parametrize(
    "query",
    [
        "units=0&requested_duration_s=1",
        "units=nan&requested_duration_s=1",
        "units=8",
        "units=8&requested_duration_s=1&data_class=secret",
    ],
)
def test_a_bad_question_is_named(query, pools, client_of, auditor):
    answer = client_of(auditor).get(f"/api/v1/forecasts/waits?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-field")


def test_only_people_of_the_grid_may_ask(pools, client_of, outsider):
    assert client_of(outsider).get(ADDRESS).status_code == 403
