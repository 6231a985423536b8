"""What a process remembers of its senders changes no answer: other processes write too."""

import pytest
from django.db import connection, transaction

from monitoring import senders, services
from monitoring.domain.samples import live_window, to_us
from monitoring.formats import remote_write
from monitoring.models import MappingSet, Point, PointShelf, Pool, Sample, Series
from monitoring.senders import memory
from tests import wire
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory

pytestmark = pytest.mark.django_db(transaction=True)
TICK_MS = 60_000
START_MS = to_us(GRID_NOW) // 1000 - 20 * TICK_MS


@pytest.fixture(autouse=True)
def _grid():
    services.keep_partitions(GRID_NOW)
    PoolFactory(code="a-gpu")
    memory.forget_all()
    yield
    memory.forget_all()


def scrape(tick, *names, **more):
    values = {"capacity": 100.0, "allocated": 40.0, "queued": 2.0} | more
    return [
        ({"__name__": f"tiaodu_{name}", "tiaodu_pool": "a-gpu", "part": name}, [at(tick, value)])
        for name, value in values.items()
        if name in (names or values)
    ]


def at(tick, value):
    return START_MS + tick * TICK_MS, value


def take(series):
    heads = senders.memory_of("beiyun").heads
    points = remote_write.decode(wire.write_v1(series), remote_write.Message.V1, heads)
    window = live_window(GRID_NOW)
    return senders.take_points(
        points, provider_code="beiyun", now=GRID_NOW, window=window, heads=heads
    )


class Processes:
    """Two processes on one database, each with a memory of its own."""

    def __init__(self):
        self._kept = [dict(memory._MEMORIES), {}]

    def take(self, number, series):
        memory._MEMORIES.clear()
        memory._MEMORIES.update(self._kept[number])
        try:
            return take(series)
        finally:
            self._kept[number] = dict(memory._MEMORIES)


def rows():
    fields = ("measured_at", "capacity", "allocated", "queued", "power_kw")
    return list(Sample.objects.order_by("measured_at").values_list(*fields))


def test_a_known_request_asks_the_database_the_same_few_questions(django_assert_max_num_queries):
    for tick in range(3):
        take(scrape(tick))

    with django_assert_max_num_queries(14):
        report = take(scrape(3))

    assert report.accepted == 3
    assert len(rows()) == 4


def test_requests_that_go_to_two_processes_leave_what_one_would_leave():
    both, size = Processes(), {"power_kw": 7.0}
    for tick in range(8):
        both.take(tick % 2, scrape(tick, "capacity", "queued", **(size if tick > 3 else {})))
        both.take((tick + tick // 3) % 2, scrape(tick, "allocated", "power_kw", **size))
    in_two = rows()
    for model in (Sample, Point, Series):
        if model is not Point:
            model.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE monitoring_pointblock")
    memory.forget_all()
    for tick in range(8):
        take(scrape(tick, "capacity", "queued", **(size if tick > 3 else {})))
        take(scrape(tick, "allocated", "power_kw", **size))

    assert len(in_two) == 8
    assert in_two == rows()


def test_a_series_that_another_process_registered_is_waited_for():
    both = Processes()
    for tick in range(3):
        both.take(0, scrape(tick))
    both.take(1, scrape(3, "capacity", "power_kw", power_kw=5.0))

    both.take(0, scrape(3, "allocated", "queued"))
    both.take(0, scrape(4))

    # the tick of which power is still expected stays open
    assert [row[4] for row in rows()] == [None, None, None, 5.0]


def test_changed_rules_count_from_the_next_request_on():
    take(scrape(0))
    MappingSet.objects.create(
        provider_id="beiyun", rules=[], changed_at=GRID_NOW, changed_by="test", tick_s=60.0
    )
    Series.objects.update(rule="", pool=None)

    take(scrape(1))

    assert len(rows()) == 1
    assert Point.objects.count() == 6


def test_a_pool_that_goes_takes_its_series_out_of_the_memory():
    PoolFactory(code="b-gpu", site=Pool.objects.get().site)
    other = [
        ({"__name__": "tiaodu_capacity", "tiaodu_pool": "b-gpu"}, [at(tick, 1.0)])
        for tick in (0, 1)
    ]
    take(other[:1])
    Pool.objects.get(code="b-gpu").delete()

    report = take(other[1:])

    assert report.rejected_by_reason == {"unknown-pool": 1}


def test_what_was_rolled_back_is_not_remembered():
    def take_and_fail():
        with transaction.atomic():
            take(scrape(0))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        take_and_fail()

    report = take(scrape(0))

    assert report.accepted == 3
    assert Point.objects.count() == 3
    assert set(Point.objects.values_list("series_id", flat=True)) == set(
        Series.objects.values_list("pk", flat=True)
    )


def test_places_are_given_once_and_to_one_provider():
    PoolFactory(code="c-gpu", site__provider__code="nanyun", site__code="n")
    many = [({"__name__": "x", "n": str(n)}, [at(0, 1.0)]) for n in range(200)]
    take(many)
    Series.objects.filter(labels__n="199").delete()

    take([({"__name__": "y"}, [at(1, 1.0)])])

    shelves = PointShelf.objects.filter(provider_id="beiyun").order_by("shelf")
    assert [shelf.used for shelf in shelves] == [128, 73]
    assert Series.objects.get(labels__contains={"__name__": "y"}).pk % 128 == 72
    assert Point.objects.filter(series__labels__contains={"__name__": "y"}).count() == 1
