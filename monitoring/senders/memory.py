"""Remembers, in this process, what each provider's requests have in common.

Nothing in here is needed to be right: what is forgotten is read from the database again. What
comes from the database is used only in the epoch that it was read in, and kept only after the
commit of the transaction that read it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from monitoring.formats.heads import HeadMemory
from monitoring.senders.catalogue import Catalogue
from monitoring.senders.formed import FormedTicks
from monitoring.senders.recent import RecentPoints

MAX_PROVIDERS = 256
# of all providers together, and so of one
MAX_BYTES = 96 * 1024 * 1024


@dataclass
class SenderMemory:
    """What is remembered of one provider.

    Attributes:
        heads: the label sets that its remote-write has spelled.
        catalogue: its mapping and mapped series, as they were last read.
        formed: which of its newest ticks have rows.
        recent: the points of its newest ticks.
    """

    heads: HeadMemory = field(default_factory=HeadMemory)
    catalogue: Catalogue | None = None
    formed: FormedTicks = field(default_factory=FormedTicks)
    recent: RecentPoints | None = None

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        recent = self.recent
        return self.heads.size_bytes + (recent.size_bytes if recent is not None else 0)


_MEMORIES: OrderedDict[str, SenderMemory] = OrderedDict()
_LOCK = Lock()


def memory_of(provider_code: str) -> SenderMemory:
    """Return what is remembered of a provider; the least used of the others may go for it."""
    with _LOCK:
        memory = _MEMORIES.pop(provider_code, None)
        if memory is None:
            memory = SenderMemory()
        elif memory.heads.size_bytes > MAX_BYTES // 2:
            memory.heads = HeadMemory()
        _MEMORIES[provider_code] = memory
        size = sum(known.size_bytes for known in _MEMORIES.values())
        while len(_MEMORIES) > MAX_PROVIDERS or (size > MAX_BYTES and len(_MEMORIES) > 1):
            _, forgotten = _MEMORIES.popitem(last=False)
            size -= forgotten.size_bytes
        return memory


def forget_all() -> None:
    """Forget everything, as a process does that starts."""
    with _LOCK:
        _MEMORIES.clear()
