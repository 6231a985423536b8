"""Takes telemetry from providers."""

from dataclasses import asdict

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.authentication import ProviderSender
from controlplane.auth.permissions import IsProvider
from controlplane.lib import clock
from controlplane.lib.problems import CONTENT_TYPE, problem
from monitoring import ingest
from monitoring.api import noticing, pushed, schemas
from monitoring.domain.reports import IngestReport
from monitoring.domain.samples import live_window
from monitoring.formats import arrow


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
            (429, CONTENT_TYPE): schemas.ProblemOut,
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
        batch = pushed.read_batch(request._request)  # noqa: SLF001 (DRF's own would parse)
        now = clock.now()
        report = ingest.ingest_batch(
            batch,
            provider_code=sender.provider_code,
            now=now,
            window=live_window(now, rate=settings.GRID_CLOCK.rate),
        )
        noticing.notice_batch(sender.provider_code, batch, report, now)
        return _answer(report)


def _answer(report: IngestReport) -> Response:
    body = asdict(report)
    del body["rejected_by_reason"]
    if report.is_clean:
        return Response(body)
    detail = f"{report.errors_total} of {report.received} samples were not stored; the others were."
    return Response(
        problem(400, "samples-refused", detail, **body), status=400, content_type=CONTENT_TYPE
    )
