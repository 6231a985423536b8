"""Every word is there in both languages, and every word that a script asks for exists."""

import re

import pytest
from django.test import RequestFactory

from controlplane.auth.roles import Role
from controlplane.runtime.children import ChildState
from dash_app.assets import ASSETS_DIR
from dash_app.shell import SCRIPTS
from dash_app.texts import LANGUAGE_COOKIE, REASON_CODES, TEXTS, language_of, theme_of
from forecasting.domain.quality import FallbackReason
from monitoring.domain.alerts import Severity
from monitoring.domain.headroom import ReadingQuality
from scheduling.domain.lifecycle import PassageState, PlanState
from scheduling.domain.planner.outcome import PlanStatus
from scheduling.domain.policy import RejectReason


def request(accept="", **cookies):
    built = RequestFactory().get("/", headers={"Accept-Language": accept})
    built.COOKIES.update(cookies)
    return built


def test_both_languages_name_the_same_blanks():
    for key, (zh, en) in TEXTS.items():
        assert zh, key
        assert en, key
        assert set(re.findall(r"\{(\w+)\}", zh)) == set(re.findall(r"\{(\w+)\}", en)), key


def test_every_word_that_a_script_asks_for_exists():
    asked = set()
    for script in SCRIPTS:
        source = (ASSETS_DIR / script).read_text(encoding="utf-8")
        asked |= set(re.findall(r'\b(?:text|counted)\("(\w+)"[,)]', source))
        for either, other in re.findall(r'\btext\([^()"]*\? "(\w+)" : "(\w+)"[,)]', source):
            asked |= {either, other}

    assert len(asked) > 40
    assert asked <= set(TEXTS)


@pytest.mark.parametrize(
    ("stem", "states"),
    [
        ("child", [state for state in ChildState if state is not ChildState.DONE]),
        ("fallback", list(FallbackReason)),
        ("state", list(PlanState)),
        ("passage", list(PassageState)),
        ("run", list(PlanStatus)),
        ("quality", list(ReadingQuality)),
        ("severity", list(Severity)),
        ("role", list(Role)),
    ],
)
def test_every_state_has_words(stem, states):
    assert {f"{stem}_{state}" for state in states} <= set(TEXTS)


def test_every_reason_for_a_rejection_has_words():
    assert set(REASON_CODES) == {reason.value for reason in RejectReason}


@pytest.mark.parametrize(
    ("accept", "lang"),
    [
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr-FR, en;q=0.5", "en"),
        ("fr", "zh"),
        ("", "zh"),
    ],
)
def test_the_browser_is_asked_when_nobody_chose(accept, lang):
    assert language_of(request(accept)) == lang


def test_a_choice_is_kept():
    assert language_of(request("en", **{LANGUAGE_COOKIE: "zh"})) == "zh"


def test_a_forged_choice_is_not_taken():
    assert language_of(request("en", **{LANGUAGE_COOKIE: "<script>"})) == "en"
    assert theme_of(request("", tiaodu_theme="neon")) == "dark"
    assert theme_of(request("", tiaodu_theme="light")) == "light"
