"""Exports forecasts as CSV with their declaration in front of the figures."""

import csv
import io
from collections.abc import Iterable

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from controlplane.auth.permissions import MayViewGrid
from controlplane.lib import clock
from forecasting import selectors
from forecasting.api import questions
from forecasting.api.reads import NoForecast
from forecasting.domain.runs import EnergyScope, Scope

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_COLUMNS = ("scope", "code", "valid_at", *selectors.QUANTILE_COLUMNS, "method", "fallback_reason")
_SCOPES = [scope.value for scope in (*Scope, *EnergyScope)]


class CsvRenderer(BaseRenderer):
    """Lets a client ask for text/csv; the view writes the text itself."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: object, media_type: object = None, context: object = None) -> bytes:
        """Return bytes as they are."""
        return str(data).encode()


class ExportView(APIView):
    """`GET /api/v1/forecasts/export.csv?scope=&code=&hours=`."""

    permission_classes = (MayViewGrid,)
    renderer_classes = (CsvRenderer, JSONRenderer)

    @extend_schema(
        operation_id="forecasts_export",
        summary="Export the newest forecast as CSV, with its declaration in front",
        parameters=[
            OpenApiParameter("scope", str, enum=_SCOPES),
            questions.CODE,
            questions.HOURS,
        ],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return lines that begin with `#` (what made the figures), a head line, and the rows."""
        scope = request.query_params.get("scope", "")
        if scope and scope not in _SCOPES:
            questions.scope_of(request)
        hours = questions.number_of(request, "hours", 24, questions.HOURS_MOST)
        run = selectors.latest_run(clock.now(), horizon_h=hours)
        if run is None:
            raise NoForecast("There is no forecast yet that reaches so far.")
        code = request.query_params.get("code", "")
        frame = selectors.quantile_frame(run.id, scope=scope, code=code, hours=hours)
        rows = frame[list(_COLUMNS)].itertuples(index=False)
        response = HttpResponse(
            csv_text(selectors.declaration_of(run), _COLUMNS, rows),
            content_type="text/csv; charset=utf-8",
        )
        name = f"forecast-{run.issued_at:%Y%m%dT%H%MZ}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


def csv_text(
    declaration: dict[str, object], columns: Iterable[str], rows: Iterable[Iterable[object]]
) -> str:
    """Return CSV that a spreadsheet cannot take for formulas.

    Args:
        declaration: what made the figures; one line each, so that no figure travels without it.
        columns: names of the columns.
        rows: cells.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for name, value in declaration.items():
        writer.writerow([f"# {name}", _safe(value)])
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_safe(cell) for cell in row])
    return text.getvalue()


def _safe(cell: object) -> object:
    """A text that a spreadsheet would run as a formula is quoted; numbers stay numbers.

    >>> _safe("=1+1"), _safe(-1.5)
    ("'=1+1", -1.5)
    """
    if cell is None:
        return ""
    if isinstance(cell, int | float):
        return cell
    if isinstance(cell, list | tuple):
        cell = " > ".join(map(str, cell))
    text = cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
