"""Shows people the forecasts, their declarations and how they came true."""

from dataclasses import asdict
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import MayViewGrid
from controlplane.lib import clock
from controlplane.lib.errors import InvalidField
from forecasting import selectors
from forecasting.domain.runs import GRID_CODE, RunInfo, Scope

_SCOPE = OpenApiParameter("scope", str, enum=[scope.value for scope in Scope], required=True)
_CODE = OpenApiParameter("code", str, description="pool or region code; not needed for the grid")


class RunOut(serializers.Serializer[Any]):
    """A run with its declaration: what made it, from what data, and when."""

    id = serializers.IntegerField()
    issued_at = serializers.DateTimeField()
    state = serializers.CharField()
    model_name = serializers.CharField()
    model_version = serializers.CharField(allow_blank=True)
    trained_until = serializers.DateTimeField(allow_null=True)
    degraded_reason = serializers.CharField(allow_blank=True)
    fallbacks = serializers.DictField(help_text="series not by the model -> method and reason")
    age_s = serializers.FloatField(help_text="grid seconds since it was issued")


class RunListOut(serializers.Serializer[Any]):
    """The newest runs first."""

    runs = RunOut(many=True)


class PointOut(serializers.Serializer[Any]):
    """Quantiles of demand (units) in one hour."""

    scope = serializers.CharField()
    code = serializers.CharField()
    valid_at = serializers.DateTimeField()
    q05 = serializers.FloatField()
    q10 = serializers.FloatField()
    q50 = serializers.FloatField()
    q90 = serializers.FloatField()
    q95 = serializers.FloatField()
    method = serializers.CharField()
    fallback_reason = serializers.CharField(allow_blank=True)


class ForecastOut(serializers.Serializer[Any]):
    """Points of the newest run."""

    run = RunOut()
    points = PointOut(many=True)


class SeriesForecastOut(serializers.Serializer[Any]):
    """The newest forecast of a series; a point is [time, q05, q10, q50, q90, q95]."""

    run_id = serializers.IntegerField()
    issued_at = serializers.DateTimeField()
    model = serializers.CharField()
    version = serializers.CharField(allow_blank=True)
    trained_until = serializers.DateTimeField(allow_null=True)
    degraded_reason = serializers.CharField(allow_blank=True)
    method = serializers.CharField()
    fallback_reason = serializers.CharField(allow_blank=True)
    points = serializers.ListField(child=serializers.ListField())


class SeriesOut(serializers.Serializer[Any]):
    """A day of history, rows [time, demand, capacity], and the newest forecast."""

    history = serializers.ListField(child=serializers.ListField())
    forecast = SeriesForecastOut(allow_null=True)


class AccuracyOut(serializers.Serializer[Any]):
    """How past runs came true, and how the model in service did before its promotion."""

    issued_at = serializers.DateTimeField(allow_null=True)
    risk_quantile = serializers.FloatField()
    live = serializers.DictField(help_text="runs, overall, by_lead; empty before anything is true")
    model = serializers.DictField(allow_null=True)


class RunsView(APIView):
    """`GET /api/v1/forecasts/runs`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecast_runs_list", summary="List forecast runs", responses=RunListOut
    )
    def get(self, request: Request) -> Response:
        """Return the newest 48 runs."""
        runs = selectors.recent_runs(clock.now())
        return Response({"runs": [_run_body(run) for run in runs]})


class ForecastsView(APIView):
    """`GET /api/v1/forecasts?scope=&code=`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecasts_list",
        summary="Read the newest forecast",
        parameters=[OpenApiParameter("scope", str, enum=[s.value for s in Scope]), _CODE],
        responses=ForecastOut,
    )
    def get(self, request: Request) -> Response:
        """Return the points of the newest run: all, one scope's or one series'."""
        scope = request.query_params.get("scope", "")
        if scope:
            _scope_of(request)
        run = selectors.latest_run(clock.now())
        if run is None:
            raise Http404
        frame = selectors.quantile_frame(
            run.id, scope=scope, code=request.query_params.get("code", "")
        )
        points = frame.to_dict(orient="records")
        return Response({"run": _run_body(run), "points": points})


class SeriesView(APIView):
    """`GET /api/v1/forecasts/series?scope=&code=`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecasts_series",
        summary="Read a day of history and the newest forecast of one series",
        parameters=[_SCOPE, _CODE],
        responses=SeriesOut,
    )
    def get(self, request: Request) -> Response:
        """Return what a chart of one series needs."""
        scope = _scope_of(request)
        code = request.query_params.get("code", "")
        if scope is not Scope.GRID and not code:
            raise InvalidField("code", "is needed for this scope")
        return Response(selectors.series(scope, code or GRID_CODE, clock.now()))


class AccuracyView(APIView):
    """`GET /api/v1/forecasts/accuracy`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecasts_accuracy",
        summary="Read how forecasts came true, against the best naive forecast",
        responses=AccuracyOut,
    )
    def get(self, request: Request) -> Response:
        """Return skill and coverage by lead."""
        return Response(selectors.accuracy(clock.now()))


def _scope_of(request: Request) -> Scope:
    try:
        return Scope(request.query_params.get("scope", ""))
    except ValueError:
        known = ", ".join(scope.value for scope in Scope)
        raise InvalidField("scope", f"must be one of {known}") from None


def _run_body(run: RunInfo) -> dict[str, Any]:
    body = asdict(run)
    return {**body, "age_s": body.pop("age").total_seconds()}
