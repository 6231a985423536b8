"""Many connections at once: the same state as one after the other, and no deadlock."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from monitoring import services
from monitoring.models import PoolHour, PoolState, ProviderTally, Sample
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, report, sample

TICK = dt.timedelta(minutes=5)
POOLS = ("a-gpu", "b-gpu", "c-gpu")
SENDERS = 10


def batches():
    rows = [
        sample(code, GRID_NOW - step * TICK, allocated=float(step % 50), queued=float(step % 7))
        for step in range(60)
        for code in POOLS
    ]
    # ten senders, each with all of it cut differently, half of them newest first
    found = []
    for sender in range(SENDERS):
        ordered = rows if sender % 2 else rows[::-1]
        size = 20 + 7 * sender
        found.append([ordered[start : start + size] for start in range(0, len(rows), size)])
    return found


def send_all(parts):
    try:
        return [report("beiyun", part, now=GRID_NOW) for part in parts]
    finally:
        connection.close()


def state():
    return (
        list(Sample.objects.order_by("pool__code", "measured_at").values_list("allocated")),
        list(PoolState.objects.order_by("pool__code").values_list("measured_at", "allocated")),
        list(
            PoolHour.objects.order_by("pool__code", "hour_at").values_list(
                "hour_at", "samples", "allocated_sum", "queued_sum", "demand_max"
            )
        ),
    )


@pytest.mark.django_db(transaction=True)
def test_parallel_senders_leave_what_one_sender_leaves():
    services.keep_partitions(GRID_NOW)
    for code in POOLS:
        PoolFactory(code=code)
    send = batches()
    report("beiyun", [row for part in send[1] for row in part], now=GRID_NOW)
    expected = state()
    for model in (Sample, PoolState, PoolHour, ProviderTally):
        model.objects.all().delete()

    with ThreadPoolExecutor(len(send)) as senders:
        reports = [outcome for outcomes in senders.map(send_all, send) for outcome in outcomes]

    assert state() == expected
    tally = ProviderTally.objects.get()
    assert tally.accepted == len(POOLS) * 60 == sum(outcome.accepted for outcome in reports)
    assert tally.received == SENDERS * tally.accepted
    assert (tally.duplicate, tally.conflict) == ((SENDERS - 1) * tally.accepted, 0)
