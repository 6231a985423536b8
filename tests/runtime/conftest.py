"""Starts the real supervisor in a folder of its own and looks at what it does from outside."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from controlplane.runtime import postgres as pg
from controlplane.runtime import procfs
from controlplane.runtime.folder import RunFolder, is_port_free
from controlplane.runtime.stack import run_mark
from tests.plugins.embedded_postgres import fast_disk

SMALL_STACK = Path(__file__).with_name("small_stack.py")
PROJECT = Path(__file__).parents[2]
LONGEST_WAIT_S = 30.0


def wait_until(is_so, *, what, within_s=LONGEST_WAIT_S):
    """Return the first true answer; fail with `what` was awaited."""
    deadline = time.monotonic() + within_s
    while not (answer := is_so()):
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.03)
    return answer


class Grid:
    """One run folder and the supervisor that works in it."""

    def __init__(self, root, port):
        self.root = root
        self.folder = RunFolder(root)
        self.port = port
        self.python = sys.executable
        self.program = (str(SMALL_STACK),)
        self.process = None
        self._output = root.with_name("terminal.txt")

    def start(self, *, before=(), **environment):
        """Start the supervisor; with `before`, through other programs."""
        command = self.command("up", before=before)
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=self.environment(**environment), stdout=output, stderr=output
            )
        return self

    def command(self, name, *, before=()):
        """Return the command line of one command of the runtime."""
        options = ("--var", str(self.root), "--port", str(self.port))
        return [*before, self.python, *self.program, name, *options]

    def environment(self, **more):
        """Return an environment without what the test run itself has."""
        hidden = {"DATABASE_URL", "REDIS_URL"}
        own = {name: value for name, value in os.environ.items() if name not in hidden}
        return {**own, "PYTHONPATH": str(PROJECT), **more}

    def call(self, name, **environment):
        """Run one command to its end; return exit code and what it said."""
        done = subprocess.run(
            self.command(name),
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=LONGEST_WAIT_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def wait_ready(self, *, within_s=LONGEST_WAIT_S):
        """Wait until every child is ready or done."""

        def is_up():
            assert self.process.poll() is None, self.said()
            # A killed run leaves its last status behind.
            if self.status()["pid"] not in procfs.descendants(self.process.pid):
                return False
            return {child["state"] for child in self.children().values()} == {"ready", "done"}

        wait_until(is_up, what="all children ready", within_s=within_s)
        return self

    def said(self):
        """Return all that was printed on the terminal."""
        return self._output.read_text()

    def status(self):
        """Return the status file's content."""
        try:
            return json.loads(self.folder.status_file.read_text())
        except FileNotFoundError:
            return {"children": [], "pid": None}

    def children(self):
        """Return the children of the status file by name."""
        return {child["name"]: child for child in self.status()["children"]}

    def pid(self, name):
        """Return the process id of a child."""
        return self.children()[name]["pid"]

    def clock_s(self):
        """Return the saved grid time."""
        return json.loads(self.folder.clock_file.read_text())["grid_s"]

    def processes(self):
        """Return the ids of all processes that belong to this folder."""
        return procfs.marked(run_mark(self.folder))

    def sql(self, statement):
        """Run SQL on the embedded server; return what it printed."""
        server = pg.Postgres(
            pg.find_binaries(),
            self.root / "postgres",
            json.loads((self.folder.run / "ports.json").read_text())["postgres"],
            self.folder.secret("postgres_password"),
            "same",
        )
        environment = {**server.client_environment(os.environ), "PGDATABASE": pg.DATABASE}
        command = [server.binaries / "psql", "-X", "-A", "-t", "-q", "-c", statement]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def end(self, *, number=signal.SIGINT):
        """Signal the supervisor's process group as a terminal does; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LONGEST_WAIT_S)

    def clear(self):
        """Leave nothing, whatever the test did."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process.wait()
        if self.folder.run.exists():
            procfs.kill_all(self.processes())


@contextlib.contextmanager
def empty_grid():
    """Give a grid in an empty folder that any user may enter, and leave nothing of it."""
    # data that outlive nothing but processes need no disk to wait for
    base = Path(tempfile.mkdtemp(prefix="tiaodu-life-", dir=fast_disk()))
    base.chmod(0o755)
    port = next(port for port in range(18200 + os.getpid() % 1000, 65000) if is_port_free(port))
    made = Grid(base / "var", port)
    try:
        yield made
    finally:
        made.clear()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def grid():
    """Return a grid that is not started."""
    with empty_grid() as made:
        yield made


@pytest.fixture(scope="module")
def running():
    """Return a running grid for tests that only look at it."""
    with empty_grid() as made:
        yield made.start().wait_ready()


@pytest.fixture
def eventually():
    """Return the function that waits until something is so."""
    return wait_until
