"""Requests that are stored by one commit: the table and the answers of one after the other."""

import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from monitoring import ingest, senders, services
from monitoring.domain.columns import read_batch
from monitoring.domain.samples import live_window, to_us
from monitoring.formats import remote_write
from monitoring.ingest import batches, together
from monitoring.models import (
    MappingSet,
    Point,
    PointBlock,
    PointShelf,
    PoolHour,
    PoolState,
    ProviderTally,
    Sample,
    Series,
)
from monitoring.senders import intake, memory
from monitoring.senders.rules import lock_sender
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, sample

pytestmark = pytest.mark.django_db(transaction=True)
POOLS = ("a-gpu", "b-gpu", "c-gpu")
FIGURES = ("capacity", "allocated", "queued")
COUNTS = ("received", "accepted", "duplicate", "conflict", "rejected", "errors_total")
WINDOW = live_window(GRID_NOW)
MINUTE = dt.timedelta(minutes=1)
LONG_S = 20.0


@pytest.fixture(autouse=True)
def _grid():
    services.keep_partitions(GRID_NOW)
    for code in POOLS:
        PoolFactory(code=code)
    memory.forget_all()
    yield
    memory.forget_all()


def push_points(series):
    heads = senders.memory_of("beiyun").heads
    points = remote_write.decode(wire.write_v1(series), remote_write.Message.V1, heads)
    return senders.take_points(
        points, provider_code="beiyun", now=GRID_NOW, window=WINDOW, heads=heads
    )


def push_rows(rows):
    names = {name for row in rows for name in row}
    batch = read_batch({name: [row.get(name) for row in rows] for name in names}, size=len(rows))
    return ingest.ingest_batch(batch, provider_code="beiyun", now=GRID_NOW, window=WINDOW)


def scrape(tick, pool, *, add=0.0, **values):
    values = {"capacity": 100.0, "allocated": 40.0 + tick, "queued": 2.0} | values
    at_ms = to_us(GRID_NOW) // 1000 - 60_000 * (30 - tick)
    return [
        ({"__name__": f"tiaodu_{name}", "tiaodu_pool": pool}, [(at_ms, value + add)])
        for name, value in values.items()
    ]


def row(tick, pool, **values):
    values = {"allocated": 40.0 + tick} | values
    return sample(pool, GRID_NOW - (30 - tick) * MINUTE, **values)


def send_together(push, requests, gate):
    """Let all requests but the first wait for it, and return their outcomes in their order."""

    def send(request):
        try:
            return push(request)
        except Exception as error:  # noqa: BLE001 (looked at by the test)
            return error
        finally:
            connection.close()

    desks = gate.__self__._desks

    def come():
        desk = desks.get("beiyun")
        return desk.turns_taken + len(desk.queue) if desk else 0

    with ThreadPoolExecutor(len(requests)) as threads:
        with transaction.atomic():
            hold_all()
            found = []
            for number, request in enumerate(requests):
                found.append(threads.submit(send, request))
                wait_for(lambda number=number: come() == number + 1)
        return [one.result(LONG_S) for one in found]


def hold_all():
    lock_sender("beiyun")
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE monitoring_sample IN EXCLUSIVE MODE")


def wait_for(is_so):
    until = time.monotonic() + LONG_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.002)


def counted(report):
    return {name: getattr(report, name) for name in COUNTS} | {
        "reasons": dict(report.rejected_by_reason),
        "errors": [(error.index, error.code) for error in report.errors],
    }


def state():
    tally = ProviderTally.objects.get()
    return {
        "points": sorted(Point.objects.values_list("series__key", "measured_at", "value")),
        "series": sorted(Series.objects.values_list("key", "rule", "pool__code")),
        "rows": sorted(Sample.objects.values_list("pool__code", "measured_at", *FIGURES)),
        "newest": sorted(PoolState.objects.values_list("pool__code", "measured_at", *FIGURES)),
        "hours": sorted(
            PoolHour.objects.values_list("pool__code", "hour_at", "samples", "allocated_sum")
        ),
        "tally": [getattr(tally, name) for name in COUNTS[:-1]] + [tally.rejected_by_reason],
    }


def forget_everything():
    for model in (Sample, PointBlock, Series, PointShelf, PoolState, PoolHour, ProviderTally):
        model.objects.all().delete()
    memory.forget_all()


@pytest.fixture
def commits(monkeypatch):
    """How many requests each commit has stored."""
    found = []
    monkeypatch.setattr(
        together, "REQUESTS", type("Noted", (), {"observe": staticmethod(found.append)})
    )
    return found


