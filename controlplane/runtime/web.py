"""Runs one web process; several of them may listen on the same port and share its connections.

Each is a child of its own for the supervisor: one that is killed is started again while the others
go on. The kernel spreads new connections over those that listen.
"""

import argparse
import socket

import uvicorn

BACKLOG = 512


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    config = uvicorn.Config(
        "controlplane.asgi:application",
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=65_536,
        lifespan="off",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run(sockets=[shared_listener(options.host, options.port)])


def shared_listener(host: str, port: int) -> socket.socket:
    """Return a listening socket whose port other processes of the same user may share.

    Args:
        host: address of this machine.
        port: TCP port.

    Raises:
        OSError: somebody else listens there without sharing.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)  # noqa: FBT003 (positional only)
    return listener


if __name__ == "__main__":
    main()
