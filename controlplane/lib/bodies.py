"""Reads JSON bodies strictly: UTF-8, no key twice, no NaN, no depth that could hurt."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import IO, Any, NoReturn

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from controlplane.lib.errors import ErrorKind, GridError

_KEY = re.compile(rb'"\s*:')
_ACCEPTED_CHARSETS = frozenset({"", "utf-8", "utf8"})


class MalformedBody(GridError):
    """The body is not what JSON allows, or not clear."""

    code = "malformed-body"


class BodyTooLarge(GridError):
    """The body is larger than this address takes."""

    code = "body-too-large"
    kind = ErrorKind.TOO_LARGE


class UnsupportedFormat(GridError):
    """The body is in a format or an encoding that this address does not take."""

    code = "unsupported-format"
    kind = ErrorKind.UNSUPPORTED_FORMAT


class StrictJSONParser(BaseParser):
    """Parses request bodies with `strict_json`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,  # noqa: ARG002
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """Return the parsed body."""
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        _check_size(len(body))
        return strict_json(body)


def read_json_body(request: HttpRequest) -> bytes:
    """Return the bytes of a request that says it carries plain JSON.

    Args:
        request: a request whose sender is known already.

    Raises:
        UnsupportedFormat: another type, character set or content encoding was declared.
        BodyTooLarge: the body, or what its length claims, is above the limit.
    """
    kind, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    if kind.strip().lower() != "application/json":
        raise UnsupportedFormat("Send the body as Content-Type: application/json.")
    name, _, charset = parameters.strip().partition("=")
    if name and (name.lower(), charset.strip('"').lower()) not in _JSON_PARAMETERS:
        raise UnsupportedFormat("Send the body as UTF-8.")
    if content_encoding(request) != "identity":
        raise UnsupportedFormat("Send the body as it is, without a Content-Encoding.")
    return read_body(request)


def content_encoding(request: HttpRequest) -> str:
    """Return the one content encoding that a request declares, in small letters."""
    encoding: str = request.META.get("HTTP_CONTENT_ENCODING", "identity")
    return encoding.strip().lower()


def read_body(request: HttpRequest) -> bytes:
    """Return the bytes of a request, whatever they are.

    Args:
        request: a request whose sender is known already.

    Raises:
        BodyTooLarge: the body, or what its length claims, is above the limit.
    """
    claimed = request.META.get("CONTENT_LENGTH") or "0"
    _check_size(int(claimed) if claimed.isascii() and claimed.isdigit() else 0)
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise _too_large() from error
    _check_size(len(body))
    return body


def strict_json(body: bytes) -> Any:
    """Return what a JSON text says.

    Args:
        body: UTF-8; a number beyond a float's range becomes infinity, for the caller to refuse.

    Raises:
        MalformedBody: it is not JSON, nested too deeply, or an object in it has a key twice.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        # the slow reader takes what is JSON but beyond the quick one (1e400), and says what is not
        return _slow_json(body)
    # every key in the text is followed by a colon: as many keys as colons means none was repeated
    if _count_keys(document) == len(_KEY.findall(body)):
        return document
    return _slow_json(body)


_JSON_PARAMETERS = frozenset(("charset", charset) for charset in _ACCEPTED_CHARSETS)


def _check_size(size: int) -> None:
    if size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise _too_large()


def _too_large() -> BodyTooLarge:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return BodyTooLarge(f"A body may have at most {limit} bytes; send several.", limit_bytes=limit)


def _count_keys(document: Any) -> int:
    count, todo = 0, [document]
    while todo:
        part = todo.pop()
        if type(part) is dict:
            count += len(part)
            part = part.values()
        elif type(part) is not list:
            continue
        todo.extend(inner for inner in part if type(inner) in _CONTAINERS)
    return count


_CONTAINERS = frozenset({dict, list})


def _slow_json(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise MalformedBody("The body is not UTF-8.") from error
    except RecursionError as error:
        raise MalformedBody("The body is nested too deeply.") from error
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos}"
        raise MalformedBody(f"The body is not JSON: {reason}.") from error
    except ValueError as error:
        raise MalformedBody("The body has a number that cannot be read.") from error


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedBody("An object in the body has the same key twice.")
    return found


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not a JSON value"
    raise ValueError(message)
