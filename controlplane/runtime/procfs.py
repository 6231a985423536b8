"""Reads from /proc who listens on a port and which processes descend from which."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

LISTEN = "0A"


@dataclass(frozen=True)
class Process:
    """A running process as far as the machine lets us see it."""

    pid: int
    command: str


def port_holder(port: int, *, proc: Path = Path("/proc")) -> Process | None:
    """Return the process that listens on a TCP port, or None when it cannot be known.

    Args:
        port: local TCP port, any address.
        proc: where the kernel shows its processes.
    """
    inodes = _listening_inodes(port, proc=proc)
    if not inodes:
        return None
    for entry in _process_folders(proc):
        # Processes of other users, and those that just ended, are silently unreadable.
        with contextlib.suppress(OSError):
            for descriptor in (entry / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return Process(int(entry.name), _command(entry))
    return None


def descendants(pid: int, *, proc: Path = Path("/proc")) -> list[int]:
    """Return the ids of all processes below `pid`, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in _process_folders(proc):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may itself hold blanks and parentheses.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    pending = list(children.get(pid, []))
    while pending:
        child = pending.pop(0)
        found.append(child)
        pending.extend(children.get(child, []))
    return found


def marked(marker: str, *, proc: Path = Path("/proc")) -> list[int]:
    """Return the ids of all processes whose environment holds the text `marker`."""
    wanted = marker.encode()
    found = []
    for entry in _process_folders(proc):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def kill_all(pids: list[int]) -> None:
    """End processes at once; those that have ended or are not ours are left alone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _process_folders(proc: Path) -> list[Path]:
    return [entry for entry in proc.iterdir() if entry.name.isdigit()]


def _listening_inodes(port: int, *, proc: Path) -> set[str]:
    inodes = set()
    for table in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _command(entry: Path) -> str:
    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return words.strip()[:80]
