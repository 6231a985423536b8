"""HTTP for commands to engines and the switch that stops them."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import require_actor
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from scheduling.selectors import dispatch
from scheduling.services import dispatching


class FreezeSerializer(serializers.Serializer[Any]):
    """Body of the freeze switch."""

    frozen = serializers.BooleanField()
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)


class DispatchList(APIView):
    """Commands to engines."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Count commands by state, and list the open ones and the newest closed ones."""
        return Response(dispatch.dispatch_overview())


class FreezeDispatch(APIView):
    """The switch that stops new commands."""

    @extend_schema(request=FreezeSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Freeze or unfreeze dispatch."""
        actor = require_actor(request.user, Permission.PROPOSE_PLAN)
        body = FreezeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        switch = dispatching.set_frozen(
            actor,
            frozen=body.validated_data["frozen"],
            reason=body.validated_data["reason"],
            now=clock.now(),
        )
        return Response({"frozen": switch.is_frozen, "changed_by": switch.changed_by})
