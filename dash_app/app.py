"""The one Dash application of the control room: its shell, its pages, its Django routes."""

from dash import Dash
from django.template.loader import render_to_string

from dash_app.backend import DjangoDashServer
from dash_app.backend_request import request_in_hand
from dash_app.csp import page_nonce
from dash_app.pages import grid
from dash_app.shell import shell_context

PREFIX = "/grid/"


class ControlRoom(Dash):
    """Dash inside our own HTML: a shell that shows the grid before any bundle has run."""

    def interpolate_index(  # type: ignore[override]  # Dash always names them
        self, *, css: str, config: str, scripts: str, renderer: str, **_unused: str
    ) -> str:
        """Return the page around what Dash needs, every script marked with the nonce."""
        request = request_in_hand()
        nonce = page_nonce.get()
        mark = f'<script nonce="{nonce}"'
        context = shell_context(request) | {
            "nonce": nonce,
            "dash_styles": css,
            "dash_config": config,
            "dash_scripts": scripts.replace("<script", mark),
            "dash_renderer": renderer.replace("<script", mark),
        }
        return render_to_string("dash_app/shell.html", context, request)


def make_app() -> ControlRoom:
    """Return the application with every page registered.

    `use_async` stays off: callbacks run in Django's worker threads, where the ORM may be used.
    `suppress_callback_exceptions` keeps Dash from evaluating the layout at import.
    """
    app = ControlRoom(
        name="dash_app",
        backend=DjangoDashServer,
        url_base_pathname=PREFIX,
        include_assets_files=False,
        use_pages=False,
        pages_folder="",
        use_async=False,
        suppress_callback_exceptions=True,
        serve_locally=True,
        compress=False,
        title="Tiaodu",
        update_title=None,  # type: ignore[arg-type]
        csrf_token_name="csrftoken",  # noqa: S106 (the name of Django's cookie)
        add_log_handler=False,
    )
    grid.register(app)
    return app


control_room = make_app()
