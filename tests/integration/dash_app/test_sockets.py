"""The socket as it is mounted in the site: who gets as far as a frame, and who does not."""

import orjson
import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.test import Client

from controlplane.asgi import application
from dash_app.sockets import hub
from tests.browser.small_grid import seed_grid

OURS = (b"origin", b"http://testserver")


def connection(path="/ws/grid/", origin=OURS, session=None):
    headers = [(b"host", b"testserver"), origin]
    if session:
        headers.append((b"cookie", f"sessionid={session}".encode()))
    return ApplicationCommunicator(
        application, {"type": "websocket", "path": path, "headers": headers}
    )


async def answers(ends, count):
    await ends.send_input({"type": "websocket.connect"})
    return [await ends.receive_output(10) for _ in range(count)]


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(lambda: connection(origin=(b"origin", b"https://evil.example")), id="foreign"),
        pytest.param(lambda: connection(origin=(b"origin", b"http://[")), id="malformed"),
        pytest.param(lambda: connection(origin=(b"x", b"y")), id="none"),
        pytest.param(lambda: connection(path="/ws/region/CN-BJ/"), id="guessed address"),
        pytest.param(lambda: connection(path="/ws/"), id="no address"),
    ],
)
async def test_these_are_denied_before_the_socket_opens(ends):
    (answer,) = await answers(ends(), 1)

    assert answer["type"] == "websocket.close"


async def test_a_stranger_is_told_to_log_in():
    accepted, closed = await answers(connection(), 2)

    assert accepted["type"] == "websocket.accept"
    assert closed["code"] == 4401


@pytest.mark.django_db(transaction=True)
async def test_somebody_logged_in_gets_the_grid(auditor, grid_time):
    await sync_to_async(seed_grid)(grid_time.now)
    client = Client()
    await sync_to_async(client.force_login)(auditor)
    ends = connection(session=client.cookies["sessionid"].value)

    _, message = await answers(ends, 2)
    await ends.send_input({"type": "websocket.disconnect", "code": 1000})
    await ends.wait(10)

    frame = orjson.loads(message["text"])
    assert len(frame["regions"]) == 34
    assert frame["epoch"] == hub.epoch
    assert hub.viewers == 0
