import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from simulator.domain.cluster import JobState
from simulator.domain.timeline import DAY_S, LIVE_START, PHILLY_LAP_S, TICK_S
from simulator.engine import Engine, JobRequest
from simulator.history import main as history
from simulator.prepare import DEFAULT_FIXTURES
from simulator.prepare import main as prepare
from simulator.store import Store, WorldMissing

ROOT = Path(__file__).resolve().parents[3]
LIVE_MOMENT = datetime.fromtimestamp(LIVE_START, UTC)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "simulator"
    assert prepare(["--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def grid():
    return json.loads((DEFAULT_FIXTURES / "grid.json").read_text(encoding="utf-8"))


def test_the_history_has_every_tick_of_every_pool_before_the_live_start(prepared, grid):
    table = pq.read_table(prepared / "history.parquet")

    moments = pc.unique(table["measured_at"]).to_pylist()
    assert table.num_rows == len(moments) * len(grid["pools"])
    assert moments[0] == LIVE_MOMENT - timedelta(days=21)
    assert moments[-1] == LIVE_MOMENT - timedelta(seconds=TICK_S)
    assert len(moments) == 21 * 288
    assert pc.all(pc.less_equal(table["allocated"], table["capacity"])).as_py()
    assert pc.min(table["price_per_unit_h"]).as_py() >= 0
    assert table.column_names == [
        "pool", "measured_at", "capacity", "allocated", "queued", "unavailable", "power_kw",
        "price_per_unit_h", "carbon_g_per_kwh",
    ]  # fmt: skip


def test_a_shorter_history_is_the_beginning_of_the_longer_one(prepared, grid, tmp_path):
    out = tmp_path / "day.parquet"

    assert history(["--out", str(out), "--until", "2023-05-06T00:00:00+08:00"]) == 0

    day = pq.read_table(out)
    assert day.num_rows == 288 * len(grid["pools"])
    assert day == pq.read_table(prepared / "history.parquet").slice(0, day.num_rows)


def test_each_provider_starts_with_its_pools_and_its_open_jobs(prepared, grid):
    site_provider = {site["code"]: site["provider"] for site in grid["sites"]}
    history = pq.read_table(prepared / "history.parquet").to_pylist()
    last = {sample["pool"]: sample for sample in history[-len(grid["pools"]) :]}

    for provider in (row["code"] for row in grid["providers"]):
        store = Store.open(prepared / f"{provider}.sqlite")
        expected = {p["code"] for p in grid["pools"] if site_provider[p["site"]] == provider}
        announced = {w["external_id"]: w for _, w in store.waiting_workloads(100_000)}
        assert {pool.code for pool in store.pools()} == expected
        assert store.last_tick() == LIVE_START - TICK_S
        for code in expected:
            jobs = store.open_jobs(code)
            running = sum(job.units for job in jobs if job.state is JobState.RUNNING)
            waiting = sum(job.units for job in jobs if job.state is JobState.QUEUED)
            assert running <= last[code]["allocated"]
            if jobs:  # a pool has movable jobs or native demand, not both
                assert (running, waiting) == (last[code]["allocated"], last[code]["queued"])
            assert {job.key for job in jobs} <= set(announced)
        assert all(w["state"] in {"QUEUED", "RUNNING"} for w in announced.values())
        store.close()


def test_a_second_run_leaves_what_providers_have_written(prepared, tmp_path):
    folder = tmp_path / "used"
    folder.mkdir()
    for path in prepared.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "xibu.sqlite").unlink()
    store = Store.open(folder / "bashu.sqlite")
    with store.transaction():
        store.set_last_tick(LIVE_START + TICK_S)
    store.close()

    assert prepare(["--out", str(folder)]) == 0

    used, remade = Store.open(folder / "bashu.sqlite"), Store.open(folder / "xibu.sqlite")
    assert used.last_tick() == LIVE_START + TICK_S
    assert remade.last_tick() == LIVE_START - TICK_S
    used.close()
    remade.close()


def test_a_missing_or_foreign_file_is_not_opened(tmp_path):
    foreign = tmp_path / "foreign.sqlite"
    connection = sqlite3.connect(foreign)
    connection.execute("PRAGMA user_version = 999")
    connection.close()

    with pytest.raises(WorldMissing, match="prepare"):
        Store.open(tmp_path / "none.sqlite")
    with pytest.raises(WorldMissing, match="version 999"):
        Store.open(foreign)


def test_a_file_that_cannot_be_written_ends_the_provider(world):
    broken = []
    store = Store.open(world / "alpha.sqlite")
    engine = Engine(store, now=lambda: LIVE_START, on_broken=lambda: broken.append(True))
    engine.catch_up()
    engine.close()

    with pytest.raises(sqlite3.Error):
        engine.submit("empty-gpu", "k1", JobRequest("n", 1, 60, {"program": "p"}))

    assert broken == [True]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        pytest.param([], 2, "usage", id="no command"),
        pytest.param(["dance"], 2, "usage", id="unknown command"),
        pytest.param(
            ["provider", "--name", "a", "--port", "0", "--api", "http://grid", "--key-file", "k",
             "--var", ".", "--token-file", "missing"],
            1, "missing", id="no token",
        ),
    ],
)  # fmt: skip
def test_a_wrong_call_says_what_is_wrong(arguments, status, says, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status
    assert says in done.stderr


def test_a_provider_loads_nothing_that_reads_parquet():
    heavy = "{'pyarrow', 'numpy', 'pandas'} & set(sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", f"import sys, simulator.provider; print({heavy})"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "set()"


def test_arrivals_come_again_in_the_next_lap_under_another_name(world, trace):
    store = Store.open(world / "alpha.sqlite")

    first = store.arrivals("queue-gpu", LIVE_START - 1, LIVE_START + 5000)
    second = store.arrivals(
        "queue-gpu", LIVE_START - 1 + PHILLY_LAP_S, LIVE_START + 5000 + PHILLY_LAP_S
    )
    store.close()

    assert [a.key for a in first] == ["trace-0", "trace-1", "trace-2", "trace-3"]
    assert [a.key for a in second] == [f"{a.key}-r2" for a in first]
    assert [(a.program, a.submit_at - PHILLY_LAP_S) for a in second] == [
        (a.program, a.submit_at) for a in first
    ]


def test_old_jobs_are_forgotten_once_announced_and_those_of_the_grid_are_kept(world):
    now = [LIVE_START]
    store = Store.open(world / "alpha.sqlite")
    engine = Engine(store, now=lambda: now[0], on_broken=lambda: None)
    engine.submit("queue-gpu", "from-the-grid", JobRequest("n", 1, 60, {"program": "p"}))
    now[0] += DAY_S
    while engine.catch_up():
        pass
    announced, kept_back = engine.waiting("workloads", 2)
    engine.acknowledge("workloads", [announced[0]])

    now[0] += 9 * DAY_S
    while engine.catch_up():
        pass

    known = engine.jobs(
        "queue-gpu", ["from-the-grid", announced[1]["external_id"], kept_back[1]["external_id"]]
    )
    assert {job.key for job in known} == {"from-the-grid", kept_back[1]["external_id"]}
    engine.close()


def test_a_tick_that_comes_due_during_a_request_samples_its_own_moment(world):
    # The clock passes a tick between the two looks at it that one request takes.
    looks = iter([LIVE_START, LIVE_START + TICK_S - 1, LIVE_START + TICK_S + 1])
    latest = [LIVE_START]

    def now():
        latest[0] = next(looks, latest[0])
        return latest[0]

    store = Store.open(world / "alpha.sqlite")
    engine = Engine(store, now=now, on_broken=lambda: None)
    engine.catch_up()

    engine.submit("empty-gpu", "k1", JobRequest("n", 1, 60, {"program": "p"}))
    engine.catch_up()

    moments = {sample["measured_at"] for _, sample in engine.waiting("telemetry", 100)}
    assert moments == {"2023-05-25T16:00:00Z", "2023-05-25T16:05:00Z"}
    engine.close()
