"""Shows the series of standard senders and reads their points back."""

import datetime as dt
import math
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.lib import clock
from controlplane.lib.errors import InvalidField
from controlplane.lib.problems import CONTENT_TYPE
from monitoring.api import schemas
from monitoring.api.provider import IsProviderOrViewer, own_provider
from monitoring.domain.columns import parse_time
from monitoring.domain.samples import moment_of
from monitoring.selectors.pushed import (
    MAX_SERIES_LISTED,
    exemplars_of,
    find_series,
    points_of,
    series_of_id,
)

_HOUR = dt.timedelta(hours=1)
_MAX_SPAN = dt.timedelta(days=1)


class PushedSeriesOut(serializers.Serializer[Any]):
    """One series."""

    id = serializers.IntegerField()
    provider = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField())
    rule = serializers.CharField(help_text="the mapping rule that takes it; empty = none")
    pool = serializers.CharField(allow_null=True)


class SeriesListOut(serializers.Serializer[Any]):
    """Some series."""

    series = PushedSeriesOut(many=True)
    next_after = serializers.IntegerField(allow_null=True)


class ExemplarOut(serializers.Serializer[Any]):
    """A value, and what it was an example of."""

    measured_at = serializers.DateTimeField()
    value = serializers.FloatField(allow_null=True)
    labels = serializers.DictField(child=serializers.CharField())


class SeriesPointsOut(serializers.Serializer[Any]):
    """The points of one series as columns; a value is null where it is not finite."""

    id = serializers.IntegerField()
    measured_at = serializers.ListField(child=serializers.DateTimeField())
    value = serializers.ListField(child=serializers.FloatField(allow_null=True))
    exemplars = ExemplarOut(many=True, help_text="newest first; a series keeps its newest ten")


class SeriesListView(APIView):
    """`GET /api/v1/series`."""

    permission_classes = (IsProviderOrViewer,)

    @extend_schema(
        operation_id="series_list",
        summary="Find series that standard senders pushed",
        parameters=[
            OpenApiParameter("provider", str, description="provider code; a key sees its own only"),
            OpenApiParameter("name", str, description="metric name"),
            OpenApiParameter(
                "label", str, many=True, description="name:value; all of them must hold"
            ),
            OpenApiParameter("after", int, description="`next_after` of the page before"),
        ],
        responses=SeriesListOut,
    )
    def get(self, request: Request) -> Response:
        """Return series in the order in which they were first seen."""
        wanted = dict(_label(text) for text in request.query_params.getlist("label"))
        if name := request.query_params.get("name"):
            wanted |= dict([_label(f"__name__:{name}")])
        found = find_series(
            own_provider(request.user) or request.query_params.get("provider"),
            wanted,
            after=_whole(request, "after"),
        )
        more = len(found) > MAX_SERIES_LISTED
        shown = found[:MAX_SERIES_LISTED]
        return Response({"series": shown, "next_after": shown[-1]["id"] if more else None})


class SeriesPointsView(APIView):
    """`GET /api/v1/series/{id}/points`."""

    permission_classes = (IsProviderOrViewer,)

    @extend_schema(
        operation_id="series_points",
        summary="Read a series' stored points",
        parameters=[
            OpenApiParameter("since", dt.datetime, description="inclusive; else an hour ago"),
            OpenApiParameter("until", dt.datetime, description="exclusive; else now"),
        ],
        responses={200: SeriesPointsOut, (404, CONTENT_TYPE): schemas.ProblemOut},
    )
    def get(self, request: Request, series_id: int) -> Response:
        """Return points, oldest first; a day at most."""
        scope = own_provider(request.user)
        found = series_of_id(series_id)
        if found is None or scope not in (None, found["provider"]):
            raise Http404
        now = clock.now()
        since, until = _time(request, "since", now - _HOUR), _time(request, "until", now)
        if not dt.timedelta() < until - since <= _MAX_SPAN:
            raise InvalidField("until", "it must be after since, and a day after it at most")
        points = points_of(series_id, since, until)
        if points is None:
            raise InvalidField("since", "there are too many points: ask for less time")
        return Response(
            {
                "id": series_id,
                "measured_at": [moment_of(us) for us in points.measured_us.tolist()],
                "value": [_finite(value) for value in points.value.tolist()],
                "exemplars": [
                    {
                        "measured_at": moment_of(measured_us),
                        "value": _finite(value),
                        "labels": dict(labels),
                    }
                    for measured_us, value, labels in exemplars_of(series_id, since, until)
                ],
            }
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _label(text: str) -> tuple[str, str]:
    name, mark, value = text.partition(":")
    if not name or not mark or "\0" in text:
        raise InvalidField("label", "it must be name:value")
    return name, value


def _whole(request: Request, field: str) -> int:
    text = request.query_params.get(field, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidField(field, "it must be a whole number")
    return int(text)


def _time(request: Request, field: str, otherwise: dt.datetime) -> dt.datetime:
    text = request.query_params.get(field)
    if text is None:
        return otherwise
    # a plus sign in a query that was not escaped arrives as a space
    moment = parse_time(text.strip().replace(" ", "+") if "T" in text.upper() else text)
    if moment is None:
        raise InvalidField(field, "it must be an RFC 3339 time with an offset")
    return moment
