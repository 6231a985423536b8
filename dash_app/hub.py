"""Feeds every viewer of one process from one place: subscribe once, build once, encode once.

Hints from the channel layer say that something changed; the frame itself is read from the
database, at most once a second and only while somebody is looking. A viewer has a mailbox for one
frame: a newer frame replaces an older one that was not fetched yet, so a slow viewer costs nobody
else anything. Frames are absolute, so a missed one needs no repair.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

logger = logging.getLogger(__name__)

GROUP = "grid"


class ChannelLayer(Protocol):
    """What the hub uses of a Channels layer."""

    async def new_channel(self, prefix: str = ...) -> str:
        """Return a channel name of this process."""

    async def group_add(self, group: str, channel: str) -> None:
        """Join a group."""

    async def group_discard(self, group: str, channel: str) -> None:
        """Leave a group."""

    async def receive(self, channel: str) -> Mapping[str, Any]:
        """Wait for the next message."""


@dataclass(frozen=True)
class HubTiming:
    """How often the hub does what, all in wall seconds.

    Attributes:
        least_s: least time between two frames.
        most_s: most time between two frames without any hint; ages grow even when nothing comes.
        rejoin_s: the layer forgets members of a group after a day, so join again this often.
        silence_s: join again also after this long without a hint: the broker may have restarted.
        retry_s: wait after a failure of the layer or the database.
    """

    least_s: float = 1.0
    most_s: float = 3.0
    rejoin_s: float = 600.0
    silence_s: float = 15.0
    retry_s: float = 1.0


class Mailbox:
    """Holds the newest frame for one viewer."""

    def __init__(self) -> None:
        self._newest: str | None = None
        self._filled = asyncio.Event()

    def put(self, text: str) -> None:
        """Replace whatever was not fetched yet."""
        self._newest = text
        self._filled.set()

    async def get(self) -> str:
        """Wait for a frame and take it out."""
        await self._filled.wait()
        self._filled.clear()
        text, self._newest = self._newest, None
        # `put` always stores before it sets the event, and only `get` takes out
        return text or ""


class FrameHub:
    """Builds frames while there are viewers and hands each one to all of them."""

    def __init__(
        self,
        build: Callable[[], Awaitable[Mapping[str, Any]]],
        get_layer: Callable[[], ChannelLayer | None],
        timing: HubTiming | None = None,
    ) -> None:
        """Make a hub that sleeps until its first viewer comes.

        Args:
            build: reads the present state into one JSON-able frame; awaited off the event loop.
            get_layer: returns the channel layer, or None when hints are not configured.
            timing: how often to do what.
        """
        self.epoch = uuid.uuid4().hex[:12]
        self.frames_encoded = 0
        self._build = build
        self._get_layer = get_layer
        self._timing = timing or HubTiming()
        self._viewers: set[Mailbox] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._hint = asyncio.Event()
        self._latest: str | None = None

    @property
    def viewers(self) -> int:
        """How many mailboxes are open."""
        return len(self._viewers)

    def join(self) -> Mailbox:
        """Return a mailbox for a new viewer; its first frame comes at once or when it is built."""
        mailbox = Mailbox()
        self._viewers.add(mailbox)
        if not self._tasks:
            self._latest = None  # whatever was built before the pause is too old to show
            self._hint = asyncio.Event()
            self._tasks = [
                asyncio.create_task(self._keep_building(), name="hub-build"),
                asyncio.create_task(self._keep_listening(), name="hub-listen"),
            ]
        self.send_newest(mailbox)
        return mailbox

    async def leave(self, mailbox: Mailbox) -> None:
        """Close a mailbox; with the last one the hub goes back to sleep."""
        self._viewers.discard(mailbox)
        if self._viewers or not self._tasks:
            return
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def send_newest(self, mailbox: Mailbox) -> None:
        """Put the newest frame, if there is one, into a mailbox again."""
        if self._latest is not None:
            mailbox.put(self._latest)

    async def _keep_building(self) -> None:
        while True:
            started_s = time.monotonic()
            self._hint.clear()
            try:
                self._hand_out(await self._build())
            except Exception:
                # the edge of a loop: without the database there is no frame, and viewers see
                # their last one grow old; the next turn tries again
                logger.exception("hub.frame_not_built")
                await asyncio.sleep(self._timing.retry_s)
            spent_s = time.monotonic() - started_s
            await asyncio.sleep(max(self._timing.least_s - spent_s, 0.0))
            spent_s = time.monotonic() - started_s
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hint.wait(), max(self._timing.most_s - spent_s, 0.0))

    def _hand_out(self, frame: Mapping[str, Any]) -> None:
        self.frames_encoded += 1
        numbered = {**frame, "epoch": self.epoch, "seq": self.frames_encoded}
        text = orjson.dumps(numbered).decode()
        self._latest = text
        for mailbox in self._viewers:
            mailbox.put(text)

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception:
                # the edge of a loop: hints only make frames come sooner
                logger.warning("hub.layer_away", exc_info=True)
                await asyncio.sleep(self._timing.retry_s)

    async def _listen_once(self) -> None:
        layer = self._get_layer()
        if layer is None:
            await asyncio.sleep(self._timing.rejoin_s)
            return
        channel = await layer.new_channel("hub")
        await layer.group_add(GROUP, channel)
        joined_s = time.monotonic()
        # a cancelled `receive` loses the channel in some layers: wait for the task, never on it
        receiving = asyncio.ensure_future(layer.receive(channel))
        try:
            while time.monotonic() - joined_s < self._timing.rejoin_s:
                done, _ = await asyncio.wait({receiving}, timeout=self._timing.silence_s)
                if not done:
                    return
                receiving.result()
                self._hint.set()
                receiving = asyncio.ensure_future(layer.receive(channel))
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await receiving
            with suppress(Exception):
                await layer.group_discard(GROUP, channel)
