"""One child at a time: it comes back, waits, is ended with all it started, in every identity."""

import asyncio
import itertools
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from controlplane.runtime import postgres as pg
from controlplane.runtime import procfs
from controlplane.runtime.children import Child, ChildSpec, ChildState
from controlplane.runtime.folder import RunFolder
from controlplane.runtime.logs import ChildLog


def state_of(pid):
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


STAY = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def child_of(tmp_path):
    """Return a maker of children whose alarming lines go to its list `said`."""
    logs = []

    def make(spec):
        logs.append(ChildLog(spec.name, tmp_path, say=make.said.append))
        return Child(spec, logs[-1], lambda: None)

    make.said = []
    yield make
    for log in logs:
        log.close()


async def test_a_child_that_keeps_failing_is_tried_again_more_and_more_slowly(child_of, tmp_path):
    began = tmp_path / "began.txt"
    script = f"import time; open({str(began)!r}, 'a').write(f'{{time.monotonic()}}\\n'); 1/0"
    spec = ChildSpec(
        "web", (sys.executable, "-c", script), os.environ, ready_line="never", patience_s=60
    )
    child = child_of(spec)

    running = asyncio.create_task(child.run())
    while child.restarts < 4:
        await asyncio.sleep(0.02)
    await child.stop()
    running.cancel()
    await asyncio.wait([running])

    times = [float(line) for line in began.read_text().split()]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[0] >= 0.2
    assert pauses[1] >= 0.4
    assert pauses[2] >= 0.8


async def test_a_child_that_does_not_become_ready_is_ended_and_tried_again(child_of):
    spec = ChildSpec("web", STAY, os.environ, ready_line="never", ready_within_s=0.3)
    child = child_of(spec)

    running = asyncio.create_task(child.run())
    while child.restarts < 1:
        await asyncio.sleep(0.02)
    await child.stop()
    running.cancel()
    await asyncio.wait([running])

    assert child.last_exit == "killed by SIGKILL"
    assert "ERROR not ready after" in child.log.path.read_text()


async def test_a_child_behind_a_closed_gate_waits_and_says_why(child_of):
    reasons = ["no room", None]
    spec = ChildSpec("db", STAY, os.environ, gate=lambda: reasons.pop(0) if reasons else None)
    child = child_of(spec)

    running = asyncio.create_task(child.run())
    await asyncio.wait_for(child.ready.wait(), 10)
    await child.stop()
    await running

    assert "not started: no room" in child_of.said[0]
    assert child.restarts == 1
    assert child.state is ChildState.STOPPED


async def test_a_deaf_child_is_killed_with_all_it_started(child_of):
    script = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork();"
        "print('deaf', flush=True); time.sleep(600)"
    )
    spec = ChildSpec(
        "deaf", (sys.executable, "-c", script), os.environ, ready_line="deaf", stop_within_s=0.2
    )
    child = child_of(spec)
    running = asyncio.create_task(child.run())
    await asyncio.wait_for(child.ready.wait(), 10)
    pids = [child.pid, *procfs.descendants(child.pid)]

    await child.stop()
    await running

    # The adopted process stays in the table until the machine's first process has noticed.
    for _ in range(200):
        states = [state_of(pid) for pid in pids]
        if not set(states) - {None, "Z"}:
            break
        await asyncio.sleep(0.02)
    assert len(pids) == 2
    assert not set(states) - {None, "Z"}


@pytest.mark.supervisor
@pytest.mark.parametrize("identity", ["namespace", "user:nobody"])
async def test_postgres_runs_for_root_in_both_ways(child_of, identity):
    if os.geteuid() != 0:
        pytest.skip("only root needs another identity")
    with tempfile.TemporaryDirectory(prefix="tiaodu-root-") as base:
        Path(base).chmod(0o755)
        folder = RunFolder(Path(base, "var"))
        folder.make()
        server = pg.Postgres(
            pg.find_binaries(),
            folder.root / "postgres",
            folder.port("postgres"),
            folder.secret("postgres_password"),
            identity,
        )
        server.begin()
        initdb = ChildSpec(
            "initdb",
            server.initdb_command(),
            os.environ,
            is_task=True,
            identity=identity,
            finish=server.finish,
        )
        spec = ChildSpec(
            "postgres",
            server.command(),
            os.environ,
            probe=server.accepts_connections,
            stop_signal=signal.SIGINT,
            identity=identity,
        )
        await child_of(initdb).run()
        child = child_of(spec)

        running = asyncio.create_task(child.run())
        await asyncio.wait_for(child.ready.wait(), 20)
        owner = Path("/proc", str(child.pid)).stat().st_uid
        await child.stop()
        await running

    assert owner == (0 if identity == "namespace" else 65534)
    assert child.last_exit == "exit code 0"
