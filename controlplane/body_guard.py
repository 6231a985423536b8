"""Turns requests away before Django has read their body: too large, without a key, or too many.

Django's ASGI handler takes in a whole body before any view, and with it any authentication, runs.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from controlplane.lib.problems import CONTENT_TYPE, DATABASE_AWAY, problem, retry_after_s
from controlplane.overload import Gate, Shed, TurnedAway

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
NoteShed = Callable[[str, str], None]


class KeyDesk(Protocol):
    """Knows whose key it is."""

    async def check(self, key: str) -> str | None:
        """Return the provider of a live key, or None; may raise that the database is away."""

    def last_known(self, key: str) -> str | None:
        """Return whose key it was when last seen."""


_PUSHED = (
    "/api/v1/telemetry",
    "/api/v1/workloads",
    "/api/v1/prometheus/write",
    "/api/v1/otlp/v1/metrics",
)
_KEY_START = b"bearer cg_live_"
_SHED_ANSWERS = {
    Shed.PROVIDER_BUSY: (429, "Too many of your requests are under way; wait, then send again."),
    Shed.GRID_BUSY: (503, "The grid has more to take in than it can; wait, then send again."),
    Shed.DATABASE_AWAY: (503, "The database cannot be reached just now; wait, then send again."),
}


class _TooLarge(Exception):
    """More has come than is taken."""


class _Gone(Exception):
    """The sender has gone away, or was too slow."""


class BodyGuard:
    """Wraps an ASGI application."""

    def __init__(
        self,
        application: Application,
        *,
        max_bytes: int,
        keys: KeyDesk,
        gate: Gate | None = None,
        note_shed: NoteShed = lambda _provider, _why: None,
    ) -> None:
        """Wrap an application.

        Args:
            application: what a request that is let in goes to.
            max_bytes: longest body of any request.
            keys: knows whose key it is.
            gate: bounds the pushes in flight.
            note_shed: told the provider and the reason of each push that is turned away.
        """
        self._application = application
        self._max_bytes = max_bytes
        self._keys = keys
        self._gate = gate or Gate()
        self._note_shed = note_shed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with a problem and its body unread."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        claimed = _claimed_bytes(headers, self._max_bytes)
        if claimed > self._max_bytes:
            await self._refuse_size(send)
        elif _is_push(scope):
            await self._take_push(scope, headers, claimed, receive, send)
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

    async def _take_push(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        claimed: int,
        receive: Receive,
        send: Send,
    ) -> None:
        authorization = headers.get(b"authorization", b"")
        if authorization[: len(_KEY_START)].lower() != _KEY_START:
            await _refuse_key(send, "Authentication credentials were not provided.")
            return
        key = authorization[7:].strip().decode("latin-1")
        try:
            is_probe = self._is_probe()
            provider = await self._check(key)
        except TurnedAway as turned:
            if known := self._keys.last_known(key):
                self._note_shed(known, turned.why.value)
            await _refuse_shed(send, turned.why)
            return
        if provider is None:
            await _refuse_key(send, "This key is unknown, expired or revoked.")
            return
        try:
            admitted = self._gate.admitted(provider, claimed, is_probe=is_probe)
            await self._let_in(admitted, provider, scope, receive, send)
        except TurnedAway as turned:
            self._note_shed(provider, turned.why.value)
            await _refuse_shed(send, turned.why)
        except _TooLarge:
            await self._refuse_size(send)
        except _Gone:
            detail = "The body did not arrive in time; nothing of it was looked at."
            await _refuse(send, 408, "body-too-slow", detail)

    def _is_probe(self) -> bool:
        """Whether this request is to find out if the database is back."""
        breaker = self._gate.breaker
        if not breaker.is_away:
            return False
        if not breaker.may_try(time.monotonic()):
            raise TurnedAway(Shed.DATABASE_AWAY)
        return True

    async def _check(self, key: str) -> str | None:
        within_s = self._gate.limits.answer_within_s
        try:
            return await asyncio.wait_for(self._keys.check(key), within_s)
        except (*DATABASE_AWAY, TimeoutError):
            self._gate.breaker.note(time.monotonic(), is_away=True)
            raise TurnedAway(Shed.DATABASE_AWAY) from None

    async def _let_in(
        self,
        admitted: AbstractContextManager[None],
        provider: str,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        within_s = self._gate.limits.body_within_s
        with admitted:
            try:
                body = await asyncio.wait_for(self._read(receive), within_s)
            except TimeoutError:
                raise _Gone from None
            async with self._gate.turn():
                await self._work(provider, scope, body, receive, send)

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size, has_more = 0, True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_bytes:
                raise _TooLarge
            has_more = message.get("more_body", False)
        return b"".join(parts)

    async def _work(
        self, provider: str, scope: Scope, body: bytes, receive: Receive, send: Send
    ) -> None:
        """Answer in time even when the work does not end; its turn is held until it does."""
        unread = [body]
        has_started, is_over = False, False

        async def replayed() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        async def watched(message: Message) -> None:
            nonlocal has_started
            if is_over:
                return
            if message["type"] == "http.response.start":
                has_started = True
                self._note_database(provider, is_away=message["status"] == 503)
            await send(message)

        work = asyncio.ensure_future(self._application(scope, replayed, watched))
        try:
            done, _ = await asyncio.wait({work}, timeout=self._gate.limits.answer_within_s)
            if not done and not has_started:
                is_over = True
                self._note_database(provider, is_away=True)
                await _refuse_shed(send, Shed.DATABASE_AWAY)
        finally:
            # a cancelled sender must not leave its work behind unseen
            await work

    def _note_database(self, provider: str, *, is_away: bool) -> None:
        """Take down how a push found the database; one that it left without an answer is shed."""
        self._gate.breaker.note(time.monotonic(), is_away=is_away)
        if is_away:
            self._note_shed(provider, Shed.DATABASE_AWAY.value)

    async def _refuse_size(self, send: Send) -> None:
        detail = f"A body may have at most {self._max_bytes} bytes; send several."
        await _refuse(send, 413, "body-too-large", detail, limit_bytes=self._max_bytes)


def _claimed_bytes(headers: dict[bytes, bytes], max_bytes: int) -> int:
    length = headers.get(b"content-length", b"")
    if b"transfer-encoding" in headers:
        return max_bytes
    # what is no number is the server's to refuse
    return int(length[:20]) if length.isdigit() else 0


def _is_push(scope: Scope) -> bool:
    return bool(scope["method"] == "POST" and scope["path"].rstrip("/") in _PUSHED)


async def _refuse_key(send: Send, detail: str) -> None:
    await _refuse(send, 401, "not-authenticated", detail)


async def _refuse_shed(send: Send, why: Shed) -> None:
    status, detail = _SHED_ANSWERS[why]
    await _refuse(send, status, why.value, detail)


async def _refuse(send: Send, status: int, code: str, detail: str, **extra: object) -> None:
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status in (429, 503):
        headers.append((b"retry-after", str(retry_after_s()).encode()))
    body = json.dumps(problem(status, code, detail, **extra)).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
