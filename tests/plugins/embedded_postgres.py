"""Gives a test run a PostgreSQL of its own: loaded with `-p tests.plugins.embedded_postgres`.

One server per run, shared by all xdist workers through `DATABASE_URL`, on a memory disk where
there is one. Nothing is started when `DATABASE_URL` is set. The server ends with pytest however
pytest ends; the data of a run that was killed is removed by the next one.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from controlplane.runtime import postgres as pg
from controlplane.runtime.children import SHIM
from controlplane.runtime.folder import RunFolder

PREFIX = "tiaodu-test-"
# a folder of PostgreSQL programs to use instead of the ones that come along
NAMED = "TIAODU_TEST_POSTGRES"
STARTS_WITHIN_S = 30.0
# A test database is thrown away: nothing in it has to survive the machine.
FAST_AND_LOOSE = {
    **pg.SETTINGS,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "100",
}


class Server:
    """The server of this run."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=fast_disk()))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server and return its address."""
        folder = RunFolder(self._root)
        folder.make()
        named = os.environ.get(NAMED)
        binaries = Path(named) if named else pg.find_binaries()
        home = self._root / "postgres"
        database = pg.Postgres(
            binaries,
            home,
            folder.port("postgres"),
            folder.secret("postgres_password"),
            pg.choose_identity(binaries=binaries, home=home),
        )
        database.begin()
        initdb = (*database.initdb_command(), "--no-sync")
        subprocess.run(_kept(database, *initdb), check=True, capture_output=True)
        database.finish()
        log = (self._root / "log" / "postgres.log").open("wb")
        command = _kept(database, *database.command(FAST_AND_LOOSE))
        self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._make_database(database)
        return database.url

    def stop(self) -> None:
        """Stop the server and remove its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
        shutil.rmtree(self._root, ignore_errors=True)

    def _make_database(self, database: pg.Postgres) -> None:
        environment = database.client_environment(os.environ)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while subprocess.run(
            database.create_database_command(),
            env=environment,
            capture_output=True,
            check=False,
        ).returncode:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError((self._root / "log" / "postgres.log").read_text())
            if time.monotonic() > deadline:
                raise RuntimeError("the test database does not start")
            time.sleep(0.02)


# A wrapper, because pytest-django reads the settings, and with them DATABASE_URL, in this very
# hook and also asks to be first.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config,
) -> Generator[None, object, object]:
    if not os.environ.get("DATABASE_URL"):
        _remove_leftovers()
        server = Server()
        early_config.add_cleanup(server.stop)
        early_config.add_cleanup(lambda: os.environ.pop("DATABASE_URL", None))
        os.environ["DATABASE_URL"] = server.start()
    return (yield)


def _kept(database: pg.Postgres, *command: str) -> list[str]:
    shim = [sys.executable, "-I", "-S", str(SHIM), str(os.getpid()), str(int(signal.SIGINT))]
    return [*shim, database.identity, "--", *command]


def fast_disk() -> Path:
    """Return the memory disk, or the folder for temporary files where there is none with room."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    is_usable = memory.is_dir() and os.access(memory, os.W_OK)
    roomy = is_usable and shutil.disk_usage(memory).free > 1_000_000_000
    return memory if roomy else Path(tempfile.gettempdir())


def _remove_leftovers() -> None:
    for folder in fast_disk().glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
