"""Partitions, the loops around them, and what the database itself refuses."""

import datetime as dt

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from controlplane.lib.loops import one_at_a_time
from monitoring import services, tasks
from monitoring.domain.partitions import WEEK
from monitoring.models import Sample
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, report, sample

pytestmark = pytest.mark.django_db


def partition_names():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'monitoring_sampleblock'::regclass"
        )
        return {name for (name,) in cursor.fetchall()}


def test_partitions_are_made_weeks_ahead_and_once():
    later = GRID_NOW + 50 * WEEK

    first, _ = services.keep_partitions(later)
    second, _ = services.keep_partitions(later)

    assert (first, second) == (5, 0)
    report("beiyun", [sample(PoolFactory().code, later + 3 * WEEK)], now=later + 3 * WEEK)


def test_a_partition_past_its_retention_is_dropped_with_its_samples(settings):
    pool = PoolFactory()
    old, young = GRID_NOW - 4 * WEEK, GRID_NOW - WEEK
    services.keep_partitions(GRID_NOW, since=old)
    settings.RETENTION_DAYS = 14.0
    report("beiyun", [sample(pool.code, old), sample(pool.code, young)], now=GRID_NOW)

    _, dropped = services.keep_partitions(GRID_NOW)

    assert dropped > 0
    assert list(Sample.objects.values_list("measured_at", flat=True)) == [young]


@pytest.mark.usefixtures("grid_time")
def test_the_loop_keeps_partitions_at_grid_time():
    before = partition_names()

    tasks.keep_partitions()

    assert partition_names() >= before


@pytest.mark.usefixtures("grid_time")
def test_the_loop_evaluates_alerts_at_grid_time():
    PoolFactory()

    tasks.evaluate_alerts()

    # a pool that never reported: its provider is silent
    with connection.cursor() as cursor:
        cursor.execute("SELECT scope FROM monitoring_alert")
        assert cursor.fetchall() == [("provider:beiyun",)]


def other_session():
    keys = ("dbname", "user", "host", "port", "password")
    settings = connection.get_connection_params()
    return psycopg.connect(
        **{key: settings[key] for key in keys if settings.get(key)}, autocommit=True
    )


def test_a_loop_that_runs_elsewhere_is_left_alone_until_it_is_done():
    with one_at_a_time("a loop") as is_mine, other_session() as session:
        objid = session.execute(
            "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = 29088"
        ).fetchone()
        taken = session.execute(
            "SELECT pg_try_advisory_lock(29088, %s::bigint::bit(32)::int)", objid
        ).fetchone()
        with one_at_a_time("another loop") as other_is_mine:
            pass

    with one_at_a_time("a loop") as is_mine_again:
        pass
    assert (is_mine, other_is_mine, is_mine_again, taken) == (True, True, True, (False,))


def test_a_tick_that_overlaps_another_returns_at_once(monkeypatch):
    looked = []
    monkeypatch.setattr(services, "evaluate_alerts", looked.append)
    with other_session() as session:
        with one_at_a_time("monitoring.evaluate_alerts"):
            found = session.execute(
                "SELECT objid::bigint::bit(32)::int FROM pg_locks "
                "WHERE locktype = 'advisory' AND classid = 29088"
            ).fetchone()
        session.execute("SELECT pg_advisory_lock(29088, %s)", found)

        tasks.evaluate_alerts()

    assert looked == []


@pytest.mark.parametrize(
    "mangled",
    [
        """ "values" = substring("values" FROM 2) """,
        """ "values" = "values" || '\\x00' """,
        "members = members | 4",
        "members = 0",
        "kinds = 'h0h0h0'",
        "kinds = replace(kinds, 'z', 'q')",
    ],
)
def test_the_database_itself_lets_no_mangled_block_in(mangled):
    report("beiyun", [sample(PoolFactory().code, GRID_NOW)], now=GRID_NOW)

    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE monitoring_sampleblock SET {mangled}")  # noqa: S608


def test_a_sample_is_read_as_a_row_of_its_pool():
    pool = PoolFactory()
    report("beiyun", [sample(pool.code, GRID_NOW, unavailable=2.0)], now=GRID_NOW)

    row = Sample.objects.select_related("pool").get()

    assert (row.pool.code, row.unavailable, row.power_kw) == ("beijing-gpu", 2.0, None)
    assert row.received_at - row.measured_at == dt.timedelta(0)
