"""Shows people the inventory, the present state and stored samples."""

import datetime as dt

from django.http import Http404, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import MayViewGrid
from controlplane.auth.questions import answer_by
from controlplane.lib import clock
from controlplane.lib.errors import InvalidField
from controlplane.lib.problems import CONTENT_TYPE
from monitoring import selectors
from monitoring.api import present, schemas
from monitoring.domain.columns import parse_time

_NOT_FOUND = {(404, CONTENT_TYPE): schemas.ProblemOut}
_DAY = dt.timedelta(hours=24)


class RegionsView(APIView):
    """`GET /api/v1/regions`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="regions_list",
        summary="List regions with their load",
        responses=schemas.RegionListOut,
    )
    def get(self, request: Request) -> HttpResponse:
        """Return every region, those without pools among them."""
        return answer_by(present.regions, request)


class SitesView(APIView):
    """`GET /api/v1/sites`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(operation_id="sites_list", summary="List sites", responses=schemas.SiteListOut)
    def get(self, request: Request) -> HttpResponse:
        """Return every site."""
        return answer_by(present.sites, request)


class PoolsView(APIView):
    """`GET /api/v1/pools`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="pools_list",
        summary="List pools with their load",
        parameters=[
            OpenApiParameter("region", str, description="only pools of this region"),
            OpenApiParameter("provider", str, description="only pools of this provider"),
        ],
        responses=schemas.PoolListOut,
    )
    def get(self, request: Request) -> HttpResponse:
        """Return every pool, or those of a region or a provider."""
        return answer_by(present.pools, request)


class PoolView(APIView):
    """`GET /api/v1/pools/{code}`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="pools_retrieve",
        summary="Show one pool",
        responses={200: schemas.PoolOut, **_NOT_FOUND},
    )
    def get(self, request: Request, code: str) -> HttpResponse:
        """Return one pool."""
        return answer_by(present.pool, request, about=code)


class PoolSamplesView(APIView):
    """`GET /api/v1/pools/{code}/samples`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="pools_samples",
        summary="Read a pool's stored samples",
        parameters=[
            OpenApiParameter(
                "since", dt.datetime, description="RFC 3339 with an offset; else the last 24 h"
            ),
            OpenApiParameter("limit", int, description="1 to 5000; else 1000"),
        ],
        responses={200: schemas.SampleListOut, **_NOT_FOUND},
    )
    def get(self, request: Request, code: str) -> Response:
        """Return samples from a time on, oldest first."""
        info = selectors.pool_of(code)
        if info is None:
            raise Http404
        since, limit = _read_since(request, clock.now()), _read_limit(request)
        samples = selectors.samples_of(info.code, since, limit=limit + 1)
        following = samples[limit]["measured_at"] if len(samples) > limit else None
        return Response({"pool": code, "samples": samples[:limit], "next_since": following})


def _read_since(request: Request, now: dt.datetime) -> dt.datetime:
    text = request.query_params.get("since")
    if text is None:
        return now - _DAY
    # a plus sign in a query that was not escaped arrives as a space
    moment = parse_time(text.strip().replace(" ", "+") if "T" in text.upper() else text)
    if moment is None:
        raise InvalidField("since", "it must be an RFC 3339 time with an offset")
    return moment


def _read_limit(request: Request) -> int:
    text = request.query_params.get("limit", "1000")
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= limit <= selectors.MAX_SAMPLES_READ:
        raise InvalidField("limit", f"it must be 1 to {selectors.MAX_SAMPLES_READ}")
    return limit
