"""Writes what children say into one bounded file each and repeats what matters on the terminal."""

import re
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

MAX_BYTES = 5_000_000
KEPT_FILES = 3
TAIL_LINES = 15
ECHO_LINES = 12
ECHO_WINDOW_S = 10.0
ALARMING = re.compile(r"\b(WARNING|ERROR|CRITICAL|FATAL|PANIC|Traceback)\b")


class RotatingFile:
    """An append-only file that is moved aside when it has grown too large."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT_FILES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def write(self, line: bytes) -> None:
        """Append one line. A full disk loses the line, never the program that wrote it."""
        if self._size + len(line) > self._max_bytes:
            self._rotate()
        try:
            self._size += self._file.write(line)
        except OSError:
            return

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._kept - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            if older.exists():
                older.replace(older.with_name(f"{self._path.name}.{number + 1}"))
        if self._kept:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._file = self._path.open("wb", buffering=0)
        self._size = 0


class ChildLog:
    """The log of one child: all of it in its file, warnings and errors on the terminal too."""

    def __init__(
        self, name: str, folder: Path, *, quiet: str | None = None, say: Callable[[str], None]
    ) -> None:
        """Open the log.

        Args:
            name: name of the child and of its file.
            folder: where log files are.
            quiet: pattern of alarming lines that are known to be harmless.
            say: prints one line on the terminal.
        """
        self.path = folder / f"{name}.log"
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.is_muted = False
        self._name = name
        self._file = RotatingFile(self.path)
        self._quiet = re.compile(quiet) if quiet else None
        self._say = say
        self._window_began = 0.0
        self._echoed = 0

    def write(self, line: str) -> None:
        """Take one line without its line end."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._file.write(f"{stamp} {line}\n".encode(errors="replace"))
        self.tail.append(line)
        if self._is_alarming(line) and not self.is_muted:
            self._echo(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _is_alarming(self, line: str) -> bool:
        if ALARMING.search(line) is None:
            return False
        return self._quiet is None or self._quiet.search(line) is None

    def _echo(self, line: str) -> None:
        now = time.monotonic()
        if now - self._window_began > ECHO_WINDOW_S:
            self._window_began, self._echoed = now, 0
        self._echoed += 1
        if self._echoed <= ECHO_LINES:
            self._say(f"{self._name:<16} | {line[:300]}")
        elif self._echoed == ECHO_LINES + 1:
            self._say(f"{self._name:<16} | … more in {self.path}")


def say(line: str) -> None:
    """Print one line on the terminal; a closed terminal must not stop the grid."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
