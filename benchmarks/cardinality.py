"""Floods the grid with a million new label sets of one provider, an hour's worth in a minute.

Says what the limit kept of them, what it cost the web process and the disk, and what another
provider, which pushes its own few series all the while, noticed of it.
"""

import argparse
import http.client
import importlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import ingest_senders
import pyarrow as pa
import rig

PATH = "/api/v1/prometheus/write"
HONEST_SERIES = 800


class Sender:
    """One provider with its key, on a connection of its own."""

    def __init__(self, port, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {**ingest_senders.HEADERS, "Authorization": f"Bearer {key}"}
        self.answers, self.seconds = {}, []

    def push(self, body):
        """Push one request and note what came of it."""
        began = time.perf_counter()
        self.connection.request("POST", PATH, body, self.headers)
        answer = self.connection.getresponse()
        answer.read()
        self.seconds.append(time.perf_counter() - began)
        self.answers[answer.status] = self.answers.get(answer.status, 0) + 1


def new_label_sets(first, count, at_ms):
    """Return a request of label sets that nobody has seen."""
    stamp = ingest_senders._varint(at_ms)  # noqa: SLF001 (the spelling of the other benchmark)
    series = []
    for number in range(first, first + count):
        labels = {"__name__": "http_requests_total", "pod": f"web-{number:07x}", "path": "/"}
        head = ingest_senders._spell(labels)  # noqa: SLF001 (as above)
        sample = b"\x09" + b"\0" * 6 + b"\xf0\x3f" + b"\x10" + stamp
        field = ingest_senders._field  # noqa: SLF001 (as above)
        series.append(field(1, head + field(2, sample)))
    return pa.compress(b"".join(series), codec="snappy", asbytes=True)


def honest_pushes(sender, stop, every_s):
    """Push the same few series again and again, a second of their time later each time."""
    feed = ingest_senders.Feed("nodes", HONEST_SERIES, 1, ingest_senders_begin())
    while not stop.is_set():
        began = time.perf_counter()
        for body in feed.bodies(1):
            sender.push(body)
        stop.wait(max(0.0, every_s - (time.perf_counter() - began)))


def ingest_senders_begin():
    wall_now = importlib.import_module("controlplane.lib.clock").wall_now
    return wall_now().replace(microsecond=0) - ingest_senders.SPAN


def rss_mb(pid):
    """Return resident and peak memory of a process (MB)."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return tuple(int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def start(options, stack):
    """Start PostgreSQL and our web with two providers; return the web, keys and models."""
    root = stack.enter_context(rig.folder())
    database = stack.enter_context(rig.postgres(root))
    os.environ.update(rig.web_environment(root, database.url))
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--noinput", "--skip-checks"],
        cwd=rig.PROJECT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    importlib.import_module("django").setup()
    keys = ingest_senders.seed(2, 10)
    models = importlib.import_module("monitoring.models")
    models.MappingSet.objects.filter(provider_id="p0").update(series_limit=options.limit)
    return stack.enter_context(rig.web(root, database.url)), keys, models


def flood(options, sender, clock):
    """Send every label set once, evenly over the minute."""
    began = time.perf_counter()
    for number in range(0, options.label_sets, options.per_request):
        due = began + options.seconds * number / options.label_sets
        time.sleep(max(0.0, due - time.perf_counter()))
        at_ms = int(clock.wall_now().timestamp() * 1000)
        sender.push(new_label_sets(number, options.per_request, at_ms))
    return time.perf_counter() - began


def milliseconds(seconds):
    """Return median and 99th percentile (ms)."""
    return tuple(
        round(1000 * value, 1)
        for value in (statistics.median(seconds), statistics.quantiles(seconds, n=100)[98])
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--label-sets", type=int, default=1_000_000)
    parser.add_argument("--per-request", type=int, default=10_000)
    parser.add_argument(
        "--limit", type=int, default=10_000, help="series that the provider may have"
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="what the hour is squeezed into"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with ExitStack() as stack:
        web, keys, models = start(options, stack)
        clock = importlib.import_module("controlplane.lib.clock")
        honest, flooding, stop = (
            Sender(web.port, keys[1]),
            Sender(web.port, keys[0]),
            threading.Event(),
        )
        thread = threading.Thread(target=honest_pushes, args=(honest, stop, 0.25))
        thread.start()
        time.sleep(10)
        alone, before_mb = list(honest.seconds), rss_mb(web.pid)
        took_s = flood(options, flooding, clock)
        beside, after_mb = honest.seconds[len(alone) :], rss_mb(web.pid)
        stop.set()
        thread.join()
        tally = models.ProviderTally.objects.get(provider_id="p0")
        other = models.ProviderTally.objects.get(provider_id="p1")
        result = {
            "label_sets": options.label_sets,
            "seconds": round(took_s, 1),
            "answers": flooding.answers,
            "series_stored": models.Series.objects.filter(provider_id="p0").count(),
            "received": tally.received,
            "accepted": tally.accepted,
            "rejected_by_reason": tally.rejected_by_reason,
            "flood_ms_p50_p99": milliseconds(flooding.seconds),
            "web_mb_before_after_peak": [round(v) for v in (before_mb[0], *after_mb)],
            "other_answers": honest.answers,
            "other_rejected": other.rejected + other.conflict + other.shed,
            "other_ms_alone_p50_p99": milliseconds(alone),
            "other_ms_beside_p50_p99": milliseconds(beside),
        }
    for name, value in result.items():
        print(f"{name:28} {value}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
