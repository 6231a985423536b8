"""The socket lets in whom it should, understands one message, and lets go in time."""

import asyncio
from typing import Any

import orjson
import pytest

from controlplane.auth.roles import Actor, Role
from dash_app.access import Entry
from dash_app.consumers import GridConsumer, SocketLimits
from dash_app.hub import FrameHub, HubTiming

AUDITOR = Actor(user_id=1, username="auditor", role=Role.AUDITOR)
WELCOME = Entry(actor=AUDITOR, is_known=True)
STRANGER = Entry(actor=None, is_known=False)
OUTSIDER = Entry(actor=None, is_known=True)


class Door:
    """Answers who may come in; the answer can change while somebody is inside."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.asked: list[str | None] = []

    async def __call__(self, session_key: str | None) -> Entry:
        self.asked.append(session_key)
        return self.entry


async def build() -> dict[str, Any]:
    return {"v": 1}


@pytest.fixture
def hub():
    return FrameHub(build, lambda: None, HubTiming(least_s=0.01, most_s=60.0))


@pytest.fixture
def socket(hub, open_socket):
    def make(door, limits=None):
        application = GridConsumer.as_asgi(
            hub=hub, entry_of_session=door, session_cookie="sessionid", limits=limits
        )
        return open_socket(application, [(b"cookie", b"other=1; sessionid=abc123")])

    return make


async def test_somebody_with_the_role_gets_a_frame(hub, socket):
    door = Door(WELCOME)
    viewer = socket(door)

    connected = await viewer.connect()
    frame = orjson.loads(await viewer.receive())
    await viewer.disconnect()

    assert connected
    assert frame["seq"] == 1
    assert door.asked == ["abc123"]
    assert hub.viewers == 0


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        pytest.param(STRANGER, 4401, id="nobody logged in"),
        pytest.param(OUTSIDER, 4403, id="no role for the grid"),
    ],
)
async def test_others_are_told_why_and_get_nothing(hub, socket, entry, code):
    viewer = socket(Door(entry))

    await viewer.connect()
    told = await viewer.closing_code()
    await viewer.disconnect()

    assert told == code
    assert hub.viewers == 0


async def test_a_role_that_is_taken_away_closes_an_open_socket(socket):
    door = Door(WELCOME)
    viewer = socket(door, SocketLimits(recheck_s=0.03))
    await viewer.connect()
    await viewer.receive()

    door.entry = OUTSIDER
    told = await viewer.closing_code()
    await viewer.disconnect()

    assert told == 4403


async def test_a_snapshot_can_be_asked_for(socket):
    viewer = socket(Door(WELCOME))
    await viewer.connect()
    first = await viewer.receive()

    await viewer.send(text='{"type": "snapshot"}')
    second = await viewer.receive()
    await viewer.disconnect()

    assert second == first


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param({"text": "x" * 257}, 1009, id="too long"),
        pytest.param({"bytes": b"x" * 257}, 1009, id="too many bytes"),
        pytest.param({"text": "{"}, 1008, id="no JSON"),
        pytest.param({"text": '{"type": "approve"}'}, 1008, id="another wish"),
        pytest.param({"text": '{"type": "snapshot", "region": "CN-BJ"}'}, 1008, id="extra"),
        pytest.param({"bytes": b"\x00"}, 1008, id="bytes"),
        pytest.param({"text": "[1]"}, 1008, id="a list"),
    ],
)
async def test_anything_else_closes_the_socket(socket, message, code):
    viewer = socket(Door(WELCOME))
    await viewer.connect()

    await viewer.send(**message)
    told = await viewer.closing_code()
    await viewer.disconnect()

    assert told == code


async def test_a_flood_of_wishes_closes_the_socket(socket):
    viewer = socket(Door(WELCOME), SocketLimits(messages=5))
    await viewer.connect()

    for _ in range(6):
        await viewer.send(text='{"type": "snapshot"}')
    told = await viewer.closing_code()
    await viewer.disconnect()

    assert told == 1008


async def test_a_database_that_is_away_asks_the_viewer_to_come_again(socket):
    async def broken(session_key: str | None) -> Entry:
        raise ConnectionError("database away")

    viewer = socket(broken)

    await viewer.connect()
    told = await viewer.closing_code()
    await viewer.disconnect()

    assert told == 1013


async def test_a_viewer_that_takes_nothing_is_let_go(hub):
    consumer = GridConsumer(
        hub=hub,
        entry_of_session=Door(WELCOME),
        session_cookie="sessionid",
        limits=SocketLimits(send_s=0.05),
    )
    sent: list[dict[str, Any]] = []
    is_connected = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not is_connected.is_set():
            is_connected.set()
            return {"type": "websocket.connect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()

    task = asyncio.create_task(consumer({"type": "websocket", "headers": []}, receive, send))
    async with asyncio.timeout(5):
        while not any(message["type"] == "websocket.close" for message in sent):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await consumer.disconnect(1006)

    assert sent[-1]["code"] == 1013
