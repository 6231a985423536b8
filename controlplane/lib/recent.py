"""Keeps what was made of stored rows for as long as the rows are the same, within a bound."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Kept(Generic[Value]):
    version: int
    value: Value
    size_bytes: int


class Recent(Generic[Value]):
    """Values by key, each good for one version of its source; the least used go first.

    Safe to use from several threads. A value must not be changed by who gets it.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, _Kept[Value]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """How many bytes are kept."""
        return self._bytes

    def get(self, key: Hashable, *, version: int) -> Value | None:
        """Return what was made of this version of a key's source, or None."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.version != version:
                return None
            self._kept.move_to_end(key)
            return kept.value

    def put(self, key: Hashable, value: Value, *, version: int, size_bytes: int) -> None:
        """Keep a value in place of what the key had before."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._bytes += size_bytes - (before.size_bytes if before else 0)
            self._kept[key] = _Kept(version, value, size_bytes)
            while self._bytes > self._most_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.size_bytes