# the first opens the door; of the others some repeat, some contradict, some cannot be taken
def point_requests():
    future = (to_us(GRID_NOW) // 1000 + 10_000_000, 1.0)
    return [
        scrape(1, "a-gpu"),
        scrape(1, "a-gpu") + scrape(2, "a-gpu"),
        scrape(2, "a-gpu", add=1.0) + scrape(2, "b-gpu"),
        scrape(3, "a-gpu") + scrape(3, "nobody-gpu") + scrape(1, "b-gpu"),
        [*scrape(3, "a-gpu"), ({"__name__": "up", "job": "x"}, [future])],
        [*scrape(3, "c-gpu"), ({"__name__": "up", "job": "x"}, [scrape(3, "a-gpu")[0][1][0]])],
        scrape(2, "b-gpu", queued=77.0) + scrape(3, "b-gpu") + scrape(3, "b-gpu", add=5.0),
    ]


def row_requests():
    return [
        [row(1, "a-gpu")],
        [row(1, "a-gpu"), row(2, "a-gpu"), row(3, "b-gpu")],
        [row(2, "a-gpu", queued=9.0), row(2, "b-gpu"), row(9, "nobody-gpu")],
        [row(2, "b-gpu"), row(2, "b-gpu", queued=1.0), row(1, "c-gpu", capacity=-1.0)],
        [row(-5000, "a-gpu"), row(4, "a-gpu"), row(3, "b-gpu", queued=5.0)],
        [row(4, "a-gpu"), row(5, "c-gpu"), row(4, "c-gpu", allocated=None)],
    ]


@pytest.mark.parametrize(
    ("push", "requests", "gate"),
    [
        (push_points, point_requests, intake._TOGETHER.take),
        (push_rows, row_requests, batches._TOGETHER.take),
    ],
    ids=["points", "rows"],
)
def test_one_commit_stores_and_answers_what_one_by_one_does(
    push, requests, gate, commits, monkeypatch
):
    # with more turns than one there is no order to compare with
    monkeypatch.setattr(gate.__self__, "_turns", 1)
    one_by_one = [counted(push(request)) for request in requests()]
    expected = state()
    forget_everything()
    commits.clear()

    reports = send_together(push, requests(), gate)

    assert commits == [1, len(reports) - 1]
    assert [counted(report) for report in reports] == one_by_one
    assert state() == expected


@pytest.mark.parametrize("number", [1, 3])
def test_a_request_that_breaks_the_statement_harms_no_other(number, commits, monkeypatch):
    requests = [scrape(tick, "a-gpu") for tick in range(5)]
    form = intake.form_rows

    def break_on_marked(touched, *args, **options):
        if (touched.value == 77.0).any():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return form(touched, *args, **options)

    requests[number] = scrape(number, "a-gpu", allocated=77.0)
    monkeypatch.setattr(intake, "form_rows", break_on_marked)

    outcomes = send_together(push_points, requests, intake._TOGETHER.take)

    assert "division by zero" in str(outcomes.pop(number))
    assert [report.accepted for report in outcomes] == [3] * 4
    assert commits == [1] * 4
    assert Sample.objects.count() == 4
    assert ProviderTally.objects.get().received == 12


def test_the_last_free_series_goes_to_one_label_set_however_many_send_it(commits):
    MappingSet.objects.create(
        provider_id="beiyun", rules=[], tick_s=60.0, series_limit=2, changed_at=GRID_NOW
    )
    at_ms = to_us(GRID_NOW) // 1000
    one, two, three = ({"__name__": name} for name in ("one", "two", "three"))
    requests = [
        [(one, [(at_ms, 1.0)])],
        *([(two, [(at_ms - shift, 2.0)])] for shift in range(4)),
        [(three, [(at_ms, 3.0)])],
    ]

    reports = send_together(push_points, requests, intake._TOGETHER.take)

    assert commits == [1, 5]
    assert [report.accepted for report in reports] == [1, 1, 1, 1, 1, 0]
    assert dict(reports[-1].rejected_by_reason) == {"series-limit": 1}


def test_too_wide_a_stretch_of_several_is_looked_at_one_by_one(commits, monkeypatch):
    # four shelves and ticks are too many together, and few enough alone
    monkeypatch.setattr("monitoring.senders.rows.MAX_BLOCKS", 3)
    monkeypatch.setattr("monitoring.senders.recent.MAX_POINTS", 0)
    requests = [scrape(tick, "a-gpu") for tick in (1, 2, 12, 22)]

    reports = send_together(push_points, requests, intake._TOGETHER.take)

    assert commits == [1, 1, 1, 1]
    assert [report.accepted for report in reports] == [3] * 4
    assert Sample.objects.count() == 4


def test_what_lies_hours_apart_is_not_stored_together(commits):
    live = scrape(30, "a-gpu")
    old = [(labels, [(at - 7_200_000, value)]) for labels, [(at, value)] in scrape(1, "a-gpu")]

    send_together(push_points, [scrape(29, "a-gpu"), old, live], intake._TOGETHER.take)

    assert commits == [1, 1, 1]


def test_inside_a_callers_transaction_nobody_is_waited_for(commits):
    with transaction.atomic():
        report = push_rows([row(1, "a-gpu")])

    assert (report.accepted, commits) == (1, [1])
    assert batches._TOGETHER._desks == {}


def test_a_crowd_of_repeating_and_contradicting_senders_adds_up():
    senders_count, rounds = 8, 12
    start = threading.Barrier(senders_count)

    def send(number):
        start.wait(LONG_S)
        try:
            found = []
            for tick in range(rounds):
                # everybody says the same of a-gpu, something of its own of b-gpu
                found.append(push_points(scrape(tick, "a-gpu") + scrape(tick, "b-gpu", add=number)))
                found.append(push_rows([row(tick, "c-gpu", queued=float(number // 4))]))
            return found
        finally:
            connection.close()

    with ThreadPoolExecutor(senders_count) as threads:
        found = [
            report for reports in threads.map(send, range(senders_count)) for report in reports
        ]

    tally = ProviderTally.objects.get()
    for name in COUNTS[:-1]:
        assert getattr(tally, name) == sum(getattr(report, name) for report in found)
    assert tally.received == senders_count * rounds * 7
    assert tally.accepted == rounds * 7
    assert tally.duplicate == rounds * (3 * (senders_count - 1) + 3)
    assert tally.conflict == rounds * (3 * (senders_count - 1) + 4)
    assert Point.objects.count() == rounds * 6
    assert Sample.objects.count() == rounds * 3
    assert PoolHour.objects.filter(pool__code="c-gpu").get().samples == rounds
