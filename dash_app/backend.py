"""Runs Dash natively on Django: Dash's routes become ordinary Django views.

Session, login, permission, CSRF, database connections and headers are Django's; no Flask request
ever happens. Dash's extension point is `Dash(backend=…)`; a contract test pins what is used of it.
"""

import gzip
import mimetypes
import pkgutil
import sys
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import lru_cache, wraps
from typing import Any

import orjson
from dash import Dash, fingerprint
from dash.backends.base_server import BaseDashServer
from dash.exceptions import InvalidResourceError, PreventUpdate
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.urls import URLPattern, path
from django.utils.cache import patch_vary_headers
from django.utils.crypto import salted_hmac
from django.utils.http import quote_etag
from django.views.decorators.http import require_http_methods

from controlplane.lib.problems import problem_response
from dash_app.access import Guard, guard_data, guard_page
from dash_app.backend_request import (
    DjangoRequestAdapter,
    DjangoResponseAdapter,
    MalformedCallback,
    check_callback_body,
    current_request,
    request_in_hand,
)
from dash_app.csp import new_nonce, page_nonce, with_policy

ViewFunction = Callable[..., HttpResponse]

YEAR_S = 31_536_000
_COMPRESSIBLE = {"application/javascript", "text/javascript", "text/css", "application/json"}


class DjangoSite:
    """What Dash calls its server: the Django routes that it has asked for so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.urlpatterns: list[URLPattern] = []

    @property
    def secret_key(self) -> str:
        """Key for Dash's signatures, the same in every process, never Django's own key."""
        return salted_hmac("dash_app.signing", "dash").hexdigest()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: requests come through Django's URL patterns."""
        raise NotImplementedError("Dash is served through Django's URL patterns.")


