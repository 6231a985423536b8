"""Remembers for a moment what the database said of a key, so that each push does not ask again."""

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.db import connection

from controlplane.auth.keys import live_key
from controlplane.lib import clock

# a key that was revoked by another process is refused after this at the latest
FRESH_S = 2.0
MAX_KEYS = 10_000
_Digest = bytes


@dataclass(frozen=True)
class _Answer:
    provider_code: str | None
    expires_s: float
    asked_s: float


class KeyCache:
    """What is known of keys, by their hash; safe to use from several threads."""

    def __init__(self) -> None:
        self._answers: OrderedDict[_Digest, _Answer] = OrderedDict()
        self._lock = threading.Lock()

    def provider_of(self, key: str) -> str | None:
        """Return the provider of a live key, or None; at most 2 s old."""
        found = self._fresh(key)
        return (found or self._ask(key)).provider_code

    async def check(self, key: str) -> str | None:
        """Return what `provider_of` does, without blocking the event loop."""
        found = self._fresh(key)
        if found is not None:
            return found.provider_code
        return await sync_to_async(self._ask_apart, thread_sensitive=False)(key)

    def last_known(self, key: str) -> str | None:
        """Return whose key it was when last seen: to count by, never to let anybody in."""
        found = self._answers.get(_digest(key))
        return found.provider_code if found else None

    def forget(self) -> None:
        """Ask the database about every key anew."""
        with self._lock:
            self._answers.clear()

    def _fresh(self, key: str) -> _Answer | None:
        found = self._answers.get(_digest(key))
        if found is None or time.monotonic() - found.asked_s > FRESH_S:
            return None
        is_over = found.expires_s <= clock.wall_now().timestamp()
        return None if is_over and found.provider_code else found

    def _ask(self, key: str) -> _Answer:
        asked_s = time.monotonic()
        found = live_key(key)
        answer = (
            _Answer(None, 0.0, asked_s)
            if found is None
            else _Answer(found.provider_code, found.expires_at.timestamp(), asked_s)
        )
        digest = _digest(key)
        with self._lock:
            self._answers[digest] = answer
            self._answers.move_to_end(digest)
            while len(self._answers) > MAX_KEYS:
                self._answers.popitem(last=False)
        return answer

    def _ask_apart(self, key: str) -> str | None:
        try:
            return self._ask(key).provider_code
        finally:
            # a thread of the pool has a connection of its own: it goes back at once
            connection.close()


def _digest(key: str) -> _Digest:
    return hashlib.sha256(key.encode()).digest()


known_keys = KeyCache()
