"""Role checks used by every edge."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from controlplane.auth.authentication import ProviderSender, actor_of
from controlplane.auth.roles import Actor, Permission
from controlplane.lib.errors import ErrorKind, GridError


class NotAllowed(GridError):
    """The person's role does not reach this far."""

    code = "not-allowed"
    kind = ErrorKind.NOT_ALLOWED


class IsProvider(BasePermission):
    """Only a provider's own key."""

    message = "This address takes a provider's key only."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the request came with a live provider key."""
        return isinstance(request.user, ProviderSender)


class MayViewGrid(BasePermission):
    """Any person whose role may look at the whole grid."""

    message = "Your role does not see the whole grid."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the person may look at the grid."""
        actor = actor_of(request.user)
        return actor is not None and actor.may(Permission.VIEW_GRID)


def provider_of(request: Request) -> str:
    """Return the provider whose key came with a request.

    Raises:
        NotAllowed: the request came without one.
    """
    if not isinstance(request.user, ProviderSender):
        raise NotAllowed(IsProvider.message)
    return request.user.provider_code


def require_actor(user: Any, permission: Permission) -> Actor:
    """Return the person behind a user who may do something.

    Raises:
        NotAllowed: nobody is logged in, or the role does not allow it.
    """
    actor = actor_of(user)
    if actor is None or not actor.may(permission):
        raise NotAllowed(f"Your role does not allow this ({permission}).")
    return actor
