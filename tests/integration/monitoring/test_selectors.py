"""What other packages read: documented columns, unknown where unknown, bounded questions."""

import datetime as dt

import numpy as np
import pytest

from monitoring import selectors
from monitoring.domain.headroom import ReadingQuality
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, make_pool, report, report_hours, sample

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)
MIDNIGHT = GRID_NOW.replace(hour=0, minute=0)


@pytest.fixture
def beijing():
    return make_pool("beijing-gpu", region="CN-BJ", provider="beiyun", reserve=5.0)


def test_the_inventory_tells_everything_of_its_pools(demo_inventory):
    pools = {pool.code: pool for pool in selectors.pools()}

    zhongwei = pools["zhongwei-gpu2"]
    assert (zhongwei.site, zhongwei.region, zhongwei.provider) == ("zhongwei", "CN-NX", "xibu")
    assert (zhongwei.jurisdiction, zhongwei.unit, zhongwei.contract) == ("CN", "gpu", 8.0)
    site = next(site for site in selectors.sites() if site.code == "zhongwei")
    assert (zhongwei.pue, zhongwei.lat, zhongwei.lon) == (site.pue, site.lat, site.lon)
    assert site.is_hub
    assert len(selectors.regions()) == 34
    assert len(selectors.providers()) == 6


def test_a_silent_pool_becomes_unknown_and_the_headline_says_so(beijing):
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")
    report("beiyun", [sample("beijing-gpu", GRID_NOW, queued=60.0)], now=GRID_NOW)
    report("jingchu", [sample("wuhan-gpu", GRID_NOW - HOUR)], now=GRID_NOW - HOUR)

    headline = selectors.headline(GRID_NOW)
    states = {reading.pool: reading for reading in selectors.pool_states(GRID_NOW)}
    regions = {reading.region: reading for reading in selectors.region_states(GRID_NOW)}

    assert (headline.supply, headline.unknown_pools, headline.stale_pools) == (100.0, 1, 1)
    assert (headline.headroom, headline.unmet) == (45.0, 15.0)
    assert states["wuhan-gpu"].capacity is None
    assert states["wuhan-gpu"].age_s == 3600.0
    assert regions["CN-HB"].load.capacity is None
    assert regions["CN-HB"].load.quality is ReadingQuality.STALE
    assert regions["CN-BJ"].load.headroom == 45.0


def test_hours_are_read_only_when_they_are_over(beijing):
    report_hours(beijing, MIDNIGHT - 4 * HOUR, [10.0, 20.0, 130.0, 40.0, 50.0])

    frame = selectors.demand_frame(MIDNIGHT - 3 * HOUR, MIDNIGHT + HOUR, as_of=GRID_NOW)

    assert frame["hour_at"].tolist() == [MIDNIGHT - hours * HOUR for hours in (3, 2, 1)]
    assert frame["demand"].tolist() == [20.0, 130.0, 40.0]
    assert frame["queued"].tolist() == [0.0, 30.0, 0.0]
    assert frame["capacity"].tolist() == [100.0] * 3
    assert set(frame["good_share"]) == {1.0}
    assert list(frame.columns[:8]) == [
        "pool",
        "region",
        "hour_at",
        "demand",
        "allocated",
        "queued",
        "capacity",
        "good_share",
    ]


def test_frames_without_rows_have_their_columns(beijing):
    demand = selectors.demand_frame(MIDNIGHT, MIDNIGHT + HOUR)
    energy = selectors.energy_frame(MIDNIGHT, MIDNIGHT + HOUR)
    series = selectors.series("grid", "", MIDNIGHT, until=MIDNIGHT + HOUR)

    assert demand.empty
    assert energy.empty
    assert list(energy.columns)[3:] == ["price_per_unit_h", "carbon_g_per_kwh", "power_kw"]
    assert list(series.columns)[:2] == ["hour_at", "demand"]


