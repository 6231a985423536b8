"""What an alert rule may say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerting.rules import (
    ONLY_LEVEL,
    PLACEHOLDERS,
    AlertRule,
    BadAlertRule,
    Comparison,
    Level,
    Metric,
    fill_places,
    read_alert_rule,
    write_alert_rule,
)
from monitoring.domain.alerts import AlertKind, Severity

LEAST = {
    "name": "POOL_HOT",
    "metric": "utilization",
    "level": "pool",
    "comparison": ">",
    "threshold": 0.95,
}


@pytest.mark.parametrize("rule", DEFAULT_RULES, ids=lambda rule: rule.name)
def test_the_rules_that_come_along_can_be_read(rule):
    assert read_alert_rule(json.loads(json.dumps(write_alert_rule(rule)))) == rule


def test_a_rule_comes_along_for_every_kind_and_speaks_both_languages():
    assert [rule.name for rule in DEFAULT_RULES] == list(AlertKind)
    assert {*DEFAULT_RULES[0].annotations} == {"summary_zh", "summary_en"}
    assert all({*rule.annotations} == {"summary_zh", "summary_en"} for rule in DEFAULT_RULES)


def test_the_rules_that_come_along_hold_as_long_as_ever():
    holds = {rule.name: (rule.for_s, rule.keep_firing_for_s) for rule in DEFAULT_RULES}

    assert holds == {
        "PROVIDER_SILENT": (300.0, 300.0),
        "CAPACITY_SHORTAGE": (900.0, 1800.0),
        "FORECAST_SHORTAGE": (0.0, 3600.0),
        "PROVIDER_CLOCK_OFF": (900.0, 900.0),
        "READINGS_SUSPECT": (1800.0, 1800.0),
        "WATCHDOG": (0.0, 0.0),
    }


def test_only_what_has_no_default_must_be_said():
    rule = read_alert_rule(LEAST)

    assert rule == AlertRule(
        "POOL_HOT", Metric.UTILIZATION, Level.POOL, Comparison.ABOVE, 0.95, Severity.WARNING
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"name": "pool hot"}, "name", id="a name in small letters"),
        pytest.param({"metric": "temperature"}, "metric", id="an unknown metric"),
        pytest.param({"metric": ["utilization"]}, "metric", id="a list for a metric"),
        pytest.param({"level": "site"}, "level", id="an unknown level"),
        pytest.param({"comparison": "=="}, "comparison", id="an unknown comparison"),
        pytest.param({"threshold": True}, "threshold", id="a truth for a number"),
        pytest.param({"threshold": "1"}, "threshold", id="a text for a number"),
        pytest.param({"threshold": float("nan")}, "threshold", id="not a number"),
        pytest.param({"critical_threshold": "9"}, "critical_threshold", id="critical in words"),
        pytest.param({"severity": "page"}, "severity", id="an unknown severity"),
        pytest.param({"for_s": -1}, "for_s", id="a hold before now"),
        pytest.param({"keep_firing_for_s": 1e9}, "keep_firing_for_s", id="a hold of years"),
        pytest.param({"is_enabled": 1}, "is_enabled", id="a number for a truth"),
        pytest.param({"only": {"sites": ["a"]}}, "only", id="an unknown filter"),
        pytest.param({"only": {"pools": []}}, "only", id="an empty filter"),
        pytest.param({"only": {"pools": "a"}}, "only", id="a text for a list"),
        pytest.param({"only": []}, "only", id="a list of filters"),
        pytest.param({"labels": {"region": "CN-BJ"}}, "labels", id="a label that identifies"),
        pytest.param({"labels": {"alertname": "X"}}, "labels", id="another name"),
        pytest.param({"labels": {"a b": "x"}}, "labels", id="a label with a space"),
        pytest.param({"labels": {"team": ""}}, "labels", id="an empty label"),
        pytest.param({"labels": {"team": 7}}, "labels", id="a number for a label"),
        pytest.param({"annotations": {"s": "{password}"}}, "annotations", id="an unknown place"),
        pytest.param({"annotations": {"s": "{name.x}"}}, "annotations", id="an attribute"),
        pytest.param({"expr": "up == 0"}, "expr", id="a field that is not there"),
        pytest.param(
            {"metric": "forecast_shortage_probability"}, "level", id="a forecast of a pool"
        ),
        pytest.param(
            {"metric": "clock_skew_s", "level": "provider", "only": {"pools": ["a"]}},
            "only",
            id="the clock of a pool",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_by_its_field(change, field):
    with pytest.raises(BadAlertRule) as refusal:
        read_alert_rule({**LEAST, **change})

    assert refusal.value.extra["field"] == field


@pytest.mark.parametrize("name", sorted(LEAST))
def test_what_has_no_default_is_asked_for(name):
    document = {key: value for key, value in LEAST.items() if key != name}

    with pytest.raises(BadAlertRule, match="missing"):
        read_alert_rule(document)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="{}\x00"), min_size=1, max_size=50)


@given(
    st.builds(
        lambda metric, level, pools, **more: AlertRule(
            metric=metric,
            level=ONLY_LEVEL.get(metric, level),
            only={"pools": pools} if pools and metric not in ONLY_LEVEL else {},
            **more,
        ),
        name=st.from_regex(r"[A-Z][A-Z0-9_]{2,20}", fullmatch=True),
        metric=st.sampled_from(Metric),
        level=st.sampled_from(Level),
        comparison=st.sampled_from(Comparison),
        threshold=st.floats(-1e9, 1e9),
        severity=st.sampled_from(Severity),
        critical_threshold=st.none() | st.floats(-1e9, 1e9),
        for_s=st.floats(0, 86_400),
        keep_firing_for_s=st.floats(0, 86_400),
        pools=st.none() | st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
        labels=st.dictionaries(st.sampled_from(["team", "tier"]), TEXTS),
        annotations=st.dictionaries(st.sampled_from(["summary_en", "runbook"]), TEXTS),
        is_enabled=st.booleans(),
    )
)
def test_a_rule_survives_writing_and_reading(rule):
    assert read_alert_rule(json.loads(json.dumps(write_alert_rule(rule)))) == rule


def test_places_are_filled_in_and_nothing_else_is_looked_up():
    values = {"name": "北京", "value": 0.123456, "queued_units": 12345.6, "pools": ["a", "b"]}

    said = fill_places("{name} {value} {queued_units} {pools} {age_s} {__class__}", values)

    assert said == "北京 0.1235 12,346 2 — —"
    assert {*values} <= PLACEHOLDERS
