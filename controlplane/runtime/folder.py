"""Keeps what the grid leaves on disk: one folder, its secrets, its lock, its remembered ports."""

import contextlib
import fcntl
import json
import os
import pwd
import secrets
import socket
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class RuntimeProblem(Exception):
    """Something the person at the terminal must act on; its text says what and how."""


@dataclass(frozen=True)
class RunFolder:
    """The folder with everything that outlives a run, usually `var/` of the project."""

    root: Path

    @property
    def run(self) -> Path:
        """Lock, status, secrets and addresses of the present run."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """One log file per child."""
        return self.root / "log"

    @property
    def lock_file(self) -> Path:
        """Held by the one supervisor that may use the folder."""
        return self.run / "lock"

    @property
    def status_file(self) -> Path:
        """The children and their states, rewritten at every change."""
        return self.run / "supervisor.json"

    @property
    def clock_file(self) -> Path:
        """Where the grid clock stood."""
        return self.run / "clock.json"

    @property
    def logins_file(self) -> Path:
        """The demo logins, written by the seed."""
        return self.run / "logins.json"

    @property
    def endpoints_file(self) -> Path:
        """The address of each simulated provider's engines."""
        return self.run / "endpoints.json"

    def make(self) -> None:
        """Make the folders, readable by the owner alone.

        Raises:
            RuntimeProblem: the folder cannot be made, or belongs to somebody else.
        """
        hint = "choose another folder with: TIAODU_VAR=/some/folder make up"
        try:
            for folder in (self.root, self.run, self.log, self.run / "keys"):
                folder.mkdir(parents=True, exist_ok=True)
            owner = self.root.stat().st_uid
            if owner == os.geteuid():
                self.run.chmod(0o700)
                self.log.chmod(0o700)
        except OSError as error:
            raise RuntimeProblem(
                f"The folder {self.root} cannot be used: {error.strerror}.\nMend that, or {hint}"
            ) from error
        # Root could use it too, and would leave files behind that its owner cannot read.
        if owner != os.geteuid():
            raise RuntimeProblem(
                f"The folder {self.root} belongs to user {_name_of(owner)}.\n"
                f"Run as that user, or {hint}"
            )

    def secret(self, name: str, *, length: int = 50) -> Path:
        """Return the file of a secret that only the owner can read, made at first use.

        Args:
            name: file name inside the run folder.
            length: characters of a newly made secret; letters and digits.
        """
        path = self.run / name
        if not path.exists() or not path.read_text().strip():
            alphabet = string.ascii_letters + string.digits
            write_private(path, "".join(secrets.choice(alphabet) for _ in range(length)) + "\n")
        return path

    def port(self, name: str) -> int:
        """Return the remembered TCP port of a server, or a free one when it is taken or new."""
        path = self.run / "ports.json"
        ports: dict[str, int] = read_json(path) or {}
        if name not in ports or not is_port_free(ports[name]):
            taken = set(ports.values())
            ports[name] = next(port for port in iter(_free_port, 0) if port not in taken)
            write_private(path, json.dumps(ports))
        return ports[name]


class Lock:
    """The right to run in a folder, held until every process that inherited it has ended."""

    def __init__(self, folder: RunFolder) -> None:
        self._descriptor = os.open(folder.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> bool:
        """Take the lock if nobody has it; never waits."""
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader sees the old or the new text, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None when it is missing or torn."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def is_port_free(port: int) -> bool:
    """Whether this machine would let a server listen on the loopback port now."""
    with socket.socket() as probe:
        # As servers do: a connection of the last run in TIME_WAIT does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
