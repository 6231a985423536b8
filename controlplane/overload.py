"""Bounds the ingest work that one web process has in flight, and says so when there is more.

What is turned away costs a few microseconds. Pages, whose requests never come here, keep the rest
of the process and of its database connections.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum


class Shed(StrEnum):
    """Why a request was turned away unread."""

    PROVIDER_BUSY = "provider-busy"
    GRID_BUSY = "grid-busy"
    DATABASE_AWAY = "database-away"


class TurnedAway(Exception):
    """There is no room for a request now."""

    def __init__(self, why: Shed) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True)
class Limits:
    """How much ingest work one process takes on.

    Attributes:
        at_once: requests that are worked on at the same time.
        inside: requests that were let in: on their way, waiting or worked on.
        per_provider: those of one provider.
        inside_bytes: bytes of body that those inside claim together.
        patience_s: how long a request waits for its turn (s).
        body_within_s: how long a body may take to arrive (s).
        answer_within_s: after this a sender gets its answer, whatever the work does (s).
    """

    at_once: int = 4
    inside: int = 24
    per_provider: int = 8
    inside_bytes: int = 64 * 1024 * 1024
    patience_s: float = 2.0
    body_within_s: float = 10.0
    answer_within_s: float = 20.0


class Breaker:
    """Remembers that the database was away, so that not every request finds out by itself."""

    def __init__(self, *, probe_every_s: float = 0.5) -> None:
        self._probe_every_s = probe_every_s
        self._is_away = False
        self._next_probe_s = 0.0

    @property
    def is_away(self) -> bool:
        """Whether the last that was heard of the database was that it is away."""
        return self._is_away

    def may_try(self, now_s: float) -> bool:
        """Whether a request should go through: all while it is there, one now and then else.

        Args:
            now_s: seconds of a clock that never goes back.
        """
        if not self._is_away:
            return True
        if now_s < self._next_probe_s:
            return False
        self._next_probe_s = now_s + self._probe_every_s
        return True

    def note(self, now_s: float, *, is_away: bool) -> None:
        """Take down how a request found the database."""
        if is_away and not self._is_away:
            self._next_probe_s = now_s + self._probe_every_s
        self._is_away = is_away


class Gate:
    """Lets a bounded number of ingest requests into this process; for one event loop."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.breaker = Breaker()
        self._turns: asyncio.Semaphore | None = None
        self._inside: Counter[str] = Counter()
        self._inside_bytes = 0

    @property
    def in_flight(self) -> int:
        """Requests that are inside."""
        return self._inside.total()

    @contextmanager
    def admitted(
        self, provider_code: str, claimed_bytes: int, *, is_probe: bool = False
    ) -> Iterator[None]:
        """Let a request in, so that its body may be read.

        Args:
            provider_code: the sender, known from its key.
            claimed_bytes: how long the body is at most.
            is_probe: whether it goes in to find out if the database is back.

        Raises:
            TurnedAway: the database is away, or the sender or the process has enough to do.
        """
        if self._inside[provider_code] >= self.limits.per_provider:
            raise TurnedAway(Shed.PROVIDER_BUSY)
        is_full = self.in_flight >= self.limits.inside
        if is_full or self._inside_bytes + claimed_bytes > self.limits.inside_bytes:
            raise TurnedAway(Shed.GRID_BUSY)
        if not is_probe and not self.breaker.may_try(time.monotonic()):
            raise TurnedAway(Shed.DATABASE_AWAY)
        self._inside[provider_code] += 1
        self._inside_bytes += claimed_bytes
        try:
            yield
        finally:
            self._inside_bytes -= claimed_bytes
            self._inside[provider_code] -= 1
            if not self._inside[provider_code]:
                del self._inside[provider_code]

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to be worked on, and hold it.

        Raises:
            TurnedAway: it did not come in time.
        """
        turns = self._turns = self._turns or asyncio.Semaphore(self.limits.at_once)
        try:
            await asyncio.wait_for(turns.acquire(), self.limits.patience_s)
        except TimeoutError:
            raise TurnedAway(Shed.GRID_BUSY) from None
        try:
            yield
        finally:
            turns.release()
