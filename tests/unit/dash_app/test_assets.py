"""What is served beside Dash fits what Dash brings."""

import re

import pytest
from plotly.offline import get_plotlyjs_version

from dash_app.assets import ASSETS_DIR, asset_url
from dash_app.shell import CHARTS, SCRIPTS


def test_our_smaller_plotly_is_of_the_version_that_dash_works_with():
    head = (ASSETS_DIR / CHARTS).read_text(encoding="utf-8")[:400]

    assert f"v{get_plotlyjs_version()}" in head


@pytest.mark.parametrize("name", sorted(path.name for path in ASSETS_DIR.glob("*.js")))
def test_no_script_makes_code_from_text_or_writes_html(name):
    source = (ASSETS_DIR / name).read_text(encoding="utf-8")

    assert "new Function" not in source
    if name != CHARTS:
        assert not re.findall(r"\beval\(|innerHTML|outerHTML|document\.write", source)


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_address_changes_with_the_content(name):
    assert re.fullmatch(rf"/grid/assets/{re.escape(name)}\?v=[0-9a-f]{{8}}", asset_url(name))


def test_no_style_or_script_of_ours_names_another_server():
    for file in (*ASSETS_DIR.glob("*.css"), *(ASSETS_DIR / name for name in SCRIPTS)):
        source = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")

        assert not re.findall(r"(?:https?|wss?)://\w", source), file.name
