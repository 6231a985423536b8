"""Shows alerts and takes acknowledgements, and lets grid admins change rules and targets."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import MayViewGrid, require_actor
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.bodies import StrictJSONParser
from controlplane.lib.errors import InvalidField
from controlplane.lib.preconditions import IfMatchMissing, idempotency_key, if_match
from controlplane.lib.problems import CONTENT_TYPE
from monitoring import selectors, services
from monitoring.api import alert_schemas as schemas

_PROBLEM = schemas.ProblemOut
_REFUSALS = {
    (400, CONTENT_TYPE): _PROBLEM,
    (403, CONTENT_TYPE): _PROBLEM,
    (412, CONTENT_TYPE): _PROBLEM,
    (428, CONTENT_TYPE): _PROBLEM,
}
_NOT_FOUND = {(404, CONTENT_TYPE): _PROBLEM}
_CONFLICT = {(409, CONTENT_TYPE): _PROBLEM}
_IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, required=True, description='"<version>" looked at'
)
_REQUEST_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="same again adds nothing"
)


class AlertsView(APIView):
    """`GET /api/v1/alerts`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="alerts_list",
        summary="List alerts",
        parameters=[
            OpenApiParameter(
                "state",
                str,
                enum=["firing", "open", "all"],
                description="firing (default), open (the pending ones too), all (newest 200)",
            )
        ],
        responses=schemas.AlertListOut,
    )
    def get(self, request: Request) -> Response:
        """Return alerts, newest first."""
        now = clock.now()
        state = request.query_params.get("state", "firing")
        if state == "all":
            alerts = selectors.recent_alerts(now)
        elif state in ("firing", "open"):
            alerts = selectors.open_alerts(now, include_pending=state == "open")
        else:
            raise InvalidField("state", "it is firing, open or all")
        return Response({"as_of": now, "alerts": [asdict(alert) for alert in alerts]})


class AcknowledgeView(APIView):
    """`POST /api/v1/alerts/{id}/acknowledge`."""

    permission_classes = (MayViewGrid,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="alerts_acknowledge",
        summary="Say that you take care of an alert",
        request=schemas.AcknowledgeIn,
        responses={
            200: schemas.AlertOut,
            (403, CONTENT_TYPE): schemas.ProblemOut,
            **_NOT_FOUND,
            (409, CONTENT_TYPE): schemas.ProblemOut,
        },
    )
    def post(self, request: Request, alert_id: int) -> Response:
        """Acknowledge an open alert; again by the same person, it changes nothing."""
        actor = require_actor(request.user, Permission.ACKNOWLEDGE_ALERT)
        body = schemas.AcknowledgeIn(data=request.data)
        body.is_valid(raise_exception=True)
        alert = services.acknowledge_alert(
            actor, alert_id, comment=body.validated_data["comment"], now=clock.now()
        )
        return Response(asdict(alert))


class AlertRulesView(APIView):
    """`/api/v1/alert-rules`: every rule and how it stands; a new one is proposed here."""

    permission_classes = (MayViewGrid,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="alert_rules_list",
        summary="List alert rules with how they stand",
        responses=schemas.AlertRuleListOut,
    )
    def get(self, request: Request) -> Response:
        """Return every rule, in order of name."""
        rules = [selectors.rule_document(view) for view in selectors.rule_views()]
        return Response({"as_of": clock.now(), "rules": rules})

    @extend_schema(
        operation_id="alert_rules_propose",
        summary="Propose a new alert rule",
        description="Another grid admin has to confirm it before it holds.",
        parameters=[_REQUEST_KEY],
        request=schemas.AlertRuleIn,
        responses={202: schemas.AlertRuleChangeOut, **_REFUSALS},
    )
    def post(self, request: Request) -> Response:
        """Propose a rule that is new."""
        return _propose(request, _document(request), expected_version=0)


class AlertRuleView(APIView):
    """`/api/v1/alert-rules/{name}`."""

    permission_classes = (MayViewGrid,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="alert_rules_retrieve",
        summary="See an alert rule",
        responses={200: schemas.AlertRuleOut, **_NOT_FOUND},
    )
    def get(self, request: Request, name: str) -> Response:
        """Return a rule; its ETag is what a change must name."""
        found = selectors.rule_views(name=name)
        if not found:
            raise services.AlertRuleNotFound(f"There is no alert rule {name}.")
        document = selectors.rule_document(found[0])
        return Response(document, headers={"ETag": f'"{found[0].version}"'})

    @extend_schema(
        operation_id="alert_rules_change",
        summary="Propose another content of an alert rule",
        description="Another grid admin has to confirm it before it holds.",
        parameters=[_IF_MATCH],
        request=schemas.AlertRuleIn,
        responses={202: schemas.AlertRuleChangeOut, **_REFUSALS, **_NOT_FOUND},
    )
    def put(self, request: Request, name: str) -> Response:
        """Propose a whole new content."""
        document = {**_document(request), "name": name}
        return _propose(request, document, expected_version=_expected_version(request))


class AlertRuleChangesView(APIView):
    """`GET /api/v1/alert-rule-changes`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="alert_rule_changes_list",
        summary="List proposed changes of alert rules",
        responses=schemas.AlertRuleChangeListOut,
    )
    def get(self, request: Request) -> Response:
        """Return the newest 100 proposals, newest first."""
        return Response({"changes": [asdict(change) for change in selectors.rule_changes()]})


class ConfirmChangeView(APIView):
    """`POST /api/v1/alert-rule-changes/{id}/confirm`."""

    permission_classes = (MayViewGrid,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="alert_rule_changes_confirm",
        summary="Make a proposed alert rule hold",
        request=None,
        responses={200: schemas.AlertRuleChangeOut, **_REFUSALS, **_NOT_FOUND, **_CONFLICT},
    )
    def post(self, request: Request, change_id: int) -> Response:
        """Confirm another grid admin's proposal."""
        actor = require_actor(request.user, Permission.EDIT_INVENTORY)
        return Response(asdict(services.confirm_change(actor, change_id, now=clock.now())))


