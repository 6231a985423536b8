"""HTTP for workloads, plans and dispatch: parse, one call, render."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.authentication import ProviderKeyAuthentication
from controlplane.auth.permissions import IsProvider, provider_of, require_actor
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.errors import ErrorKind, GridError, InvalidField
from controlplane.lib.problems import CONTENT_TYPE, problem
from scheduling.domain.lifecycle import PlanState
from scheduling.domain.policy import RejectReason
from scheduling.selectors import dispatch, plans
from scheduling.selectors import workloads as workload_rows
from scheduling.services import consent, dispatching, planning
from scheduling.services.workloads import MAX_BATCH, MAX_ERRORS, announce_workloads

IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description='The content that you decide on: `"<content_hash>"` of the plan.',
)


class IfMatchMissing(GridError):
    """A decision must say which content it is about."""

    code = "if-match-missing"
    kind = ErrorKind.PRECONDITION_REQUIRED


class EmptySerializer(serializers.Serializer[Any]):
    """No body."""


class ApproveSerializer(serializers.Serializer[Any]):
    """Body of an approval."""

    comment = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=consent.MAX_COMMENT
    )


class RejectSerializer(ApproveSerializer):
    """Body of a rejection."""

    reason_code = serializers.ChoiceField(choices=[(r.value, r.value) for r in RejectReason])


class FreezeSerializer(serializers.Serializer[Any]):
    """Body of the freeze switch."""

    frozen = serializers.BooleanField()
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)


class Workloads(APIView):
    """Movable work: providers announce it, people look at it."""

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

    @extend_schema(responses=OpenApiTypes.OBJECT, parameters=[OpenApiParameter("pool")])
    def get(self, request: Request) -> Response:
        """List open workloads, oldest first, at most 500, and their counts by pool and state."""
        return Response(workload_rows.open_workloads(request.query_params.get("pool")))

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Announce workloads and changes of their state; the same again changes nothing."""
        items = request.data.get("workloads") if isinstance(request.data, dict) else None
        if not isinstance(items, list):
            raise InvalidField("workloads", "must be a list of objects")
        if len(items) > MAX_BATCH:
            raise InvalidField("workloads", f"must not hold more than {MAX_BATCH} items")
        provider_code = provider_of(request)
        report = announce_workloads(items, provider_code=provider_code, now=clock.now())
        counts = {
            "received": report.received,
            "accepted": report.accepted,
            "unchanged": report.unchanged,
            "rejected": report.rejected,
            "errors": [dataclasses.asdict(error) for error in report.errors[:MAX_ERRORS]],
            "errors_total": len(report.errors),
        }
        if report.errors:
            body = problem(400, "partly-refused", "Some workloads were not taken.", **counts)
            return Response(body, status=400, content_type=CONTENT_TYPE)
        return Response(counts)


class PlanList(APIView):
    """Plans."""

    @extend_schema(
        operation_id="plans_list",
        responses={200: OpenApiTypes.OBJECT},
        parameters=[OpenApiParameter("state", many=True, enum=list(PlanState))],
    )
    def get(self, request: Request) -> Response:
        """List plans, newest first, at most 100."""
        states = request.query_params.getlist("state")
        unknown = set(states) - set(PlanState)
        if unknown:
            raise InvalidField("state", f"must be one of {', '.join(PlanState)}")
        return Response([plans.plan_card(plan) for plan in plans.plans_in(states or None)])


class PlanDetail(APIView):
    """One plan."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, plan_id: int) -> Response:
        """Return one plan; its ETag is what a decision must name."""
        return _plan_response(plan_id)


class ProposePlan(APIView):
    """Puts a draft before the regions it touches."""

    @extend_schema(request=EmptySerializer, responses=OpenApiTypes.OBJECT, parameters=[IF_MATCH])
    def post(self, request: Request, plan_id: int) -> Response:
        """Propose a draft; the proposer cannot decide on it."""
        actor = require_actor(request.user, Permission.PROPOSE_PLAN)
        consent.propose_plan(actor, plan_id, content_hash=_if_match(request), now=clock.now())
        return _plan_response(plan_id)


class ApprovePlan(APIView):
    """Records an approval."""

    @extend_schema(request=ApproveSerializer, responses=OpenApiTypes.OBJECT, parameters=[IF_MATCH])
    def post(self, request: Request, plan_id: int) -> Response:
        """Approve a plan for your region, or as an operator who did not propose it."""
        actor = require_actor(request.user, Permission.VIEW_GRID)
        body = ApproveSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        consent.approve_plan(
            actor,
            plan_id,
            content_hash=_if_match(request),
            now=clock.now(),
            comment=body.validated_data["comment"],
        )
        return _plan_response(plan_id)


class RejectPlan(APIView):
    """Records a rejection."""

    @extend_schema(request=RejectSerializer, responses=OpenApiTypes.OBJECT, parameters=[IF_MATCH])
    def post(self, request: Request, plan_id: int) -> Response:
        """Reject a plan with a reason; one rejection ends it."""
        actor = require_actor(request.user, Permission.VIEW_GRID)
        body = RejectSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        consent.reject_plan(
            actor,
            plan_id,
            content_hash=_if_match(request),
            now=clock.now(),
            reason_code=body.validated_data["reason_code"],
            comment=body.validated_data["comment"],
        )
        return _plan_response(plan_id)


class CancelPlan(APIView):
    """Takes a plan back before it begins."""

    @extend_schema(request=EmptySerializer, responses=OpenApiTypes.OBJECT, parameters=[IF_MATCH])
    def post(self, request: Request, plan_id: int) -> Response:
        """Cancel a plan that has not begun."""
        actor = require_actor(request.user, Permission.PROPOSE_PLAN)
        consent.cancel_plan(actor, plan_id, content_hash=_if_match(request), now=clock.now())
        return _plan_response(plan_id)


class PlanningRuns(APIView):
    """Solves of the situation."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Return the newest planning run."""
        return Response(plans.newest_run(clock.now()))

    @extend_schema(request=EmptySerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Plan now; the new drafts supersede those that nobody proposed.

        With an Idempotency-Key, the same request again answers with the same run.
        """
        actor = require_actor(request.user, Permission.PROPOSE_PLAN)
        key = str(request.headers.get("Idempotency-Key", "")).strip()[:200]
        named = f"{actor.username}/{key}" if key else None
        run = planning.plan_now(clock.now(), actor=actor.username, request_key=named)
        return Response(plans.run_card(run), status=status.HTTP_201_CREATED)


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


def _if_match(request: Request) -> str:
    header = str(request.headers.get("If-Match", "")).strip()
    if not header:
        raise IfMatchMissing('Send If-Match: "<content_hash>" of the plan that you looked at.')
    return header.removeprefix("W/").strip('"')


def _plan_response(plan_id: int) -> Response:
    plan = plans.plan_by_id(plan_id)
    if plan is None:
        raise consent.PlanNotFound(f"There is no plan {plan_id}.")
    return Response(plans.plan_card(plan), headers={"ETag": f'"{plan.content_hash}"'})
