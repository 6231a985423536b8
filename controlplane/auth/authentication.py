"""Says who is asking: a person by session, a provider by key."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from controlplane.auth.key_cache import known_keys
from controlplane.auth.keys import provider_of_key
from controlplane.auth.roles import Actor, Role


@dataclass(frozen=True)
class ProviderSender:
    """The `request.user` of a request that came with a provider's key."""

    provider_code: str
    is_authenticated: bool = True
    is_active: bool = True
    pk: None = None


class ProviderKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer cg_live_…`: looks at the headers only, never at the body."""

    def authenticate(self, request: Request) -> tuple[ProviderSender, str] | None:
        """Return the sender of a live key.

        Raises:
            AuthenticationFailed: a bearer key came that is unknown, expired or revoked.
        """
        scheme, _, key = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        # a push may rest for a moment on what was found before; a read never does
        is_read = request.method in SAFE_METHODS
        find = provider_of_key if is_read else known_keys.provider_of
        provider_code = find(key.strip())
        if provider_code is None:
            raise AuthenticationFailed("This key is unknown, expired or revoked.")
        return ProviderSender(provider_code), "provider-key"

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme to ask for, so that a missing key is a 401."""
        return "Bearer"


def actor_of(user: Any) -> Actor | None:
    """Return the person behind a Django user, or None when there is no role to act in.

    Args:
        user: `request.user` or the user in a socket's scope.
    """
    if user is None or isinstance(user, AnonymousUser | ProviderSender) or not user.is_active:
        return None
    # read once for a request, whose user object it stays with
    membership = getattr(user, "membership", None)
    if membership is None:
        return None
    return Actor(
        user_id=user.pk,
        username=user.get_username(),
        role=Role(membership.role),
        region_code=membership.region_code or None,
        provider_code=membership.provider_code or None,
    )
