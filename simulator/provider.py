"""One simulated provider as a process: its pools live, its engine answers, its outbox is pushed."""

import logging
import os
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from simulator.clock import GridClock
from simulator.engine import Engine, OutboxKind
from simulator.engine_api import EngineServer
from simulator.push import GridConnection, Pusher
from simulator.store import Store, WorldMissing

logger = logging.getLogger(__name__)

# The mute file and a late clock are noticed within this time.
LONGEST_SLEEP_S = 5.0
STOP_POLL_S = 0.2
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
KINDS: tuple[OutboxKind, ...] = ("workloads", "telemetry")


def main(arguments: list[str]) -> int:
    """Run `provider` with command-line arguments until SIGTERM or SIGINT; return the status."""
    options = _parsed(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"{options.name}: %(levelname)s %(message)s"
    )
    # Blocked and asked for, never handled: a handler that sets an Event stops for ever when it
    # interrupts the main thread inside that Event's own lock.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        token = options.token_file.read_text(encoding="ascii").strip()
        store = Store.open(options.var / f"{options.name}.sqlite")
    except (OSError, WorldMissing) as error:
        logger.error("%s", error)  # noqa: TRY400 - the message says it all
        return 1
    if not token:
        logger.error("%s is empty", options.token_file)
        return 1
    return _run(options, store, token=token)


def _parsed(arguments: list[str]) -> Namespace:
    parser = ArgumentParser(prog="simulator provider", description=__doc__)
    parser.add_argument("--name", required=True, help="code of the provider")
    parser.add_argument("--port", type=int, required=True, help="port of the engine API")
    parser.add_argument("--api", required=True, metavar="URL", help="address of the grid")
    parser.add_argument("--key-file", type=Path, required=True, help="file with the API key")
    parser.add_argument("--var", type=Path, required=True, help="folder made by `prepare`")
    parser.add_argument("--mute-file", type=Path, help="push nothing while this file exists")
    token_file = os.environ.get("TIAODU_ENGINE_TOKEN_FILE")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=Path(token_file) if token_file else None,
        help="file with the engine token (default: $TIAODU_ENGINE_TOKEN_FILE)",
    )
    options = parser.parse_args(arguments)
    if options.token_file is None:
        parser.error("--token-file or TIAODU_ENGINE_TOKEN_FILE is needed")
    return options


def _run(options: Namespace, store: Store, *, token: str) -> int:
    clock = GridClock.from_environment(os.environ)
    broken = threading.Event()

    def give_up() -> None:
        broken.set()
        os.kill(os.getpid(), signal.SIGTERM)

    engine = Engine(store, now=clock.now, on_broken=give_up)
    pushers = [
        Pusher(
            engine,
            GridConnection(options.api, options.key_file),
            kind=kind,
            mute_file=options.mute_file,
        )
        for kind in KINDS
    ]
    server = EngineServer(options.port, engine, token=token)
    serve = partial(server.serve_forever, poll_interval=STOP_POLL_S)
    threading.Thread(target=serve, name="engine", daemon=True).start()
    for pusher in pushers:
        threading.Thread(target=pusher.run, name="pusher", daemon=True).start()
    logger.info("engine listens on 127.0.0.1:%d", server.server_address[1])
    is_asked_to_stop = False
    while not is_asked_to_stop:
        if engine.catch_up():
            is_asked_to_stop = _is_asked_to_stop(0.0)
            continue
        for pusher in pushers:
            pusher.wake()
        pause_s = min(LONGEST_SLEEP_S, clock.real_wait_s(engine.next_tick))
        is_asked_to_stop = _is_asked_to_stop(pause_s)
    for pusher in pushers:
        pusher.stop()
    server.shutdown()
    server.server_close()
    return 1 if broken.is_set() else 0


def _is_asked_to_stop(wait_s: float) -> bool:
    """Wait for a signal to stop, at most so long."""
    return signal.sigtimedwait(STOP_SIGNALS, wait_s) is not None
