"""Measures remote-write through HTTP to the commit, beside VictoriaMetrics and Prometheus.

All three get the very same bodies, round by round in turn, on the same machine: each series once a
request, a tick later each time. Ours keeps every point once and says what is a conflict, makes the
wide rows with their newest states and hourly sums, and answers after a commit that waited for the
disk. VictoriaMetrics answers when it has the samples in memory and writes them out a few seconds
later; Prometheus answers when its log is written but not synced.

Kinds of traffic:
  mapped   eight columns of each pool, zeros left out as Prometheus does, targets in changing order
  steady   the same, zeros written out and always in one order, as vmagent does with one scrape
  nodes    series of node_exporter that no rule takes: stored, without rows
"""

import argparse
import datetime as dt
import http.client
import importlib
import itertools
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import rig

TICK_S = 15
SPAN = dt.timedelta(hours=20)
COLUMNS = (
    ("capacity", {}),
    ("allocated", {"queue": "batch"}),
    ("allocated", {"queue": "interactive"}),
    ("queued", {}),
    ("unavailable", {}),
    ("power_kw", {}),
    ("price_per_unit_h", {}),
    ("carbon_g_per_kwh", {}),
)
SERIES_OF_TARGET = 200
CPU_MODES = ("idle", "user", "system", "iowait", "irq", "softirq", "steal", "nice")
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


class Feed:
    """Makes one client's requests, each a tick after the one before."""

    def __init__(self, kind, series, client, start):
        self.kind, self.start_ms = kind, int(start.timestamp() * 1000)
        self.tick = 0
        self.rng = random.Random(f"{kind} {client}")
        make = _node_labels if kind == "nodes" else _pool_labels
        heads = [_spell(make(client, number)) for number in range(series)]
        names = range(0, series, SERIES_OF_TARGET)
        # each target is scraped at a moment of its own
        self.targets = [
            (heads[at : at + SERIES_OF_TARGET], self.rng.randrange(1000 * TICK_S)) for at in names
        ]

    def bodies(self, split):
        """Return the next tick, compressed: one request, or as many as senders cut it into."""
        targets = list(self.targets)
        if self.kind != "steady":
            self.rng.shuffle(targets)
        parts = [[] for _ in range(split)]
        for heads, offset_ms in targets:
            at_ms = self.start_ms + 1000 * TICK_S * self.tick + offset_ms
            stamp = b"\x10" + _varint(at_ms)
            for number, head in enumerate(heads):
                sample = self._value() + stamp
                # a series always goes the same way
                parts[number % split].append(_field(1, head + _field(2, sample)))
        self.tick += 1
        return [pa.compress(b"".join(part), codec="snappy", asbytes=True) for part in parts]

    def _value(self):
        is_zero = self.rng.random() < 0.15
        if is_zero and self.kind != "steady":
            return b""
        value = 0.0 if is_zero else float(self.rng.randrange(1, 400))
        return b"\x09" + struct.pack("<d", value)


def _pool_labels(client, number):
    pool, column = divmod(number, len(COLUMNS))
    name, more = COLUMNS[column]
    return {
        "__name__": f"tiaodu_{name}",
        "cluster": f"hpc-{pool % 7}",
        "instance": f"10.{client}.{number // SERIES_OF_TARGET}.1:9100",
        "job": "tiaodu-exporter",
        "partition": f"a100-{pool % 12}",
        **more,
        "region": "CN-NM",
        "tiaodu_pool": _pool_code(client, pool),
    }


def _node_labels(client, number):
    node, series = divmod(number, SERIES_OF_TARGET)
    cpu, mode = divmod(series, len(CPU_MODES))
    return {
        "__name__": "node_cpu_seconds_total",
        "cpu": str(cpu),
        "cluster": "hpc-1",
        "instance": f"node-{client}-{node:04d}.example.org:9100",
        "job": "node",
        "mode": CPU_MODES[mode],
        "region": "CN-NM",
    }


def _pool_code(client, pool):
    return f"site{client}-{pool:05d}-gpu"


def _spell(labels):
    pairs = sorted(labels.items())
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in pairs
    )


def _field(number, content):
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number):
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))