def test_energy_is_the_mean_of_what_was_reported(beijing):
    rows = [
        sample("beijing-gpu", MIDNIGHT - HOUR, price_per_unit_h=0.02, carbon_g_per_kwh=500.0),
        sample("beijing-gpu", MIDNIGHT - HOUR / 2, price_per_unit_h=0.04),
    ]
    report("beiyun", rows, now=GRID_NOW)

    (row,) = selectors.energy_frame(MIDNIGHT - HOUR, MIDNIGHT).to_dict("records")

    assert row["price_per_unit_h"] == pytest.approx(0.03)
    assert row["carbon_g_per_kwh"] == 500.0
    assert row["power_kw"] != row["power_kw"]


def test_series_add_up_pools_of_a_region_and_of_the_grid(beijing):
    second = make_pool("second-gpu", region="CN-BJ", provider="beiyun")
    other = make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")
    for pool, units in ((beijing, 10.0), (second, 20.0), (other, 40.0)):
        report_hours(pool, MIDNIGHT - 2 * HOUR, [units, units])

    since = MIDNIGHT - 2 * HOUR
    sums = {
        scope: selectors.series(scope, code, since, until=GRID_NOW)["demand"].tolist()
        for scope, code in (("pool", "second-gpu"), ("region", "CN-BJ"), ("grid", ""))
    }

    assert sums == {"pool": [20.0, 20.0], "region": [30.0, 30.0], "grid": [70.0, 70.0]}
    with pytest.raises(ValueError, match="no scope"):
        selectors.series("country", "CN", since, until=GRID_NOW)


def test_the_trend_is_the_last_full_hours_of_the_grid(beijing):
    report_hours(beijing, MIDNIGHT - 30 * HOUR, [float(hour) for hour in range(30)])

    trend = selectors.trend(GRID_NOW)

    assert len(trend) == 24
    assert trend[-1] == (MIDNIGHT - HOUR, 29.0, 100.0)


def test_provider_tallies_show_zeros_for_one_that_sent_nothing(beijing):
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")
    report("beiyun", [sample("beijing-gpu", GRID_NOW), sample("x", GRID_NOW)], now=GRID_NOW)

    tallies = {tally.provider: tally for tally in selectors.provider_tallies()}

    assert (tallies["beiyun"].accepted, tallies["beiyun"].rejected) == (1, 1)
    assert tallies["jingchu"].received == 0


@pytest.mark.parametrize(
    ("read", "questions"),
    [
        pytest.param(selectors.pools, 1, id="pools"),
        pytest.param(lambda: selectors.pool_states(GRID_NOW), 1, id="pool_states"),
        pytest.param(lambda: selectors.region_states(GRID_NOW), 2, id="region_states"),
        pytest.param(lambda: selectors.headline(GRID_NOW), 1, id="headline"),
        pytest.param(
            lambda: selectors.demand_frame(GRID_NOW - 24 * HOUR, GRID_NOW), 1, id="demand"
        ),
        pytest.param(lambda: selectors.trend(GRID_NOW), 1, id="trend"),
        pytest.param(lambda: selectors.open_alerts(GRID_NOW), 1, id="open_alerts"),
        pytest.param(selectors.provider_tallies, 2, id="provider_tallies"),
    ],
)
def test_the_number_of_questions_does_not_depend_on_the_number_of_pools(
    django_assert_num_queries, read, questions
):
    for number in range(9):
        pool = PoolFactory(code=f"p{number}-gpu")
        report("beiyun", [sample(pool.code, GRID_NOW - HOUR)], now=GRID_NOW)

    with django_assert_num_queries(questions):
        read()


def test_newest_columns_come_as_they_were_asked_for_without_the_silent_ones():
    pools = [PoolFactory(code=f"p{number}-gpu") for number in range(5)]
    for number in (3, 0, 4):
        row = sample(pools[number].code, GRID_NOW, allocated=float(number))
        report("beiyun", [row], now=GRID_NOW)
    asked = np.array([pools[number].pk for number in (4, 1, 0, 3)] + [10**9])

    found = selectors.newest_columns(asked)

    assert found.pool_id.tolist() == [pools[number].pk for number in (4, 0, 3)]
    assert found.values["allocated"].tolist() == [4.0, 0.0, 3.0]
    assert len(selectors.newest_columns(asked[[1]])) == 0
    assert len(selectors.newest_columns(asked[:0])) == 0
