"""Shows providers how they stand, and lets them rotate their keys."""

import datetime as dt
from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth import keys
from controlplane.auth.authentication import ProviderSender, actor_of
from controlplane.auth.key_cache import known_keys
from controlplane.auth.permissions import MayViewGrid, NotAllowed
from controlplane.auth.roles import Actor, Permission
from controlplane.lib import clock
from controlplane.lib.bodies import StrictJSONParser
from controlplane.lib.preconditions import idempotency_key
from controlplane.lib.problems import CONTENT_TYPE
from monitoring import selectors, senders, services
from monitoring.api import provider_schemas as schemas
from monitoring.api.schemas import ProblemOut
from monitoring.api.shapes import pool_load

_REFUSALS = {(401, CONTENT_TYPE): ProblemOut, (403, CONTENT_TYPE): ProblemOut}
_NOT_FOUND = {(404, CONTENT_TYPE): ProblemOut}
_CONFLICT = {(409, CONTENT_TYPE): ProblemOut}
_REQUEST_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="same again issues nothing"
)


class IsProviderOrViewer(BasePermission):
    """A provider's key, a person of a provider, or anybody who may view the grid."""

    message = "This address is for providers and for people who see the grid."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the request comes from one of them."""
        if isinstance(request.user, ProviderSender):
            return True
        actor = actor_of(request.user)
        return actor is not None and (
            actor.may(Permission.VIEW_GRID) or actor.may(Permission.VIEW_OWN_POOLS)
        )


def own_provider(user: Any) -> str | None:
    """Return the provider that a key or a person belongs to, or None."""
    if isinstance(user, ProviderSender):
        return user.provider_code
    actor = actor_of(user)
    if actor is None or not actor.may(Permission.VIEW_OWN_POOLS):
        return None
    return actor.provider_code


def reach(user: Any, code: str | None) -> str:
    """Return the provider that somebody may look at.

    Args:
        user: who asks.
        code: whom they ask about; None = their own.

    Raises:
        NotAllowed: it is another one's, or they have none.
    """
    own = own_provider(user)
    if own is not None:
        # whether another provider exists is not theirs to find out
        if code in (None, own):
            return own
        raise NotAllowed("You see your own provider only.")
    actor = actor_of(user)
    if code is None or actor is None or not actor.may(Permission.VIEW_GRID):
        raise NotAllowed("Name the provider: /api/v1/providers/{code}/status.")
    return code


class ProviderStatusView(APIView):
    """`GET /api/v1/provider/status`: how the asking provider stands."""

    permission_classes = (IsProviderOrViewer,)

    @extend_schema(
        operation_id="provider_status",
        summary="See how your own telemetry stands",
        responses={200: schemas.StatusOut, **_REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """Return the provider's account, clock, refusals, quality, pools and keys."""
        return Response(_status(reach(request.user, None)))


class ProviderStatusByCodeView(APIView):
    """`GET /api/v1/providers/{code}/status`: how any provider stands."""

    permission_classes = (IsProviderOrViewer,)

    @extend_schema(
        operation_id="provider_status_by_code",
        summary="See how a provider stands",
        responses={200: schemas.StatusOut, **_REFUSALS, **_NOT_FOUND},
    )
    def get(self, request: Request, code: str) -> Response:
        """Return the same for a provider by its code."""
        return Response(_status(reach(request.user, code)))


class ProvidersView(APIView):
    """`GET /api/v1/providers`."""

    permission_classes = (MayViewGrid,)

    @extend_schema(
        operation_id="providers_list",
        summary="List providers and how they stand",
        responses={200: schemas.StandingListOut, **_REFUSALS},
    )
    def get(self, request: Request) -> Response:
        """Return every provider, by code."""
        now = clock.now()
        rows = [shape_standing(row, now) for row in selectors.provider_standings(now)]
        return Response({"as_of": now, "providers": rows})


class KeysView(APIView):
    """`/api/v1/providers/{code}/keys`: two may live at a time, for rotation."""

    permission_classes = (IsProviderOrViewer,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="provider_keys",
        summary="List a provider's keys",
        responses={200: schemas.KeyListOut, **_REFUSALS, **_NOT_FOUND},
    )
    def get(self, request: Request, code: str) -> Response:
        """Return keys that are live, or ended in the last 30 days."""
        provider = _existing(reach(request.user, code))
        rows = [asdict(key) for key in keys.keys_of(provider)]
        return Response({"provider": provider, "keys": rows})

    @extend_schema(
        operation_id="provider_key_issue",
        summary="Issue a key",
        description=(
            "For people of the provider and grid admins. The key is in this answer and nowhere "
            "else. Issue the second, let your senders use it, then revoke the first."
        ),
        parameters=[_REQUEST_KEY],
        request=schemas.KeyIn,
        responses={
            200: schemas.NewKeyOut,
            201: schemas.NewKeyOut,
            (400, CONTENT_TYPE): ProblemOut,
            **_REFUSALS,
            **_NOT_FOUND,
            **_CONFLICT,
        },
        examples=[schemas.KEY_EXAMPLE],
    )
    def post(self, request: Request, code: str) -> Response:
        """Issue a key; the same Idempotency-Key again issues nothing and shows nothing."""
        actor = _key_keeper(request, code)
        wanted = schemas.KeyIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        new = keys.add_key(
            _existing(code),
            actor=actor.username,
            label=wanted.validated_data["label"],
            life=dt.timedelta(days=wanted.validated_data["days"]),
            request_key=idempotency_key(request) or None,
        )
        body = {**asdict(new.view), "key": new.key}
        answer = Response(body, status=201 if new.key else 200)
        answer["Cache-Control"] = "no-store"
        return answer


