"""Requests whose length is told in two ways, or wrongly, at the HTTP server that the grid runs.

Drill D13: what is left of one body is never taken for the next request.
"""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from controlplane.body_guard import BodyGuard
from tests.unit.controlplane.test_body_guard import KEY, LIMIT, PUSH, Keys

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n" % (PUSH.encode(), KEY[0][1])


class Application:
    """Reads each request to its end and notes its path and body."""

    def __init__(self):
        self.seen = []

    async def __call__(self, scope, receive, send):
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.seen.append((scope["path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
def server():
    """The grid's own HTTP server and guard, before an application that takes notes."""
    application = Application()
    guarded = BodyGuard(application, max_bytes=LIMIT, keys=Keys())
    config = uvicorn.Config(
        guarded, http="httptools", lifespan="off", log_level="critical", ws="none"
    )
    running = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not running.started:
            time.sleep(0.005)
        application.port = listener.getsockname()[1]
        yield application
        running.should_exit = True
        thread.join(10)


def say(server, raw, *, leave=False):
    """Send bytes as they are and return what is answered until nothing comes for a while."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as connection:
        connection.sendall(raw)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while not leave and (part := connection.recv(65_536)):
                answer += part
        return answer


def test_two_lengths_at_once_let_no_second_request_in(server):
    chunked = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

    answer = say(server, HEAD + chunked + HIDDEN)

    assert "/hidden" not in [path for path, _ in server.seen]
    assert answer.count(b"HTTP/1.1 200") <= 1


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param(b"Content-Length: 3\r\nContent-Length: 44\r\n\r\nabc", id="two lengths"),
        pytest.param(b"Content-Length: +3\r\n\r\nabc", id="a sign"),
        pytest.param(b"Content-Length: 0x3\r\n\r\nabc", id="hexadecimal"),
        pytest.param(b"Content-Length: -1\r\n\r\nabc", id="below zero"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", id="unknown"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", id="bad size"),
        pytest.param(b"Content-Length : 3\r\n\r\nabc", id="a space before the colon"),
    ],
)
def test_a_length_that_is_none_is_refused_and_ends_the_connection(server, lengths):
    answer = say(server, HEAD + lengths + HIDDEN)

    assert answer.startswith(b"HTTP/1.1 4") or answer == b""
    assert b"HTTP/1.1 200" not in answer
    assert "/hidden" not in [path for path, _ in server.seen]


def test_chunk_extensions_are_no_part_of_the_body(server):
    body = b'Transfer-Encoding: chunked\r\n\r\n3;name="GET /hidden"\r\nabc\r\n0\r\n\r\n'

    answer = say(server, HEAD + body)

    assert server.seen == [(PUSH, b"abc")]
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_body_shorter_than_it_says_is_no_request(server):
    answer = say(server, HEAD + b"Content-Length: 90\r\n\r\nabc")

    assert b"HTTP/1.1 200" not in answer
    assert server.seen == []


def test_who_waits_to_be_asked_for_the_body_and_leaves_does_no_harm(server):
    say(server, HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", leave=True)

    answer = say(server, HEAD + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc")

    assert answer.startswith(b"HTTP/1.1 200")
    assert server.seen == [(PUSH, b"abc")]


def test_two_whole_requests_on_one_connection_are_two(server):
    """What the other tests send is a request where it is one."""
    answer = say(server, HEAD + b"Content-Length: 3\r\n\r\nabc" + HIDDEN)

    assert [path for path, _ in server.seen] == [PUSH, "/hidden"]
    assert answer.count(b"HTTP/1.1 200") == 2
