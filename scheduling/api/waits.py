"""HTTP for waits: when would a workload start, pool by pool."""

import math

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import MayViewGrid
from controlplane.lib import clock
from controlplane.lib.errors import InvalidField
from scheduling.domain.workloads import DataClass
from scheduling.selectors.waits import waits

_MOST_UNITS = 1_000_000.0
_LONGEST_S = 90 * 86400.0


class Waits(APIView):
    """Queue-wait forecasts."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="forecast_waits",
        summary="Foresee when a workload would start at each pool",
        parameters=[
            OpenApiParameter("units", float, required=True, description="size, > 0"),
            OpenApiParameter("requested_duration_s", float, required=True),
            OpenApiParameter("data_class", str, enum=[each.value for each in DataClass]),
            OpenApiParameter("home", str, description="pool where the data are, with data_class"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Return waiting hours at the levels 0.1, 0.5 and 0.9 for each pool, the soonest first."""
        data_class = request.query_params.get("data_class", "")
        if data_class and data_class not in set(DataClass):
            raise InvalidField("data_class", f"must be one of {', '.join(DataClass)}")
        found = waits(
            clock.now(),
            units=_number(request, "units", _MOST_UNITS),
            requested_h=_number(request, "requested_duration_s", _LONGEST_S) / 3600.0,
            data_class=data_class,
            home=request.query_params.get("home", ""),
        )
        return Response(found)


def _number(request: Request, name: str, most: float) -> float:
    try:
        value = float(request.query_params.get(name, ""))
    except ValueError:
        value = math.nan
    if not 0 < value <= most:
        raise InvalidField(name, f"must be a number above 0 and at most {most:g}")
    return value
