"""HTTP for what people set for plans: limits, accelerators and their speeds, fair shares."""

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.authentication import actor_of
from controlplane.auth.permissions import NotAllowed
from controlplane.auth.roles import Actor, Permission
from controlplane.lib import clock
from controlplane.lib.preconditions import if_match
from scheduling.api.shared import IF_MATCH, request_key
from scheduling.models import (
    AcceleratorRow,
    CarbonCapRow,
    FairShareRow,
    MaintenanceWindow,
    QuotaRow,
    SpeedRow,
)
from scheduling.selectors.limits import pool_rows, region_rows, site_rows
from scheduling.services import limits

_KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)
_SET_BY = ("id", "author", "changed_at", "version")


class MaintenanceSerializer(serializers.ModelSerializer[MaintenanceWindow]):
    """A window; names either a pool or a site, by code."""

    pool = serializers.SlugRelatedField[Any](
        slug_field="code", queryset=pool_rows(), required=False, allow_null=True, default=None
    )
    site = serializers.SlugRelatedField[Any](
        slug_field="code", queryset=site_rows(), required=False, allow_null=True, default=None
    )
    reason = serializers.CharField(max_length=500)

    class Meta:
        model = MaintenanceWindow
        fields = (*_SET_BY, "pool", "site", "starts_at", "ends_at", "reason")
        read_only_fields = _SET_BY


class QuotaSerializer(serializers.ModelSerializer[QuotaRow]):
    """A quota of a tenant, or of a cohort that others name as parent."""

    name = serializers.CharField(max_length=200)
    parent = serializers.CharField(  # type: ignore[assignment]  # DRF has a `parent` too
        max_length=200, allow_blank=True, default=""
    )
    nominal_units = serializers.FloatField(min_value=0, max_value=1e9)
    borrowing_units = serializers.FloatField(
        min_value=0, max_value=1e9, allow_null=True, default=None
    )
    lending_units = serializers.FloatField(
        min_value=0, max_value=1e9, allow_null=True, default=None
    )
    regions = serializers.ListField(child=serializers.CharField(max_length=20), default=list)

    class Meta:
        model = QuotaRow
        fields = (
            *(*_SET_BY, "name", "parent", "nominal_units", "borrowing_units"),
            *("lending_units", "regions"),
        )
        read_only_fields = _SET_BY


class CarbonCapSerializer(serializers.ModelSerializer[CarbonCapRow]):
    """A cap of one region."""

    region = serializers.PrimaryKeyRelatedField[Any](queryset=region_rows())
    most_kg_per_day = serializers.FloatField(min_value=0, max_value=1e9)

    class Meta:
        model = CarbonCapRow
        fields = (*_SET_BY, "region", "most_kg_per_day")
        read_only_fields = _SET_BY


class AcceleratorSerializer(serializers.ModelSerializer[AcceleratorRow]):
    """The type of accelerator or node that a pool has."""

    pool = serializers.SlugRelatedField[Any](slug_field="code", queryset=pool_rows())
    accelerator = serializers.CharField(max_length=100)

    class Meta:
        model = AcceleratorRow
        fields = (*_SET_BY, "pool", "accelerator")
        read_only_fields = _SET_BY


class SpeedSerializer(serializers.ModelSerializer[SpeedRow]):
    """How fast work with a requirement runs on a type of accelerator; 0: not at all."""

    requirement = serializers.CharField(max_length=100)
    accelerator = serializers.CharField(max_length=100)
    factor = serializers.FloatField(min_value=0, max_value=100)

    class Meta:
        model = SpeedRow
        fields = (*_SET_BY, "requirement", "accelerator", "factor")
        read_only_fields = _SET_BY
        validators: ClassVar[list[Any]] = []  # the database refuses a second one: 409, not 400

    def validate_factor(self, factor: float) -> float:
        """Refuse what is neither nothing nor worth telling."""
        if 0 < factor < 0.01:
            raise serializers.ValidationError("must be 0, or from 0.01 to 100")
        return factor


class FairShareSerializer(serializers.ModelSerializer[FairShareRow]):
    """The weight of a tenant, or of all work whose home is in a region."""

    tenant = serializers.CharField(max_length=200, allow_blank=True, default="")
    region = serializers.PrimaryKeyRelatedField[Any](
        queryset=region_rows(), allow_null=True, default=None
    )
    weight = serializers.FloatField(min_value=0.001, max_value=1000)

    class Meta:
        model = FairShareRow
        fields = (*_SET_BY, "tenant", "region", "weight")
        read_only_fields = _SET_BY
        validators: ClassVar[list[Any]] = []


