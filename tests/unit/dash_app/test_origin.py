"""Sockets open for this site's own pages only, whatever an Origin header says."""

import pytest

from dash_app.origin import SameOriginOnly


async def inner(scope, receive, send):
    await send({"type": "websocket.accept"})


def guarded():
    return SameOriginOnly(
        inner,
        allowed_hosts=["grid.example", "127.0.0.1", "[::1]"],
        trusted_origins=["https://control.example"],
    )


def scope(origin, host="grid.example"):
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode("latin-1")))
    return {"type": "websocket", "headers": headers}


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        pytest.param("https://grid.example", "grid.example", id="same host"),
        pytest.param("https://GRID.example", "grid.example", id="host in capitals"),
        pytest.param("http://127.0.0.1:8000", "127.0.0.1:8000", id="same port"),
        pytest.param("http://grid.example:80", "grid.example", id="default port spelled out"),
        pytest.param("http://[::1]:8000", "[::1]:8000", id="IPv6"),
        pytest.param("https://control.example", "grid.example", id="trusted origin"),
    ],
)
def test_our_own_page_may_open_a_socket(origin, host):
    assert guarded().is_welcome(scope(origin, host))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        pytest.param("https://evil.example", "grid.example", id="foreign site"),
        pytest.param("http://[", "grid.example", id="half an IPv6 address"),
        pytest.param("https://host:99999", "grid.example", id="impossible port"),
        pytest.param("https://grid.example:8443", "grid.example", id="another port"),
        pytest.param("https://grid.example.evil.example", "grid.example", id="look-alike"),
        pytest.param("null", "grid.example", id="null origin"),
        pytest.param("file://", "grid.example", id="file"),
        pytest.param("", "grid.example", id="empty"),
        pytest.param(None, "grid.example", id="none at all"),
        pytest.param("https://evil.example", "evil.example", id="host that is not ours"),
        pytest.param("https://\xff\xfe", "grid.example", id="no ASCII"),
    ],
)
def test_another_page_may_not(origin, host):
    assert not guarded().is_welcome(scope(origin, host))


@pytest.mark.parametrize("origin", ["http://[", "https://host:99999", "https://evil.example"])
async def test_a_refused_socket_is_denied_before_it_opens(open_socket, origin):
    viewer = open_socket(guarded(), scope(origin)["headers"])

    connected = await viewer.connect()

    assert not connected
