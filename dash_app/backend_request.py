"""Shows a Django request and response to Dash in the words that Dash asks for."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, NoReturn
from urllib.parse import urlsplit

import orjson
from dash.backends.base_server import RequestAdapter, ResponseAdapter
from django.http import HttpHeaders, HttpRequest, HttpResponse, QueryDict

current_request: ContextVar[HttpRequest | None] = ContextVar("dash_request", default=None)


class MalformedCallback(Exception):
    """A callback request that no page of ours could have sent; the text says what is wrong."""


def request_in_hand() -> HttpRequest:
    """Return the Django request that Dash is answering.

    Raises:
        RuntimeError: Dash asked outside a request.
    """
    request = current_request.get()
    if request is None:
        raise RuntimeError("No Dash request is being answered in this context.")
    return request


class DjangoRequestAdapter(RequestAdapter):
    """The request in hand, read through Dash's property names."""

    @property
    def context(self) -> HttpRequest:
        """The object that Dash may hang things of one request on."""
        return request_in_hand()

    @property
    def root(self) -> str:
        """Scheme and host, with a closing slash."""
        return request_in_hand().build_absolute_uri("/")

    @property
    def args(self) -> QueryDict:
        """The query string."""
        return request_in_hand().GET

    def get_json(self) -> Any:
        """Return the decoded body.

        Raises:
            MalformedCallback: the body is no JSON.
        """
        try:
            return orjson.loads(request_in_hand().body)
        except orjson.JSONDecodeError as error:
            raise MalformedCallback("The body is not JSON.") from error

    @property
    def is_json(self) -> bool:
        """Whether the sender says that the body is JSON."""
        return request_in_hand().content_type == "application/json"

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        return request_in_hand().COOKIES

    @property
    def headers(self) -> HttpHeaders:
        """The headers, by name in any case."""
        return request_in_hand().headers

    @property
    def full_path(self) -> str:
        """The path with its query string."""
        return request_in_hand().get_full_path()

    @property
    def url(self) -> str:
        """The whole address."""
        return request_in_hand().build_absolute_uri()

    @property
    def remote_addr(self) -> str | None:
        """The address of the other end."""
        return request_in_hand().META.get("REMOTE_ADDR")

    @property
    def origin(self) -> str | None:
        """The page that the request came from, as the browser says."""
        return request_in_hand().headers.get("Origin")

    @property
    def path(self) -> str:
        """The path without its query string."""
        return request_in_hand().path


class DjangoResponseAdapter(ResponseAdapter):
    """The answer to one callback; a callback may add cookies and headers to it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._response = HttpResponse(content_type="application/json")

    @property
    def callback_response(self) -> HttpResponse:
        """The Django response under construction."""
        return self._response

    def set_cookie(self, key: str, value: str = "", **kwargs: Any) -> None:
        """Set a cookie."""
        self._response.set_cookie(key, value, **kwargs)

    def append_header(self, key: str, value: str) -> None:
        """Add a header; a second value of one name is joined by a comma, as HTTP allows."""
        present = self._response.get(key)
        self._response[key] = value if present is None else f"{present}, {value}"

    def set_header(self, key: str, value: str) -> None:
        """Set a header."""
        self._response[key] = value

    def set_response(self, **kwargs: Any) -> HttpResponse:
        """Fill in the body, given as `data`, and return the response."""
        self._response.content = kwargs.get("data", "")
        return self._response


def check_callback_body(body: Any, callback_map: Mapping[str, Any]) -> None:
    """Refuse a callback request that does not fit the callback that it names.

    Dash takes the names of outputs, inputs and states from the browser. Here they must be those
    that the server declared, so that a forged request can neither write to another component nor
    feed a callback with another's value.

    Args:
        body: the decoded request body.
        callback_map: Dash's declared callbacks by output id.

    Raises:
        MalformedCallback: anything differs from what was declared.
    """
    if not isinstance(body, dict) or not isinstance(body.get("output"), str):
        raise MalformedCallback("The body names no output.")
    declared = callback_map.get(body["output"])
    if declared is None:
        raise MalformedCallback("This page has no such callback.")
    for part, given in (("inputs", body.get("inputs", [])), ("state", body.get("state", []))):
        wanted = [(entry["id"], entry["property"]) for entry in declared[part]]
        if _pairs(given, part) != wanted:
            raise MalformedCallback(f"The {part} are not those of this callback.")
    if not declared.get("no_output") and _output_id(body.get("outputs")) != body["output"]:
        raise MalformedCallback("The outputs are not those of this callback.")
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(name, str) for name in changed):
        raise MalformedCallback("changedPropIds must be a list of texts.")


def _pairs(given: Any, part: str) -> list[tuple[str, Any]]:
    if not isinstance(given, list):
        _refuse(part)
    pairs = []
    for entry in given:
        # pattern-matching ids come as nested lists; no page of ours declares one
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            _refuse(part)
        pairs.append((entry["id"], entry.get("property")))
    return pairs


def _output_id(outputs: Any) -> str:
    if isinstance(outputs, dict):
        return f"{outputs.get('id')}.{outputs.get('property')}"
    if isinstance(outputs, list) and all(isinstance(entry, dict) for entry in outputs):
        joined = "...".join(f"{entry.get('id')}.{entry.get('property')}" for entry in outputs)
        return f"..{joined}.."
    return ""


def _refuse(part: str) -> NoReturn:
    raise MalformedCallback(f"The {part} have no known form.")


def site_of(url: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of an address, or None when it is no address at all.

    Args:
        url: what a header claims, such as `https://grid.example:8443`; may be any text.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # "http://[", "https://host:99999"
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return parts.scheme, host.lower(), port
