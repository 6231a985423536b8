"""Refuses sockets that another site's page opens with our viewer's cookies."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from channels.security.websocket import WebsocketDenier
from django.http.request import split_domain_port, validate_host

from dash_app.backend_request import site_of

Scope = Mapping[str, Any]
Application = Callable[..., Awaitable[Any]]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class SameOriginOnly:
    """ASGI application in front of sockets: the page's origin must be this very site.

    A malformed or missing Origin is refused like a foreign one: with 403, before the socket opens.
    """

    def __init__(
        self, inner: Application, allowed_hosts: list[str], trusted_origins: list[str]
    ) -> None:
        """Guard an application.

        Args:
            inner: the sockets.
            allowed_hosts: host names that this site answers to, as in Django's settings.
            trusted_origins: further origins that may open sockets, such as `https://grid.example`.
        """
        self._inner = inner
        self._denier = WebsocketDenier.as_asgi()
        self._allowed_hosts = allowed_hosts
        self._trusted = {site_of(origin) for origin in trusted_origins} - {None}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> Any:
        """Pass the connection on, or deny it."""
        application = self._inner if self.is_welcome(scope) else self._denier
        return await application(scope, receive, send)

    def is_welcome(self, scope: Scope) -> bool:
        """Whether the connection's Origin is this site or a trusted one."""
        headers = dict(scope.get("headers", []))
        origin = site_of(headers.get(b"origin", b"").decode("latin-1"))
        if origin is None:
            return False
        if origin in self._trusted:
            return True
        scheme, origin_host, origin_port = origin
        host, port = split_domain_port(headers.get(b"host", b"").decode("latin-1"))
        if not host or not validate_host(host, self._allowed_hosts):
            return False
        default = _DEFAULT_PORTS[scheme]
        same_port = (origin_port or default) == (int(port) if port else default)
        return same_port and origin_host == host.strip("[]")
