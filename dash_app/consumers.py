"""The socket of the Grid page: who may listen, for how long, and what a viewer may say."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http.cookie import parse_cookie

from dash_app.access import Entry
from dash_app.hub import FrameHub, Mailbox

logger = logging.getLogger(__name__)

NOT_AUTHENTICATED = 4401
NOT_ALLOWED = 4403
TRY_AGAIN = 1013
POLICY_VIOLATION = 1008
TOO_BIG = 1009


@dataclass(frozen=True)
class SocketLimits:
    """What one viewer may do.

    Attributes:
        message_bytes: longest message from a viewer.
        messages: messages allowed within `messages_s`.
        messages_s: the window of `messages`, wall seconds.
        recheck_s: how often session and role are read again, wall seconds.
        send_s: a viewer that takes no frame for this long is let go, wall seconds.
    """

    message_bytes: int = 256
    messages: int = 20
    messages_s: float = 10.0
    recheck_s: float = 60.0
    send_s: float = 30.0


class GridConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Sends frames of the grid to one viewer."""

    # frames come from the hub alone; a subscription per viewer would cost more than all the rest
    channel_layer_alias = "none"

    def __init__(
        self,
        *,
        hub: FrameHub,
        entry_of_session: Callable[[str | None], Awaitable[Entry]],
        session_cookie: str,
        limits: SocketLimits | None = None,
    ) -> None:
        super().__init__()
        self._hub = hub
        self._entry_of_session = entry_of_session
        self._session_cookie = session_cookie
        self._limits = limits or SocketLimits()
        self._mailbox: Mailbox | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._heard_at_s: deque[float] = deque(maxlen=self._limits.messages)

    async def connect(self) -> None:
        """Accept, then close at once with a reason that the page can read, or begin to send."""
        await self.accept()
        if not await self._is_welcome():
            return
        self._mailbox = self._hub.join()
        self._tasks = [
            asyncio.create_task(self._keep_sending(self._mailbox), name="grid-send"),
            asyncio.create_task(self._keep_checking(), name="grid-check"),
        ]

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 (Channels' interface)
        """Stop sending and give the mailbox back."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._mailbox is not None:
            mailbox, self._mailbox = self._mailbox, None
            await self._hub.leave(mailbox)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Understand `{"type": "snapshot"}` and nothing else."""
        size = len(bytes_data or b"") + len((text_data or "").encode())
        if size > self._limits.message_bytes:
            await self.close(TOO_BIG)
            return
        if not self._is_patient() or not _asks_for_snapshot(text_data):
            await self.close(POLICY_VIOLATION)
            return
        if self._mailbox is not None:
            self._hub.send_newest(self._mailbox)

    async def _keep_sending(self, mailbox: Mailbox) -> None:
        while True:
            text = await mailbox.get()
            try:
                await asyncio.wait_for(self.send(text_data=text), self._limits.send_s)
            except TimeoutError:
                await self.close(TRY_AGAIN)
                return

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(self._limits.recheck_s)
            if not await self._is_welcome():
                return

    async def _is_welcome(self) -> bool:
        try:
            entry = await self._entry_of_session(self._session_key())
        except Exception:
            # the edge of a socket: without the database nobody can be let in, nor kept in
            logger.exception("socket.session_not_read")
            await self.close(TRY_AGAIN)
            return False
        if entry.actor is not None:
            return True
        await self.close(NOT_ALLOWED if entry.is_known else NOT_AUTHENTICATED)
        return False

    def _session_key(self) -> str | None:
        for name, value in self.scope.get("headers", []):
            if name == b"cookie":
                return parse_cookie(value.decode("latin-1")).get(self._session_cookie)
        return None

    def _is_patient(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        heard = self._heard_at_s
        if len(heard) == self._limits.messages and now_s - heard[0] < self._limits.messages_s:
            return False
        heard.append(now_s)
        return True


def _asks_for_snapshot(text: str | None) -> bool:
    try:
        message: Any = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return False
    return isinstance(message, dict) and message == {"type": "snapshot"}
