"""The timeline says what was measured and what is forecast, to those who may see it."""

import datetime as dt
import itertools

import orjson
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from controlplane.lib.units import HOUR, floor_hour
from dash_app.timeline import AHEAD_H, KEPT_S, PAST_H, build_timeline, timeline_json
from forecasting.models import ForecastPath
from forecasting.selectors import latest_run
from monitoring.models import Pool, PoolHour
from tests.browser.small_grid import SILENT, issued_forecast, reported
from tests.factories import report

pytestmark = pytest.mark.django_db
ADDRESS = "/grid/timeline.json"


@pytest.fixture(autouse=True)
def _nothing_kept_from_other_tests():
    cache.clear()


@pytest.fixture
def timeline(seeded, db, grid_time):
    issued_forecast(grid_time.now)
    return built(grid_time)


def built(grid_time):
    return build_timeline(grid_time.now, latest_run(grid_time.now))


def test_there_are_24_hours_on_either_side_of_now(timeline, grid_time):
    hours = [dt.datetime.fromisoformat(hour) for hour in timeline["hours"]]

    assert len(hours) == PAST_H + AHEAD_H == 48
    assert hours[PAST_H] == floor_hour(grid_time.now)
    assert {after - before for before, after in itertools.pairwise(hours)} == {HOUR}


def test_past_hours_are_what_was_measured(timeline):
    beijing = timeline["sites"]["beijing"]
    installed = Pool.objects.get(code="beijing-gpu").installed

    assert len(beijing["past"]) == PAST_H
    for allocated, queued, capacity, known in beijing["past"]:
        assert (allocated, capacity, known) == (installed, installed, 1)
        assert allocated + queued == pytest.approx(1.25 * installed, abs=0.5)


def test_a_region_adds_up_its_sites(timeline):
    own = [timeline["sites"][code]["past"][-1] for code in ("shanghai", "yrd")]

    together = timeline["regions"]["CN-SH"]["past"][-1]

    assert together == pytest.approx([sum(values) for values in zip(*own, strict=True)])


def test_a_silent_pool_is_unknown_in_every_past_hour(timeline):
    assert timeline["regions"]["CN-GZ"]["past"] == [None] * PAST_H
    assert timeline["regions"]["CN-GZ"]["usable"] is None


def test_a_place_known_in_part_says_how_many_pools_were_known(timeline, grid_time):
    PoolHour.objects.filter(pool__code="yrd-gpu").delete()

    shanghai = built(grid_time)["regions"]["CN-SH"]

    assert shanghai["pools"] == 2
    assert {row[3] for row in shanghai["past"]} == {1.0}


def test_hours_ahead_are_the_runs_median_and_upper_quantile(timeline):
    horinger = timeline["regions"]["CN-NM"]

    assert horinger["ahead"] == [[pytest.approx(0.4 * 208), pytest.approx(0.9 * 208)]] * AHEAD_H
    assert horinger["fallback"] is None


def test_the_run_is_declared(timeline, grid_time):
    assert timeline["forecast"] == {
        "issued_at": floor_hour(grid_time.now).isoformat(),
        "model": "test-model 1",
        "degraded_reason": None,
    }


def test_several_pools_have_a_median_together_but_no_upper_quantile(timeline):
    zhongwei = timeline["sites"]["zhongwei"]

    assert zhongwei["pools"] == 2
    assert zhongwei["ahead"][0] == [pytest.approx(0.4 * 24), None]
    # its region is forecast as a series of its own
    assert timeline["regions"]["CN-NX"]["ahead"][0][1] == pytest.approx(0.9 * 24)


def test_an_hour_beyond_the_runs_end_has_no_forecast(timeline, grid_time):
    grid_time.advance(hours=2)

    ahead = built(grid_time)["regions"]["CN-BJ"]["ahead"]

    assert ahead[-2:] == [None, None]
    assert None not in ahead[:-2]


def test_usable_capacity_leaves_out_the_reserve_and_what_no_contract_covers(timeline, grid_time):
    Pool.objects.filter(code="beijing-gpu").update(contract=100.0, reserve=16.0)

    assert built(grid_time)["sites"]["beijing"]["usable"] == 84.0


def test_a_fallback_is_marked(timeline, grid_time):
    ForecastPath.objects.filter(code="CN-BJ").update(method="last-value", fallback_reason="gap")

    regions = built(grid_time)["regions"]

    assert regions["CN-BJ"]["fallback"] == "gap"
    assert regions["CN-NM"]["fallback"] is None


def test_without_a_run_there_is_only_the_past(seeded, grid_time):
    made = built(grid_time)

    assert made["forecast"] is None
    assert made["regions"]["CN-BJ"]["ahead"] == [None] * AHEAD_H
    assert None not in made["regions"]["CN-BJ"]["past"]


def test_the_number_of_queries_does_not_grow_with_the_rows(timeline, grid_time):
    with CaptureQueriesContext(connection) as few:
        built(grid_time)
    later = grid_time.advance(minutes=50)
    for pool in Pool.objects.select_related("site").exclude(code=SILENT):
        report(pool.site.provider_id, [reported(pool, later)], now=later)

    with CaptureQueriesContext(connection) as more:
        built(grid_time)

    assert len(more) == len(few) <= 7


def test_it_is_small_and_kept_for_its_run_and_hour(timeline, grid_time):
    first = timeline_json(grid_time.now)
    grid_time.advance(minutes=40)

    with CaptureQueriesContext(connection) as queries:
        second = timeline_json(grid_time.now)

    assert second == first
    assert len(first) < 60_000
    assert len(queries) == 1  # which run is the newest
    assert KEPT_S <= 60


@pytest.mark.parametrize("step", ["hour", "run"])
def test_a_new_hour_or_run_makes_it_anew(timeline, grid_time, step):
    first = orjson.loads(timeline_json(grid_time.now))
    if step == "hour":
        grid_time.advance(hours=1)
    else:
        ForecastPath.objects.all().delete()
        latest = latest_run(grid_time.now)
        grid_time.advance(hours=1)
        assert issued_forecast(grid_time.now, median=0.7).pk != latest.id

    second = orjson.loads(timeline_json(grid_time.now))

    assert second["hours"] == [*first["hours"][1:], second["hours"][-1]]
    assert (second["forecast"] == first["forecast"]) is (step == "hour")


def test_people_who_may_view_the_grid_get_it(timeline, auditor):
    client = Client()
    client.force_login(auditor)

    response = client.get(ADDRESS)

    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert orjson.loads(response.content)["regions"].keys() == timeline["regions"].keys()


@pytest.mark.parametrize("role", ["outsider", "provider"])
def test_people_who_may_not_are_refused(request, grid_time, role):
    client = Client()
    client.force_login(request.getfixturevalue(role))

    response = client.get(ADDRESS)

    assert response.status_code == 403
    assert orjson.loads(response.content)["code"] == "not-allowed"


def test_a_stranger_gets_nothing(client, grid_time):
    assert client.get(ADDRESS).status_code == 401


def test_it_can_only_be_read(grid_time, auditor):
    client = Client()
    client.force_login(auditor)

    assert client.post(ADDRESS).status_code == 405
