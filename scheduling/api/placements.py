"""HTTP for the search for a place: where is the cheapest compute that fits?"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import MayViewGrid
from controlplane.lib import clock
from scheduling.domain.offers import Need, Order
from scheduling.domain.workloads import DataClass
from scheduling.selectors.offers import offers


class SearchSerializer(serializers.Serializer[Any]):
    """What somebody wants to run."""

    units = serializers.FloatField(min_value=0.001, max_value=1e6)
    requested_duration_s = serializers.FloatField(min_value=1, max_value=90 * 86400.0)
    data_class = serializers.ChoiceField([c.value for c in DataClass], default="open")
    data_region = serializers.CharField(max_length=20, allow_blank=True, default="")
    data_gb = serializers.FloatField(min_value=0, max_value=1e9, default=0.0)
    requirement = serializers.CharField(max_length=100, allow_blank=True, default="")
    deadline_at = serializers.DateTimeField(allow_null=True, default=None)
    most_usd = serializers.FloatField(min_value=0, max_value=1e12, allow_null=True, default=None)
    order_by = serializers.ChoiceField([o.value for o in Order], default=Order.PRICE.value)


class PlacementSearch(APIView):
    """Places for a piece of work."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="placements_search",
        summary="Find the cheapest, cleanest or soonest place that fits",
        request=SearchSerializer,
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request: Request) -> Response:
        """Rank the pools that can run it; of every other pool say why not. Nothing is reserved."""
        body = SearchSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted, now = body.validated_data, clock.now()
        limits = {}
        if wanted["deadline_at"] is not None:
            limits["deadline_h"] = (wanted["deadline_at"] - now).total_seconds() / 3600.0
        if wanted["most_usd"] is not None:
            limits["most_usd"] = wanted["most_usd"]
        need = Need(
            units=wanted["units"],
            hours=wanted["requested_duration_s"] / 3600.0,
            data_gb=wanted["data_gb"],
            **limits,
        )
        found = offers(
            now,
            need,
            data_region=wanted["data_region"],
            data_class=wanted["data_class"],
            requirement=wanted["requirement"],
            order=Order(wanted["order_by"]),
        )
        return Response(found)