class RejectChangeView(APIView):
    """`POST /api/v1/alert-rule-changes/{id}/reject`."""

    permission_classes = (MayViewGrid,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="alert_rule_changes_reject",
        summary="Turn a proposed alert rule down",
        request=schemas.AcknowledgeIn,
        responses={200: schemas.AlertRuleChangeOut, **_REFUSALS, **_NOT_FOUND, **_CONFLICT},
    )
    def post(self, request: Request, change_id: int) -> Response:
        """Reject a proposal, or withdraw one's own."""
        actor = require_actor(request.user, Permission.EDIT_INVENTORY)
        body = schemas.AcknowledgeIn(data=request.data)
        body.is_valid(raise_exception=True)
        comment = body.validated_data["comment"]
        change = services.reject_change(actor, change_id, comment=comment, now=clock.now())
        return Response(asdict(change))


class WebhooksView(APIView):
    """`/api/v1/webhooks`: who is told of alerts, and how telling goes."""

    permission_classes = (MayViewGrid,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="webhooks_list",
        summary="List who is told of alerts, and how telling goes",
        responses=schemas.WebhookListOut,
    )
    def get(self, request: Request) -> Response:
        """Return every target; only a grid admin sees more of its address than the host."""
        targets = [_target_body(request, target) for target in selectors.webhook_targets()]
        return Response({"as_of": clock.wall_now(), "webhooks": targets})

    @extend_schema(
        operation_id="webhooks_create",
        summary="Let somebody be told of alerts",
        parameters=[_REQUEST_KEY],
        request=schemas.WebhookIn,
        responses={201: schemas.WebhookCreatedOut, **_REFUSALS, **_CONFLICT},
    )
    def post(self, request: Request) -> Response:
        """Add a target; its secret is in this answer."""
        actor = require_actor(request.user, Permission.EDIT_INVENTORY)
        target, secret = services.add_target(
            actor, _document(request), now=clock.wall_now(), request_key=idempotency_key(request)
        )
        body = {**asdict(target), "secret": secret}
        return Response(body, status=201, headers={"ETag": f'"{target.version}"'})


class WebhookView(APIView):
    """`/api/v1/webhooks/{id}`."""

    permission_classes = (MayViewGrid,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="webhooks_retrieve",
        summary="See a webhook",
        responses={200: schemas.WebhookOut, **_NOT_FOUND},
    )
    def get(self, request: Request, target_id: int) -> Response:
        """Return a target; its ETag is what a change must name."""
        target = selectors.webhook_target(target_id)
        if target is None:
            raise services.WebhookNotFound(f"There is no webhook {target_id}.")
        return _target_answer(request, target)

    @extend_schema(
        operation_id="webhooks_change",
        summary="Change a webhook",
        parameters=[_IF_MATCH],
        request=schemas.WebhookIn,
        responses={200: schemas.WebhookOut, **_REFUSALS, **_NOT_FOUND, **_CONFLICT},
    )
    def put(self, request: Request, target_id: int) -> Response:
        """Replace a target's terms; what it was told is kept."""
        actor = require_actor(request.user, Permission.EDIT_INVENTORY)
        target = services.change_target(
            actor,
            target_id,
            _document(request),
            expected_version=_expected_version(request),
            now=clock.wall_now(),
        )
        return _target_answer(request, target)

    @extend_schema(
        operation_id="webhooks_delete",
        summary="Remove a webhook",
        responses={204: None, **_NOT_FOUND},
    )
    def delete(self, request: Request, target_id: int) -> Response:
        """Tell somebody nothing any more."""
        actor = require_actor(request.user, Permission.EDIT_INVENTORY)
        services.remove_target(actor, target_id)
        return Response(status=204)


def _propose(request: Request, document: Mapping[str, Any], *, expected_version: int) -> Response:
    actor = require_actor(request.user, Permission.EDIT_INVENTORY)
    change = services.propose_rule(
        actor,
        document,
        expected_version=expected_version,
        now=clock.now(),
        request_key=idempotency_key(request),
    )
    return Response(asdict(change), status=202)


def _document(request: Request) -> Mapping[str, Any]:
    if not isinstance(request.data, Mapping):
        raise InvalidField("body", "it is a JSON object")
    return request.data


def _expected_version(request: Request) -> int:
    version = if_match(request, "row")
    if not (version.isascii() and version.isdigit()):
        raise IfMatchMissing('Send If-Match: "<version>" of what you looked at.')
    return int(version[:9])


def _target_answer(request: Request, target: selectors.TargetView) -> Response:
    headers = {"ETag": f'"{target.version}"'}
    return Response(_target_body(request, target), headers=headers)


def _target_body(request: Request, target: selectors.TargetView) -> dict[str, Any]:
    body = asdict(target)
    actor = require_actor(request.user, Permission.VIEW_GRID)
    if not actor.may(Permission.EDIT_INVENTORY):
        # paths of webhooks are often their only secret
        parts = urlsplit(target.url)
        body["url"] = f"{parts.scheme}://{parts.hostname}"
    return body