class _Limits(APIView):
    permission_classes = (IsAuthenticated,)
    model: ClassVar[type[limits.Row]]
    serializer: ClassVar[type[serializers.ModelSerializer[Any]]]

    def read_body(self, request: Request) -> dict[str, Any]:
        """Return the fields that a body sets, of the right types."""
        body = self.serializer(data=request.data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def answer(self, row: limits.Row, status_code: int = 200) -> Response:
        """Return a row with its version as the ETag."""
        headers = {"ETag": f'"{row.version}"'}
        return Response(self.serializer(row).data, status=status_code, headers=headers)


class LimitList(_Limits):
    """All limits of a kind."""

    def get(self, request: Request) -> Response:
        """List them, at most 500."""
        actor = _person(request)
        rows = self.model.objects.order_by("pk")
        if not actor.may(Permission.VIEW_GRID):
            if self.model is not MaintenanceWindow:
                raise NotAllowed("Your role does not see this.")
            rows = _of_provider(rows, str(actor.provider_code))
        return Response({"items": self.serializer(rows[:500], many=True).data})

    def post(self, request: Request) -> Response:
        """Set a new one; the next planning cycle keeps it."""
        actor = _person(request)
        row = limits.create_limit(
            actor,
            self.model,
            self.read_body(request),
            now=clock.now(),
            request_key=request_key(request, actor.username),
        )
        return self.answer(row, status.HTTP_201_CREATED)


class LimitDetail(_Limits):
    """One limit; its ETag is its version."""

    def put(self, request: Request, limit_id: int) -> Response:
        """Change it, if it is still at the version named in If-Match."""
        actor = _person(request)
        version = if_match(request, "limit")
        values = self.read_body(request)
        row = limits.change_limit(
            actor, self.model, limit_id, values, version=version, now=clock.now()
        )
        return self.answer(row)

    def delete(self, request: Request, limit_id: int) -> Response:
        """Take it away, if it is still at the version named in If-Match."""
        actor = _person(request)
        limits.remove_limit(actor, self.model, limit_id, version=if_match(request, "limit"))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _person(request: Request) -> Actor:
    actor = actor_of(request.user)
    if actor is None:
        raise NotAllowed("This address is for people.")
    return actor


def _of_provider(rows: Any, provider_code: str) -> Any:
    return rows.filter(site__provider_id=provider_code) | rows.filter(
        pool__site__provider_id=provider_code
    )


def _list_of(name: str, serializer: Any) -> Any:
    return extend_schema_view(
        get=extend_schema(operation_id=f"{name}_list", responses=OpenApiTypes.OBJECT),
        post=extend_schema(
            operation_id=f"{name}_create",
            request=serializer,
            responses={201: serializer},
            parameters=[_KEY],
        ),
    )


def _detail_of(name: str, serializer: Any) -> Any:
    return extend_schema_view(
        put=extend_schema(
            operation_id=f"{name}_change",
            request=serializer,
            responses=serializer,
            parameters=[IF_MATCH],
        ),
        delete=extend_schema(
            operation_id=f"{name}_remove", responses={204: None}, parameters=[IF_MATCH]
        ),
    )


@_list_of("maintenance", MaintenanceSerializer)
class MaintenanceList(LimitList):
    """Maintenance windows."""

    model, serializer = MaintenanceWindow, MaintenanceSerializer


@_detail_of("maintenance", MaintenanceSerializer)
class MaintenanceDetail(LimitDetail):
    """One maintenance window."""

    model, serializer = MaintenanceWindow, MaintenanceSerializer


@_list_of("quotas", QuotaSerializer)
class QuotaList(LimitList):
    """Quotas."""

    model, serializer = QuotaRow, QuotaSerializer


@_detail_of("quotas", QuotaSerializer)
class QuotaDetail(LimitDetail):
    """One quota."""

    model, serializer = QuotaRow, QuotaSerializer


@_list_of("carbon_caps", CarbonCapSerializer)
class CarbonCapList(LimitList):
    """Carbon caps."""

    model, serializer = CarbonCapRow, CarbonCapSerializer


@_detail_of("carbon_caps", CarbonCapSerializer)
class CarbonCapDetail(LimitDetail):
    """One carbon cap."""

    model, serializer = CarbonCapRow, CarbonCapSerializer


@_list_of("accelerators", AcceleratorSerializer)
class AcceleratorList(LimitList):
    """Accelerators of pools."""

    model, serializer = AcceleratorRow, AcceleratorSerializer


@_detail_of("accelerators", AcceleratorSerializer)
class AcceleratorDetail(LimitDetail):
    """One pool's accelerator."""

    model, serializer = AcceleratorRow, AcceleratorSerializer


@_list_of("speeds", SpeedSerializer)
class SpeedList(LimitList):
    """Speeds of requirements on accelerators."""

    model, serializer = SpeedRow, SpeedSerializer


@_detail_of("speeds", SpeedSerializer)
class SpeedDetail(LimitDetail):
    """One speed."""

    model, serializer = SpeedRow, SpeedSerializer


@_list_of("fair_shares", FairShareSerializer)
class FairShareList(LimitList):
    """Weights of fair shares."""

    model, serializer = FairShareRow, FairShareSerializer


@_detail_of("fair_shares", FairShareSerializer)
class FairShareDetail(LimitDetail):
    """One weight."""

    model, serializer = FairShareRow, FairShareSerializer
