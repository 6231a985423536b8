"""Measures telemetry in its own formats, through HTTP to the commit, beside what else one could do.

Interleaved on the same machine and the same data: JSON columns and Arrow pushed to our web; the
same values as remote-write to VictoriaMetrics; the same rows as a bare binary COPY, into a table
with a row for each sample and, packed in blocks beforehand, into the table of ours; a REST
framework serializer with `bulk_create`. Ours keeps duplicates out, newest states and hourly sums up
to date, and answers after a commit that waited for the disk. VictoriaMetrics answers when it has
the data in memory; COPY and the serializer keep neither states nor hours.
"""

import argparse
import datetime as dt
import http.client
import importlib
import io
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import plain_rows
import pyarrow as pa
import rig

FIELDS = (
    *("capacity", "allocated", "queued", "unavailable"),
    *("power_kw", "price_per_unit_h", "carbon_g_per_kwh"),
)
TICK = dt.timedelta(seconds=15)
SPAN = dt.timedelta(hours=20)
ARROW = "application/vnd.apache.arrow.stream"


@dataclass
class Feed:
    """Makes requests of ticks that were not sent before: all pools at one tick, then the next."""

    pools: int
    start: dt.datetime
    tick: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    walk: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Start each pool somewhere between a third and two thirds of its capacity."""
        self.walk = self.rng.integers(170, 340, self.pools).astype(float)

    def take(self, rows: int) -> dict[str, np.ndarray]:
        """Return the columns of the next `rows` samples; `pool` is an ordinal."""
        # never less than one tick of all pools
        ticks = max(1, rows // self.pools)
        pools = np.tile(np.arange(self.pools), ticks)
        at = np.repeat(np.arange(self.tick, self.tick + ticks), self.pools)
        self.tick += ticks
        if self.tick * TICK > SPAN:
            raise SystemExit("There are no ticks left: ask for fewer seconds or rounds.")
        size = len(pools)
        # pools move by a few units a tick, as real ones do
        steps = np.cumsum(self.rng.integers(-3, 4, (ticks, self.pools)), axis=0)
        levels = np.clip(self.walk + steps, 20, 500)
        self.walk = levels[-1]
        allocated = levels.reshape(-1)
        values = {"capacity": np.full(size, 512), "allocated": allocated}
        values["queued"] = np.round(allocated / 8)
        values["unavailable"] = np.zeros(size, int)
        values["power_kw"] = np.round(40 + 0.4 * allocated, 1)
        values["price_per_unit_h"] = np.round(0.03 + allocated / 1e5, 5)
        values["carbon_g_per_kwh"] = np.full(size, 558.0)
        first_us = int(self.start.timestamp() * 1e6)
        return {"pool": pools, "us": first_us + at * int(TICK.total_seconds() * 1e6), **values}


def codes(columns: dict[str, np.ndarray]) -> list[str]:
    return [f"p{ordinal}-gpu" for ordinal in columns["pool"].tolist()]


def json_columns(columns: dict[str, np.ndarray]) -> bytes:
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    texts = {
        us: (epoch + dt.timedelta(microseconds=us)).isoformat()
        for us in set(columns["us"].tolist())
    }
    body = {"pool": codes(columns), "measured_at": [texts[us] for us in columns["us"].tolist()]}
    body |= {name: columns[name].tolist() for name in FIELDS}
    return json.dumps({"columns": body}, separators=(",", ":")).encode()


def json_rows(columns: dict[str, np.ndarray]) -> bytes:
    wide = json.loads(json_columns(columns))["columns"]
    rows = [dict(zip(wide, row, strict=True)) for row in zip(*wide.values(), strict=True)]
    return json.dumps({"samples": rows}, separators=(",", ":")).encode()


def arrow_stream(columns: dict[str, np.ndarray]) -> bytes:
    table = pa.table(
        {
            "pool": pa.array(codes(columns)).dictionary_encode(),
            "measured_at": pa.array(columns["us"], pa.timestamp("us", tz="UTC")),
            **{name: pa.array(columns[name].astype(float)) for name in FIELDS},
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


class RemoteWrite:
    """Makes remote-write 1.0 requests of one sample for each series, as real senders do."""

    def __init__(self, pools: int) -> None:
        self._labels = [
            [self._label_bytes(name, f"p{ordinal}-gpu") for name in FIELDS]
            for ordinal in range(pools)
        ]

    @staticmethod
    def _label_bytes(name: str, pool: str) -> bytes:
        labels = (("__name__", f"pool_{name}"), ("pool", pool), ("site", "s"), ("job", "grid"))
        found = b""
        for key, value in labels:
            inner = b"\x0a" + _varint(len(key)) + key.encode()
            inner += b"\x12" + _varint(len(value)) + value.encode()
            found += b"\x0a" + _varint(len(inner)) + inner
        return found

    def body(self, columns: dict[str, np.ndarray]) -> bytes:
        """Return the request: 7 samples for each row."""
        parts = []
        values = np.stack([columns[name].astype(float) for name in FIELDS], axis=1)
        for ordinal, us, row in zip(
            columns["pool"].tolist(), columns["us"].tolist(), values, strict=True
        ):
            stamp = b"\x10" + _varint(us // 1000)
            for labels, value in zip(self._labels[ordinal], row.astype("<f8"), strict=True):
                sample = b"\x09" + value.tobytes() + stamp
                series = labels + b"\x12" + _varint(len(sample)) + sample
                parts.append(b"\x0a" + _varint(len(series)) + series)
        return pa.compress(b"".join(parts), codec="snappy", asbytes=True)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))


@dataclass
class Target:
    """Where bodies are posted."""

    port: int
    path: str
    headers: dict[str, str]
    status: int = 200

    def post(self, connection: http.client.HTTPConnection, body: bytes) -> bytes:
        """Send one body and return the answer."""
        connection.request("POST", self.path, body, self.headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != self.status:
            raise SystemExit(f"{self.path}: {answer.status} {text[:300]!r}")
        return text

    def send_all(self, bodies: Sequence[bytes], clients: int) -> tuple[float, list[float]]:
        """Send bodies over some connections at once; return the time and each one's latency (s)."""
        todo, latencies, failures = list(enumerate(bodies)), [], []
        lock = threading.Lock()

        def work() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            try:
                while True:
                    with lock:
                        if not todo:
                            return
                        _, body = todo.pop(0)
                    started = time.perf_counter()
                    self.post(connection, body)
                    latencies.append(time.perf_counter() - started)
            except (OSError, SystemExit) as error:
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(clients)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return time.perf_counter() - started, latencies


