"""Starts, shows and clears the grid on this machine: `python -m controlplane.runtime up`."""

import argparse
import asyncio
import os
import shutil
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from controlplane.runtime import procfs
from controlplane.runtime.checks import port_from, rate_from, require_port, require_space
from controlplane.runtime.clock import resume
from controlplane.runtime.folder import Lock, RunFolder, RuntimeProblem, read_json
from controlplane.runtime.keeper import run_kept
from controlplane.runtime.logs import say
from controlplane.runtime.stack import (
    PROJECT,
    StackMaker,
    child_environment,
    plan_servers,
    run_mark,
    tiaodu_stack,
)
from controlplane.runtime.status import status_table
from controlplane.runtime.supervisor import Supervisor

LEFTOVERS_END_WITHIN_S = 5.0


def main(
    arguments: list[str], environment: Mapping[str, str], *, stack: StackMaker = tiaodu_stack
) -> int:
    """Carry out one command; return the exit code for the shell.

    Args:
        arguments: command and options.
        environment: of this process.
        stack: makes the children of the grid.
    """
    options = _parser(environment).parse_args(arguments)
    folder = RunFolder(Path(options.var).absolute())
    try:
        if options.command == "up":
            return _up(folder, options, environment, stack=stack)
        return _status(folder) if options.command == "status" else _clean(folder)
    except RuntimeProblem as problem:
        say(f"\n{problem}\n")
        return 1


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m controlplane.runtime", description=__doc__)
    parser.add_argument("command", choices=("up", "status", "clean"))
    parser.add_argument(
        "--var",
        default=environment.get("TIAODU_VAR") or str(PROJECT / "var"),
        help="folder with all data of the grid (TIAODU_VAR; default: var)",
    )
    parser.add_argument(
        "--port",
        default=environment.get("TIAODU_PORT") or "8000",
        help="web port (TIAODU_PORT; default: 8000)",
    )
    parser.add_argument(
        "--rate",
        default=environment.get("TIAODU_CLOCK_RATE") or "60",
        help="grid seconds per real second (TIAODU_CLOCK_RATE; default: 60)",
    )
    return parser


def _up(
    folder: RunFolder,
    options: argparse.Namespace,
    environment: Mapping[str, str],
    *,
    stack: StackMaker,
) -> int:
    port, rate = port_from(options.port), rate_from(options.rate)
    folder.make()
    # Held by the keeper too: it is free when the last process of this run has gone.
    lock = Lock(folder)
    if not lock.acquire():
        raise RuntimeProblem(_running_message(folder))
    require_port(port)
    require_space(folder.root)
    return run_kept(
        partial(_supervise, folder, port=port, rate=rate, environment=environment, stack=stack)
    )


def _supervise(
    folder: RunFolder,
    *,
    port: int,
    rate: float,
    environment: Mapping[str, str],
    stack: StackMaker,
) -> int:
    try:
        _end_leftovers(folder)
        clock = resume(folder.clock_file, real_s=time.time(), rate=rate)
        web_url = f"http://127.0.0.1:{port}"
        servers = plan_servers(folder, environment)
        own = child_environment(folder, servers, clock=clock, web_url=web_url, base=environment)
        specs = stack(folder, servers, environment=own, web_port=port)
        say(f"Starting the grid in {folder.root} …")
        return asyncio.run(Supervisor(specs, folder, clock=clock, web_url=web_url).run())
    except RuntimeProblem as problem:
        say(f"\n{problem}\n")
        return 1


def _end_leftovers(folder: RunFolder) -> None:
    """End what a run left behind whose supervisor and keeper were killed at the same moment."""
    mark = run_mark(folder)
    deadline = time.monotonic() + LEFTOVERS_END_WITHIN_S
    while leftovers := procfs.marked(mark):
        procfs.kill_all(leftovers)
        if time.monotonic() > deadline:
            raise RuntimeProblem(f"Processes of an earlier run do not end: {leftovers}")
        time.sleep(0.05)


def _status(folder: RunFolder) -> int:
    status = read_json(folder.status_file)
    is_running = status is not None and _is_locked(folder)
    say(status_table(status or {}, is_running=is_running))
    return 0 if is_running else 3


def _clean(folder: RunFolder) -> int:
    if not folder.root.exists():
        say("There is nothing to remove.")
        return 0
    if not folder.run.exists():
        raise RuntimeProblem(f"{folder.root} is no folder of the grid; nothing was removed.")
    if _is_locked(folder):
        raise RuntimeProblem(_running_message(folder) + "\nNothing was removed.")
    shutil.rmtree(folder.root)
    say(f"Removed {folder.root}.")
    return 0


def _is_locked(folder: RunFolder) -> bool:
    if not folder.lock_file.exists():
        return False
    lock = Lock(folder)
    try:
        return not lock.acquire()
    finally:
        lock.release()


def _running_message(folder: RunFolder) -> str:
    status = read_json(folder.status_file) or {}
    where = status.get("web_url", "an address it has not told yet")
    return (
        f"The grid in {folder.root} is running already: process {status.get('pid', 'unknown')}, "
        f"{where}\nStop it with Ctrl-C in its terminal, or: kill {status.get('pid', 'PID')}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
