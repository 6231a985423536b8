"""HTTP for workloads and services: providers announce them, people look at them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.authentication import ProviderKeyAuthentication
from controlplane.auth.permissions import IsProvider, provider_of
from controlplane.lib import clock
from controlplane.lib.errors import InvalidField
from controlplane.lib.problems import CONTENT_TYPE, problem
from scheduling.domain.announcements import MAX_BATCH, MAX_ERRORS, AnnounceReport
from scheduling.selectors import workloads as workload_rows
from scheduling.services.workloads import announce_services, announce_workloads


class _Announced(APIView):
    """What providers announce with their keys and people look at."""

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Take only a provider's key where work is announced, so no session can be misused."""
        if self.request is not None and self.request.method == "POST":
            return [ProviderKeyAuthentication()]
        return super().get_authenticators()

    def get_permissions(self) -> Sequence[Any]:
        """Let providers announce and people look."""
        if self.request.method == "POST":
            return [IsProvider()]
        return super().get_permissions()


class Workloads(_Announced):
    """Movable work: providers announce it, people look at it."""

    @extend_schema(responses=OpenApiTypes.OBJECT, parameters=[OpenApiParameter("pool")])
    def get(self, request: Request) -> Response:
        """List open workloads, oldest first, at most 500, and their counts by pool and state."""
        return Response(workload_rows.open_workloads(request.query_params.get("pool")))

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Announce workloads and changes of their state; the same again changes nothing."""
        return _announce(request, "workloads", announce_workloads)


class Services(_Announced):
    """Services: providers announce what their users ask for, people look at it."""

    @extend_schema(operation_id="services_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """List running services with what users of each region ask for, at most 500."""
        return Response({"services": workload_rows.running_services()})

    @extend_schema(
        operation_id="services_announce", request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT
    )
    def post(self, request: Request) -> Response:
        """Announce services, what their users ask for now, or their end."""
        return _announce(request, "services", announce_services)


def _announce(request: Request, name: str, take: Callable[..., AnnounceReport]) -> Response:
    items = request.data.get(name) if isinstance(request.data, dict) else None
    if not isinstance(items, list):
        raise InvalidField(name, "must be a list of objects")
    if len(items) > MAX_BATCH:
        raise InvalidField(name, f"must not hold more than {MAX_BATCH} items")
    report = take(items, provider_code=provider_of(request), now=clock.now())
    counts = {
        "received": report.received,
        "accepted": report.accepted,
        "unchanged": report.unchanged,
        "rejected": report.rejected,
        "errors": [dataclasses.asdict(error) for error in report.errors[:MAX_ERRORS]],
        "errors_total": len(report.errors),
    }
    if report.errors:
        body = problem(400, "partly-refused", f"Some {name} were not taken.", **counts)
        return Response(body, status=400, content_type=CONTENT_TYPE)
    return Response(counts)
