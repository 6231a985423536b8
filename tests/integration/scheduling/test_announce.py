"""Announced workloads: idempotent, strict, and one bad item never blocks a good one."""

import datetime as dt

import pytest

from scheduling.models import Workload
from scheduling.services.workloads import announce_workloads

NOW = dt.datetime(2023, 5, 26, 0, 0, tzinfo=dt.UTC)


def item(**changes):
    values = {
        "external_id": "job-1",
        "pool": "bj-gpu",
        "tenant": "vc-1",
        "units": 8,
        "requested_duration_s": 3600,
        "submitted_at": "2023-05-25T23:00:00Z",
        "deadline_at": "2023-05-27T01:00:00Z",
        "data_class": "open",
        "data_gb": 8.0,
        "checkpointable": False,
        "state": "QUEUED",
        "started_at": None,
        "finished_at": None,
        "spec": {"program": "job-1"},
    }
    return {**values, **changes}


def announce(*items, provider="north"):
    return announce_workloads(items, provider_code=provider, now=NOW)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"kind": "service"}, "kind"),
        ({"external_id": "replica:chat/CN-BJ/1.1"}, "external_id"),
        ({"members": 9}, "members"),
        ({"members": 0}, "members"),
        ({"checkpoint_every_s": 0}, "checkpoint_every_s"),
        ({"requirement": 7}, "requirement"),
    ],
)
def test_what_makes_no_sense_of_gangs_checkpoints_and_requirements_is_named(grid, changes, name):
    report = announce(item(**changes))

    assert [error.field for error in report.errors] == [name]


def test_gangs_checkpoints_and_requirements_are_kept(grid):
    announce(item(members=4, checkpoint_every_s=1800, checkpointable=True, requirement="a100"))

    work = Workload.objects.get()
    assert (work.members, work.checkpoint_every_s, work.requirement) == (4, 1800.0, "a100")


def test_the_same_announcement_twice_is_one_workload(grid):
    first, second = announce(item()), announce(item())

    assert (first.accepted, second.accepted, second.unchanged) == (1, 0, 1)
    assert Workload.objects.count() == 1


def test_a_later_announcement_moves_the_state(grid):
    announce(item())

    announce(item(state="RUNNING", started_at="2023-05-26T00:00:00Z"))

    assert Workload.objects.get().state == "RUNNING"


def test_what_a_workload_asks_for_is_fixed_by_its_first_announcement(grid):
    announce(item())

    announce(item(state="RUNNING", started_at="2023-05-26T00:00:00Z", units=1))

    assert Workload.objects.get().units == 8


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("pool", "elsewhere-gpu", id="unknown pool"),
        pytest.param("external_id", "", id="empty name"),
        pytest.param("external_id", "a\x00b", id="NUL"),
        pytest.param("external_id", "a\u202eb", id="bidi override"),
        pytest.param("tenant", 7, id="number as text"),
        pytest.param("units", True, id="boolean as number"),
        pytest.param("units", "8", id="text as number"),
        pytest.param("units", 0, id="no units"),
        pytest.param("units", 1.5, id="part of a unit"),
        pytest.param("units", 10**40, id="forty digits"),
        pytest.param("requested_duration_s", float("nan"), id="NaN"),
        pytest.param("requested_duration_s", float("inf"), id="infinite"),
        pytest.param("data_gb", -1, id="negative"),
        pytest.param("data_class", "secret", id="unknown class"),
        pytest.param("state", "SLEEPING", id="unknown state"),
        pytest.param("submitted_at", "2023-05-25T23:00:00", id="no offset"),
        pytest.param("submitted_at", "2023-02-30T00:00:00Z", id="no such day"),
        pytest.param("deadline_at", 1685059200, id="epoch seconds"),
        pytest.param("spec", [], id="spec is a list"),
    ],
)
def test_a_bad_field_is_refused_by_name_and_blocks_nobody(grid, field, value):
    report = announce(item(**{field: value}), item(external_id="good"))

    [error] = report.errors
    assert (error.index, error.field) == (0, field)
    assert (report.received, report.accepted, report.rejected) == (2, 1, 1)
    assert Workload.objects.get().external_id == "good"


@pytest.mark.parametrize("junk", [None, 7, "x", [], [[]]])
def test_what_is_no_object_is_refused(grid, junk):
    assert announce(junk).rejected == 1


def test_a_pool_of_another_provider_is_as_unknown_as_none(grid):
    [error] = announce(item(), provider="somebody-else").errors

    assert error.code == "unknown-pool"


def test_twice_in_one_batch_is_said(grid):
    report = announce(item(), item(state="RUNNING"))

    assert (report.accepted, report.errors[0].code) == (1, "twice-in-batch")