class KeyView(APIView):
    """`DELETE /api/v1/providers/{code}/keys/{id}`."""

    permission_classes = (IsProviderOrViewer,)

    @extend_schema(
        operation_id="provider_key_revoke",
        summary="Revoke a key",
        description="It opens nothing any more within 2 s. Revoking it again changes nothing.",
        responses={200: schemas.KeyOut, **_REFUSALS, **_NOT_FOUND},
    )
    def delete(self, request: Request, code: str, key_id: int) -> Response:
        """Revoke one key; for people of the provider and grid admins."""
        actor = _key_keeper(request, code)
        view = keys.revoke_key(_existing(code), key_id, actor=actor.username)
        known_keys.forget()
        return Response(asdict(view))


class ConfirmLevelView(APIView):
    """`POST /api/v1/pools/{code}/confirm-level`."""

    permission_classes = (MayViewGrid,)
    parser_classes = (StrictJSONParser,)

    @extend_schema(
        operation_id="pool_confirm_level",
        summary="Confirm a pool's new level",
        description=(
            "After a pool was really enlarged, or its unit set right: what it reports next is "
            "taken as its level. For operators and grid admins. Saying it again does no harm."
        ),
        request=schemas.ConfirmIn,
        responses={204: None, (400, CONTENT_TYPE): ProblemOut, **_REFUSALS, **_NOT_FOUND},
    )
    def post(self, request: Request, code: str) -> Response:
        """Forget what was usual for the pool."""
        wanted = schemas.ConfirmIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        actor = actor_of(request.user)
        if actor is None:
            raise NotAllowed("Log in first.")
        services.confirm_level(actor, code, reason=wanted.validated_data["reason"])
        return Response(status=204)


def shape_standing(standing: selectors.Standing, now: dt.datetime) -> dict[str, Any]:
    """Return how a provider stands, for JSON."""
    tally = asdict(standing.tally)
    del tally["provider"]
    return {
        "provider": standing.provider,
        "name_zh": standing.name_zh,
        "name_en": standing.name_en,
        "as_of": now,
        "tally": tally,
        "clock": {"skew_s": standing.clock.seconds, "state": standing.clock.state.value},
        "refusals": list(standing.refusals),
        "quality": dict(standing.rules),
        "set_aside": asdict(standing.set_aside),
        "alerts": [_shape_alert(alert) for alert in standing.alerts],
        "mapping": {
            "version": standing.mapping_version,
            "changed_at": standing.mapping_changed_at,
        },
        "pools": [{"pool": reading.pool, **pool_load(reading)} for reading in standing.pools],
    }


def _shape_alert(alert: selectors.AlertView) -> dict[str, Any]:
    return {
        "kind": alert.kind,
        "severity": alert.severity,
        "scope": alert.scope,
        "state": alert.state,
        "pending_at": alert.pending_at,
        "fired_at": alert.fired_at,
        "summary_zh": alert.annotations.get("summary_zh", ""),
        "summary_en": alert.annotations.get("summary_en", ""),
    }


def _status(code: str) -> dict[str, Any]:
    now = clock.now()
    found = selectors.provider_standings(now, provider_code=code)
    if not found:
        raise senders.ProviderNotFound("There is no such provider.")
    return {
        **shape_standing(found[0], now),
        "keys": [asdict(key) for key in keys.keys_of(code)],
    }


def _existing(code: str) -> str:
    if not any(provider.code == code for provider in selectors.providers()):
        raise senders.ProviderNotFound("There is no such provider.")
    return code


def _key_keeper(request: Request, code: str) -> Actor:
    actor = actor_of(request.user)
    may = actor is not None and (
        actor.may(Permission.EDIT_INVENTORY)
        or (actor.may(Permission.VIEW_OWN_POOLS) and actor.provider_code == code)
    )
    if actor is None or not may:
        raise NotAllowed("Only people of the provider and grid admins handle its keys.")
    return actor
