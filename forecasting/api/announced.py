"""Takes announcements of demand to come from providers and operators, and shows them."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.authentication import ProviderSender, actor_of
from controlplane.auth.permissions import require_actor
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.errors import InvalidField
from controlplane.lib.preconditions import idempotency_key, if_match
from forecasting import selectors, services
from forecasting.api import shapes
from forecasting.domain.live.declared import DeclarationState
from forecasting.models import DemandDeclaration
from forecasting.services import Announcer

_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="same again adds nothing"
)
_IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, required=True, description="the version you read"
)


class MayAnnounce(BasePermission):
    """A provider (by key or as a person), or anybody who may view the grid."""

    message = "Announcements are for providers and people of the grid."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the sender may see announcements at all."""
        if isinstance(request.user, ProviderSender):
            return True
        actor = actor_of(request.user)
        wanted = (Permission.VIEW_GRID, Permission.VIEW_OWN_POOLS)
        return actor is not None and any(actor.may(permission) for permission in wanted)


class AnnouncedListView(APIView):
    """`/api/v1/demand-declarations`."""

    permission_classes = (MayAnnounce,)

    @extend_schema(
        operation_id="demand_declarations_list",
        summary="List announced demand",
        parameters=[
            OpenApiParameter("state", str, enum=[state.value for state in DeclarationState]),
            OpenApiParameter("scope", str, enum=["pool", "region"]),
            OpenApiParameter("code", str),
        ],
        responses=shapes.AnnouncedListOut,
    )
    def get(self, request: Request) -> Response:
        """Return at most 500, the next to begin first; a provider sees its own only."""
        state = request.query_params.get("state", "")
        if state and state not in set(DeclarationState):
            raise InvalidField("state", f"must be one of {', '.join(DeclarationState)}")
        found = selectors.declarations(
            provider_code=_reader(request).provider_code,
            state=state,
            scope=request.query_params.get("scope", ""),
            code=request.query_params.get("code", ""),
        )
        return Response({"declarations": found})

    @extend_schema(
        operation_id="demand_declarations_create",
        summary="Announce demand to come",
        parameters=[_KEY],
        request=shapes.AnnouncedIn,
        responses={201: shapes.AnnouncedOut, 200: shapes.AnnouncedOut},
    )
    def post(self, request: Request) -> Response:
        """Take an announcement; the next forecast counts it until the work is there."""
        body = shapes.AnnouncedIn(data=request.data)
        body.is_valid(raise_exception=True)
        key = idempotency_key(request)
        row, is_new = services.declare_demand(
            _writer(request), body.validated_data, now=clock.now(), request_key=key or None
        )
        return _answer(row, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class AnnouncedView(APIView):
    """`/api/v1/demand-declarations/{id}`."""

    permission_classes = (MayAnnounce,)

    @extend_schema(
        operation_id="demand_declarations_read",
        summary="Read one announcement",
        responses=shapes.AnnouncedOut,
    )
    def get(self, request: Request, declaration_id: int) -> Response:
        """Return it; its ETag is what a change must name."""
        return _answer(services.find_declaration(_reader(request), declaration_id))

    @extend_schema(
        operation_id="demand_declarations_change",
        summary="Change an announcement, withdraw it, or tell that it arrived",
        parameters=[_IF_MATCH],
        request=shapes.AnnouncedChangeIn,
        responses=shapes.AnnouncedOut,
    )
    def patch(self, request: Request, declaration_id: int) -> Response:
        """Change what is sent and leave the rest."""
        body = shapes.AnnouncedChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        row = services.change_declaration(
            _writer(request),
            declaration_id,
            body.validated_data,
            version=_version(request),
            now=clock.now(),
        )
        return _answer(row)


def _reader(request: Request) -> Announcer:
    """Return who asks: a provider sees its own, everybody else of the grid sees all."""
    if isinstance(request.user, ProviderSender):
        code = request.user.provider_code
        return Announcer(f"provider:{code}", code)
    actor = actor_of(request.user)
    if actor is not None and not actor.may(Permission.VIEW_GRID):
        # somebody of a provider without a provider would else see everything
        return Announcer(actor.username, actor.provider_code or "")
    return Announcer(actor.username if actor else "")


def _writer(request: Request) -> Announcer:
    """Return who announces: a provider for its own pools, an operator for all."""
    reader = _reader(request)
    if reader.provider_code is None:
        require_actor(request.user, Permission.PROPOSE_PLAN)
    return reader


def _version(request: Request) -> int:
    header = if_match(request, "announcement")
    return int(header) if header.isascii() and header.isdigit() else -1


def _answer(row: DemandDeclaration, code: int = status.HTTP_200_OK) -> Response:
    card = selectors.declaration_card(row)
    return Response(card, status=code, headers={"ETag": f'"{row.version}"'})