class Bench:
    """The running servers and what is asked of them."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        self.options = options
        root = stack.enter_context(rig.folder())
        self.database = stack.enter_context(rig.postgres(root, binaries=options.postgres))
        os.environ.update(rig.web_environment(root, self.database.url))
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--noinput", "--skip-checks"],
            cwd=rig.PROJECT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        importlib.import_module("django").setup()
        self.key = seed(options.pools)
        plain_rows.make_table(importlib.import_module("controlplane.lib.clock").now())
        self.web = stack.enter_context(rig.web(root, self.database.url, processes=options.web))
        self.victoria = stack.enter_context(rig.victoria_metrics(root))
        self.feed = Feed(options.pools, present() - SPAN)
        self.remote_write = RemoteWrite(options.pools)

    def ours(self, content_type: str) -> Target:
        """Our address for a format."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type}
        return Target(self.web.port, "/api/v1/telemetry", headers)

    def push(self, make: Callable[..., bytes], content_type: str, clients: int) -> dict[str, float]:
        """Push requests to our web for a round."""
        count = self.options.requests
        bodies = [make(self.feed.take(self.options.rows)) for _ in range(count)]
        before = self.web.cpu_s(), self.database.cpu_s()
        seconds, latencies = self.ours(content_type).send_all(bodies, clients)
        rows = count * self.options.rows
        after = self.web.cpu_s(), self.database.cpu_s()
        return {
            "rows_per_s": rows / seconds,
            "values_per_s": rows * len(FIELDS) / seconds,
            "request_ms": 1e3 * statistics.median(latencies),
            "web_cpu_us_per_row": 1e6 * (after[0] - before[0]) / rows,
            "database_cpu_us_per_row": 1e6 * (after[1] - before[1]) / rows,
        }

    def push_to_victoria(self, clients: int) -> dict[str, float]:
        """Push the same number of samples to VictoriaMetrics, 10,000 or so a request."""
        if self.victoria is None:
            return {}
        rows_each = max(1, 10_000 // len(FIELDS) // self.feed.pools) * self.feed.pools
        rows_each = (
            min(rows_each, self.options.rows) if self.feed.pools <= 2_000 else self.feed.pools
        )
        count = max(clients, self.options.requests * self.options.rows // rows_each)
        bodies = [self.remote_write.body(self.feed.take(rows_each)) for _ in range(count)]
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        target = Target(self.victoria.port, "/api/v1/write", headers, 204)
        before = self.victoria.cpu_s()
        seconds, _ = target.send_all(bodies, clients)
        samples = count * rows_each * len(FIELDS)
        return {
            "values_per_s": samples / seconds,
            "samples_per_request": rows_each * len(FIELDS),
            "cpu_us_per_sample": 1e6 * (self.victoria.cpu_s() - before) / samples,
        }

    def small_pushes_beside_bulk(self) -> dict[str, float]:
        """Time pushes of 100 rows while two clients push in bulk without a pause."""
        bulk = [json_columns(self.feed.take(self.options.rows)) for _ in range(20)]
        small = json_columns({name: column[:100] for name, column in self.feed.take(1).items()})
        target, latencies = self.ours("application/json"), []
        work = threading.Thread(target=target.send_all, args=(bulk, 2))
        work.start()
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=120)
        while work.is_alive():
            started = time.perf_counter()
            target.post(connection, small)
            latencies.append(time.perf_counter() - started)
            small = json_columns({key: each[:100] for key, each in self.feed.take(1).items()})
        work.join()
        latencies.sort()
        return {
            "pushes": len(latencies),
            "median_ms": 1e3 * latencies[len(latencies) // 2],
            "p99_ms": 1e3 * latencies[int(0.99 * (len(latencies) - 1))],
        }

    def copy(self) -> dict[str, float]:
        """Send the same rows as a bare binary COPY of rows, packed beforehand, a commit each."""
        return self._copies(plain_rows.row_copy)

    def copy_blocks(self) -> dict[str, float]:
        """Send blocks as ours stores them as a bare binary COPY, packed beforehand."""
        return self._copies(plain_rows.block_copy)

    def _copies(self, pack: Callable[..., tuple[str, bytes]]) -> dict[str, float]:
        psycopg = importlib.import_module("psycopg")
        count, rows = self.options.requests, self.options.rows
        packed = [pack(self.feed.take(rows), FIELDS) for _ in range(count)]
        with psycopg.connect(self.database.url) as connection:
            started = time.perf_counter()
            for statement, body in packed:
                with connection.cursor() as cursor, cursor.copy(statement) as copy:
                    copy.write(body)
                connection.commit()
            seconds = time.perf_counter() - started
        return {"rows_per_s": count * rows / seconds}

    def serializer(self) -> dict[str, float]:
        """Store rows as most would write it: serializer with `many=True`, then `bulk_create`."""
        columns = self.feed.take(1)
        body = json_rows({name: column[:1_000] for name, column in columns.items()})
        started = time.perf_counter()
        stored = plain_rows.store_with_serializer(body, FIELDS)
        return {"rows_per_s": stored / (time.perf_counter() - started)}


def present() -> dt.datetime:
    """Return the present second of the grid's clock."""
    now: dt.datetime = importlib.import_module("controlplane.lib.clock").now()
    return now.replace(microsecond=0)


def seed(pools: int, *, sites: int = 12) -> str:
    """Register the pools of one provider, spread over sites, and return its key."""
    services = importlib.import_module("monitoring.services")
    clock = importlib.import_module("controlplane.lib.clock")
    region = {"code": "CN-BJ", "name_zh": "北京", "name_en": "Beijing", "lat": 40.0, "lon": 116.0}
    region |= {"jurisdiction": "CN", "carbon_g_per_kwh": None, "carbon_basis": None}
    site = {"name_zh": "s", "name_en": "s", "provider": "p", "region": "CN-BJ"}
    site |= {"lat": 40.0, "lon": 116.0, "is_hub": False, "hub_zh": None, "hub_en": None}
    site |= {"pue": 1.3, "energy_zone": ""}
    pool = {"unit": "gpu", "installed": 512, "contract": 512, "kw_per_unit": 0.4}
    inventory = {
        "regions": [region],
        "providers": [{"code": "p", "name_zh": "p", "name_en": "p"}],
        "sites": [{"code": f"s{number}", **site} for number in range(sites)],
        "pools": [
            {"code": f"p{number}-gpu", "site": f"s{number % sites}", **pool}
            for number in range(pools)
        ],
    }
    services.register_inventory(inventory, engines={})
    services.keep_partitions(clock.now())
    return str(importlib.import_module("controlplane.auth.keys").issue_key("p", actor="system"))


def run(bench: Bench) -> dict[str, Any]:
    """Measure all of it in turn, some rounds, and keep the medians."""
    options = bench.options
    found: dict[str, list[dict[str, float]]] = {}
    warm = [json_columns(bench.feed.take(options.rows)) for _ in range(3)]
    bench.ours("application/json").send_all(warm, 1)
    for _ in range(options.rounds):
        for clients in options.clients:
            ours = (("columns", json_columns, "application/json"), ("arrow", arrow_stream, ARROW))
            for name, make, kind in ours:
                found.setdefault(f"{name} x{clients}", []).append(bench.push(make, kind, clients))
            if bench.victoria is not None:
                peer = bench.push_to_victoria(clients)
                found.setdefault(f"victoria-metrics x{clients}", []).append(peer)
        found.setdefault("copy", []).append(bench.copy())
        found.setdefault("copy of blocks", []).append(bench.copy_blocks())
        found.setdefault("serializer", []).append(bench.serializer())
        beside = bench.small_pushes_beside_bulk()
        found.setdefault("100 rows beside bulk", []).append(beside)
    medians = {
        name: {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    return {"figures": medians, "ratios": ratios(medians)}


def ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return ours against each of the others."""
    found = {}
    for name, mine in figures.items():
        shape, _, clients = name.partition(" ")
        if shape not in ("columns", "arrow"):
            continue
        peer = figures.get(f"victoria-metrics {clients}")
        if peer:
            found[f"{name}: values/s ÷ VictoriaMetrics"] = (
                mine["values_per_s"] / peer["values_per_s"]
            )
        for copy in ("copy", "copy of blocks"):
            ratio = mine["rows_per_s"] / figures[copy]["rows_per_s"]
            found[f"{name}: rows/s ÷ bare {copy.upper()}"] = ratio
        found[f"{name}: rows/s ÷ serializer"] = (
            mine["rows_per_s"] / figures["serializer"]["rows_per_s"]
        )
    return found


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=10_000, help="of a request")
    parser.add_argument("--requests", type=int, default=12, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--clients", type=lambda text: [int(n) for n in text.split(",")], default=[1, 4]
    )
    parser.add_argument("--web", type=int, default=1, help="web processes of ours")
    parser.add_argument("--postgres", type=Path, help="folder of another server's programs")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with ExitStack() as stack:
        result = run(Bench(options, stack))
    for part in result.values():
        for name, figures in part.items():
            shown = figures if isinstance(figures, dict) else {"ratio": figures}
            print(f"{name:45s}", "  ".join(f"{key}={value:,.4g}" for key, value in shown.items()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
