"""Takes Prometheus remote-write and OTLP, and shows and sets how their metrics are mapped."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import IsProvider, MayViewGrid, provider_of, require_actor
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.preconditions import IfMatchMissing, if_match
from controlplane.lib.problems import CONTENT_TYPE, problem
from monitoring import senders
from monitoring.api import noticing, pushed, schemas, sender_examples
from monitoring.api.pushed import JSON, PROTOBUF
from monitoring.domain.mapping import write_rules
from monitoring.domain.points import PointReport, Points
from monitoring.domain.samples import live_window
from monitoring.formats import otlp_protobuf, remote_write
from monitoring.formats.heads import HeadMemory

_KEPT_HEADERS = ("Retry-After", "WWW-Authenticate")


class AnyAccept(BaseContentNegotiation):
    """Takes no notice of Accept: the answer's form follows from the request's."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the first parser; it is not used."""
        return parsers[0]

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or JSON


class RemoteWriteView(APIView):
    """`POST /api/v1/prometheus/write`: remote-write 1.0 and 2.0."""

    permission_classes = (IsProvider,)
    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="prometheus_write",
        summary="Push by Prometheus remote-write",
        description=(
            "Remote-write 1.0 and 2.0, snappy block format. 204: every sample is stored. 400: what "
            "was refused must not be sent again, the rest is stored. Native histograms are kept "
            "as classic ones, the newest exemplars of each series too; metadata is passed over.\n\n"
            + sender_examples.WRITE_BY_HAND
        ),
        parameters=sender_examples.WRITE_HEADERS,
        request={PROTOBUF: bytes},
        responses={
            204: None,
            (400, CONTENT_TYPE): schemas.PointProblemOut,
            (401, CONTENT_TYPE): schemas.ProblemOut,
            (413, CONTENT_TYPE): schemas.ProblemOut,
            (415, CONTENT_TYPE): schemas.ProblemOut,
            (429, CONTENT_TYPE): schemas.ProblemOut,
            (503, CONTENT_TYPE): schemas.ProblemOut,
        },
        examples=sender_examples.WRITE_EXAMPLES,
    )
    def post(self, request: Request) -> HttpResponse:
        """Store one write request."""
        provider_code = provider_of(request)
        message = pushed.message_of(request.META.get("CONTENT_TYPE", ""))
        body = pushed.unpack_write(request._request)  # noqa: SLF001 (not to be parsed)
        heads = senders.memory_of(provider_code).heads
        points = remote_write.decode(body, message, heads)
        report = _take(points, provider_code, heads)
        return _answer_write(report, message)


class OtlpMetricsView(APIView):
    """`POST /api/v1/otlp/v1/metrics`: OTLP/HTTP, protobuf and JSON."""

    permission_classes = (IsProvider,)
    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="otlp_metrics",
        summary="Push by OTLP/HTTP",
        description=(
            "ExportMetricsServiceRequest in protobuf or JSON, plain or gzip. 200 with "
            "partial_success when data points were refused: they must not be sent again."
        ),
        parameters=sender_examples.OTLP_HEADERS,
        request={PROTOBUF: bytes, JSON: schemas.OtlpIn},
        responses={
            (200, JSON): schemas.OtlpOut,
            (200, PROTOBUF): bytes,
            **{(status, JSON): schemas.OtlpStatusOut for status in (400, 401, 413, 415, 429, 503)},
        },
        examples=sender_examples.OTLP_EXAMPLES,
    )
    def post(self, request: Request) -> HttpResponse:
        """Store one export request."""
        provider_code = provider_of(request)
        points = pushed.read_otlp(request._request)  # noqa: SLF001 (not to be parsed)
        report = _take(points, provider_code)
        message = ""
        if not report.is_clean:
            message = f"{report.errors_total} data points were refused; {report.first_reason}"
        if pushed.kind_of(request._request) == JSON:  # noqa: SLF001
            partial = {"rejectedDataPoints": str(report.errors_total), "errorMessage": message}
            return Response({} if report.is_clean else {"partialSuccess": partial})
        body = otlp_protobuf.encode_partial_success(report.errors_total, message)
        return HttpResponse(body, content_type=PROTOBUF)

    def handle_exception(self, exc: Exception) -> Response:
        """Say what was wrong as OTLP does: a Status in the form of the request."""
        response = super().handle_exception(exc)
        message = str(response.data.get("detail", "")) if response.data else ""
        headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
        if pushed.kind_of(self.request) == PROTOBUF:
            body = otlp_protobuf.encode_status(message)
            return HttpResponse(  # type: ignore[return-value]  # DRF passes it on as it is
                body, status=response.status_code, content_type=PROTOBUF, headers=headers
            )
        return Response({"message": message}, status=response.status_code, headers=headers)


