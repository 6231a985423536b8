"""Decides before a start whether this machine lets the grid run, and says what to do."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from controlplane.runtime.folder import RuntimeProblem, is_port_free
from controlplane.runtime.procfs import port_holder

MIN_FREE_AT_START_BYTES = 1_000_000_000
MIN_FREE_FOR_DATABASE_BYTES = 300_000_000

FreeBytes = Callable[[Path], int]


def free_bytes(path: Path) -> int:
    """Return what an ordinary user may still write to the file system that holds `path`."""
    return shutil.disk_usage(path).free


def require_port(port: int) -> None:
    """Refuse a web port that something else listens on, naming it where it can be seen.

    Raises:
        RuntimeProblem: the port is taken.
    """
    if is_port_free(port):
        return
    holder = port_holder(port)
    who = f" by process {holder.pid} ({holder.command})" if holder else ""
    raise RuntimeProblem(
        f"Port {port} is taken{who}.\nStop that program, or choose another port, for example: "
        f"make up PORT={port + 1}"
    )


def require_space(folder: Path, *, measure: FreeBytes = free_bytes) -> None:
    """Refuse to start on a nearly full disk, where a database would soon stop by force.

    Raises:
        RuntimeProblem: less than `MIN_FREE_AT_START_BYTES` are free.
    """
    free = measure(folder)
    if free < MIN_FREE_AT_START_BYTES:
        raise RuntimeProblem(
            f"Only {free / 1e6:,.0f} MB are free where {folder} is; the grid needs "
            f"{MIN_FREE_AT_START_BYTES / 1e6:,.0f} MB to start.\n"
            "Make room, or choose a folder on a larger disk: TIAODU_VAR=/some/folder make up"
        )


def database_gate(folder: Path, *, measure: FreeBytes = free_bytes) -> str | None:
    """Return why PostgreSQL must not be started now, or None.

    A full disk stops PostgreSQL in the middle of its recovery, and then for good; it is left
    alone until there is room again.
    """
    free = measure(folder)
    if free >= MIN_FREE_FOR_DATABASE_BYTES:
        return None
    return f"only {free / 1e6:,.0f} MB free on the disk of {folder}; make room and it starts"


def rate_from(text: str) -> float:
    """Return a clock rate.

    Raises:
        RuntimeProblem: not a number between 0.01 and 3600.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.01 <= rate <= 3600.0:
        raise RuntimeProblem(
            f"The clock rate {text!r} is not a number between 0.01 and 3600.\n"
            "Real time: make up RATE=1 · a minute per second (default): make up RATE=60"
        )
    return rate


def port_from(text: str) -> int:
    """Return a TCP port an ordinary program may listen on.

    Raises:
        RuntimeProblem: not a whole number between 1024 and 65535.
    """
    if text.isascii() and text.isdigit() and 1024 <= int(text) <= 65535:
        return int(text)
    raise RuntimeProblem(f"The port {text!r} is not a whole number between 1024 and 65535.")


def answers(url: str, *, timeout_s: float = 2.0) -> bool:
    """Whether an HTTP address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310 - own address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def without_database_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would silently redirect PostgreSQL's client library."""
    kept = {"PGAPPNAME", "PGTZ"}
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("PG") or name in kept
    }
