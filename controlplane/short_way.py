"""Answers chosen reads without Django's chain: one thread, who asks and what there is, no more.

Only the plain case is answered here. Everything else, and each refusal above all, takes the long
way through Django, which asks again, decides and words it: there is one place that says no.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.cookie import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

from controlplane.auth.questions import JSON, Answer, Question, Read
from controlplane.auth.standing import Asker, Doorman
from controlplane.lib.errors import GridError
from controlplane.lib.problems import DATABASE_AWAY
from controlplane.overload import Breaker

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[bytes, bytes]

THREADS = 3
ARROW = "application/vnd.apache.arrow.stream"
# a statement is planned once for each of the connections that are held here
_PREPARE_AFTER = 1
_KEY_START = "bearer "
_ACCEPTED = {b"": JSON, b"*/*": JSON, JSON.encode(): JSON, ARROW.encode(): ARROW}
# with one of these a request is not a plain read
_UNUSUAL = frozenset({b"transfer-encoding", b"x-http-method-override", b"expect", b"upgrade"})


class ReadingDesk:
    """Finds the answer to a plain read; blocks, so it belongs into a thread."""

    def __init__(self, reads: Mapping[str, Read], *, probe_every_s: float = 1.0) -> None:
        """Take over some addresses.

        Args:
            reads: path to what knows the answer; one that ends in a slash stands for all that
                have one part more.
            probe_every_s: while the database is away, one read in this time finds out if it is
                back; the others take the long way at once.
        """
        self._reads = reads
        self._doorman = Doorman()
        self._breaker = Breaker(probe_every_s=probe_every_s)

    def read_for(self, scope: Scope) -> tuple[Read, str] | None:
        """Return what answers a request and the thing that its address names, or None."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        path: str = scope["path"]
        about = ""
        read = self._reads.get(path)
        if read is None:
            folder, slash, about = path.rpartition("/")
            read = self._reads.get(folder + slash) if about else None
        if read is None or not self._breaker.may_try(time.monotonic()):
            return None
        return read, about

    def answer(self, scope: Scope, read: Read, about: str) -> Answer | None:
        """Return the answer, or None: then the long way decides.

        Args:
            scope: the request as ASGI describes it.
            read: what `read_for` has found.
            about: the thing that the address names.
        """
        plain = _plain(scope)
        if plain is None:
            return None
        headers, accepts = plain
        is_away = False
        try:
            _keep_plans()
            asker = self._asker(headers)
            if asker is None:
                return None
            return read(Question(asker, QueryDict(scope["query_string"]), accepts, about))
        except (GridError, Http404, SuspiciousOperation):
            return None
        except DATABASE_AWAY:
            is_away = True
            # the connection that this thread holds may have died with the server
            connection.close()
            return None
        finally:
            self._breaker.note(time.monotonic(), is_away=is_away)

    def _asker(self, headers: Headers) -> Asker | None:
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        if authorization:
            is_key = authorization[: len(_KEY_START)].lower() == _KEY_START
            return self._doorman.by_key(authorization[7:].strip()) if is_key else None
        cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
        session_key = cookies.get(settings.SESSION_COOKIE_NAME)
        return self._doorman.by_session(session_key) if session_key else None


class ShortWay:
    """Wraps an ASGI application; for one event loop."""

    def __init__(
        self, application: Application, desk: ReadingDesk, *, threads: int = THREADS
    ) -> None:
        """Wrap an application.

        Args:
            application: the long way.
            desk: finds the answers.
            threads: how many reads are answered at the same time, each on a connection of its own.
        """
        self._application = application
        self._desk = desk
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="read")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a plain read, or pass the request on."""
        found = self._desk.read_for(scope)
        if found is not None:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, self._desk.answer, scope, *found)
            if answer is not None:
                await _send(send, answer, scope.get("scheme", "http"))
                return
        await self._application(scope, receive, send)


def _plain(scope: Scope) -> tuple[Headers, str] | None:
    """Return a request's headers and the type that it accepts, or None where it is not plain."""
    listed = list(scope["headers"])
    headers = dict(listed)
    if len(headers) != len(listed) or not _UNUSUAL.isdisjoint(headers):
        return None
    accepts = _ACCEPTED.get(headers.get(b"accept", b""))
    has_body = headers.get(b"content-length", b"0") != b"0"
    if accepts is None or has_body or b"format=" in scope["query_string"]:
        return None
    return (headers, accepts) if _is_our_host(headers.get(b"host", b"")) else None


@lru_cache(maxsize=256)
def _is_our_host(host: bytes) -> bool:
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _keep_plans() -> None:
    connection.ensure_connection()
    # Django leaves preparing off, for poolers between it and the server; this one is held
    connection.connection.prepare_threshold = _PREPARE_AFTER


@lru_cache(maxsize=4)
def _standing_headers(scheme: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return what Django's chain adds to every answer, by asking the chain itself."""

    class Plain(HttpRequest):
        def _get_scheme(self) -> str:
            return scheme

    response = HttpResponse()
    for layer in (XFrameOptionsMiddleware, SecurityMiddleware):
        layer(lambda _: response).process_response(Plain(), response)
    del response["Content-Type"]
    response["Vary"] = "Accept, Cookie"
    response["Allow"] = "GET, HEAD, OPTIONS"
    return tuple((name.lower().encode(), value.encode()) for name, value in response.items())


async def _send(send: Send, answer: Answer, scheme: str) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        *_standing_headers(scheme),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
