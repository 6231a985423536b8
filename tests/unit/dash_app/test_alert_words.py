"""Alerts are said in words that hold the figures that are known, and no others."""

import pytest

from dash_app.alert_words import alert_words

NAMES = {"CN-BJ": ("北京", "Beijing"), "beiyun": ("北云", "North Cloud")}


def test_a_shortage_says_how_much():
    zh, en = alert_words(
        "CAPACITY_SHORTAGE", "region:CN-BJ", {"short_units": 82.0, "queued_units": 90.0}, NAMES
    )

    assert zh == "北京 缺 82 GPU（排队 90）"
    assert en == "Beijing is short of 82 GPU (90 queued)"


@pytest.mark.parametrize(
    ("pools", "words"),
    [(["a"], "1 pool unknown"), (["a", "b", "c"], "3 pools unknown")],
)
def test_a_silence_says_how_many_pools(pools, words):
    _, en = alert_words("PROVIDER_SILENT", "provider:beiyun", {"pools": pools}, NAMES)

    assert en == f"North Cloud has stopped reporting: {words}"


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        (
            {"short_units": 12, "from_at": "2023-05-26T01:00:00+00:00", "probability": 0.6},
            "Beijing may be short of 12 GPU from 05-26 09:00 (60%)",
        ),
        ({"short_units": 0.2, "probability": 0.07}, "Beijing may be short (7%)"),
        ({}, "Beijing may be short"),
    ],
)
def test_a_forecast_shortage_says_when(detail, words):
    assert alert_words("FORECAST_SHORTAGE", "region:CN-BJ", detail, NAMES)[1] == words


def test_an_unknown_kind_still_says_something():
    zh, en = alert_words("CLOCK_SKEW", "pool:x-gpu", {}, NAMES)

    assert (zh, en) == ("x-gpu：clock skew", "x-gpu: clock skew")


def test_a_shortage_without_figures_names_none():
    assert alert_words("CAPACITY_SHORTAGE", "region:CN-BJ", {}, NAMES)[1] == (
        "Beijing is short of capacity"
    )


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        pytest.param(
            {"summary_zh": "过热", "summary_en": "is hot"}, ("过热", "is hot"), id="both languages"
        ),
        pytest.param({"summary_en": "is hot"}, ("is hot", "is hot"), id="English alone"),
        pytest.param({"summary": "is hot"}, ("is hot", "is hot"), id="neither"),
        pytest.param({"runbook": "x"}, ("a：pool hot", "a: pool hot"), id="no summary"),
    ],
)
def test_a_rule_of_somebodys_own_speaks_by_its_annotations(annotations, words):
    said = alert_words("POOL_HOT", "pool:a", {}, {}, annotations=annotations)

    assert said == words
