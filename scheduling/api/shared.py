"""What several views of scheduling share: If-Match and the empty body."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from controlplane.lib.preconditions import idempotency_key

IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description='The content that you decide on: `"<content_hash>"` of the plan.',
)


class EmptySerializer(serializers.Serializer[Any]):
    """No body."""


def request_key(request: Request, username: str) -> str | None:
    """Return the name of a request that creates: who asked, and the Idempotency-Key; or None."""
    key = idempotency_key(request)
    return f"{username}/{key}" if key else None
