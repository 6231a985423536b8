"""People and tools read single pools of what is packed, and put single figures right."""

import datetime as dt

import pytest

from monitoring import selectors
from monitoring.domain.shelves import SHELF_SLOTS
from monitoring.models import Pool, PoolHour, PoolShelf, PoolSlot, PoolState, Sample, SampleBlock
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, ProviderFactory, SiteFactory, report, sample

pytestmark = pytest.mark.django_db
TICK = dt.timedelta(minutes=5)


@pytest.fixture
def pools():
    return [PoolFactory(code=f"p{number}-gpu") for number in range(4)]


def readings():
    return {reading.pool: reading.allocated for reading in selectors.pool_states(GRID_NOW)}


def test_pools_of_one_provider_share_shelves_and_those_of_two_do_not():
    other = SiteFactory(code="south", provider=ProviderFactory(code="southern"))
    for number in range(SHELF_SLOTS + 2):
        PoolFactory(code=f"n{number}-gpu")
        PoolFactory(code=f"s{number}-gpu", site=other)

    shelves = PoolShelf.objects.order_by("shelf").values_list("provider_id", "used")

    assert sorted(shelves) == [
        *(("beiyun", 2), ("beiyun", SHELF_SLOTS)),
        *(("southern", 2), ("southern", SHELF_SLOTS)),
    ]
    for slot in PoolSlot.objects.select_related("shelf", "pool__site"):
        assert slot.shelf.provider_id == slot.pool.site.provider_id


def test_a_slot_is_not_given_again():
    first, second = (PoolFactory(code=code) for code in ("a-gpu", "b-gpu"))
    place = second.place.slot
    second.delete()

    third = PoolFactory(code="c-gpu")

    assert (first.place.slot, place, third.place.slot) == (0, 1, 2)
    assert not PoolState.objects.filter(pool=third).exists()


def test_a_changed_state_is_what_everybody_reads(pools):
    report("beiyun", [sample(pool.code, GRID_NOW) for pool in pools[:3]], now=GRID_NOW)

    PoolState.objects.filter(pool=pools[1]).update(allocated=61.5, quality="suspect", power_kw=None)
    PoolState.objects.create(
        pool=pools[3],
        measured_at=GRID_NOW,
        received_at=GRID_NOW,
        capacity=100.0,
        allocated=7.0,
        queued=0.0,
        quality="good",
    )
    PoolState.objects.filter(pool=pools[0]).delete()

    assert readings() == {"p0-gpu": None, "p1-gpu": 61.5, "p2-gpu": 50.0, "p3-gpu": 7.0}
    state = PoolState.objects.get(pool=pools[1])
    assert (state.quality, state.quality_rule, state.power_kw) == ("suspect", "", None)


def test_a_changed_hour_is_what_everybody_reads(pools):
    hour = GRID_NOW.replace(minute=0)
    report("beiyun", [sample(pool.code, hour) for pool in pools], now=GRID_NOW)

    PoolHour.objects.filter(pool=pools[1]).update(allocated_sum=12.0)
    PoolHour.objects.filter(pool=pools[0]).delete()

    frame = selectors.demand_frame(hour, hour + dt.timedelta(hours=1))
    means = dict(zip(frame["pool"], frame["allocated"], strict=True))
    assert means == {"p1-gpu": 12.0, "p2-gpu": 50.0, "p3-gpu": 50.0}


def test_a_sample_that_is_taken_out_leaves_the_others(pools):
    figures = {"p0-gpu": 0.5, "p1-gpu": 61.0, "p2-gpu": -0.0, "p3-gpu": 99.0}
    for step in (1, 0):
        rows = [
            sample(code, GRID_NOW - step * TICK, power_kw=power) for code, power in figures.items()
        ]
        report("beiyun", rows, now=GRID_NOW)

    Sample.objects.filter(pool=pools[1], measured_at=GRID_NOW).delete()
    Sample.objects.filter(pool__code="p3-gpu").delete()

    left = Sample.objects.order_by("measured_at", "pool__code").values_list(
        "pool__code", "power_kw"
    )
    assert list(left) == [
        *(("p0-gpu", 0.5), ("p1-gpu", 61.0), ("p2-gpu", 0.0)),
        *(("p0-gpu", 0.5), ("p2-gpu", 0.0)),
    ]
    Sample.objects.all().delete()
    assert not SampleBlock.objects.exists()


def test_parts_of_one_moment_that_came_apart_are_read_as_one(pools):
    for pool in (pools[2], pools[0], pools[3]):
        report("beiyun", [sample(pool.code, GRID_NOW, queued=float(pool.place.slot))], now=GRID_NOW)

    blocks = SampleBlock.objects.order_by("part").values_list("part", "members")

    assert list(blocks) == [(0, 0b100), (1, 0b1), (2, 0b1000)]
    assert list(Sample.objects.order_by("pool").values_list("queued", flat=True)) == [0.0, 2.0, 3.0]
    again = report("beiyun", [sample(pools[0].code, GRID_NOW, queued=0.0)], now=GRID_NOW)
    assert (again.accepted, again.duplicate) == (0, 1)


def test_what_comes_after_a_part_was_taken_out_finds_its_place(pools):
    for pool in pools[:2]:
        report("beiyun", [sample(pool.code, GRID_NOW)], now=GRID_NOW)
    Sample.objects.filter(pool=pools[0]).delete()

    late = report("beiyun", [sample(pool.code, GRID_NOW) for pool in pools], now=GRID_NOW)

    assert (late.accepted, late.duplicate) == (3, 1)
    assert list(SampleBlock.objects.order_by("part").values_list("part", "members")) == [
        (1, 0b10),
        (2, 0b1101),
    ]


def test_figures_of_every_width_are_read_in_sql_as_in_python(pools):
    figures = [0.0, 1.0, -7.25, 127.0, 128.0, 300.25, 32_768.0, 1 / 3, 1e9]
    times = [GRID_NOW - step * TICK for step in range(len(figures))]
    for at, figure in zip(times, figures, strict=True):
        report("beiyun", [sample("p0-gpu", at, price_per_unit_h=figure)], now=GRID_NOW)

    in_sql = dict(Sample.objects.values_list("measured_at", "price_per_unit_h"))

    found = selectors.pool_samples("p0-gpu", times[-1], GRID_NOW + TICK, most=100)
    assert in_sql == dict(zip(times, figures, strict=True))
    assert found.samples.values["price_per_unit_h"].tolist() == figures[::-1]
    assert Pool.objects.count() == len(pools)