class MappingIn(serializers.Serializer[Any]):
    """A provider's mapping, as it is set."""

    rules = serializers.ListField(child=serializers.DictField())
    tick_s = serializers.FloatField(default=60.0, min_value=1.0, max_value=3600.0)
    series_limit = serializers.IntegerField(default=10_000, min_value=0, max_value=1_000_000)


class MappingOut(MappingIn):
    """A provider's mapping."""

    provider = serializers.CharField()
    version = serializers.IntegerField()
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField(allow_null=True)


class MappingView(APIView):
    """`/api/v1/providers/{code}/mapping`: where a provider's metrics go."""

    permission_classes = (MayViewGrid,)

    @extend_schema(operation_id="mapping_read", summary="See the mapping", responses=MappingOut)
    def get(self, request: Request, code: str) -> Response:
        """Return a provider's mapping; its ETag is what a change must name."""
        return _mapping_answer(senders.mapping_of(code))

    @extend_schema(
        operation_id="mapping_set",
        summary="Set the mapping",
        request=MappingIn,
        responses=MappingOut,
    )
    def put(self, request: Request, code: str) -> Response:
        """Replace a provider's mapping rules; for grid admins."""
        actor = require_actor(request.user, Permission.EDIT_INVENTORY)
        version = if_match(request, "mapping")
        if not (version.isascii() and version.isdigit()):
            raise IfMatchMissing('Send If-Match: "<version>" of the mapping that you looked at.')
        wanted = MappingIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        return _mapping_answer(
            senders.replace_rules(
                actor,
                code,
                expected_version=int(version[:9]),
                now=clock.now(),
                **wanted.validated_data,
            )
        )


def _take(points: Points, provider_code: str, heads: HeadMemory | None = None) -> PointReport:
    now = clock.now()
    window = live_window(now, rate=settings.GRID_CLOCK.rate)
    report = senders.take_points(
        points, provider_code=provider_code, now=now, window=window, heads=heads
    )
    noticing.notice_points(provider_code, points, report, now)
    return report


def _answer_write(report: PointReport, message: remote_write.Message) -> HttpResponse:
    headers = {}
    if message is remote_write.Message.V2:
        written = {
            "Samples": report.samples_written,
            "Histograms": report.histograms_written,
            "Exemplars": report.exemplars_written,
        }
        headers = {
            f"X-Prometheus-Remote-Write-{what}-Written": str(count)
            for what, count in written.items()
        }
    if report.is_clean:
        return HttpResponse(status=204, headers=headers)
    detail = f"{report.errors_total} of {report.received} were not stored; {report.first_reason}"
    counts = asdict(report)
    del counts["rejected_by_reason"]
    body = problem(400, "samples-refused", detail, **counts)
    return Response(body, status=400, content_type=CONTENT_TYPE, headers=headers)


def _mapping_answer(mapping: senders.MappingView) -> Response:
    body = {**asdict(mapping), "rules": write_rules(mapping.rules)}
    return Response(body, headers={"ETag": f'"{mapping.version}"'})
