"""Many connections of one sender at once: the same points and rows as one after the other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from monitoring import senders, services
from monitoring.domain.samples import live_window, to_us
from monitoring.formats import remote_write
from monitoring.models import Point, PointBlock, PoolState, ProviderTally, Sample, Series
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory

POOLS = ("a-gpu", "b-gpu")
FIGURES = ("capacity", "allocated", "queued")
TICKS = 12
SENDERS = 10


def scrapes():
    start_ms = to_us(GRID_NOW) // 1000
    return [
        (
            {"__name__": f"tiaodu_{name}", "tiaodu_pool": pool},
            [(start_ms - 60_000 * tick, float(10 * tick + position))],
        )
        for tick in range(TICKS)
        for pool in POOLS
        for position, name in enumerate(FIGURES)
    ]


def take(series):
    body = wire.write_v1(series)
    points = remote_write.decode(body, remote_write.Message.V1)
    return senders.take_points(
        points, provider_code="beiyun", now=GRID_NOW, window=live_window(GRID_NOW)
    )


def send_all(parts):
    try:
        return [take(part) for part in parts]
    finally:
        connection.close()


def state():
    points = Point.objects.values_list("series__key", "measured_at", "value")
    rows = Sample.objects.values_list("pool__code", "measured_at", *FIGURES, "quality")
    newest = PoolState.objects.values_list("pool__code", "measured_at", *FIGURES)
    return sorted(points), sorted(rows), sorted(newest)


@pytest.mark.django_db(transaction=True)
def test_ten_connections_in_reversed_order_leave_what_one_sorted_one_leaves():
    services.keep_partitions(GRID_NOW)
    for code in POOLS:
        PoolFactory(code=code)
    everything = scrapes()
    for at in range(len(everything), 0, -6):
        take(everything[at - 6 : at])
    expected = state()
    for model in (Sample, PointBlock, Series, PoolState, ProviderTally):
        model.objects.all().delete()
    # each connection has all of it, newest first, cut after every few series
    cuts = [
        [everything[at : at + size] for at in range(0, len(everything), size)]
        for size in range(1, SENDERS + 1)
    ]

    with ThreadPoolExecutor(SENDERS) as threads:
        reports = [report for found in threads.map(send_all, cuts) for report in found]

    assert len(expected[1]) == TICKS * len(POOLS)
    assert state() == expected
    assert sum(report.accepted for report in reports) == len(everything)
    assert sum(report.duplicate for report in reports) == (SENDERS - 1) * len(everything)
    tally = ProviderTally.objects.get()
    assert (tally.received, tally.rejected) == (SENDERS * len(everything), 0)
