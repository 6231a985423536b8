"""Takes telemetry from providers and tells each how its own stands."""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.authentication import ProviderSender, actor_of
from controlplane.auth.permissions import IsProvider
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.bodies import (
    UnsupportedFormat,
    content_encoding,
    read_body,
    read_json_body,
)
from controlplane.lib.problems import CONTENT_TYPE, problem
from monitoring import ingest, selectors
from monitoring.api import schemas
from monitoring.api.shapes import pool_load
from monitoring.domain.reports import IngestReport
from monitoring.domain.samples import Batch, live_window
from monitoring.formats import arrow, rows


class TelemetryView(APIView):
    """`POST /api/v1/telemetry`: one batch of samples of the sender's own pools."""

    permission_classes = (IsProvider,)

    @extend_schema(
        operation_id="telemetry_push",
        summary="Push a batch of samples",
        description=(
            "Answers only after the commit. 200: everything is stored. 400 with counts: the good "
            "samples are stored all the same, do not send them again. 503: nothing is stored, "
            "send the same batch again after Retry-After. Sending a batch again does no harm, so "
            "no Idempotency-Key is needed; one that is sent is not looked at."
        ),
        request={"application/json": schemas.TelemetryIn, arrow.MEDIA_TYPE: bytes},
        responses={
            200: schemas.ReportOut,
            (400, CONTENT_TYPE): schemas.ReportProblemOut,
            (401, CONTENT_TYPE): schemas.ProblemOut,
            (413, CONTENT_TYPE): schemas.ProblemOut,
            (415, CONTENT_TYPE): schemas.ProblemOut,
            (503, CONTENT_TYPE): schemas.ProblemOut,
        },
        examples=[
            schemas.ROWS_EXAMPLE,
            schemas.COLUMNS_EXAMPLE,
            schemas.STORED_EXAMPLE,
            schemas.REFUSED_EXAMPLE,
        ],
    )
    def post(self, request: Request) -> Response:
        """Store a batch; the sender is known before the body is looked at."""
        sender = request.user
        if not isinstance(sender, ProviderSender):  # the permission has seen to that
            raise NotAuthenticated
        batch = _read_batch(request._request)  # noqa: SLF001 (DRF's own would parse)
        now = clock.now()
        report = ingest.ingest_batch(
            batch,
            provider_code=sender.provider_code,
            now=now,
            window=live_window(now, rate=settings.GRID_CLOCK.rate),
        )
        return _answer(report)


class IsProviderOrItsPerson(BasePermission):
    """A provider's key, or a person of a provider."""

    message = "This address is for providers."

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002
        """Whether the request comes from a provider."""
        return _provider_of(request.user) is not None


class ProviderStatusView(APIView):
    """`GET /api/v1/provider/status`: what the grid knows of the sender's own pools."""

    permission_classes = (IsProviderOrItsPerson,)

    @extend_schema(
        operation_id="provider_status",
        summary="See how your own telemetry stands",
        responses={200: schemas.ProviderStatusOut, (401, CONTENT_TYPE): schemas.ProblemOut},
    )
    def get(self, request: Request) -> Response:
        """Return the provider's account of samples and the freshness of its pools."""
        now = clock.now()
        provider_code = _provider_of(request.user) or ""
        readings = selectors.pool_states(now, provider_code=provider_code)
        return Response(
            {
                "provider": provider_code,
                "as_of": now,
                "tally": asdict(selectors.provider_tally(provider_code)),
                "pools": [{"pool": reading.pool, **pool_load(reading)} for reading in readings],
            }
        )


def _provider_of(user: Any) -> str | None:
    if isinstance(user, ProviderSender):
        return user.provider_code
    actor = actor_of(user)
    if actor is None or not actor.may(Permission.VIEW_OWN_POOLS):
        return None
    return actor.provider_code


def _read_batch(request: HttpRequest) -> Batch:
    kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != arrow.MEDIA_TYPE:
        return rows.decode(read_json_body(request))
    if content_encoding(request) != "identity":
        raise UnsupportedFormat("Send the body as it is, without a Content-Encoding.")
    return arrow.decode(read_body(request))


def _answer(report: IngestReport) -> Response:
    body = asdict(report)
    del body["rejected_by_reason"]
    if report.is_clean:
        return Response(body)
    detail = f"{report.errors_total} of {report.received} samples were not stored; the others were."
    return Response(
        problem(400, "samples-refused", detail, **body), status=400, content_type=CONTENT_TYPE
    )