@dataclass
class Target:
    """Something that takes remote-write, and the processes that do the work."""

    name: str
    port: int
    path: str
    keys: list
    servers: dict
    sent_again: int = 0

    def send(self, ticks_of_clients, connections):
        """Send each client's ticks over its connections; return seconds and latencies."""
        latencies, failures = [], []
        # as a sender's shards do, each connection sends its own series in the order of time
        bodies_of = {
            (client, way): [body for bodies in ticks for body in bodies[way::connections]]
            for client, ticks in ticks_of_clients.items()
            for way in range(connections)
        }
        threads = [
            threading.Thread(target=self._client, args=(client, bodies, latencies, failures))
            for (client, _), bodies in bodies_of.items()
        ]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return time.perf_counter() - started, latencies

    def _client(self, client, bodies, latencies, failures):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        headers = dict(HEADERS)
        if self.keys:
            headers["Authorization"] = f"Bearer {self.keys[client]}"
        try:
            for body in bodies:
                began = time.perf_counter()
                while not self._is_taken(connection, body, headers):
                    pass
                latencies.append(time.perf_counter() - began)
        except BaseException as error:  # noqa: BLE001 (handed to the caller)
            failures.append(error)
        finally:
            connection.close()

    def _is_taken(self, connection, body, headers):
        """Send once; wait as long as asked to when it is to be sent again."""
        connection.request("POST", self.path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status in (429, 503):
            self.sent_again += 1
            time.sleep(float(answer.getheader("Retry-After") or 1))
            connection.close()
            return False
        if answer.status not in (200, 204):
            raise SystemExit(f"{self.name}: {answer.status} {text[:400]!r}")
        return True

    def cpu_s(self):
        """CPU time so far, by server (s)."""
        return {name: server.cpu_s() for name, server in self.servers.items()}


def seed(clients, pools):
    """Register a provider with its pools for each client; return their keys."""
    services = importlib.import_module("monitoring.services")
    clock = importlib.import_module("controlplane.lib.clock")
    models = importlib.import_module("monitoring.models")
    keys = importlib.import_module("controlplane.auth.keys")
    region = {"code": "CN-NM", "name_zh": "内蒙古", "name_en": "Inner Mongolia", "lat": 40.8}
    region |= {"lon": 111.7, "jurisdiction": "CN", "carbon_g_per_kwh": None, "carbon_basis": None}
    codes = range(clients)
    place = {"lat": 40.8, "lon": 111.7, "is_hub": False, "hub_zh": None, "hub_en": None}
    sites = [
        {"code": f"s{n}", "name_zh": "s", "name_en": "s", "provider": f"p{n}", "region": "CN-NM"}
        | place
        | {"pue": 1.3, "energy_zone": ""}
        for n in codes
    ]
    facts = {"unit": "gpu", "installed": 1000, "contract": 1000, "kw_per_unit": 0.4}
    inventory = {
        "regions": [region],
        "providers": [{"code": f"p{n}", "name_zh": "p", "name_en": "p"} for n in codes],
        "sites": sites,
        "pools": [
            {"code": _pool_code(n, pool), "site": f"s{n}", **facts}
            for n, pool in itertools.product(codes, range(pools))
        ],
    }
    services.register_inventory(inventory, engines={})
    services.keep_partitions(clock.now())
    presets = importlib.import_module("monitoring.domain.presets")
    mapping = importlib.import_module("monitoring.domain.mapping")
    rules = mapping.write_rules(presets.preset_rules("tiaodu", "{tiaodu_pool}"))
    for n in codes:
        models.MappingSet.objects.create(
            provider_id=f"p{n}",
            rules=rules,
            tick_s=TICK_S,
            series_limit=1_000_000,
            changed_at=clock.now(),
            changed_by="benchmark",
        )
    return [str(keys.issue_key(f"p{n}", actor="system")) for n in codes]


@contextmanager
def prometheus(root):
    """Run Prometheus as a receiver, or give None where it is not installed."""
    program = importlib.import_module("shutil").which("prometheus")
    if program is None:
        yield None
        return
    port = rig.free_port()
    (root / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")
    command = (
        *(program, "--web.enable-remote-write-receiver", f"--config.file={root}/prometheus.yml"),
        *(f"--storage.tsdb.path={root}/prometheus", f"--web.listen-address=127.0.0.1:{port}"),
        *("--storage.tsdb.retention.time=100y", "--log.level=error"),
    )
    with rig._running(command, root / "prometheus.log") as process:  # noqa: SLF001 (the rig of these benchmarks)
        rig._wait(lambda: rig._answers(port, "/-/ready"), process)  # noqa: SLF001 (as above)
        yield rig.Server(f"http://127.0.0.1:{port}", port, process.pid)


def start(options, stack):
    """Start our stack and the peers; return the targets."""
    root = stack.enter_context(rig.folder())
    database = stack.enter_context(rig.postgres(root))
    os.environ.update(rig.web_environment(root, database.url))
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--noinput", "--skip-checks"],
        cwd=rig.PROJECT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    importlib.import_module("django").setup()
    keys = seed(max(options.clients), -(-options.series // len(COLUMNS)))
    web = stack.enter_context(rig.web(root, database.url, processes=options.web))
    servers = {"web": web, "postgres": database}
    found = [Target("ours", web.port, "/api/v1/prometheus/write", keys, servers)]
    if "victoria" in options.peers and (peer := stack.enter_context(rig.victoria_metrics(root))):
        found.append(Target("victoria", peer.port, "/api/v1/write", [], {"victoria": peer}))
    if "prometheus" in options.peers and (peer := stack.enter_context(prometheus(root))):
        found.append(Target("prometheus", peer.port, "/api/v1/write", [], {"prometheus": peer}))
    missing = set(options.peers) - {target.name for target in found}
    print("missing here:", ", ".join(sorted(missing)) or "nothing")
    return found


def measure(options, targets, kind, clients):
    """Send rounds of requests to each target in turn; return the medians."""
    # time goes on from one measurement to the next: receivers take nothing that is much older
    feeds = [Feed(kind, options.series, client, options.begin) for client in range(clients)]
    options.begin += dt.timedelta(seconds=TICK_S * (4 + options.rounds * options.requests))
    first = {}
    opening = {
        client: [feed.bodies(options.split) for _ in range(2)] for client, feed in enumerate(feeds)
    }
    for target in targets:
        began = time.perf_counter()
        target.send(opening, options.connections)
        first[target.name] = time.perf_counter() - began
    rounds = {target.name: [] for target in targets}
    for number in range(options.rounds):
        bodies = {
            client: [feed.bodies(options.split) for _ in range(options.requests)]
            for client, feed in enumerate(feeds)
        }
        samples = options.series * options.requests * clients
        # who goes first changes: what one leaves in the caches is not always to the same one's good
        for target in targets if number % 2 == 0 else targets[::-1]:
            before = target.cpu_s()
            seconds, latencies = target.send(bodies, options.connections)
            cpu = {name: used - before[name] for name, used in target.cpu_s().items()}
            rounds[target.name].append(
                {
                    "samples_per_s": samples / seconds,
                    "request_ms": 1e3 * statistics.median(latencies),
                    **{f"{name}_cpu_us": 1e6 * used / samples for name, used in cpu.items()},
                }
            )
    return {
        "kind": kind,
        "clients": clients,
        "first_two_requests_s": {name: round(value, 2) for name, value in first.items()},
        **{name: _medians(found) for name, found in rounds.items()},
    }


def _medians(found):
    return {name: round(statistics.median([one[name] for one in found]), 3) for name in found[0]}


def show(result, targets):
    ours = result["ours"]["samples_per_s"]
    print(f"\n{result['kind']}, {result['clients']} client(s)")
    for target in targets:
        figures = dict(result[target.name])
        rate = figures.pop("samples_per_s")
        rest = "  ".join(f"{name}={value:.2f}" for name, value in figures.items())
        print(f"  {target.name:<11}{rate:>10,.0f} samples/s  ours/it={ours / rate:5.2f}  {rest}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=10_000, help="of each client, all a request")
    parser.add_argument("--requests", type=int, default=20, help="ticks of a client in a round")
    parser.add_argument("--split", type=int, default=1, help="requests that a tick is cut into")
    parser.add_argument("--connections", type=int, default=1, help="at once, of each client")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", default="1,4", help="how many at once, each a provider")
    parser.add_argument("--kinds", default="mapped,steady,nodes")
    parser.add_argument("--peers", default="victoria,prometheus")
    parser.add_argument("--web", type=int, default=1, help="web processes of ours")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    options.clients = [int(part) for part in options.clients.split(",")]
    options.peers = [part for part in options.peers.split(",") if part]
    wall_now = importlib.import_module("controlplane.lib.clock").wall_now
    options.begin = wall_now().replace(microsecond=0) - SPAN
    results = []
    with ExitStack() as stack:
        targets = start(options, stack)
        ticks = (4 + options.rounds * options.requests) * len(options.clients) * 3
        if ticks * TICK_S > SPAN.total_seconds():
            raise SystemExit("There are not enough ticks in a day: ask for fewer requests.")
        for kind, clients in itertools.product(options.kinds.split(","), options.clients):
            results.append(measure(options, targets, kind, clients))
            show(results[-1], targets)
    print("\nsent again:", {target.name: target.sent_again for target in targets})
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
