"""Hours and packed days: what the raw samples say, however and whenever they came."""

import datetime as dt

import numpy as np
import pytest
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitoring import selectors, services
from monitoring.domain.hour_matrix import COLUMNS
from monitoring.models import (
    OutdatedDay,
    PackedDay,
    PoolHour,
    PoolSlot,
    PoolState,
    ProviderTally,
    Sample,
)
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, report, sample

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
MIDNIGHT = GRID_NOW.replace(hour=0, minute=0)
FROM_RAW = """
SELECT pool_id, date_trunc('hour', measured_at, 'UTC') AS hour_at, count(*) AS samples,
       count(*) FILTER (WHERE quality = 0) AS good_samples,
       count(power_kw) FILTER (WHERE quality = 0) AS power_samples,
       count(price_per_unit_h) FILTER (WHERE quality = 0) AS price_samples,
       count(carbon_g_per_kwh) FILTER (WHERE quality = 0) AS carbon_samples,
       coalesce(sum(capacity) FILTER (WHERE quality = 0), 0) AS capacity_sum,
       coalesce(sum(allocated) FILTER (WHERE quality = 0), 0) AS allocated_sum,
       coalesce(sum(queued) FILTER (WHERE quality = 0), 0) AS queued_sum,
       coalesce(sum(power_kw) FILTER (WHERE quality = 0), 0) AS power_kw_sum,
       coalesce(sum(price_per_unit_h) FILTER (WHERE quality = 0), 0) AS price_sum,
       coalesce(sum(carbon_g_per_kwh) FILTER (WHERE quality = 0), 0) AS carbon_sum,
       coalesce(max(allocated + queued) FILTER (WHERE quality = 0), 0) AS demand_max
  FROM monitoring_sample GROUP BY 1, 2 ORDER BY 1, 2
"""
NEWEST_FROM_RAW = """
SELECT DISTINCT ON (pool_id) pool_id, measured_at, allocated, power_kw
  FROM monitoring_sample ORDER BY pool_id, measured_at DESC
"""


def query(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def stored_hours():
    return list(
        PoolHour.objects.order_by("pool_id", "hour_at").values_list("pool_id", "hour_at", *COLUMNS)
    )


def start_afresh():
    for model in (Sample, PoolState, PoolHour, OutdatedDay, PackedDay, ProviderTally):
        model.objects.all().delete()


def matrix_of(pool, since, until):
    found = selectors.hour_matrix(np.array([pool.pk]), since, until, names=COLUMNS)
    return {name: column[0].tolist() for name, column in found.columns.items()}


READINGS = st.lists(
    st.tuples(
        st.sampled_from(["beijing-gpu", "second-gpu"]),
        st.integers(0, 300),
        st.integers(0, 130).map(float),
        st.one_of(st.none(), st.integers(0, 50).map(float)),
    ),
    min_size=1,
    max_size=40,
)


@hypothesis_settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings=READINGS, chunk=st.integers(1, 12), seed=st.integers(0, 9))
def test_hours_and_states_are_what_the_raw_samples_say_in_any_order(readings, chunk, seed):
    start_afresh()
    for code in ("beijing-gpu", "second-gpu"):
        PoolFactory(code=code)
    rows = [
        sample(code, GRID_NOW - dt.timedelta(minutes=7 * age), allocated=units, power_kw=power)
        for code, age, units, power in readings
    ]
    rows += rows[::3]
    np.random.default_rng(seed).shuffle(rows)

    for start in range(0, len(rows), chunk):
        report("beiyun", rows[start : start + chunk], now=GRID_NOW)

    assert stored_hours() == query(FROM_RAW)
    states = PoolState.objects.order_by("pool_id").values_list(
        "pool_id", "measured_at", "allocated", "power_kw"
    )
    assert list(states) == query(NEWEST_FROM_RAW)


def reported_days(pool, *, days):
    steps = [MIDNIGHT - days * DAY + dt.timedelta(minutes=20 * step) for step in range(72 * days)]
    report(
        "beiyun",
        [
            sample(pool.code, at, allocated=float(n % 90), queued=float(n % 7))
            for n, at in enumerate(steps)
        ],
        now=MIDNIGHT,
    )


def test_packed_days_are_read_as_their_hours_were():
    pool = PoolFactory()
    reported_days(pool, days=3)
    since, until = MIDNIGHT - 3 * DAY + dt.timedelta(hours=5), MIDNIGHT - dt.timedelta(hours=2)
    before = matrix_of(pool, since, until)
    now = MIDNIGHT + dt.timedelta(hours=2)

    packed = services.pack_past_days(now)

    assert packed == 3
    assert services.pack_past_days(now) == 0
    PoolHour.objects.all().delete()
    assert matrix_of(pool, since, until) == before
    assert sum(before["samples"]) == 3 * (3 * 24 - 7)


def test_a_late_sample_corrects_a_packed_day_at_once():
    pool = PoolFactory()
    reported_days(pool, days=2)
    now = MIDNIGHT + dt.timedelta(hours=2)
    services.pack_past_days(now)
    late = MIDNIGHT - dt.timedelta(hours=20, minutes=1)

    report("beiyun", [sample(pool.code, late, allocated=77.0)], now=now)

    hour = matrix_of(pool, late.replace(minute=0), late.replace(minute=0) + dt.timedelta(hours=1))
    assert hour["samples"] == [4.0]
    assert OutdatedDay.objects.count() == 1
    assert services.pack_past_days(now) == 1
    again = matrix_of(pool, late.replace(minute=0), late.replace(minute=0) + dt.timedelta(hours=1))
    assert again == hour
    assert not OutdatedDay.objects.exists()


def test_days_of_some_pools_packed_and_of_others_not_are_put_together():
    pools = [PoolFactory(code=f"p{number}-gpu") for number in range(6)]
    for pool in pools:
        reported_days(pool, days=2)
    services.pack_past_days(MIDNIGHT + dt.timedelta(hours=2))
    ids = np.array([pool.pk for pool in pools])
    whole = selectors.hour_matrix(ids, MIDNIGHT - 2 * DAY, MIDNIGHT, names=COLUMNS)

    OutdatedDay.objects.create(pool=pools[4], day_at=MIDNIGHT - 2 * DAY)
    PackedDay.objects.filter(day_at=MIDNIGHT - DAY).delete()

    mixed = selectors.hour_matrix(ids, MIDNIGHT - 2 * DAY, MIDNIGHT, names=COLUMNS)
    for name in COLUMNS:
        np.testing.assert_array_equal(mixed.columns[name], whole.columns[name])
    assert whole.columns["samples"].sum() == 6 * 144


def test_the_present_day_is_never_packed():
    pool = PoolFactory()
    report("beiyun", [sample(pool.code, GRID_NOW)], now=GRID_NOW)

    assert services.pack_past_days(GRID_NOW) == 0


def test_a_pool_with_samples_cannot_be_deleted_behind_djangos_back():
    pool = PoolFactory()
    report("beiyun", [sample(pool.code, GRID_NOW)], now=GRID_NOW)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
            " AND conrelid = 'monitoring_poolslot'::regclass"
            " AND confrelid = 'monitoring_pool'::regclass"
        )
        (guards,) = cursor.fetchone()

    assert guards == 1
    assert PoolSlot.objects.filter(pool=pool).exists()
