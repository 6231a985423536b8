"""HTTP for plans and planning runs: parse, one call, render."""

import dataclasses
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import require_actor
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.errors import InvalidField
from controlplane.lib.preconditions import if_match
from scheduling.api.shared import IF_MATCH, EmptySerializer, request_key
from scheduling.domain.lifecycle import PlanState
from scheduling.domain.policy import RejectReason
from scheduling.selectors import plans
from scheduling.selectors.fairness import past_fairness
from scheduling.selectors.risk import realised_risk
from scheduling.services import consent, planning


class ApproveSerializer(serializers.Serializer[Any]):
    """Body of an approval."""

    comment = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=consent.MAX_COMMENT
    )


class RejectSerializer(ApproveSerializer):
    """Body of a rejection."""

    reason_code = serializers.ChoiceField(choices=[(r.value, r.value) for r in RejectReason])


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
        consent.propose_plan(
            actor, plan_id, content_hash=if_match(request, "plan"), now=clock.now()
        )
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
            content_hash=if_match(request, "plan"),
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
            content_hash=if_match(request, "plan"),
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
        seen = if_match(request, "plan")
        consent.cancel_plan(actor, plan_id, content_hash=seen, now=clock.now())
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
        named = request_key(request, actor.username)
        run = planning.plan_now(clock.now(), actor=actor.username, request_key=named)
        return Response(plans.run_card(run), status=status.HTTP_201_CREATED)


def _plan_response(plan_id: int) -> Response:
    plan = plans.plan_by_id(plan_id)
    if plan is None:
        raise consent.PlanNotFound(f"There is no plan {plan_id}.")
    return Response(plans.plan_card(plan), headers={"ETag": f'"{plan.content_hash}"'})


class PlanningRisk(APIView):
    """The stated risk of plans against what came."""

    @extend_schema(
        responses=OpenApiTypes.OBJECT,
        parameters=[OpenApiParameter("days", int, description="1 to 30, 7 unless said otherwise")],
    )
    def get(self, request: Request) -> Response:
        """Say how often demand passed the quantile that plans promised room by."""
        reports = realised_risk(clock.now(), days=_days(request, most=30))
        return Response({"levels": [dataclasses.asdict(report) for report in reports]})


class PlanningFairness(APIView):
    """How fairly capacity was divided."""

    @extend_schema(
        responses=OpenApiTypes.OBJECT,
        parameters=[OpenApiParameter("days", int, description="1 to 14, 7 unless said otherwise")],
    )
    def get(self, request: Request) -> Response:
        """Measure Jain's index over tenants and home regions, for all days and day by day."""
        require_actor(request.user, Permission.VIEW_GRID)
        return Response(past_fairness(clock.now(), days=_days(request, most=14)))


def _days(request: Request, *, most: int) -> int:
    text = request.query_params.get("days", "7")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= most):
        raise InvalidField("days", f"must be a whole number from 1 to {most}")
    return int(text)
