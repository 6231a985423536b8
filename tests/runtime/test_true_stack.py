"""The grid's own parts under the supervisor: all of them start, survive, and leave nothing."""

import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest

from controlplane.runtime import procfs
from controlplane.runtime.stack import PROVIDERS

pytestmark = [pytest.mark.supervisor, pytest.mark.slow, pytest.mark.timeout(300)]

FIRST_START_WITHIN_S = 150.0


def answer_of(grid, path):
    address = f"http://127.0.0.1:{grid.port}{path}"
    with urllib.request.urlopen(address, timeout=10) as response:
        return response.status, response.read()


def is_gone(pid):
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_the_true_grid_starts_comes_back_and_leaves_nothing(grid, eventually):
    grid.program = ("-m", "controlplane.runtime")

    grid.start().wait_ready(within_s=FIRST_START_WITHIN_S)

    parts = {"postgres", "valkey", "web", "worker", "beat"}
    assert parts | {f"provider-{name}" for name in PROVIDERS} <= set(grid.children())
    assert answer_of(grid, "/livez")[0] == 200
    assert answer_of(grid, "/readyz")[0] == 200
    logins = json.loads(grid.folder.logins_file.read_text())
    assert logins[0]["username"] in grid.said()

    pool = procfs.descendants(grid.pid("worker"))
    os.kill(grid.pid("worker"), signal.SIGKILL)
    eventually(lambda: grid.children()["worker"]["restarts"] == 1, what="a new worker")
    grid.wait_ready(within_s=FIRST_START_WITHIN_S)
    assert len(pool) == 2
    assert all(map(is_gone, pool))

    pids = [*procfs.descendants(grid.process.pid)]
    os.kill(grid.status()["pid"], signal.SIGKILL)
    grid.process.wait(30)
    assert len(pids) > 20
    assert all(map(is_gone, pids))
