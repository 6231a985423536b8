"""Times a control room's four questions through the API, beside VictoriaMetrics on the same data.

30 days of 1,000 pools at 300 s: seven values a row, 8.64 million rows. They are loaded batch by
batch as a provider's would be; VictoriaMetrics gets the same values through its bulk import. Both
answer over HTTP on a connection that stays open, ours to a person with a session, asked in turn.

What was asked before helps both: VictoriaMetrics as it comes, with its cache of answers, and once
more told to leave it (`nocache=1`); ours keeps means of packed days in memory and checks with each
question that they are still what is stored. The first answer of a fresh process is shown apart.
Small reads of one thing are timed beside them.
"""

import argparse
import datetime as dt
import http.client
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.parse
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import rig
from ingest_native import FIELDS, present, seed

TICK = dt.timedelta(seconds=300)
BATCH_TICKS = 40
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True)
class History:
    """The values of all pools and ticks: name to (ticks, pools) float64."""

    start: dt.datetime
    values: dict[str, np.ndarray]

    @property
    def shape(self) -> tuple[int, int]:
        """Ticks and pools."""
        ticks, pools = self.values["capacity"].shape
        return ticks, pools


def make_history(pools: int, days: int, end: dt.datetime) -> History:
    """Return values that move as pools' do, whole units and tenths of kilowatts."""
    rng = np.random.default_rng(11)
    ticks = int(dt.timedelta(days=days) / TICK)
    steps = rng.integers(-9, 10, (ticks, pools))
    allocated = np.abs((200 + np.cumsum(steps, axis=0)) % 800 - 400).astype(float)
    values = {"capacity": np.full((ticks, pools), 512.0), "allocated": allocated}
    values["queued"] = rng.integers(0, 60, (ticks, pools)).astype(float)
    values["unavailable"] = np.zeros((ticks, pools))
    values["power_kw"] = np.round(40 + 0.4 * allocated, 1)
    values["price_per_unit_h"] = np.round(rng.uniform(0.02, 0.06, (ticks, pools)), 4)
    values["carbon_g_per_kwh"] = np.repeat(rng.integers(400, 700, (ticks, 1)), pools, axis=1) * 1.0
    return History(end - ticks * TICK, values)


def load_ours(history: History) -> dict[str, float]:
    """Store the history batch by batch, then pack its days as the loop does."""
    ingest = importlib.import_module("monitoring.ingest")
    services = importlib.import_module("monitoring.services")
    samples = importlib.import_module("monitoring.domain.samples")
    clock = importlib.import_module("controlplane.lib.clock")
    ticks, pools = history.shape
    now, codes = clock.now(), tuple(f"p{number}-gpu" for number in range(pools))
    services.keep_partitions(now, since=history.start)
    window = samples.Window(history.start, now)
    first_us, step_us = samples.to_us(history.start), TICK // dt.timedelta(microseconds=1)
    started = time.perf_counter()
    for tick in range(0, ticks, BATCH_TICKS):
        chosen = np.arange(tick, min(tick + BATCH_TICKS, ticks))
        size = len(chosen) * pools
        batch = samples.Batch(
            codes,
            np.tile(np.arange(pools), len(chosen)),
            first_us + step_us * np.repeat(chosen, pools),
            {name: column[chosen].reshape(-1) for name, column in history.values.items()},
            np.full(size, samples.NO_FAULT, np.int16),
            np.zeros(size, np.int16),
        )
        report = ingest.ingest_batch(batch, provider_code="p", now=now, window=window)
        if report.accepted != size:
            raise SystemExit(f"not everything was taken: {report}")
    loaded = time.perf_counter()
    packed = 0
    while found := services.pack_past_days(now):
        packed += found
    done = time.perf_counter()
    return {
        "rows": ticks * pools,
        "rows_per_s": ticks * pools / (loaded - started),
        "shelves_packed": packed,
        "pack_s": done - loaded,
        **sizes(),
    }


def sizes() -> dict[str, float]:
    """Return what the tables take on disk, indexes included."""
    connection = importlib.import_module("django.db").connection
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(
            "SELECT sum(pg_total_relation_size(relid))"
            " FROM pg_partition_tree('monitoring_sampleblock') AS part"
        )
        (raw,) = cursor.fetchone()
        cursor.execute(
            "SELECT pg_total_relation_size('monitoring_hourshelf'),"
            " pg_total_relation_size('monitoring_packedday')"
        )
        hours, days = cursor.fetchone()
    connection.close()
    return {"samples_bytes": float(raw), "hours_bytes": float(hours), "days_bytes": float(days)}


def load_victoria(history: History, server: rig.Server) -> None:
    """Import the same values, one series at a time, as VictoriaMetrics takes them in bulk."""
    ticks, pools = history.shape
    first_ms = int(history.start.timestamp() * 1000)
    stamps = (first_ms + 300_000 * np.arange(ticks)).tolist()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    for pool in range(pools):
        lines = []
        for name in FIELDS:
            metric = {"__name__": f"pool_{name}", "pool": f"p{pool}-gpu", "site": f"s{pool % 12}"}
            values = history.values[name][:, pool].tolist()
            lines.append(orjson.dumps({"metric": metric, "values": values, "timestamps": stamps}))
        connection.request("POST", "/api/v1/import", b"\n".join(lines))
        answer = connection.getresponse()
        answer.read()
        if answer.status != 204:
            raise SystemExit(f"VictoriaMetrics refused the import: {answer.status}")
    connection.request("GET", "/internal/force_flush")
    connection.getresponse().read()


