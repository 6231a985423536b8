"""What alert rules see in the readings: trouble, nothing, or that nothing can be said."""

import datetime as dt
import math
from dataclasses import replace

import pytest

from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerting.measures import (
    MEASURED,
    Measurement,
    judge,
    measure,
    measure_skews,
)
from monitoring.domain.alerting.rules import ONLY_LEVEL, AlertRule, Comparison, Level, Metric
from monitoring.domain.alerts import Severity
from monitoring.domain.headroom import LastSample
from monitoring.domain.readings import PoolPlace, read_place
from monitoring.domain.samples import Quality

NOW = dt.datetime(2023, 5, 26, tzinfo=dt.UTC)
LAST = LastSample(
    measured_at=NOW - dt.timedelta(minutes=5),
    capacity=100.0,
    allocated=90.0,
    queued=30.0,
    quality=Quality.GOOD,
)
ROOMY = replace(LAST, allocated=10.0, queued=0.0)
SILENT = replace(LAST, measured_at=NOW - dt.timedelta(minutes=16))
RULES = {rule.name: rule for rule in DEFAULT_RULES}


def reading(last, *, pool="a-gpu", region="CN-BJ", provider="beiyun", reserve=0.0):
    return read_place(PoolPlace(pool, f"{pool}-site", region, provider, reserve), last, NOW)


def look(rule, readings):
    return judge(rule, measure(rule, readings))


def test_a_provider_is_silent_when_no_pool_of_it_reports():
    readings = [
        reading(LAST),
        reading(SILENT, pool="b-gpu"),
        reading(SILENT, pool="d-gpu", region="CN-HB", provider="jingchu"),
        reading(None, pool="c-gpu", region="CN-HB", provider="jingchu"),
    ]

    judgement = look(RULES["PROVIDER_SILENT"], readings)

    (finding,) = judgement.findings
    assert (finding.scope, finding.region_code) == ("provider:jingchu", "CN-HB")
    assert finding.severity is Severity.CRITICAL
    assert finding.detail["pools"] == ["c-gpu", "d-gpu"]
    assert finding.detail["silent_for_s"] == 960.0
    assert judgement.unknown_scopes == frozenset()


def test_a_region_is_short_when_its_queue_exceeds_the_headroom_of_all_its_pools():
    readings = [
        reading(LAST, region="CN-BJ"),
        reading(LAST, region="CN-GD"),
        reading(ROOMY, region="CN-GD", pool="b-gpu"),
    ]

    judgement = look(RULES["CAPACITY_SHORTAGE"], readings)

    found = [(finding.scope, finding.detail["short_units"]) for finding in judgement.findings]
    assert found == [("region:CN-BJ", 20.0)]
    assert judgement.unknown_scopes == frozenset()


def test_an_unknown_pool_leaves_its_region_undecided_unless_it_is_short_anyway():
    readings = [
        reading(ROOMY, region="CN-BJ"),
        reading(SILENT, region="CN-BJ", pool="b-gpu"),
        reading(LAST, region="CN-HB"),
        reading(SILENT, region="CN-HB", pool="c-gpu"),
        reading(SILENT, region="CN-GD"),
    ]

    judgement = look(RULES["CAPACITY_SHORTAGE"], readings)

    assert [finding.scope for finding in judgement.findings] == ["region:CN-HB"]
    assert judgement.unknown_scopes == {"region:CN-BJ", "region:CN-GD"}


@pytest.mark.parametrize(
    ("queued", "severity"),
    [
        pytest.param(35.0, Severity.WARNING, id="a quarter is not more than a quarter"),
        pytest.param(35.1, Severity.CRITICAL, id="more than a quarter of the capacity"),
    ],
)
def test_a_great_shortage_is_critical(queued, severity):
    last = replace(LAST, queued=queued)

    (finding,) = look(RULES["CAPACITY_SHORTAGE"], [reading(last)]).findings

    assert finding.severity is severity


