"""The supervisor's promises, kept by real servers and real processes."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from controlplane.runtime.folder import Lock

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.supervisor


def exists(pid):
    """Whether a process runs; one that has ended and was not yet noticed does not."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def works(*command):
    try:
        return subprocess.call(command) == 0
    except FileNotFoundError:
        return False


def test_first_start_brings_all_up_in_order_and_ctrl_c_stops_all_of_it(grid):
    grid.start().wait_ready()
    pids = grid.processes()

    code = grid.end()

    said = grid.said()
    assert code == 0
    assert len(pids) >= 7
    assert not [pid for pid in pids if exists(pid)]
    assert said.index("createdb") < said.index("web") < said.index("quick ")
    assert f"http://127.0.0.1:{grid.port}" in said
    states = {name: child["state"] for name, child in grid.children().items()}
    assert set(states.values()) == {"stopped", "done"}


def test_children_stop_before_the_servers_that_they_use(grid):
    grid.start().wait_ready()

    grid.end(number=signal.SIGTERM)

    children = grid.children()
    stopped = [children[name]["since"] for name in ("quick", "worker", "web", "valkey", "postgres")]
    assert stopped == sorted(stopped)


def test_what_alarms_in_a_log_is_repeated_on_the_terminal(running, eventually):
    eventually(lambda: "quick            | WARNING quick speaks" in running.said(), what="the echo")

    assert "WARNING quick speaks" in (running.folder.log / "quick.log").read_text()
    assert "pool ready" not in running.said()


def test_a_second_instance_is_refused_and_told_where_the_first_one_is(running):
    code, said = running.call("up")

    assert code == 1
    assert f"http://127.0.0.1:{running.port}" in said
    assert f"kill {running.status()['pid']}" in said
    assert running.process.poll() is None


def test_the_data_of_a_running_grid_cannot_be_removed(running):
    code, said = running.call("clean")

    assert code == 1
    assert "running already" in said
    assert running.sql("SELECT 1") == "1"


def test_cleaning_removes_all_data_of_a_stopped_grid(grid):
    grid.start().wait_ready()
    grid.end()

    code, _ = grid.call("clean")

    assert code == 0
    assert not grid.root.exists()


def test_cleaning_leaves_a_folder_alone_that_is_not_the_grids(grid):
    grid.root.mkdir()
    (grid.root / "thesis.txt").write_text("years of work")

    code, said = grid.call("clean")

    assert code == 1
    assert "nothing was removed" in said
    assert (grid.root / "thesis.txt").exists()


def test_a_taken_port_is_refused_with_its_holder_and_another_port(grid):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", grid.port))
        holder.listen()

        code, said = grid.call("up")

    assert code == 1
    assert f"Port {grid.port} is taken by process {os.getpid()}" in said
    assert f"make up PORT={grid.port + 1}" in said


def test_status_tells_what_runs_and_that_nothing_runs(grid):
    code_before, said_before = grid.call("status")
    grid.start().wait_ready()

    code, said = grid.call("status")

    assert (code_before, code) == (3, 0)
    assert "not running" in said_before
    assert re.search(rf"^postgres +ready +{grid.pid('postgres')} ", said, re.MULTILINE)


def test_all_parts_killed_at_once_come_back_with_their_data(grid, eventually):
    grid.start().wait_ready()
    grid.sql("CREATE TABLE kept AS SELECT 7 AS value")
    names = ("postgres", "valkey", "web", "worker")
    pids = {name: grid.pid(name) for name in names}
    pool = [pid for pid in grid.processes() if os.getpgid(pid) == pids["worker"]]

    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)

    eventually(
        lambda: all(grid.children()[name]["restarts"] >= 1 for name in names), what="restarts"
    )
    grid.wait_ready()
    assert grid.sql("SELECT value FROM kept") == "7"
    assert grid.children()["web"]["last_exit"] == "killed by SIGKILL"
    # Two pool processes ignore the polite signal; they must not outlive their parent.
    assert len(pool) == 3
    assert not [pid for pid in pool if exists(pid)]


def test_nothing_is_left_when_the_supervisor_is_killed_and_the_next_start_continues(
    grid, eventually
):
    grid.start().wait_ready()
    grid.sql("CREATE TABLE kept AS SELECT 7 AS value")
    clock_s = grid.clock_s()
    pids = grid.processes()

    os.kill(grid.status()["pid"], signal.SIGKILL)

    assert grid.process.wait(20) == 128 + signal.SIGKILL
    assert not [pid for pid in pids if exists(pid)]
    assert not (grid.root / "postgres" / "data" / "postmaster.pid").exists()
    lock = Lock(grid.folder)
    assert lock.acquire()
    lock.release()
    grid.start().wait_ready()
    assert grid.sql("SELECT value FROM kept") == "7"
    assert grid.status()["clock"]["anchor_grid"] >= clock_s
    eventually(lambda: grid.clock_s() > clock_s, what="a running clock")


def test_the_supervisor_stops_in_order_when_its_keeper_is_killed(grid, eventually):
    grid.start().wait_ready()
    supervisor = grid.status()["pid"]

    grid.process.kill()

    eventually(lambda: not exists(supervisor) and not grid.processes(), what="an empty machine")
    assert {child["state"] for child in grid.children().values()} == {"stopped", "done"}


def test_what_both_killed_parents_left_behind_is_ended_by_the_next_start(grid):
    grid.start().wait_ready()
    before = grid.processes()

    os.kill(grid.status()["pid"], signal.SIGKILL)
    grid.process.kill()
    grid.process.wait()
    grid.start().wait_ready()

    assert not [pid for pid in before if exists(pid)]
    assert grid.sql("SELECT 1") == "1"


