"""Describes the bulk reads of telemetry and serves them through Django's chain."""

from typing import Any

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from controlplane.auth.permissions import NotAllowed
from controlplane.auth.questions import answer_by, asker_of
from controlplane.lib.problems import CONTENT_TYPE
from monitoring.api import bulk, schemas
from monitoring.api.history_schemas import (
    HOUR_PARAMETERS,
    PLACE_PARAMETERS,
    TIME_PARAMETERS,
    HoursOut,
    SampleColumnsOut,
)
from monitoring.formats.arrow import MEDIA_TYPE

_PROBLEMS = {(code, CONTENT_TYPE): schemas.ProblemOut for code in (400, 401, 403, 413)}


def _either(shape: type[Serializer[Any]]) -> dict[Any, Any]:
    return {(200, "application/json"): shape, (200, MEDIA_TYPE): bytes}


class ArrowRenderer(BaseRenderer):
    """Lets a request ask for an Arrow stream; the answer comes ready."""

    media_type = MEDIA_TYPE
    format = "arrow"
    charset = None

    def render(self, data: Any, *_: Any, **__: Any) -> bytes:
        """Return an error's body; an answer never comes here."""
        return orjson.dumps(data)


class MayReadTelemetry(BasePermission):
    """People who see the grid; a provider, by key or as a person, for its own pools."""

    message = "Your role does not read telemetry."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the sender may read any telemetry."""
        try:
            bulk.scope_of(asker_of(request))
        except NotAllowed:
            return False
        return True


class BulkView(APIView):
    """What the bulk reads have in common."""

    permission_classes = (MayReadTelemetry,)
    renderer_classes = (JSONRenderer, ArrowRenderer)


class NewestView(BulkView):
    """`GET /api/v1/telemetry/newest`."""

    @extend_schema(
        operation_id="telemetry_newest",
        summary="Read the newest sample of every pool",
        description="Columns in order of the pools' codes; a pool that never reported is left out.",
        parameters=[*PLACE_PARAMETERS],
        responses={**_either(SampleColumnsOut), **_PROBLEMS},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return the newest samples of the pools that the sender may see."""
        return answer_by(bulk.newest, request)


class SamplesView(BulkView):
    """`GET /api/v1/telemetry/samples`."""

    @extend_schema(
        operation_id="telemetry_samples",
        summary="Read a pool's samples as columns",
        parameters=[
            OpenApiParameter("pool", str, required=True),
            *TIME_PARAMETERS,
        ],
        responses={**_either(SampleColumnsOut), **_PROBLEMS},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return the samples of one pool, oldest first."""
        return answer_by(bulk.samples, request)


class HoursView(BulkView):
    """`GET /api/v1/telemetry/hours`."""

    @extend_schema(
        operation_id="telemetry_hours",
        summary="Read hourly or daily means of many pools",
        description=(
            "One array for each pool or group, a value for each step: the mean over the good "
            "samples of the step; null where there is none. `by` puts pools together, and `over` "
            "says whether their means are averaged or added up."
        ),
        parameters=[*PLACE_PARAMETERS, *TIME_PARAMETERS, *HOUR_PARAMETERS],
        responses={**_either(HoursOut), **_PROBLEMS},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return means of measures over steps of time."""
        return answer_by(bulk.hours, request)
