"""What is known now: fresh values, stale ones that become unknown, sums that say what they miss."""

import datetime as dt
from dataclasses import replace
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.headroom import LastSample, ReadingQuality, add_up, read_pool
from monitoring.domain.partitions import WEEK, partition_of_name, partitions_between
from monitoring.domain.readings import PoolPlace, read_grid, read_place, read_region
from monitoring.domain.rollups import add_up_hours, demand_means, energy_means
from monitoring.domain.samples import Quality
from tests.strategies import UTC_MOMENTS

NOW = dt.datetime(2023, 5, 26, tzinfo=dt.UTC)
LAST = LastSample(
    measured_at=NOW - dt.timedelta(minutes=5),
    capacity=100.0,
    allocated=90.0,
    queued=30.0,
    quality=Quality.GOOD,
    price_per_unit_h=0.03,
    carbon_g_per_kwh=500.0,
)
SILENT = replace(LAST, measured_at=NOW - dt.timedelta(minutes=16))


def reading(last, *, pool="a-gpu", region="CN-BJ", provider="beiyun", reserve=0.0):
    return read_place(PoolPlace(pool, f"{pool}-site", region, provider, reserve), last, NOW)


def test_headroom_keeps_the_reserve_free():
    load = read_pool(LAST, reserve=4.0, stale_after_s=900.0, now=NOW)

    assert (load.headroom, load.unmet, load.demand) == (6.0, 24.0, 120.0)
    assert load.utilization == 0.9


def test_an_overfull_pool_has_negative_headroom_and_all_of_its_queue_unmet():
    load = read_pool(replace(LAST, allocated=110.0), reserve=0.0, stale_after_s=900.0, now=NOW)

    assert (load.headroom, load.unmet) == (-10.0, 30.0)


@pytest.mark.parametrize(
    ("age_s", "quality"), [(900, ReadingQuality.GOOD), (901, ReadingQuality.STALE)]
)
def test_a_pool_is_stale_just_past_its_limit(age_s, quality):
    last = replace(LAST, measured_at=NOW - dt.timedelta(seconds=age_s))

    load = read_pool(last, reserve=0.0, stale_after_s=900.0, now=NOW)

    assert load.quality is quality
    assert (load.capacity is None) == (quality is ReadingQuality.STALE)


def test_a_silent_pool_is_unknown_not_zero_and_not_the_last_value():
    silent = reading(SILENT)

    figures = (silent.capacity, silent.allocated, silent.queued, silent.headroom)
    assert figures == (None, None, None, None)
    assert silent.utilization is None
    assert silent.price_per_unit_h is None
    assert silent.age_s == 960.0
    assert silent.measured_at == SILENT.measured_at


def test_a_pool_that_never_reported_has_no_age():
    never = reading(None)

    assert (never.quality, never.age_s, never.measured_at) == (ReadingQuality.UNKNOWN, None, None)


def test_a_clock_slightly_ahead_makes_no_negative_age():
    ahead = replace(LAST, measured_at=NOW + dt.timedelta(seconds=60))

    assert reading(ahead).age_s == 0.0


def test_sums_cover_the_known_pools_and_say_how_many():
    total = read_grid([reading(LAST), reading(SILENT), reading(None)])

    assert (total.supply, total.demand, total.headroom, total.unmet) == (100.0, 120.0, 10.0, 20.0)
    assert (total.pools, total.unknown_pools, total.stale_pools) == (3, 2, 1)
    assert total.oldest_age_s == 960.0
    assert total.quality is ReadingQuality.UNKNOWN


def test_a_grid_of_silent_pools_has_no_figures():
    total = read_grid([reading(SILENT)])

    assert (total.supply, total.demand, total.unmet) == (None, None, None)


def test_a_region_without_pools_has_no_figures():
    region = read_region("CN-XZ", [])

    assert (region.load.pools, region.load.capacity) == (0, None)
    assert region.load.quality is ReadingQuality.UNKNOWN


def test_a_region_weighs_price_and_carbon_by_capacity():
    small = replace(LAST, capacity=50.0, price_per_unit_h=0.06, carbon_g_per_kwh=200.0)

    region = read_region("CN-BJ", [reading(LAST), reading(small), reading(SILENT)])

    assert region.price_per_unit_h == pytest.approx(0.04)
    assert region.carbon_g_per_kwh == pytest.approx(400.0)


def test_a_suspect_pool_keeps_its_figures_and_is_marked():
    suspect = replace(LAST, quality=Quality.SUSPECT, quality_rule="over-claim")

    marked = reading(suspect)

    assert (marked.pool, marked.site) == ("a-gpu", "a-gpu-site")
    assert (marked.quality, marked.quality_rule) == (ReadingQuality.SUSPECT, "over-claim")
    assert marked.capacity == 100.0


@given(st.lists(st.sampled_from([LAST, SILENT, None]), max_size=8))
def test_adding_up_does_not_depend_on_the_order(lasts):
    loads = [reading(last).load for last in lasts]

    assert add_up(loads) == add_up(loads[::-1])


@given(UTC_MOMENTS, st.timedeltas(dt.timedelta(microseconds=1), dt.timedelta(days=60)))
def test_partitions_cover_a_span_without_gap_or_overlap(since, span):
    parts = partitions_between(since, since + span)

    assert parts[0].start <= since < parts[0].end
    assert parts[-1].start < since + span <= parts[-1].end
    assert all(one.end == other.start for one, other in pairwise(parts))
    assert [partition_of_name(part.name) for part in parts] == parts
    assert all(part.end - part.start == WEEK for part in parts)


@pytest.mark.parametrize(
    "name", ["monitoring_sampleblock", "monitoring_sampleblock_x", "other_20230522"]
)
def test_other_tables_are_no_partitions(name):
    assert partition_of_name(name) is None


def hour_sums(**columns):
    base = {
        "pool": ["a", "b"],
        "region": ["R", "R"],
        "hour_at": pd.to_datetime(["2023-05-26T00:00Z"] * 2),
        "samples": [12.0, 12.0],
        "good_samples": [6.0, 0.0],
        "capacity_sum": [600.0, 0.0],
        "allocated_sum": [300.0, 0.0],
        "queued_sum": [60.0, 0.0],
    }
    return pd.DataFrame({**base, **columns})


def test_an_hour_without_a_good_sample_has_no_demand():
    means = demand_means(hour_sums())

    assert means["demand"].tolist()[0] == 60.0
    assert means["demand"].isna().tolist() == [False, True]
    assert means["good_share"].tolist() == [0.5, 0.0]


def test_several_pools_add_up_over_those_that_are_known():
    total = add_up_hours(demand_means(hour_sums()))

    assert total.to_dict("records") == [
        {
            "hour_at": pd.Timestamp("2023-05-26T00:00Z"),
            "demand": 60.0,
            "allocated": 50.0,
            "queued": 10.0,
            "capacity": 100.0,
            "pools": 1,
        }
    ]


def test_energy_means_divide_by_what_was_reported():
    sums = hour_sums(
        price_sum=[0.3, 0.0],
        price_samples=[10.0, 0.0],
        carbon_sum=[600.0, 0.0],
        carbon_samples=[6.0, 0.0],
        power_kw_sum=[12.0, 1.0],
        power_samples=[12.0, 1.0],
    )

    means = energy_means(sums)

    assert means["price_per_unit_h"].iloc[0] == pytest.approx(0.03)
    assert means["carbon_g_per_kwh"].iloc[0] == 100.0
    assert means["price_per_unit_h"].isna().tolist() == [False, True]
    assert means["power_kw"].tolist() == [1.0, 1.0]
