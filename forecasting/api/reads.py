"""Shows people the forecasts, their declarations and how they came true."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import MayViewGrid
from controlplane.lib import clock
from controlplane.lib.errors import ErrorKind, GridError
from forecasting import selectors
from forecasting.api import questions, shapes
from forecasting.domain.runs import Scope

_ANY_SCOPE = OpenApiParameter("scope", str, enum=[scope.value for scope in Scope])
_PAST_DAYS = 13


class NoForecast(GridError):
    """Nothing has been forecast yet, or not so far."""

    code = "no-forecast"
    kind = ErrorKind.NOT_FOUND


class RunsView(APIView):
    """`GET /api/v1/forecasts/runs`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecast_runs_list",
        summary="List forecast runs",
        responses=shapes.RunListOut,
    )
    def get(self, request: Request) -> Response:
        """Return the newest 48 runs."""
        runs = selectors.recent_runs(clock.now())
        return Response({"runs": [questions.run_body(run) for run in runs]})


class ForecastsView(APIView):
    """`GET /api/v1/forecasts?scope=&code=&hours=`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecasts_list",
        summary="Read the newest forecast",
        parameters=[_ANY_SCOPE, questions.CODE, questions.HOURS],
        responses=shapes.ForecastOut,
    )
    def get(self, request: Request) -> Response:
        """Return the points of the newest run that reaches so far: all, a scope's or a series'."""
        scope = request.query_params.get("scope", "")
        if scope:
            questions.scope_of(request)
        hours = questions.number_of(request, "hours", 24, questions.HOURS_MOST)
        run = selectors.latest_run(clock.now(), horizon_h=hours)
        if run is None:
            raise NoForecast("There is no forecast yet that reaches so far.")
        code = request.query_params.get("code", "")
        frame = selectors.quantile_frame(run.id, scope=scope, code=code, hours=hours)
        points = frame.to_dict(orient="records")
        return Response({"run": questions.run_body(run), "points": points})


class SeriesView(APIView):
    """`GET /api/v1/forecasts/series?scope=&code=&hours=&history_h=`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecasts_series",
        summary="Read history and the newest forecast of one series",
        parameters=[questions.SCOPE, questions.CODE, questions.HOURS, questions.HISTORY],
        responses=shapes.ForecastSeriesOut,
    )
    def get(self, request: Request) -> Response:
        """Return what a chart of one series needs; hours beyond a day come from the week's run."""
        scope, code = questions.series_of(request)
        hours = questions.number_of(request, "hours", 24, questions.HOURS_MOST)
        back_h = questions.number_of(request, "history_h", 24, questions.HISTORY_MOST_H)
        found = selectors.series(scope.value, code, clock.now(), hours=hours, history_h=back_h)
        return Response(found)


class PastView(APIView):
    """`GET /api/v1/forecasts/past?scope=&code=&lead_h=&days=`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecasts_past",
        summary="Read what was said of past hours, beside what came",
        parameters=[
            questions.SCOPE,
            questions.CODE,
            OpenApiParameter("lead_h", int, description="how many hours before; 24 if not said"),
            OpenApiParameter("days", int, description="how far back, 1 to 13; 3 if not said"),
        ],
        responses=shapes.PastOut,
    )
    def get(self, request: Request) -> Response:
        """Return the quantiles issued `lead_h` hours before each past hour, and the truth."""
        scope, code = questions.series_of(request)
        lead_h = questions.number_of(request, "lead_h", 24, questions.HOURS_MOST)
        days = questions.number_of(request, "days", 3, _PAST_DAYS)
        now = clock.now()
        run = selectors.latest_run(now)
        truth = selectors.series(scope.value, code, now, history_h=24 * days)["history"]
        points = selectors.past_against_truth(scope.value, code, now, lead_h=lead_h, days=days)
        declared = None if run is None else selectors.declaration_of(run)
        return Response(
            {"declaration": declared, "lead_h": lead_h, "points": points, "history": truth}
        )


class AccuracyView(APIView):
    """`GET /api/v1/forecasts/accuracy`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecasts_accuracy",
        summary="Read how forecasts came true, against the best naive forecast",
        responses=shapes.AccuracyOut,
    )
    def get(self, request: Request) -> Response:
        """Return skill and coverage by lead, and what the watch for drift found."""
        now = clock.now()
        run = selectors.latest_run(now)
        declared = None if run is None else selectors.declaration_of(run)
        return Response({"declaration": declared, **selectors.accuracy(now)})


class ModelsView(APIView):
    """`GET /api/v1/forecasts/models`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecast_models_list",
        summary="List fitted models, promoted or not",
        responses=shapes.ModelListOut,
    )
    def get(self, request: Request) -> Response:
        """Return the newest 30 models with their data windows, features, scores and triggers."""
        return Response({"models": selectors.registry()})


class ZonesView(APIView):
    """`GET /api/v1/forecasts/energy/zones`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecast_energy_zones",
        summary="List the zones whose price and carbon are forecast",
        responses=shapes.ZoneListOut,
    )
    def get(self, request: Request) -> Response:
        """Return scope and code of each."""
        return Response({"zones": selectors.zones()})


class EnergyView(APIView):
    """`GET /api/v1/forecasts/energy?scope=&code=&hours=&history_h=`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecast_energy",
        summary="Read history and the newest forecast of a zone's price or carbon",
        parameters=[
            OpenApiParameter("scope", str, enum=["price", "carbon"], required=True),
            OpenApiParameter("code", str, required=True, description="zone"),
            questions.HOURS,
            questions.HISTORY,
        ],
        responses=shapes.EnergyOut,
    )
    def get(self, request: Request) -> Response:
        """Return what a chart of one zone needs."""
        scope = questions.energy_scope_of(request)
        code = request.query_params.get("code", "")
        hours = questions.number_of(request, "hours", 24, questions.HOURS_MOST)
        back_h = questions.number_of(request, "history_h", 24, questions.HISTORY_MOST_H)
        found = selectors.energy_series(
            scope.value, code, clock.now(), hours=hours, history_h=back_h
        )
        return Response(found)
