"""Points that a process remembers make the rows that points read back from the database make."""

import random

import pytest
from django.db import connection

from monitoring import ingest, senders, services
from monitoring.domain.columns import read_batch
from monitoring.domain.samples import live_window, to_us
from monitoring.formats import remote_write
from monitoring.models import PoolHour, PoolState, ProviderTally, Sample, Series
from monitoring.senders import memory, recent, rows
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, sample

pytestmark = pytest.mark.django_db(transaction=True)
TICK_MS = 60_000
START_MS = to_us(GRID_NOW) // 1000 - 40 * TICK_MS
POOLS = ("a-gpu", "b-gpu")
COLUMNS = ("capacity", "allocated", "queued", "power_kw")


@pytest.fixture(autouse=True)
def _grid():
    services.keep_partitions(GRID_NOW)
    for code in (*POOLS, "c-gpu"):
        PoolFactory(code=code)
    memory.forget_all()
    yield
    memory.forget_all()


@pytest.fixture
def reads(monkeypatch):
    """Counts how often points are read back."""
    found, read = [], rows.read_points

    def counting(*args, **kwargs):
        found.append(args)
        return read(*args, **kwargs)

    monkeypatch.setattr(rows, "read_points", counting)
    return found


def point(pool, column, tick, value, *, offset_ms=0):
    labels = {"__name__": f"tiaodu_{column}", "tiaodu_pool": pool}
    return labels, [(START_MS + tick * TICK_MS + offset_ms, value)]


def scrape(tick, *, value=40.0):
    return [point(pool, column, tick, value) for pool in POOLS for column in COLUMNS]


def take(series):
    heads = senders.memory_of("beiyun").heads
    points = remote_write.decode(wire.write_v1(series), remote_write.Message.V1, heads)
    window = live_window(GRID_NOW)
    return senders.take_points(
        points, provider_code="beiyun", now=GRID_NOW, window=window, heads=heads
    )


def traffic(seed):
    """Return requests as bad senders make them: cut anywhere, late, missing, twice, changed."""
    rng = random.Random(seed)  # noqa: S311 (traffic of a test)
    sent = []
    for tick in range(16):
        for pool in POOLS:
            for column in COLUMNS:
                if rng.random() < 0.05:
                    continue
                value = float(rng.randrange(1, 90))
                late = rng.choice((0.0,) * 20 + (0.3, 2.2, 5.0))
                sent.append((tick + late, pool, column, value, tick))
                if rng.random() < 0.1:
                    again = value + rng.choice((0.0, 1.0))
                    sent.append((tick + 3 * rng.random(), pool, column, again, tick))
    sent.sort(key=lambda one: one[0])
    requests, at = [], 0
    while at < len(sent):
        size = rng.randrange(1, 12)
        part = sent[at : at + size]
        requests.append([point(pool, column, tick, value) for _, pool, column, value, tick in part])
        at += size
    return requests


def stored():
    fields = ("pool__code", "measured_at", *COLUMNS, "quality", "quality_rule")
    hours = ("pool__code", "hour_at", "samples", "good_samples", "allocated_sum")
    return (
        list(Sample.objects.order_by("pool__code", "measured_at").values_list(*fields)),
        list(PoolState.objects.order_by("pool__code").values_list("pool__code", *COLUMNS)),
        list(PoolHour.objects.order_by("pool__code", "hour_at").values_list(*hours)),
    )


def start_afresh():
    for model in (Sample, PoolState, PoolHour, Series, ProviderTally):
        model.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE monitoring_pointblock")
    memory.forget_all()


@pytest.mark.parametrize("seed", range(6))
def test_a_forgetful_process_makes_the_same_rows(seed):
    requests = traffic(seed)
    answers = [take(series) for series in requests]
    remembered = stored()
    start_afresh()

    again = []
    for series in requests:
        memory.forget_all()
        again.append(take(series))

    assert stored() == remembered
    assert len(remembered[0]) > 10
    counts = [(one.accepted, one.duplicate, one.conflict) for one in answers]
    assert [(one.accepted, one.duplicate, one.conflict) for one in again] == counts


def test_points_are_read_back_once_by_a_process_that_starts(reads):
    for tick in range(12):
        take(scrape(tick))

    assert len(reads) == 1
    assert Sample.objects.count() == 12 * len(POOLS)


def test_points_are_read_back_again_when_somebody_else_has_sent_for_the_provider(reads):
    for tick in range(3):
        take(scrape(tick))
    window = live_window(GRID_NOW)
    other = read_batch({name: [value] for name, value in sample("c-gpu", GRID_NOW).items()}, size=1)

    ingest.ingest_batch(other, provider_code="beiyun", now=GRID_NOW, window=window)
    take(scrape(3))
    take(scrape(4))

    assert len(reads) == 2
    assert Sample.objects.filter(pool__code__in=POOLS).count() == 5 * len(POOLS)


def test_points_are_read_back_when_the_rules_have_changed(reads):
    for tick in range(3):
        take(scrape(tick))
    Series.objects.filter(labels__tiaodu_pool="b-gpu").update(rule="")

    take(scrape(3))

    assert len(reads) == 2


def test_older_points_than_are_remembered_are_read_back(reads):
    for tick in range(8, 20):
        take(scrape(tick))
    before = len(reads)

    take(scrape(1))

    assert len(reads) == before + 1


def test_too_many_points_are_not_remembered(reads, monkeypatch):
    monkeypatch.setattr(recent, "MAX_POINTS", 20)

    for tick in range(5):
        take(scrape(tick))

    assert senders.memory_of("beiyun").recent is None
    # two ticks are few enough, three are not
    assert len(reads) == 3
    assert Sample.objects.count() == 5 * len(POOLS)


def test_what_a_lost_transaction_brought_is_not_remembered(reads, monkeypatch):
    for tick in range(3):
        take(scrape(tick))
    kept = senders.memory_of("beiyun").recent

    def fails(*_args):
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "account_for", fails)
        with pytest.raises(RuntimeError):
            take(scrape(3))

    assert senders.memory_of("beiyun").recent is kept
    take(scrape(3, value=41.0))
    assert len(reads) == 1
    newest = PoolState.objects.order_by("pool__code").values_list("allocated", flat=True)
    assert list(newest) == [41.0, 41.0]
