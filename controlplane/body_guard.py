"""Turns away bodies before Django has read them: too large, or telemetry without a key.

Django's ASGI handler takes in a whole body before any view, and with it any authentication, runs.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from controlplane.lib.problems import CONTENT_TYPE, problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_PUSHED = (
    "/api/v1/telemetry",
    "/api/v1/workloads",
    "/api/v1/prometheus/write",
    "/api/v1/otlp/v1/metrics",
)
_KEY_START = b"bearer cg_live_"


class _TooLarge(Exception):
    """More has come than is taken."""


class BodyGuard:
    """Wraps an ASGI application."""

    def __init__(self, application: Application, *, max_bytes: int) -> None:
        self._application = application
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a problem and its body unread."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if self._claims_too_much(headers.get(b"content-length", b"0")):
            await self._refuse_size(send)
        elif _needs_key(scope) and not _may_be_key(headers.get(b"authorization", b"")):
            detail = "Authentication credentials were not provided."
            await _refuse(send, 401, "not-authenticated", detail)
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen_bytes, has_started = 0, False

        async def counted() -> Message:
            nonlocal seen_bytes
            message = await receive()
            seen_bytes += len(message.get("body", b""))
            if seen_bytes > self._max_bytes:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._application(scope, counted, noted)
        except _TooLarge:
            if not has_started:
                await self._refuse_size(send)

    def _claims_too_much(self, length: bytes) -> bool:
        # what is no number is the server's to refuse
        return length.isdigit() and int(length[:20]) > self._max_bytes

    async def _refuse_size(self, send: Send) -> None:
        detail = f"A body may have at most {self._max_bytes} bytes; send several."
        await _refuse(send, 413, "body-too-large", detail, limit_bytes=self._max_bytes)


def _needs_key(scope: Scope) -> bool:
    return bool(scope["method"] == "POST" and scope["path"].rstrip("/") in _PUSHED)


def _may_be_key(authorization: bytes) -> bool:
    return authorization[: len(_KEY_START)].lower() == _KEY_START


async def _refuse(send: Send, status: int, code: str, detail: str, **extra: object) -> None:
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    body = json.dumps(problem(status, code, detail, **extra)).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
