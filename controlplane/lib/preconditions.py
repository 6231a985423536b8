"""Reads what a request says of the version that it looked at, and of its own name."""

from rest_framework.request import Request

from controlplane.lib.errors import ErrorKind, GridError

_LONGEST_KEY = 200


class IfMatchMissing(GridError):
    """A change came without saying what it changes."""

    code = "if-match-missing"
    kind = ErrorKind.PRECONDITION_REQUIRED


def if_match(request: Request, what: str) -> str:
    """Return the ETag that a request names in If-Match, without quotes.

    Args:
        request: of a change.
        what: the thing that was looked at, for the words of the refusal.

    Raises:
        IfMatchMissing: the request names none.
    """
    header = str(request.headers.get("If-Match", "")).strip()
    if not header:
        raise IfMatchMissing(f"Send If-Match with the ETag of the {what} that you looked at.")
    return header.removeprefix("W/").strip('"')


def idempotency_key(request: Request) -> str:
    """Return the request's Idempotency-Key, cut at 200 characters; empty without one."""
    return str(request.headers.get("Idempotency-Key", "")).strip()[:_LONGEST_KEY]