class DjangoDashServer(BaseDashServer[DjangoSite]):
    """Dash's backend interface on Django views."""

    websocket_capability = False  # the state feed has a socket of its own

    def __init__(self, server: DjangoSite) -> None:
        super().__init__(server)
        self.server_type = "django"
        self.request_adapter = DjangoRequestAdapter
        self.response_adapter = DjangoResponseAdapter
        self._first_steps: list[Callable[[], Any]] = []
        self._is_ready = False
        self._first_lock = threading.Lock()

    @staticmethod
    def create_app(
        name: str = "__main__",
        config: Mapping[str, Any] | None = None,  # noqa: ARG004 (Dash's interface)
    ) -> DjangoSite:
        """Return an empty site."""
        return DjangoSite(name)

    def register_assets_blueprint(
        self, blueprint_name: str, assets_url_path: str, assets_folder: str
    ) -> None:
        """Do nothing: the login page needs our assets too, so `dash_app.assets` serves them."""

    def register_error_handlers(self) -> None:
        """Do nothing: every view turns Dash's exceptions into answers itself."""

    def register_prune_error_handler(self, secret: str, prune_errors: bool) -> None:  # noqa: FBT001
        """Do nothing: tracebacks go to the log, never to a browser."""

    def register_timing_hooks(self, first_run: bool) -> None:  # noqa: FBT001
        """Do nothing: timings belong to Dash's developer tools, which stay off."""

    def enable_compression(self) -> None:
        """Do nothing: bundles are compressed once, when they are first asked for."""

    def register_callback_api_routes(
        self, callback_api_paths: Mapping[str, Callable[..., Any]]
    ) -> None:
        """Refuse: what other programs may call is the REST API, not a page's callbacks.

        Raises:
            NotImplementedError: a callback asked for an address of its own.
        """
        if callback_api_paths:
            raise NotImplementedError("Callbacks have no API routes; use /api/v1/.")

    def run(
        self,
        dash_app: Dash,
        host: str,
        port: int,
        debug: bool,  # noqa: FBT001
        **kwargs: Any,
    ) -> None:
        """Refuse: the ASGI server runs the pages."""
        raise NotImplementedError("Run the project with `make up`; Dash has no server of its own.")

    def before_request(self, func: Callable[[], Any]) -> None:
        """Keep a step that Dash wants done before its first answer."""
        self._first_steps.append(func)

    def after_request(self, func: Callable[[Any], Any]) -> None:
        """Refuse: middleware is Django's business."""
        raise NotImplementedError("Use Django middleware.")

    def has_request_context(self) -> bool:
        """Whether Dash is answering a request here and now."""
        return current_request.get() is not None

    def add_url_rule(
        self,
        rule: str,
        view_func: ViewFunction,
        endpoint: str | None = None,  # noqa: ARG002 (Dash's interface)
        methods: list[str] | None = None,
    ) -> None:
        """Turn one of Dash's routes into a Django URL pattern, guarded as data."""
        self._add_view(rule, self._view(view_func, guard_data), methods or ["GET"])

    def setup_index(self, dash_app: Any) -> None:
        """Serve the page itself at the prefix."""
        prefix = dash_app.config.routes_pathname_prefix

        def index() -> HttpResponse:
            nonce = new_nonce()
            token = page_nonce.set(nonce)
            try:
                return with_policy(HttpResponse(dash_app.index()), nonce)
            finally:
                page_nonce.reset(token)

        self._add_view(prefix, self._view(index, guard_page), ["GET"])

    def setup_catchall(self, dash_app: Dash) -> None:
        """Do nothing: an unknown address is a 404, not a page."""

    def setup_component_suites(self, dash_app: Dash) -> str:
        """Serve the JavaScript bundles of Dash's components."""

        def serve(package_name: str, fingerprinted_path: str) -> HttpResponse:
            return _bundle_response(dash_app, package_name, fingerprinted_path)

        prefix = f"{dash_app.config.routes_pathname_prefix}_dash-component-suites/"
        self.add_url_rule(f"{prefix}<string:package_name>/<path:fingerprinted_path>", serve)
        return prefix

    def serve_callback(self, dash_app: Any) -> ViewFunction:
        """Return the view that runs one callback."""

        def dispatch() -> HttpResponse:
            body = dash_app.backend.request_adapter().get_json()
            check_callback_body(body, _declared_callbacks(dash_app))
            context = dash_app._initialize_context(body)  # noqa: SLF001
            func = dash_app._prepare_callback(context, body)  # noqa: SLF001
            args = dash_app._inputs_to_vals(  # noqa: SLF001
                context.inputs_list + context.states_list
            )
            run = dash_app._execute_callback(  # noqa: SLF001
                func, args, context.outputs_list, context
            )
            response: HttpResponse = context.dash_response.set_response(
                data=copy_context().run(run)
            )
            return response

        return dispatch

    def make_response(
        self,
        data: str | bytes | None,
        mimetype: str | None = None,
        content_type: str | None = None,
        status: int | None = None,
    ) -> HttpResponse:
        """Return a Django response."""
        return HttpResponse(data or b"", content_type=content_type or mimetype, status=status)

    def jsonify(self, obj: Any) -> HttpResponse:
        """Return a JSON response."""
        return HttpResponse(orjson.dumps(obj), content_type="application/json")

    def _add_view(self, rule: str, view: ViewFunction, methods: list[str]) -> None:
        route = rule.lstrip("/").replace("<string:", "<str:")
        self.server.urlpatterns.append(path(route, require_http_methods(methods)(view)))

    def _view(self, view_func: ViewFunction, guard: Guard) -> Callable[..., HttpResponse]:
        @wraps(view_func, assigned=("__module__", "__doc__"))
        def view(request: HttpRequest, **kwargs: str) -> HttpResponse:
            refusal = guard(request)
            if refusal is not None:
                return refusal
            token = current_request.set(request)
            try:
                self._take_first_steps()
                return view_func(**kwargs)
            except PreventUpdate:
                return HttpResponse(status=204)
            except InvalidResourceError:
                return problem_response(404, "not-found", "There is no such file here.")
            except MalformedCallback as error:
                return problem_response(400, "malformed-callback", str(error))
            finally:
                current_request.reset(token)

        return view

    def _take_first_steps(self) -> None:
        # Dash marks its set-up as done before it is done: without the lock, requests that come
        # together to a fresh process would find half of the bundles unregistered.
        with self._first_lock:
            if self._is_ready:
                return
            for step in self._first_steps:
                step()
            self._is_ready = True


def _declared_callbacks(dash_app: Dash) -> dict[str, Any]:
    """Return what the server runs, by output id; browser-side callbacks are not among it."""
    return {output: entry for output, entry in dash_app.callback_map.items() if "callback" in entry}


def _bundle_response(dash_app: Any, package_name: str, fingerprinted_path: str) -> HttpResponse:
    split: Any = fingerprint.check_fingerprint
    path_in_package, has_fingerprint = split(fingerprinted_path)
    # what a component library did not register is no business of a browser's
    if path_in_package not in dash_app.registered_paths.get(package_name, ()):
        raise InvalidResourceError
    mimetype = mimetypes.guess_type(path_in_package)[0] or "application/octet-stream"
    version = str(getattr(sys.modules[package_name], "__version__", ""))
    request = request_in_hand()
    tag = quote_etag(f"{package_name}-{version}-{path_in_package}")
    if not has_fingerprint and request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified()
    may_compress = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(content_type=mimetype)
    if may_compress and mimetype in _COMPRESSIBLE:
        response.content = _compressed_bundle(package_name, path_in_package)
        response["Content-Encoding"] = "gzip"
    else:
        response.content = pkgutil.get_data(package_name, path_in_package) or b""
    patch_vary_headers(response, ["Accept-Encoding"])
    response["Cache-Control"] = f"private, max-age={YEAR_S}, immutable" if has_fingerprint else ""
    response["ETag"] = tag
    return response


@lru_cache(maxsize=64)
def _compressed_bundle(package_name: str, path_in_package: str) -> bytes:
    return gzip.compress(pkgutil.get_data(package_name, path_in_package) or b"", 6)
