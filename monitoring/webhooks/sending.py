"""Posts one message to the address that was checked: no redirect, no proxy, bounded in all.

The name is resolved once for each message, every address it has is looked at, and the connection
goes to the one that was looked at: a name that leads elsewhere a moment later changes nothing.
"""

import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from controlplane.lib.errors import ErrorKind, GridError
from monitoring.domain.alerting.addresses import Destination, choose_address, read_destination

CONNECT_WITHIN_S = 3.0
ANSWER_WITHIN_S = 5.0
MAX_ANSWER_BYTES = 4096
SIGNATURE_HEADER = "X-Tiaodu-Signature"
TIME_HEADER = "X-Tiaodu-Timestamp"


class NotSent(GridError):
    """The message did not get through; it is tried again."""

    code = "webhook-not-sent"
    kind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True)
class Answer:
    """What the target answered: the status, and the beginning of the body."""

    status: int
    text: str


def check_target(url: str) -> Destination:
    """Return where a URL leads, after resolving it once.

    Args:
        url: as a person typed it.

    Raises:
        TargetRefused: the grid may not send anything there.
        NotSent: its name cannot be resolved.
    """
    destination = _destination(url)
    choose_address(destination, _resolve(destination))
    return destination


def send(url: str, body: bytes, *, secret: bytes, sent_at_s: int) -> Answer:
    """Post a JSON message with its signature.

    Args:
        url: of the target; checked anew.
        body: JSON.
        secret: key of the signature, an HMAC-SHA256 over `<seconds>.<body>`.
        sent_at_s: wall time, seconds since the epoch.

    Returns:
        The answer, whose status is 200 to 299.

    Raises:
        TargetRefused: the grid may not send anything there.
        NotSent: no answer in time, or another status; redirects are not followed.
    """
    destination = _destination(url)
    address = choose_address(destination, _resolve(destination))
    signed = hmac.new(secret, f"{sent_at_s}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Host": destination.authority,
        "Content-Type": "application/json",
        "User-Agent": "tiaodu-webhook/1",
        TIME_HEADER: str(sent_at_s),
        SIGNATURE_HEADER: f"sha256={signed}",
    }
    try:
        answer = _post(destination, address, body, headers)
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(f"{destination.authority}: {_reason(error)}") from error
    if not 200 <= answer.status <= 299:
        raise NotSent(f"{destination.authority} answered {answer.status}: {answer.text[:200]}")
    return answer


def _destination(url: str) -> Destination:
    return read_destination(
        url, ports=settings.WEBHOOK_PORTS, trusted=settings.WEBHOOK_TRUSTED_TARGETS
    )


def _resolve(destination: Destination) -> list[str]:
    try:
        found = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotSent(f"{destination.host} cannot be resolved.") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _post(destination: Destination, address: str, body: bytes, headers: dict[str, str]) -> Answer:
    with _deadline(destination, address) as connection:
        connection.request("POST", destination.path, body, headers)
        response = connection.getresponse()
        text = response.read(MAX_ANSWER_BYTES).decode(errors="replace")
        return Answer(response.status, "".join(filter(str.isprintable, text)))


@contextlib.contextmanager
def _deadline(destination: Destination, address: str) -> Iterator[http.client.HTTPConnection]:
    raw = socket.create_connection((address, destination.port), timeout=CONNECT_WITHIN_S)
    # an answer that trickles in byte by byte never runs into a timeout of its own
    watch = threading.Timer(CONNECT_WITHIN_S + ANSWER_WITHIN_S, _cut, (raw,))
    watch.daemon = True
    watch.start()
    connection = http.client.HTTPConnection(destination.host, destination.port)
    try:
        raw.settimeout(ANSWER_WITHIN_S)
        connection.sock = _secure(raw, destination)
        connection.auto_open = 0
        yield connection
    finally:
        watch.cancel()
        connection.close()
        raw.close()


def _secure(raw: socket.socket, destination: Destination) -> socket.socket:
    if destination.scheme == "http":
        return raw
    # the certificate is held against the name, though the connection goes to an address
    return ssl.create_default_context().wrap_socket(raw, server_hostname=destination.host)


def _cut(raw: socket.socket) -> None:
    with contextlib.suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
