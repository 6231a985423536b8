"""Lets requests that wait for each other be stored together: one transaction, one commit for all.

Whoever finds a turn free goes ahead at once. Those that come meanwhile queue up; the first of
them gets the next turn and takes the others along. A group that fails is taken apart, and each of
its requests is tried alone, so that none suffers from another.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, Self, TypeVar

from django.db import connection
from prometheus_client import Histogram

logger = logging.getLogger(__name__)

MAX_SAMPLES = 100_000
MAX_BYTES = 32 * 1024 * 1024

REQUESTS = Histogram(
    "tiaodu_ingest_commit_requests",
    "Requests that one commit has stored",
    buckets=(1, 2, 3, 4, 8, 16),
)


class Joinable(Protocol):
    """A request that may be stored together with others of its sender."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def size_bytes(self) -> int:
        """Return about how much memory storing it takes; asked only when others wait."""

    def may_join(self, first: Self) -> bool:
        """Whether it may be stored together with the first one of a group."""


Request = TypeVar("Request", bound=Joinable)
Answer = TypeVar("Answer")


class _Place(Generic[Request, Answer]):
    """A request's place in the queue."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: Answer | None = None
        self.leads = False
        # set once: the request is answered, has the turn, or is to be tried alone
        self.is_called = threading.Event()


class _Desk(Generic[Request, Answer]):
    """Where the requests of one sender come: the turns that are taken, and who waits for one."""

    def __init__(self) -> None:
        self.turns_taken = 0
        self.queue: deque[_Place[Request, Answer]] = deque()


class Together(Generic[Request, Answer]):
    """Takes requests of many threads, those of one sender together where they would wait."""

    def __init__(
        self, store: Callable[[str, Sequence[Request]], list[Answer]], *, turns: int = 1
    ) -> None:
        """Make one for a kind of request.

        Args:
            store: stores requests of one sender in one transaction of its own, as if one came
                after the other, and returns an answer for each.
            turns: transactions of one sender that may be under way at once.
        """
        self._store, self._turns = store, turns
        self._lock = threading.Lock()
        # a sender is in here while somebody has a turn
        self._desks: dict[str, _Desk[Request, Answer]] = {}

    def take(self, sender: str, request: Request) -> Answer:
        """Store a request, alone or together with others, and return its answer.

        Raises:
            Exception: whatever storing this request alone raises.
        """
        if connection.in_atomic_block:
            # part of the caller's transaction, and no business of any other request
            return self._alone(sender, request)
        place = self._queue_up(sender, request)
        if not place.leads:
            place.is_called.wait()
        if place.leads:
            self._lead(sender, place)
        if place.answer is not None:
            return place.answer
        return self._alone(sender, request)

    def _queue_up(self, sender: str, request: Request) -> _Place[Request, Answer]:
        place: _Place[Request, Answer] = _Place(request)
        with self._lock:
            desk = self._desks.setdefault(sender, _Desk())
            if desk.turns_taken < self._turns:
                desk.turns_taken += 1
                place.leads = True
            else:
                desk.queue.append(place)
        return place

    def _lead(self, sender: str, first: _Place[Request, Answer]) -> None:
        group = [first]
        try:
            try:
                group = self._gather(sender, first)
            except Exception:
                # one whose size cannot be told goes alone when its turn comes, as this one now
                logger.exception("ingest.not_gathered")
            self._store_group(sender, group)
        finally:
            for place in group[1:]:
                place.is_called.set()
            self._pass_on(sender)

    def _store_group(self, sender: str, group: list[_Place[Request, Answer]]) -> None:
        try:
            answers = self._store(sender, [place.request for place in group])
        except Exception:
            if len(group) == 1:
                raise
            # whoever was at fault hears it when tried alone, in a thread of its own
            return
        REQUESTS.observe(len(group))
        for place, answer in zip(group, answers, strict=True):
            place.answer = answer

    def _gather(self, sender: str, first: _Place[Request, Answer]) -> list[_Place[Request, Answer]]:
        """Return the first request and those that wait and fit; the others stay in the queue."""
        with self._lock:
            waiting = list(self._desks[sender].queue)
        if not waiting:
            return [first]
        chosen = _fitting(first, waiting)
        with self._lock:
            # another turn may have taken some of them along meanwhile
            queue = self._desks[sender].queue
            still = [place for place in chosen if place in queue]
            for place in still:
                queue.remove(place)
        return [first, *still]

    def _pass_on(self, sender: str) -> None:
        with self._lock:
            desk = self._desks[sender]
            if not desk.queue:
                desk.turns_taken -= 1
                if desk.turns_taken == 0:
                    del self._desks[sender]
                return
            following = desk.queue.popleft()
        following.leads = True
        following.is_called.set()

    def _alone(self, sender: str, request: Request) -> Answer:
        (answer,) = self._store(sender, [request])
        REQUESTS.observe(1)
        return answer


def _fitting(
    first: _Place[Request, Answer], waiting: Sequence[_Place[Request, Answer]]
) -> list[_Place[Request, Answer]]:
    """Return those that can be stored together with the first one."""
    found = []
    samples, size_bytes = len(first.request), first.request.size_bytes()
    for place in waiting:
        more, more_bytes = len(place.request), place.request.size_bytes()
        fits = samples + more <= MAX_SAMPLES and size_bytes + more_bytes <= MAX_BYTES
        if fits and place.request.may_join(first.request):
            found.append(place)
            samples, size_bytes = samples + more, size_bytes + more_bytes
    return found
