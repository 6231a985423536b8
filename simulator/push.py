"""Brings a provider's outbox to the grid over HTTP until every item is acknowledged or refused."""

import http.client
import json
import logging
import random
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulator.engine import Engine, OutboxKind

logger = logging.getLogger(__name__)

MAX_ITEMS = 500
PATHS = {"telemetry": "/api/v1/telemetry", "workloads": "/api/v1/workloads"}
BODY_KEYS = {"telemetry": "samples", "workloads": "workloads"}
TIMEOUT_S = 20.0
FIRST_WAIT_S = 0.25
MAX_WAIT_S = 15.0
MAX_RETRY_AFTER_S = 300.0


@dataclass(frozen=True)
class Answer:
    """What the grid said: status, the JSON object of the body ({} when none), Retry-After in s."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    retry_after_s: float | None = None

    @property
    def refused(self) -> dict[int, dict[str, Any]]:
        """Return the refused items of a batch by their index."""
        errors = self.body.get("errors")
        listed = errors if isinstance(errors, list) else []
        return {
            error["index"]: error
            for error in listed
            if isinstance(error, dict) and isinstance(error.get("index"), int)
        }


class GridUnreachable(Exception):
    """No answer came from the grid."""


class GridConnection:
    """One kept-alive connection to the grid with the provider's own key."""

    def __init__(self, url: str, key_file: Path) -> None:
        """Remember where the grid is; nothing is opened yet."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = f"{url!r} is no http or https address"
            raise ValueError(msg)
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._is_tls = parts.scheme == "https"
        self._key_file = key_file
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, document: dict[str, Any]) -> Answer:
        """Send one document and return the answer.

        Raises:
            GridUnreachable: No connection, no key yet, or no whole answer.
        """
        try:
            # Read each time: a rotated key counts from the next batch on.
            key = self._key_file.read_text(encoding="ascii").strip()
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            body = json.dumps(document, separators=(",", ":")).encode()
            answer = self._exchange(self._prefix + path, body, headers)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.close()
            raise GridUnreachable(repr(error)) from error
        return answer

    def _exchange(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send and read; a kept connection that the grid has closed meanwhile is opened anew.

        Sending again is safe: the grid takes the same items once.
        """
        is_kept = self._connection is not None
        try:
            return self._send_once(path, body, headers)
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            if not is_kept:
                raise
        return self._send_once(path, body, headers)

    def _send_once(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        if self._connection is None:
            self._connection = self._connected()
        self._connection.request("POST", path, body=body, headers=headers)
        response = self._connection.getresponse()
        return Answer(response.status, _json_object(response.read()), _retry_after_s(response))

    def close(self) -> None:
        """Close the connection if one is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._is_tls:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=TIMEOUT_S, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)


class Pusher:
    """Sends one kind of the outbox batch by batch until it is acknowledged or refused.

    Each kind has a pusher and a connection of its own, so that trouble with one does not hold
    back the other.
    """

    def __init__(
        self,
        engine: Engine,
        grid: GridConnection,
        *,
        kind: OutboxKind,
        mute_file: Path | None = None,
    ) -> None:
        """Bring one kind of the outbox to `grid`; while `mute_file` exists nothing is sent."""
        self._engine = engine
        self._grid = grid
        self._kind = kind
        self._mute_file = mute_file
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._limit = MAX_ITEMS
        self._failures = 0

    def wake(self) -> None:
        """Say that the outbox has new items."""
        self._wanted.set()

    def stop(self) -> None:
        """Let `run` return soon."""
        self._stop.set()
        self._wanted.set()

    def run(self) -> None:
        """Send until stopped."""
        while not self._stop.is_set():
            self._wanted.wait()
            self._wanted.clear()
            while not self._stop.is_set() and not self._is_muted() and self.push_once():
                pass
        self._grid.close()

    def push_once(self) -> bool:
        """Send one batch; after a failure wait as long as it demands.

        Returns:
            Whether there was anything to send.
        """
        items = self._engine.waiting(self._kind, self._limit)
        if items:
            self._push_batch(items)
        return bool(items)

    def _is_muted(self) -> bool:
        return self._mute_file is not None and self._mute_file.exists()

    def _push_batch(self, items: Sequence[tuple[int, dict[str, Any]]]) -> None:
        document = {BODY_KEYS[self._kind]: [item for _, item in items]}
        try:
            answer = self._grid.post(PATHS[self._kind], document)
        except GridUnreachable as error:
            self._back_off(f"no answer: {error}", None)
            return
        if answer.status == 200:
            self._engine.acknowledge(self._kind, [seq for seq, _ in items])
            self._recovered()
        elif answer.status in {400, 413, 422}:
            self._drop_refused(items, answer)
        else:
            self._back_off(f"status {answer.status}", answer.retry_after_s)

    def _drop_refused(self, items: Sequence[tuple[int, dict[str, Any]]], answer: Answer) -> None:
        refused = {i: error for i, error in answer.refused.items() if 0 <= i < len(items)}
        if not refused and len(items) > 1:
            # The batch is refused but no item is named: halve it until the culprit stands alone.
            self._limit = len(items) // 2
            return
        dropped = sorted(refused) or [0]
        first = refused.get(dropped[0], answer.body)
        logger.warning(
            "grid refused %d of %d %s, first %s: %s %s",
            len(dropped), len(items), BODY_KEYS[self._kind], items[dropped[0]][1],
            first.get("code"), first.get("reason") or first.get("detail"),
        )  # fmt: skip
        self._engine.acknowledge(self._kind, [items[i][0] for i in dropped])
        self._recovered()

    def _recovered(self) -> None:
        if self._failures:
            logger.info("grid takes %s again after %d failures", self._kind, self._failures)
        self._failures = 0
        self._limit = min(MAX_ITEMS, self._limit * 2)

    def _back_off(self, reason: str, retry_after_s: float | None) -> None:
        wait_s = back_off_s(self._failures, random.random())  # noqa: S311 - jitter, no secret
        if retry_after_s is not None:
            wait_s = max(wait_s, min(retry_after_s, MAX_RETRY_AFTER_S))
        self._failures += 1
        log = logger.warning if self._failures in {1, 10} else logger.debug
        log("grid does not take %s (%s), next try in %.1f s", self._kind, reason, wait_s)
        self._stop.wait(wait_s)


def back_off_s(failures: int, jitter: float) -> float:
    """Return how long to wait after a failure: doubling, capped, spread over half its length.

    Args:
        failures: Failures before this one, in a row.
        jitter: Uniform in [0, 1).

    Returns:
        Seconds between half of and the whole min(15, 0.25 * 2**failures).
    """
    longest = min(MAX_WAIT_S, FIRST_WAIT_S * (1 << min(failures, 10)))
    return longest * (0.5 + 0.5 * jitter)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _retry_after_s(response: http.client.HTTPResponse) -> float | None:
    value = response.getheader("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    date = response.getheader("Date")
    try:
        # Both times are the grid's own, so that a wrong clock here does not matter.
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(date or "")
    except (TypeError, ValueError):
        return None
    return max(0.0, wait.total_seconds())
