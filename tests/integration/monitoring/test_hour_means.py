"""Hourly means from packed days: what is kept in memory never outlives the rows it was made of."""

import datetime as dt

import numpy as np
import pytest

from monitoring import selectors, services
from monitoring.domain.hour_matrix import columns_of, means, over_groups
from monitoring.models import PackedDay
from monitoring.selectors.hours import means as kept
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, report, sample

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("grid_time")]
MIDNIGHT = GRID_NOW.replace(hour=0, minute=0)
DAY = dt.timedelta(days=1)
SINCE, UNTIL = MIDNIGHT - 2 * DAY + dt.timedelta(hours=3), MIDNIGHT + dt.timedelta(hours=4)
AFTER = MIDNIGHT + dt.timedelta(hours=6)


@pytest.fixture
def pool_ids():
    """Three pools with two days and a half of samples, not all of them in every hour."""
    found = []
    for number in range(3):
        pool = PoolFactory(code=f"p{number}-gpu")
        moments = [MIDNIGHT - 2 * DAY + dt.timedelta(minutes=40 * step) for step in range(78)]
        rows = [
            sample(pool.code, at, allocated=float((7 * n + 11 * number) % 90))
            for n, at in enumerate(moments[number::2] if number else moments)
        ]
        report("beiyun", rows, now=AFTER)
        found.append(pool.pk)
    # not in order of their keys, as places are not
    return np.array([found[2], found[0], found[1]])


def from_sums(pool_ids):
    matrix = selectors.hour_matrix(pool_ids, SINCE, UNTIL, names=columns_of(["allocated"]))
    return means(matrix, "allocated")[np.searchsorted(matrix.pool_id, pool_ids)]


def check(pool_ids):
    """Hold means and groups' means against the sums, which nothing keeps."""
    expected = from_sums(pool_ids)
    assert not np.isnan(expected).all()
    for _ in range(2):
        found = selectors.hour_means(pool_ids, SINCE, UNTIL, measure="allocated")
        np.testing.assert_array_equal(found, expected)
        for adds_up in (False, True):
            group = np.array([1, 0, 1])
            grouped = selectors.hour_group_means(
                *(pool_ids, group, SINCE, UNTIL), measure="allocated", groups=2, adds_up=adds_up
            )
            np.testing.assert_allclose(
                grouped, over_groups(expected, group, groups=2, adds_up=adds_up), rtol=1e-12
            )


def test_means_are_those_of_the_sums_packed_or_not(pool_ids):
    check(pool_ids)

    assert services.pack_past_days(AFTER) == 2

    check(pool_ids)


def test_a_packed_day_is_read_once(pool_ids, monkeypatch):
    services.pack_past_days(AFTER)
    check(pool_ids)
    asked = []
    monkeypatch.setattr(kept, "_read_days", lambda missing, _measure: asked.append(missing) or [])

    check(pool_ids)

    assert asked == []


def test_a_late_sample_and_a_day_packed_anew_are_seen_at_once(pool_ids):
    services.pack_past_days(AFTER)
    check(pool_ids)
    before = from_sums(pool_ids)

    late = MIDNIGHT - dt.timedelta(hours=3, minutes=13)
    report("beiyun", [sample("p0-gpu", late, allocated=3.0)], now=AFTER)

    assert not np.array_equal(from_sums(pool_ids), before, equal_nan=True)
    check(pool_ids)
    assert services.pack_past_days(AFTER) == 1
    check(pool_ids)


def test_a_pack_that_is_gone_is_not_answered_from_memory(pool_ids):
    services.pack_past_days(AFTER)
    check(pool_ids)

    PackedDay.objects.filter(day_at=MIDNIGHT - DAY).delete()

    check(pool_ids)


def test_pools_that_never_reported_are_unknown(pool_ids):
    services.pack_past_days(AFTER)
    silent = PoolFactory(code="silent-gpu").pk

    found = selectors.hour_means(
        np.append(pool_ids, silent), SINCE, UNTIL, measure="price_per_unit_h"
    )

    assert np.isnan(found[3]).all()
    nobody = np.zeros(0, np.int64)
    assert selectors.hour_means(nobody, SINCE, UNTIL, measure="demand").shape == (0, 49)
