"""Starts what a comparison needs in a folder of its own: PostgreSQL, our web, a peer; reads CPU.

PostgreSQL runs with the settings of `make up`, so a commit waits for the disk.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from controlplane.runtime import postgres as pg  # noqa: E402 (the project is found by now)
from controlplane.runtime import procfs  # noqa: E402
from controlplane.runtime.folder import RunFolder  # noqa: E402
from controlplane.runtime.stack import SINGLE_THREADED  # noqa: E402

READY_WITHIN_S = 60.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server: its address, its first process, and others that share its port."""

    url: str
    port: int
    pid: int
    others: tuple[int, ...] = ()

    def cpu_s(self) -> float:
        """CPU time of it and all its children so far, those that ended included (s)."""
        first = (self.pid, *self.others)
        return sum(_cpu_s(pid) for one in first for pid in (one, *procfs.descendants(one)))


@contextmanager
def folder() -> Iterator[Path]:
    """Give an empty folder on disk and remove it again."""
    found = Path(tempfile.mkdtemp(prefix="tiaodu-bench-"))
    found.chmod(0o755)
    try:
        yield found
    finally:
        shutil.rmtree(found, ignore_errors=True)


@contextmanager
def postgres(root: Path, *, binaries: Path | None = None) -> Iterator[Server]:
    """Run an empty PostgreSQL that waits for the disk at each commit."""
    run = RunFolder(root)
    run.make()
    binaries = binaries or pg.find_binaries()
    home = root / "postgres"
    identity = pg.choose_identity(binaries=binaries, home=home)
    database = pg.Postgres(binaries, home, free_port(), run.secret("postgres_password"), identity)
    database.begin()
    subprocess.run(_as(identity, database.initdb_command()), check=True, capture_output=True)
    database.finish()
    environment = database.client_environment(os.environ)
    with _running(_as(identity, database.command()), root / "postgres.log") as process:
        _wait(lambda: _makes_database(database, environment), process)
        yield Server(database.url, database.port, process.pid)


@contextmanager
def web(
    root: Path, database_url: str, *, environment: Mapping[str, str] = {}, processes: int = 1
) -> Iterator[Server]:
    """Run our web as `make up` runs it, on a database that is migrated."""
    port = free_port()
    command = (sys.executable, "-m", "controlplane.runtime.web", "--port", str(port))
    merged = {**web_environment(root, database_url), "TIAODU_DB_POOL": "1", **environment}
    log = root / "web.log"
    with ExitStack() as stack:
        running = [
            stack.enter_context(_running(command, log, environment=merged))
            for _ in range(processes)
        ]
        first, *others = running
        _wait(lambda: _answers(port, "/livez"), first, log=log)
        for process in running:
            # the kernel chooses who answers: wait until each of them listens
            _wait(lambda process=process: _listens(process.pid), process, log=log)
        yield Server(
            f"http://127.0.0.1:{port}", port, first.pid, tuple(process.pid for process in others)
        )


def web_environment(root: Path, database_url: str) -> dict[str, str]:
    """Return the environment in which our code finds its database."""
    return {
        **os.environ,
        **SINGLE_THREADED,
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "TIAODU_VAR": str(root),
        "TIAODU_SECRET_KEY": "only-of-a-benchmark-" + "k" * 40,
        "TIAODU_DEMO": "1",
    }


@contextmanager
def victoria_metrics(root: Path) -> Iterator[Server | None]:
    """Run VictoriaMetrics as it comes, or give None where it is not installed."""
    program = shutil.which("victoria-metrics")
    if program is None:
        yield None
        return
    port = free_port()
    command = (
        *(program, f"-storageDataPath={root / 'victoria'}", f"-httpListenAddr=127.0.0.1:{port}"),
        *("-search.maxUniqueTimeseries=1000000", "-retentionPeriod=100y"),
        *("-search.maxPointsPerTimeseries=100000", "-loggerLevel=ERROR"),
    )
    with _running(command, root / "victoria.log") as process:
        _wait(lambda: _answers(port, "/health"), process)
        yield Server(f"http://127.0.0.1:{port}", port, process.pid)


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _running(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=PROJECT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _as(identity: str, command: Sequence[str]) -> tuple[str, ...]:
    shim = PROJECT / "controlplane" / "runtime" / "shim.py"
    stop = str(int(signal.SIGINT))
    return (sys.executable, "-I", "-S", str(shim), str(os.getpid()), stop, identity, "--", *command)


def _wait(
    is_ready: Callable[[], bool], process: subprocess.Popen[bytes], *, log: Path | None = None
) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:] if log else ""
            raise SystemExit(f"does not start: {process.args!r}\n{said}")
        time.sleep(0.05)


def _makes_database(database: pg.Postgres, environment: Mapping[str, str]) -> bool:
    command = database.create_database_command()
    return not subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _listens(pid: int) -> bool:
    """Whether a process of this machine listens on TCP."""
    sockets = set()
    for link in Path("/proc", str(pid), "fd").iterdir():
        try:
            sockets.add(str(link.readlink()))
        except OSError:
            continue
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
            return True
    return False


def _cpu_s(pid: int) -> float:
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # user and system time, own and of the children that were waited for
    return sum(int(value) for value in fields[11:15]) / _TICKS_PER_S
