"""Shows people the inventory, the present state and stored samples."""

import datetime as dt
from dataclasses import asdict
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import MayViewGrid
from controlplane.lib import clock
from controlplane.lib.errors import InvalidField
from controlplane.lib.problems import CONTENT_TYPE
from monitoring import selectors
from monitoring.api import schemas
from monitoring.api.shapes import pool_load, region_load
from monitoring.domain.columns import parse_time
from monitoring.domain.inventory import PoolInfo
from monitoring.domain.readings import PoolReading

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
    def get(self, request: Request) -> Response:
        """Return every region, those without pools among them."""
        now = clock.now()
        loads = {reading.region: region_load(reading) for reading in selectors.region_states(now)}
        regions = [{**asdict(info), "now": loads[info.code]} for info in selectors.regions()]
        return Response({"as_of": now, "regions": regions})


class SitesView(APIView):
    """`GET /api/v1/sites`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(operation_id="sites_list", summary="List sites", responses=schemas.SiteListOut)
    def get(self, request: Request) -> Response:
        """Return every site."""
        return Response({"sites": [asdict(info) for info in selectors.sites()]})


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
    def get(self, request: Request) -> Response:
        """Return every pool, or those of a region or a provider."""
        now = clock.now()
        wanted = {name: request.query_params.get(name) for name in ("region", "provider")}
        readings = {reading.pool: reading for reading in selectors.pool_states(now)}
        pools = [
            _pool_body(info, readings[info.code])
            for info in selectors.pools()
            if all(value in (None, getattr(info, name)) for name, value in wanted.items())
        ]
        return Response({"as_of": now, "pools": pools})


class PoolView(APIView):
    """`GET /api/v1/pools/{code}`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="pools_retrieve",
        summary="Show one pool",
        responses={200: schemas.PoolOut, **_NOT_FOUND},
    )
    def get(self, request: Request, code: str) -> Response:
        """Return one pool."""
        info = _pool_or_404(code)
        readings = selectors.pool_states(clock.now(), pool_code=code)
        return Response(_pool_body(info, readings[0]))


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
        info = _pool_or_404(code)
        since, limit = _read_since(request, clock.now()), _read_limit(request)
        samples = selectors.samples_of(info.code, since, limit=limit + 1)
        following = samples[limit]["measured_at"] if len(samples) > limit else None
        return Response({"pool": code, "samples": samples[:limit], "next_since": following})


def _pool_or_404(code: str) -> PoolInfo:
    found = next((info for info in selectors.pools() if info.code == code), None)
    if found is None:
        raise Http404
    return found


def _pool_body(info: PoolInfo, reading: PoolReading) -> dict[str, Any]:
    body = asdict(info)
    # where an engine listens is nobody's business but the dispatcher's
    for name in ("id", "engine_url", "energy_zone"):
        del body[name]
    return {**body, "now": pool_load(reading)}


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
