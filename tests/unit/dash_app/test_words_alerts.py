"""The Alerts page has its words: for every script, metric, level, state and form."""

import re

import pytest

from dash_app.assets import ASSETS_DIR
from dash_app.pages.alerts import SCRIPTS
from dash_app.texts import TEXTS
from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerting.notices import TargetFormat
from monitoring.domain.alerting.rules import Level, Metric
from monitoring.domain.alerts import AlertState
from monitoring.selectors.alerts import INACTIVE


def test_every_word_that_a_script_asks_for_exists():
    asked = set()
    for script in SCRIPTS:
        source = (ASSETS_DIR / script).read_text(encoding="utf-8")
        asked |= set(re.findall(r'"(al_[a-z_]+[a-z])"', source))

    assert len(asked) > 40
    assert asked <= set(TEXTS)


@pytest.mark.parametrize(
    ("stem", "values"),
    [
        ("al_metric", list(Metric)),
        ("al_level", list(Level)),
        ("al_form", list(TargetFormat)),
        ("al_name", [rule.name for rule in DEFAULT_RULES]),
        ("al_state", [AlertState.FIRING, AlertState.PENDING, INACTIVE, "disabled"]),
    ],
)
def test_everything_has_a_name(stem, values):
    assert [value for value in values if f"{stem}_{value}" not in TEXTS] == []
