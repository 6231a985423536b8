"""A frame says what the database says, and never a number for what nobody knows."""

import json

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from controlplane.auth.authentication import actor_of
from controlplane.lib import clock
from dash_app.feed import build_frame, system_state
from monitoring.domain.alerts import AlertKind
from monitoring.models import Alert, Pool
from scheduling.services.dispatching import set_frozen
from tests.browser.small_grid import SILENT, draft_plan, proposed_plan, reported
from tests.factories import report

pytestmark = pytest.mark.django_db


@pytest.fixture
def frame(seeded, db, grid_time):
    return built(grid_time)


def built(grid_time):
    return build_frame(now=grid_time.now, wall_now=clock.wall_now())


def by_code(rows):
    return {row["code"]: row for row in rows}


def test_a_frame_can_be_encoded_and_is_small(frame):
    assert len(orjson.dumps(frame)) < 60_000


def test_there_is_a_row_for_each_of_the_34_regions(frame):
    regions = by_code(frame["regions"])

    assert len(regions) == 34
    assert regions["CN-XJ"]["pools"] == 0
    assert regions["CN-XJ"]["capacity"] is None


def test_a_silent_pool_is_unknown_and_never_zero(frame):
    guizhou = by_code(frame["regions"])["CN-GZ"]
    guian = by_code(frame["sites"])["guian"]

    for row in (guizhou, guian, guian["pools"][0]):
        assert row["quality"] == "unknown"
        assert row["capacity"] is row["allocated"] is row["queued"] is None
    assert frame["headline"]["unknown_pools"] == 1


def test_the_headline_adds_up_the_regions(frame):
    known = [row for row in frame["regions"] if row["capacity"] is not None]

    assert frame["headline"]["supply"] == sum(row["capacity"] for row in known)
    assert frame["headline"]["demand"] == sum(row["allocated"] + row["queued"] for row in known)


def test_the_sites_add_up_to_their_region(frame):
    shanghai = by_code(frame["regions"])["CN-SH"]
    sites = [site for site in frame["sites"] if site["region"] == "CN-SH"]

    assert len(sites) == 2
    assert sum(site["capacity"] for site in sites) == shanghai["capacity"]


def test_more_asked_for_than_there_is_shows_as_pressure_above_one(frame):
    beijing = by_code(frame["regions"])["CN-BJ"]

    assert beijing["pressure"] == pytest.approx(1.25, abs=0.01)
    assert beijing["utilization"] == 1.0


def test_a_pool_that_falls_silent_becomes_stale_and_its_figures_unknown(frame, grid_time):
    grid_time.advance(minutes=30)

    later = built(grid_time)

    beijing = by_code(later["sites"])["beijing"]
    assert beijing["quality"] == "stale"
    assert beijing["capacity"] is None
    assert later["headline"]["supply"] is None


def test_the_trend_is_the_last_24_hours(frame, grid_time):
    trend = frame["headline"]["trend"]

    assert len(trend) == 24
    assert trend == sorted(trend)
    assert all(row[2] == frame["headline"]["supply"] for row in trend)


def test_new_telemetry_is_in_the_next_frame(frame, grid_time):
    pool = Pool.objects.get(code=SILENT)
    report("xibu", [reported(pool, grid_time.now, share=0.5)], now=grid_time.now)

    after = built(grid_time)

    assert after["headline"]["unknown_pools"] == 0
    assert after["headline"]["supply"] == frame["headline"]["supply"] + pool.installed


def test_plans_and_flows_are_in_the_frame(seeded, grid_time, operator2):
    plan = proposed_plan(operator2, grid_time.now)

    frame = built(grid_time)

    card, flow = frame["plans"][0], frame["flows"][0]
    assert (card["id"], card["state"], card["content_hash"]) == (
        plan.pk,
        "PROPOSED",
        plan.content_hash,
    )
    assert (flow["from"], flow["to"], flow["units"]) == ("beijing", "horinger", 32)


def test_firing_alerts_are_said_in_both_languages(seeded, grid_time):
    Alert.objects.create(
        kind=AlertKind.CAPACITY_SHORTAGE,
        scope="region:CN-BJ",
        severity="critical",
        state="FIRING",
        detail={"short_units": 54.0},
        pending_at=grid_time.now,
        fired_at=grid_time.now,
    )

    alert = built(grid_time)["alerts"][0]

    assert (alert["zh"], alert["en"]) == ("北京 缺 54 GPU", "Beijing is short of 54 GPU")


def test_the_number_of_queries_does_not_grow_with_the_rows(seeded, grid_time, operator2):
    with CaptureQueriesContext(
        connection,
    ) as few:
        built(grid_time)
    draft_plan(grid_time.now)
    for hour in range(40):
        pool = Pool.objects.get(code="shanghai-gpu")
        moment = grid_time.now.replace(second=hour)
        report("huadong", [reported(pool, moment)], now=moment)

    with CaptureQueriesContext(connection) as more:
        built(grid_time)

    # a plan brings its moves, approvals and settlement: three more, however many plans there are
    assert len(more) <= len(few) + 3
    assert len(more) <= 20


def test_a_freeze_is_in_the_next_frame_with_its_reason(frame, grid_time, operator):
    assert frame["dispatch"] == {
        "frozen": False,
        "frozen_by": "",
        "frozen_at": None,
        "reason": "",
        "open": 0,
        "unknown": 0,
    }

    set_frozen(actor_of(operator), frozen=True, reason="network works", now=grid_time.now)

    dispatch = built(grid_time)["dispatch"]
    assert (dispatch["frozen"], dispatch["frozen_by"]) == (True, "operator")
    assert dispatch["reason"] == "network works"
    assert dispatch["frozen_at"] == grid_time.now.isoformat()


def test_the_supervisors_children_are_shown(tmp_path):
    status = tmp_path / "supervisor.json"
    child = {"name": "web", "state": "ready", "restarts": 2, "pid": 7}
    step = {"name": "migrate", "state": "done", "restarts": 0}
    status.write_text(json.dumps({"children": [step, child]}))

    assert system_state(str(status)) == {
        "children": [{"name": "web", "state": "ready", "restarts": 2}]
    }


@pytest.mark.parametrize("content", ["", "{", "[]", '{"children": [{}]}', '{"children": 3}'])
def test_an_unreadable_status_shows_no_children(tmp_path, content):
    status = tmp_path / "supervisor.json"
    status.write_text(content)

    assert system_state(str(status)) == {"children": []}


def test_without_a_supervisor_there_are_no_children():
    assert system_state("") == {"children": []}
