"""Tells a provider what would become of a push, or of draft mapping rules, storing nothing."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any

import numpy as np
from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter, extend_schema
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.lib import clock
from controlplane.lib.bodies import StrictJSONParser, read_body
from controlplane.lib.errors import GridError
from controlplane.lib.problems import CONTENT_TYPE
from monitoring import ingest, senders
from monitoring.api import provider_schemas as schemas
from monitoring.api import pushed
from monitoring.api.provider import IsProviderOrViewer, reach
from monitoring.api.schemas import COLUMNS_EXAMPLE, ROWS_EXAMPLE, ProblemOut, TelemetryIn
from monitoring.domain.dry_run import DryRun, run_points, run_samples
from monitoring.domain.points import NAME_LABEL, Points, judge_times
from monitoring.domain.samples import IntArray, judge, live_window
from monitoring.formats import arrow, remote_write
from monitoring.formats.collector import Collector
from monitoring.watch import health, profiles

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST_US = 2**57
_MAX_EXPOSED = 2_000
_PROVIDER = OpenApiParameter(
    "provider", str, description="whose pools and mapping; needed by people who see all"
)
_ANSWERS = {
    200: schemas.CheckOut,
    (400, CONTENT_TYPE): ProblemOut,
    (401, CONTENT_TYPE): ProblemOut,
    (403, CONTENT_TYPE): ProblemOut,
    (413, CONTENT_TYPE): ProblemOut,
    (415, CONTENT_TYPE): ProblemOut,
}


class MalformedExposition(GridError):
    """The text is not what an exporter shows."""

    code = "malformed-exposition"


class LeaveBody(BaseParser):
    """Leaves the body where it is; DRF would read it while it looks for a form's CSRF token."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return nothing."""
        return {}


class TelemetryCheckView(APIView):
    """`POST /api/v1/telemetry/check`: a push of any format, judged and not stored."""

    permission_classes = (IsProviderOrViewer,)
    parser_classes = (LeaveBody,)

    @extend_schema(
        operation_id="telemetry_check",
        summary="Try a push without storing it",
        description=(
            "Takes what the push addresses take, told apart by Content-Type and "
            "Content-Encoding: JSON rows or columns, Arrow, remote-write (snappy), OTLP (protobuf, "
            "or JSON with resourceMetrics). Judges as the real one would, but does not look "
            "whether the same is stored already."
        ),
        parameters=[_PROVIDER],
        request={
            "application/json": TelemetryIn,
            arrow.MEDIA_TYPE: bytes,
            pushed.PROTOBUF: bytes,
        },
        responses=_ANSWERS,
        examples=[ROWS_EXAMPLE, COLUMNS_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Return where each sample or series would land, and why the rest would not."""
        code = reach(request.user, request.query_params.get("provider"))
        senders.mapping_of(code)
        body: HttpRequest = request._request  # noqa: SLF001 (DRF's own would parse)
        kind = _format_of(body)
        now = clock.now()
        if kind in ("json", "arrow"):
            run, times = _check_batch(body, code, now)
        else:
            run, times = _check_points(_read_points(body, kind), code, now)
        return Response(_shape(kind, run, _lag_s(times, now)))


class MappingCheckView(APIView):
    """`POST /api/v1/mapping/check`: draft rules, tried on series."""

    permission_classes = (IsProviderOrViewer,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="mapping_check",
        summary="Try draft mapping rules",
        description="Shows where series would land under rules that are not in force; stores none.",
        parameters=[_PROVIDER],
        request=schemas.MappingCheckIn,
        responses=_ANSWERS,
        examples=[schemas.MAPPING_CHECK_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """Return the landing of each series."""
        code = reach(request.user, request.query_params.get("provider"))
        senders.mapping_of(code)
        wanted = schemas.MappingCheckIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        rules = senders.draft_rules(asked["rules"])
        now = clock.now()
        collector = Collector()
        for labels, value in _series_of(asked):
            position = collector.add_series(labels.items())
            collector.add_point(position, round(now.timestamp() * 1e6), value)
        points = collector.finish()
        run = run_points(points, points.fault, rules, senders.pools_of(code))
        return Response(_shape("series", run, None))


def _format_of(request: HttpRequest) -> str:
    kind = pushed.kind_of(request)
    if kind == arrow.MEDIA_TYPE:
        return "arrow"
    if kind == pushed.PROTOBUF:
        is_write = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() == "snappy"
        return "remote-write" if is_write else "otlp"
    if kind == pushed.JSON and _looks_like_otlp(request):
        return "otlp"
    return "json"


def _looks_like_otlp(request: HttpRequest) -> bool:
    if request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() == "gzip":
        return True
    return b'"resourceMetrics"' in read_body(request)[:200]


def _read_points(request: HttpRequest, kind: str) -> Points:
    if kind == "otlp":
        return pushed.read_otlp(request)
    message = pushed.message_of(request.META.get("CONTENT_TYPE", ""))
    return remote_write.decode(pushed.unpack_write(request), message)


def _check_batch(request: HttpRequest, code: str, now: dt.datetime) -> tuple[DryRun, IntArray]:
    batch = pushed.read_batch(request)
    window = live_window(now, rate=settings.GRID_CLOCK.rate)
    verdict = judge(batch, pools=ingest.terms_of(code).by_code, window=window)
    return run_samples(batch, profiles.weigh_only(verdict)), batch.measured_us


def _check_points(points: Points, code: str, now: dt.datetime) -> tuple[DryRun, IntArray]:
    window = live_window(now, rate=settings.GRID_CLOCK.rate)
    fault = judge_times(points, window)
    rules = senders.mapping_of(code).rules
    return run_points(points, fault, rules, senders.pools_of(code)), points.measured_us


def _series_of(asked: Mapping[str, Any]) -> list[tuple[dict[str, str], float]]:
    found = [(entry["labels"], entry["value"]) for entry in asked.get("series", [])]
    try:
        for family in text_string_to_metric_families(asked.get("exposition", "")):
            found += [({**s.labels, NAME_LABEL: s.name}, float(s.value)) for s in family.samples]
            if len(found) > _MAX_EXPOSED:
                raise MalformedExposition(f"Try at most {_MAX_EXPOSED} series at a time.")
    except (ValueError, KeyError, IndexError) as error:
        raise MalformedExposition("The text is not what an exporter's /metrics shows.") from error
    return found


def _lag_s(measured_us: IntArray, now: dt.datetime) -> float | None:
    known = measured_us[(measured_us > 0) & (measured_us < _LATEST_US)]
    if len(known) == 0:
        return None
    newest = _EPOCH + dt.timedelta(microseconds=int(np.max(known)))
    return round(health.wall_lag_s(now, newest), 3)


def _shape(kind: str, run: DryRun, lag_s: float | None) -> dict[str, Any]:
    return {
        "format": kind,
        "received": run.received,
        "would_accept": run.would_accept,
        "would_reject": run.received - run.would_accept,
        "suspect": run.suspect,
        "rejected_by_reason": dict(run.rejected_by_reason),
        "clock_lag_s": lag_s,
        "landings": [asdict(landed) for landed in run.landings],
        "landings_total": run.landings_total,
    }