def test_the_clock_and_the_data_continue_after_a_clean_stop(grid):
    grid.start().wait_ready()
    grid.sql("CREATE TABLE kept AS SELECT 7 AS value")
    secrets = {path.name: path.read_text() for path in grid.folder.run.glob("*_password")}
    grid.end()
    clock_s = grid.clock_s()

    grid.start(TIAODU_CLOCK_RATE="1").wait_ready()

    assert grid.sql("SELECT value FROM kept") == "7"
    assert grid.status()["clock"]["rate"] == 1.0
    # Stopped time is skipped: only the safety margin of two seconds at the old rate is added.
    assert grid.status()["clock"]["anchor_grid"] == pytest.approx(clock_s + 2 * 60, abs=0.01)
    assert secrets == {path.name: path.read_text() for path in grid.folder.run.glob("*_password")}


def test_a_failing_preparation_ends_the_start_with_its_last_words(grid):
    code, said = grid.call("up", SMALL_STACK_PREPARE="raise SystemExit('no such trace')")

    assert code == 1
    assert "prepare ended with exit code 1" in said
    assert "no such trace" in said
    assert not grid.processes()


def test_a_server_that_never_starts_ends_the_start_with_its_last_words(grid):
    code, said = grid.call("up", SMALL_STACK_QUICK="raise SystemExit('bad configuration')")

    assert code == 1
    assert "quick does not start" in said
    assert "bad configuration" in said
    assert not grid.processes()


def test_an_interrupted_first_start_is_made_good_by_the_next_one(grid, eventually):
    grid.start()
    eventually((grid.root / "postgres" / "unfinished").exists, what="initdb at work")

    os.kill(grid.status()["pid"] or grid.process.pid, signal.SIGKILL)
    grid.process.wait(20)
    grid.start().wait_ready()

    assert grid.sql("SELECT 1") == "1"


def test_a_full_disk_is_refused_before_anything_is_started(grid):
    mounts = ("unshare", "--user", "--map-root-user", "--mount")
    if not works(*mounts, "true"):
        pytest.skip("this machine forbids private mounts")
    grid.root.mkdir()
    inside = f'mount -t tmpfs -o size=50m none {grid.root} && exec "$@"'

    grid.start(before=(*mounts, "sh", "-c", inside, "sh"))

    assert grid.process.wait(20) == 1
    assert re.search(r"Only 5\d MB are free", grid.said())
    assert "postgres" not in grid.said()


def test_postgres_runs_as_an_ordinary_user_too(grid):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    shutil.chown(grid.root.parent, 65534, 65534)
    somebody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    # This run's own Python may lie in a folder that only root can enter.
    speaks = ("sh", "-c", 'exec "$0" -c "import sys; sys.exit(sys.version_info < (3, 11))"')
    pythons = (sys.executable, "/usr/bin/python3")
    grid.python = next((path for path in pythons if works(*somebody, *speaks, path)), None)
    if grid.python is None:
        pytest.skip("no Python of this machine is open to other users")
    packages = os.pathsep.join((str(PROJECT), sysconfig.get_path("purelib")))

    grid.start(before=somebody, PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=packages).wait_ready()

    assert Path("/proc", str(grid.pid("postgres"))).stat().st_uid == 65534
    assert grid.sql("SELECT 1") == "1"
    assert grid.end() == 0


def test_servers_named_by_address_are_used_and_none_of_our_own_are_started(running, eventually):
    ports = json.loads((running.folder.run / "ports.json").read_text())
    secret = (running.folder.run / "postgres_password").read_text().strip()
    other = type(running)(running.root.parent / "other", running.port + 1)
    database_url = f"postgresql://tiaodu:{secret}@127.0.0.1:{ports['postgres']}/tiaodu"
    redis_secret = (running.folder.run / "valkey_password").read_text().strip()
    redis_url = f"redis://:{redis_secret}@127.0.0.1:{ports['valkey']}/0"

    try:
        other.start(DATABASE_URL=database_url, REDIS_URL=redis_url).wait_ready()

        assert {"check-servers", "web", "worker"} < set(other.children())
        assert not {"postgres", "valkey", "initdb"} & set(other.children())
        assert not (other.root / "postgres").exists()
    finally:
        other.clear()


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        pytest.param("DATABASE_URL", "postgresql://u:geheim@127.0.0.1:1/none", id="database"),
        pytest.param("REDIS_URL", "redis://:geheim@127.0.0.1:1/0", id="broker"),
    ],
)
def test_a_named_server_that_does_not_answer_is_named_without_its_password(grid, variable, address):
    code, said = grid.call("up", **{variable: address})

    assert code == 1
    assert f"{variable} (127.0.0.1:1" in said
    assert "geheim" not in said


def test_a_broker_that_forgets_when_it_is_full_is_refused(grid):
    grid.start().wait_ready()
    port = json.loads((grid.folder.run / "ports.json").read_text())["valkey"]
    secret = (grid.folder.run / "valkey_password").read_text().strip()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"AUTH {secret}\r\nCONFIG SET maxmemory-policy allkeys-lru\r\n".encode())
        connection.recv(100)
    other = type(grid)(grid.root.parent / "other", grid.port + 1)

    code, said = other.call("up", REDIS_URL=f"redis://:{secret}@127.0.0.1:{port}/0")

    with contextlib.suppress(OSError):
        other.clear()
    assert code == 1
    assert "maxmemory-policy allkeys-lru" in said