def session_of_operator() -> str:
    """Return the cookie of an operator who is logged in."""
    users = importlib.import_module("django.contrib.auth").get_user_model()
    models = importlib.import_module("controlplane.auth.models")
    user = users.objects.create(username="operator", password="!")
    models.Membership.objects.create(user=user, role="OPERATOR")
    client = importlib.import_module("django.test").Client()
    client.force_login(user)
    importlib.import_module("django.db").connection.close()
    return f"sessionid={client.cookies['sessionid'].value}"


SMALL_READS = {
    "one pool": "/api/v1/pools/p5-gpu",
    "all sites": "/api/v1/sites",
    "all pools": "/api/v1/pools",
    "all regions": "/api/v1/regions",
}


@dataclass(frozen=True)
class Question:
    """One question as ours and as VictoriaMetrics take it."""

    name: str
    ours: str
    theirs: str


def questions(start: dt.datetime, end: dt.datetime) -> list[Question]:
    """Return the four questions over [start, end)."""
    span = {"from": start.isoformat(), "to": end.isoformat()}
    hours = "/api/v1/telemetry/hours?" + urllib.parse.urlencode({**span, "measures": "allocated"})
    steps = {"start": int(start.timestamp()) + 3600, "end": int(end.timestamp()), "step": 3600}
    day = urllib.parse.urlencode(
        {"pool": "p5-gpu", "from": (end - dt.timedelta(days=1)).isoformat(), "to": end.isoformat()}
    )

    def ranged(query: str) -> str:
        return "/api/v1/query_range?" + urllib.parse.urlencode({"query": query, **steps})

    def instant(query: str) -> str:
        at = {"query": query, "time": int(end.timestamp()) - 1}
        return "/api/v1/query?" + urllib.parse.urlencode(at)

    return [
        Question("newest of all", "/api/v1/telemetry/newest", instant('{__name__=~"pool_.+"}')),
        Question("hourly means", hours, ranged("avg_over_time(pool_allocated[1h])")),
        Question(
            "dashboard of 12 lines",
            hours + "&by=site",
            ranged("avg(avg_over_time(pool_allocated[1h])) by (site)"),
        ),
        Question(
            "a pool's raw day",
            f"/api/v1/telemetry/samples?{day}",
            instant('{pool="p5-gpu"}[1d]'),
        ),
    ]


def ask(port: int, path: str, headers: dict[str, str], times: int) -> tuple[list[float], int]:
    """Return the latencies (s) and the size of the answer (bytes)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    latencies, size = [], 0
    for _ in range(times):
        started = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        size = len(answer.read())
        latencies.append(time.perf_counter() - started)
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
    connection.close()
    return latencies, size


def run(options: argparse.Namespace, stack: ExitStack) -> dict[str, dict[str, float]]:
    """Load both, ask both in turn, and return medians and ratios."""
    root = stack.enter_context(rig.folder())
    database = stack.enter_context(rig.postgres(root, binaries=options.postgres))
    os.environ.update(rig.web_environment(root, database.url))
    migrate = [sys.executable, "manage.py", "migrate", "--noinput", "--skip-checks"]
    subprocess.run(migrate, cwd=rig.PROJECT, check=True, stdout=subprocess.DEVNULL)
    importlib.import_module("django").setup()
    seed(options.pools)
    end = present().replace(hour=0, minute=0, second=0)
    history = make_history(options.pools, options.days, end)
    found = {"load": load_ours(history)}
    web = stack.enter_context(rig.web(root, database.url))
    victoria = stack.enter_context(rig.victoria_metrics(root))
    if victoria is not None:
        load_victoria(history, victoria)
    cookie = {"Cookie": session_of_operator()}
    for question in questions(history.start, end):
        found[question.name] = compare(question, web, victoria, cookie, options.rounds)
    for name, path in SMALL_READS.items():
        latencies, size = ask(web.port, path, cookie, 20 * options.rounds)
        found[name] = {"json_ms": 1e3 * statistics.median(latencies), "json_bytes": size}
    found["machine"] = {"load_average": os.getloadavg()[0]}
    return found


def compare(
    question: Question,
    web: rig.Server,
    victoria: rig.Server | None,
    cookie: dict[str, str],
    count: int,
) -> dict[str, float]:
    """Ask one question in turn of both; return medians, sizes and ratios."""
    first, _ = ask(web.port, question.ours, cookie, 1)
    asked = {
        "json": (web.port, question.ours, {**cookie, "Accept": "application/json"}),
        "arrow": (web.port, question.ours, {**cookie, "Accept": ARROW}),
    }
    if victoria is not None:
        asked["victoria"] = (victoria.port, question.theirs, {})
        asked["victoria_nocache"] = (victoria.port, question.theirs + "&nocache=1", {})
    rounds: dict[str, list[float]] = {name: [] for name in asked}
    figures = {"first_json_ms": 1e3 * first[0]}
    for _ in range(count):
        for name, where in asked.items():
            latencies, figures[f"{name}_bytes"] = ask(*where, 5)
            rounds[name].extend(latencies)
    figures |= {f"{name}_ms": 1e3 * statistics.median(each) for name, each in rounds.items()}
    for peer in ("victoria", "victoria_nocache"):
        for form in ("json", "arrow"):
            if f"{peer}_ms" in figures:
                figures[f"{form}_to_{peer}"] = figures[f"{form}_ms"] / figures[f"{peer}_ms"]
    return figures


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--postgres", type=Path, help="folder of another server's programs")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with ExitStack() as stack:
        found = run(options, stack)
    for name, figures in found.items():
        print(f"{name:24s}", "  ".join(f"{key}={value:,.4g}" for key, value in figures.items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
