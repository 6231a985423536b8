"""A small world, real provider processes, and a grid that only listens."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from simulator.domain.cluster import Cluster
from simulator.domain.native import NativeLoad
from simulator.domain.records import Arrival, PoolRecord, telemetry_sample
from simulator.domain.timeline import LIVE_START, TICK_S
from simulator.store import Store

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "engine-token-of-the-test"  # noqa: S105 - guards nothing
PRICES = [50.0 + hour % 24 for hour in range(8760)]


def arrivals() -> list[Arrival]:
    """Two days of jobs that ask for a little more than 8 units."""
    return [
        Arrival(f"trace-{i}", f"trace-{i}", "vc-abc", 1 + i % 5, 300 + 977 * i % 9000, at)
        for i, at in enumerate(range(LIVE_START, LIVE_START + 172_800, 1571))
    ]


def pool(code: str, capacity: int, levels: list[int]) -> PoolRecord:
    return PoolRecord(code, capacity, 0.4, 1.25, "Z", 500.0, NativeLoad(array("H", levels)))


POOLS = {
    "queue-gpu": (pool("queue-gpu", 8, []), arrivals()),
    "native-gpu": (pool("native-gpu", 16, [(i * 7) % 24 for i in range(24 * 288)]), []),
    "empty-gpu": (pool("empty-gpu", 4, []), []),
}
SPARE_POOLS = {f"spare-{i}": (pool(f"spare-{i}", 4, []), []) for i in range(40)}


def reference_telemetry(code: str, ticks: int) -> list[dict[str, Any]]:
    """What a pool reports at each tick when nobody touches it."""
    record, jobs = POOLS[code]
    cluster = Cluster(
        record.capacity,
        at=LIVE_START - TICK_S,
        native_demand=record.native.level_at(LIVE_START - TICK_S),
    )
    samples = []
    for tick in range(LIVE_START, LIVE_START + ticks * TICK_S, TICK_S):
        due = [a.as_job() for a in jobs if cluster.at < a.submit_at <= tick]
        cluster.advance(tick, arrivals=due, native=record.native.changes(cluster.at, tick))
        price = PRICES[(tick - 1_672_531_200) // 3600 % 8760]
        samples.append(telemetry_sample(record, cluster, price_usd_per_mwh=price))
    return samples


@pytest.fixture
def reference() -> Callable[[str, int], list[dict[str, Any]]]:
    return reference_telemetry


@pytest.fixture
def trace() -> list[Arrival]:
    return arrivals()


Pools = dict[str, tuple[PoolRecord, list[Arrival]]]


def build_world(folder: Path, pools: Pools) -> None:
    """Write `alpha.sqlite` at the live start, a key file and a token file."""
    store = Store.create(folder / "alpha.sqlite")
    with store.transaction():
        store.set_last_tick(LIVE_START - TICK_S)
        store.add_prices("Z", PRICES)
        store.add_programs([(job.program, job.runtime_s) for job in arrivals()])
        for code, (record, jobs) in pools.items():
            store.add_pool(record)
            store.add_arrivals(code, jobs)
            store.set_advanced_to(code, LIVE_START - TICK_S)
    store.close()
    (folder / "key").write_text("cg_live_test\n")
    (folder / "token").write_text(TOKEN + "\n")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    build_world(tmp_path, POOLS)
    return tmp_path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_true: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., None]:
    return wait_until


@dataclass
class Receiver:
    """The grid as a provider sees it: keeps what it acknowledges, answers as told."""

    port: int = field(default_factory=free_port)
    requests: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    accepted: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"telemetry": [], "workloads": []}
    )
    # (kind, items) -> (status, body, headers); None accepts.
    answer: Callable[[str, list[Any]], tuple[int, dict[str, Any], dict[str, str]] | None] = (
        lambda _kind, _items: None
    )
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kind = self.path.rsplit("/", 1)[1]
                items = document["samples" if kind == "telemetry" else "workloads"]
                receiver.requests.append((kind, document, dict(self.headers)))
                status, body, headers = receiver.answer(kind, items) or (200, {}, {})
                if status == 200:
                    receiver.accepted[kind] += items
                packed = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(packed))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(packed)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def telemetry_of(self, code: str) -> list[dict[str, Any]]:
        return [s for s in list(self.accepted["telemetry"]) if s["pool"] == code]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    grid = Receiver()
    grid.start()
    yield grid
    grid.stop()


class Provider:
    """A provider process; its clock stands still unless a rate is given."""

    def __init__(self, folder: Path, api: str) -> None:
        self.folder = folder
        self.api = api
        self.port = free_port()
        self.log = folder / "provider.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, ticks: int = 0, rate: float = 1e-9, options: tuple[str, ...] = ()) -> None:
        """Start with grid time `ticks` ticks after the live start."""
        environment = {
            **os.environ,
            "TIAODU_CLOCK_ANCHOR_REAL": str(time.time()),
            "TIAODU_CLOCK_ANCHOR_GRID": str(LIVE_START + ticks * TICK_S + 0.5),
            "TIAODU_CLOCK_RATE": str(rate),
        }
        command = [sys.executable, "-m", "simulator", "provider", "--name", "alpha"]
        command += ["--port", str(self.port), "--api", self.api, "--var", str(self.folder)]
        command += ["--key-file", str(self.folder / "key")]
        command += ["--token-file", str(self.folder / "token"), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)
        wait_until(self.answers)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        with suppress(OSError):
            return self.call("GET", "/healthz")[0] == 200
        return False

    def terminate(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=5)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        token: str = TOKEN,
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            packed = json.dumps(body).encode() if body is not None else None
            all_headers = {"Authorization": f"Bearer {token}", **(headers or {})}
            connection.request(method, path, body=packed, headers=all_headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def submit(
        self, code: str, key: str, *, units: int = 1, duration_s: int = 3600, program: str = "own"
    ) -> tuple[int, dict[str, Any]]:
        body = {
            "name": key,
            "units": units,
            "requested_duration_s": duration_s,
            "spec": {"program": program},
        }
        return self.call("POST", f"/v1/pools/{code}/jobs", body, headers={"Idempotency-Key": key})

    def site_jobs(self, keys: list[str]) -> list[dict[str, Any]]:
        """The jobs of the trace at the queue pool, as far as they have arrived."""
        _, answer = self.call("GET", f"/v1/pools/queue-gpu/jobs?keys={','.join(keys)}")
        jobs: list[dict[str, Any]] = answer["jobs"]
        return jobs


@pytest.fixture
def provider(world: Path, receiver: Receiver) -> Iterator[Provider]:
    process = Provider(world, receiver.url)
    yield process
    if process.process and process.process.poll() is None:
        assert process.terminate() == 0


@dataclass
class Engine:
    """An untouched pool of 4 units at a provider that other tests use, too."""

    provider: Provider
    pool: str

    def submit(self, key: str, **wanted: Any) -> tuple[int, dict[str, Any]]:
        return self.provider.submit(self.pool, key, **wanted)

    def call(self, method: str, rest: str, *args: Any, **named: Any) -> tuple[int, dict[str, Any]]:
        """Call `/v1/pools/<pool>/jobs` with `rest` behind it."""
        return self.provider.call(method, f"/v1/pools/{self.pool}/jobs{rest}", *args, **named)


@pytest.fixture(scope="module")
def shared_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("shared")
    build_world(folder, SPARE_POOLS)
    process = Provider(folder, f"http://127.0.0.1:{free_port()}")
    process.start()
    yield process
    assert process.terminate() == 0


@pytest.fixture(scope="module")
def spare_pools() -> Iterator[str]:
    return iter(SPARE_POOLS)


@pytest.fixture
def engine(shared_provider: Provider, spare_pools: Iterator[str]) -> Iterator[Engine]:
    yield Engine(shared_provider, next(spare_pools))
    shared_provider.call(
        "POST", "/v1/faults", {"drop_responses": 0, "fail_requests": 0, "delay_s": 0}
    )
