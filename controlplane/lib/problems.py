"""Errors as RFC 9457 problem bodies: the one place where a kind of error becomes an HTTP status."""

import json
import logging
import random
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.response import Response

from controlplane.lib.errors import ErrorKind, GridError

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

STATUS_OF_KIND = {
    ErrorKind.INVALID: 400,
    ErrorKind.NOT_AUTHENTICATED: 401,
    ErrorKind.NOT_ALLOWED: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.PRECONDITION_REQUIRED: 428,
    ErrorKind.PRECONDITION_FAILED: 412,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED_FORMAT: 415,
    ErrorKind.TOO_MANY: 429,
    ErrorKind.UNAVAILABLE: 503,
}
_CODE_OF_STATUS = {
    400: "invalid-request",
    401: "not-authenticated",
    403: "not-allowed",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    415: "unsupported-format",
    429: "too-many",
}
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)


def problem(status: int, code: str, detail: str, **extra: object) -> dict[str, Any]:
    """Return the body of an RFC 9457 problem.

    Args:
        status: HTTP status.
        code: stable machine-readable name of the problem.
        detail: one sentence for a person.
        extra: further members, such as `errors` or counts.
    """
    title = code.replace("-", " ").capitalize()
    body = {"type": f"urn:tiaodu:problem:{code}", "title": title, "status": status}
    return {**body, "code": code, "detail": detail, **extra}


def retry_after_s() -> int:
    """Return how long a refused sender should wait, spread so that senders do not come at once."""
    return random.randint(1, 5)  # noqa: S311 (jitter, not a secret)


def problem_response(status: int, code: str, detail: str, **extra: object) -> HttpResponse:
    """Return a problem as a plain Django response, for views outside DRF."""
    body = json.dumps(problem(status, code, detail, **extra))
    response = HttpResponse(body, status=status, content_type=CONTENT_TYPE)
    if status in (429, 503):
        response["Retry-After"] = str(retry_after_s())
    return response


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into a problem response; DRF calls this.

    Args:
        exc: what a view raised.
        context: DRF's context with `view` and `request`.

    Returns:
        A problem response, or None for a defect of ours, which Django logs and answers with 500.
    """
    body, headers = _describe(exc)
    if body is None:
        return None
    if body["status"] >= 500:
        view = type(context.get("view")).__name__
        logger.warning("request.refused", extra={"code": body["code"], "view": view}, exc_info=exc)
    response = Response(body, status=body["status"], content_type=CONTENT_TYPE, headers=headers)
    response.exception = True
    return response


def _describe(exc: Exception) -> tuple[dict[str, Any] | None, dict[str, str]]:
    if isinstance(exc, GridError):
        status = STATUS_OF_KIND[exc.kind]
        headers = {"Retry-After": str(retry_after_s())} if status in (429, 503) else {}
        return problem(status, exc.code, exc.detail, **exc.extra), headers
    if isinstance(exc, DATABASE_AWAY):
        detail = "The database cannot be reached just now. Send again: what was stored stays once."
        headers = {"Retry-After": str(retry_after_s())}
        return problem(503, "database-away", detail), headers
    if isinstance(exc, Http404):
        return problem(404, "not-found", "There is no such thing here."), {}
    if isinstance(exc, exceptions.APIException):
        return _describe_refusal(exc)
    return None, {}


def _describe_refusal(exc: exceptions.APIException) -> tuple[dict[str, Any], dict[str, str]]:
    if isinstance(exc, exceptions.ValidationError):
        errors = _field_errors(exc.detail)
        return problem(400, "invalid-request", errors[0]["reason"], errors=errors), {}
    code = _CODE_OF_STATUS.get(exc.status_code, "request-refused")
    headers = {}
    if scheme := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = str(scheme)
    if wait_s := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait_s) + 1)
    return problem(exc.status_code, code, str(exc.detail)), headers


def _field_errors(detail: Any, prefix: str = "") -> list[dict[str, Any]]:
    if isinstance(detail, dict):
        rows = [
            _field_errors(part, f"{prefix}.{name}" if prefix else str(name))
            for name, part in detail.items()
        ]
        return [error for row in rows for error in row]
    if isinstance(detail, list):
        errors = []
        for position, part in enumerate(detail):
            nested = isinstance(part, dict)
            errors += _field_errors(part, f"{prefix}[{position}]" if nested else prefix)
        return errors
    return [{"field": prefix, "code": getattr(detail, "code", "invalid"), "reason": str(detail)}]
