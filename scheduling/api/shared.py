"""What several views of scheduling share: If-Match and the empty body."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from controlplane.lib.errors import ErrorKind, GridError

IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description='The content that you decide on: `"<content_hash>"` of the plan.',
)


class IfMatchMissing(GridError):
    """A decision must say which content it is about."""

    code = "if-match-missing"
    kind = ErrorKind.PRECONDITION_REQUIRED


class EmptySerializer(serializers.Serializer[Any]):
    """No body."""


def if_match(request: Request) -> str:
    """Return the content that a request names in If-Match.

    Raises:
        IfMatchMissing: it names none.
    """
    header = str(request.headers.get("If-Match", "")).strip()
    if not header:
        raise IfMatchMissing('Send If-Match: "<content_hash>" of the plan that you looked at.')
    return header.removeprefix("W/").strip('"')


def request_key(request: Request, username: str) -> str | None:
    """Return the name of a request that creates: who asked, and the Idempotency-Key; or None."""
    key = str(request.headers.get("Idempotency-Key", "")).strip()[:200]
    return f"{username}/{key}" if key else None
