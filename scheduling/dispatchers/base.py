"""The one signature of every engine's adapter, and what an engine can answer.

An adapter translates; it decides nothing and keeps no state. Every call names a key, and the same
key twice is one job. An answer that did not come raises `EngineInDoubt`: the caller then asks with
`report` and never takes silence for an outcome.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from controlplane.lib.errors import ErrorKind, GridError


class EngineJobState(StrEnum):
    """Where a job stands at its engine."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    WITHDRAWN = "WITHDRAWN"


class EngineInDoubt(GridError):
    """No answer came, or one that says nothing: the command may or may not have had its effect."""

    code = "engine-in-doubt"
    kind = ErrorKind.UNAVAILABLE


class EngineRefused(GridError):
    """The engine answered that it will not, and nothing happened there."""

    code = "engine-refused"
    kind = ErrorKind.CONFLICT


@dataclass(frozen=True)
class Endpoint:
    """Where an engine listens for one pool.

    Attributes:
        url: base address of the engine's API.
        pool: the pool's name at the engine.
        token: bearer token; never logged.
    """

    url: str
    pool: str
    token: str

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {self.pool!r})"


@dataclass(frozen=True)
class JobOrder:
    """What an engine needs to run a job."""

    name: str
    units: int
    requested_duration_s: float
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class JobReport:
    """What an engine says of one job; times are the engine's own, aware UTC.

    `done_s` is the work that a checkpoint of a stopped job holds: it is not done again.
    """

    key: str
    state: EngineJobState
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    done_s: float = 0.0


class Dispatcher(Protocol):
    """One engine's adapter."""

    def submit(
        self, endpoint: Endpoint, key: str, order: JobOrder, *, timeout_s: float
    ) -> JobReport:
        """Queue a job under a key; the same key again answers with the same job.

        Raises:
            EngineRefused: the engine will not take the job.
            EngineInDoubt: no answer came in time.
        """
        ...

    def withdraw(self, endpoint: Endpoint, key: str, *, timeout_s: float) -> JobReport:
        """Take a waiting job out of the queue; again, it answers the same.

        Raises:
            EngineRefused: the job runs, has ended, or is not known.
            EngineInDoubt: no answer came in time.
        """
        ...

    def checkpoint(self, endpoint: Endpoint, key: str, *, timeout_s: float) -> JobReport:
        """Stop a running job at its last checkpoint and take it out; again, it answers the same.

        Raises:
            EngineRefused: the job waits, has ended, is not known, or cannot be stopped so.
            EngineInDoubt: no answer came in time.
        """
        ...

    def release(self, endpoint: Endpoint, key: str, *, timeout_s: float) -> JobReport:
        """Put a withdrawn job back at its old place in the queue; again, it answers the same.

        Raises:
            EngineRefused: the job was not withdrawn.
            EngineInDoubt: no answer came in time.
        """
        ...

    def report(self, endpoint: Endpoint, key: str, *, timeout_s: float) -> JobReport | None:
        """Say where a job stands, or None when the engine does not know the key.

        Raises:
            EngineInDoubt: no answer came in time.
        """
        ...

    def reports(
        self, endpoint: Endpoint, keys: Sequence[str], *, timeout_s: float
    ) -> dict[str, JobReport]:
        """Say where several jobs stand; keys that the engine does not know are left out.

        Raises:
            EngineInDoubt: no answer came in time.
        """
        ...