def test_waiting_work_without_any_capacity_is_critical_and_has_a_figure_that_json_knows():
    last = replace(LAST, capacity=0.0, allocated=0.0)

    (finding,) = look(RULES["CAPACITY_SHORTAGE"], [reading(last)]).findings

    assert finding.severity is Severity.CRITICAL
    assert finding.detail["value"] is None
    assert finding.detail["short_units"] == 30.0


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (Metric.HEADROOM_UNITS, 10.0),
        (Metric.HEADROOM_SHARE, 0.1),
        (Metric.UTILIZATION, 0.9),
        (Metric.QUEUED_UNITS, 30.0),
        (Metric.SHORTAGE_UNITS, 20.0),
        (Metric.SHORTAGE_SHARE, 0.2),
        (Metric.SAMPLE_AGE_S, 300.0),
        (Metric.UNKNOWN_SHARE, 0.0),
        (Metric.SUSPECT_SHARE, 0.0),
        (Metric.ALWAYS, 1.0),
    ],
)
def test_each_metric_has_its_figure(metric, value):
    rule = AlertRule("RULE", metric, Level.POOL, Comparison.ABOVE, 0.0)

    (seen,) = measure(rule, [reading(LAST)])

    assert seen.value == pytest.approx(value)


def test_every_metric_is_measured_here_or_belongs_to_one_level():
    assert set(Metric) == MEASURED.keys() | ONLY_LEVEL.keys()


@pytest.mark.parametrize(
    ("metric", "last"),
    [
        pytest.param(metric, None, id=metric.value)
        for metric in sorted(MEASURED.keys() - {Metric.UNKNOWN_SHARE, Metric.ALWAYS})
    ],
)
def test_a_pool_that_never_reported_has_no_figure(metric, last):
    rule = AlertRule("RULE", metric, Level.POOL, Comparison.BELOW, 1e9)

    judgement = look(rule, [reading(last)])

    assert judgement.findings == ()
    assert judgement.unknown_scopes == {"pool:a-gpu"}


@pytest.mark.parametrize(
    ("only", "codes"),
    [
        pytest.param({}, ["a-gpu", "b-gpu", "c-gpu"], id="all"),
        pytest.param({"regions": ("CN-GD",)}, ["b-gpu", "c-gpu"], id="a region"),
        pytest.param(
            {"regions": ("CN-GD",), "providers": ("lingnan",)}, ["c-gpu"], id="both must hold"
        ),
        pytest.param({"pools": ("a-gpu", "c-gpu")}, ["a-gpu", "c-gpu"], id="pools"),
        pytest.param({"pools": ("no-such",)}, [], id="none"),
    ],
)
def test_a_filter_chooses_the_pools_that_are_looked_at(only, codes):
    rule = AlertRule("RULE", Metric.UTILIZATION, Level.POOL, Comparison.ABOVE, 0.5, only=only)
    readings = [
        reading(LAST),
        reading(LAST, pool="b-gpu", region="CN-GD"),
        reading(LAST, pool="c-gpu", region="CN-GD", provider="lingnan"),
    ]

    assert [seen.code for seen in measure(rule, readings)] == codes


def test_the_watchdog_finds_something_in_an_empty_grid_too():
    (finding,) = look(RULES["WATCHDOG"], []).findings

    assert finding.scope == "grid:all"


@pytest.mark.parametrize(
    ("comparison", "holds"),
    [
        (Comparison.ABOVE, (False, False, True)),
        (Comparison.AT_LEAST, (False, True, True)),
        (Comparison.BELOW, (True, False, False)),
        (Comparison.AT_MOST, (True, True, False)),
    ],
)
def test_each_comparison_knows_its_bad_side(comparison, holds):
    assert tuple(comparison.holds(value, 2.0) for value in (1.0, 2.0, 3.0)) == holds


def test_nothing_is_said_of_a_figure_that_is_unknown_and_trouble_of_an_infinite_one():
    rule = AlertRule("RULE", Metric.SHORTAGE_SHARE, Level.REGION, Comparison.ABOVE, 0.0)

    judgement = judge(rule, [Measurement("A", None), Measurement("B", math.inf)])

    assert [finding.scope for finding in judgement.findings] == ["region:B"]
    assert judgement.unknown_scopes == {"region:A"}


def test_a_clock_that_is_off_is_found_whichever_way_it_goes():
    rule = AlertRule(
        "CLOCK_OFF",
        Metric.CLOCK_SKEW_S,
        Level.PROVIDER,
        Comparison.ABOVE,
        5.0,
        only={"providers": ("ahead", "behind", "right", "silent")},
    )
    skews = {"ahead": 6.0, "behind": -7.0, "right": 1.0, "silent": None, "other": 99.0}

    judgement = judge(rule, measure_skews(rule, skews))

    assert [finding.detail["skew_s"] for finding in judgement.findings] == [6.0, -7.0]
    assert judgement.unknown_scopes == {"provider:silent"}
