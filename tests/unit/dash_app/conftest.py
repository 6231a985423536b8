"""A socket client for tests that speaks plain ASGI to an application."""

from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator


class Socket:
    """One websocket connection, seen from the browser's end."""

    def __init__(self, application: Any, headers: list[tuple[bytes, bytes]]) -> None:
        scope = {"type": "websocket", "path": "/ws/grid/", "headers": headers}
        self._ends = ApplicationCommunicator(application, scope)

    async def connect(self) -> bool:
        """Ask to open; whether it was opened."""
        await self._ends.send_input({"type": "websocket.connect"})
        return (await self._ends.receive_output(5))["type"] == "websocket.accept"

    async def send(self, **message: Any) -> None:
        """Send `text=` or `bytes=`."""
        await self._ends.send_input({"type": "websocket.receive", **message})

    async def receive(self) -> str:
        """Wait for the next frame."""
        message = await self._ends.receive_output(5)
        assert message["type"] == "websocket.send", message
        return message["text"]

    async def closing_code(self) -> int:
        """Wait for the socket to be closed and return why, whatever came before."""
        while True:
            message = await self._ends.receive_output(5)
            if message["type"] == "websocket.close":
                return message["code"]

    async def disconnect(self) -> None:
        """Go away."""
        await self._ends.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._ends.wait(5)


@pytest.fixture
def open_socket():
    return Socket
