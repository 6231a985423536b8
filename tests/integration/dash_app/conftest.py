"""A small Dash application of its own behind the same backend, for what the Grid page lacks."""

import types
from typing import Any

import pytest
from dash import Dash, Input, Output, dcc, html
from dash.exceptions import PreventUpdate
from django.contrib.auth import get_user_model

from dash_app.backend import DjangoDashServer
from dash_app.backend_request import request_in_hand
from tests.browser.small_grid import seed_grid
from tests.conftest import GRID_NOW


def _probe_app() -> Dash:
    app = Dash(
        name="dash_app",
        backend=DjangoDashServer,
        url_base_pathname="/probe/",
        include_assets_files=False,
        use_pages=False,
        pages_folder="",
        use_async=False,
        suppress_callback_exceptions=True,
        csrf_token_name="csrftoken",  # noqa: S106 (a cookie's name)
        add_log_handler=False,
    )
    app.layout = html.Div([dcc.Input(id="question"), html.Div(id="answer")])

    @app.callback(Output("answer", "children"), Input("question", "value"))
    def answer(question: str | None) -> str:
        if question is None:
            raise PreventUpdate
        people = get_user_model().objects.count()
        return f"{question} {request_in_hand().user.get_username()} {people}"

    return app


@pytest.fixture(scope="module")
def seeded(module_db: Any) -> None:
    """The shipped inventory, reported up to the tests' grid time, for all tests of a module."""
    with module_db():
        seed_grid(GRID_NOW)


@pytest.fixture(scope="session")
def probe() -> Dash:
    """The small application."""
    return _probe_app()


@pytest.fixture
def probe_urls(probe: Dash, settings: Any) -> None:
    """Serve the small application and nothing else."""
    urls = types.ModuleType("probe_urls")
    urls.urlpatterns = probe.server.urlpatterns
    settings.ROOT_URLCONF = urls


@pytest.fixture
def question() -> dict[str, Any]:
    """The request that the small application's page sends."""
    return {
        "output": "answer.children",
        "outputs": {"id": "answer", "property": "children"},
        "inputs": [{"id": "question", "property": "value", "value": "how many"}],
        "changedPropIds": ["question.value"],
    }
