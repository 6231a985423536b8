"""Real senders, unchanged: Prometheus, vmagent and OpenTelemetry's own exporter."""

import contextlib
import datetime as dt
import http.server
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from controlplane.auth.keys import issue_key
from monitoring import services
from monitoring.models import MappingSet, ProviderTally, Sample, Series
from tests.factories import PoolFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.senders,
    pytest.mark.slow,
    pytest.mark.timeout(120),
]
FIGURES = {"capacity": 100, "allocated": 42, "queued": 7, "power_kw": 21.5}


def program(*names):
    for name in names:
        if path := shutil.which(name):
            return path
    missing = f"none of {', '.join(names)} is installed here"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
    return ""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Exporter(http.server.BaseHTTPRequestHandler):
    """Says the figures of one pool, and some values that are none."""

    def do_GET(self):
        lines = [f'tiaodu_{name}{{tiaodu_pool="beijing-gpu"}} {n}' for name, n in FIGURES.items()]
        body = "\n".join([*lines, "strange_value NaN", "large_value +Inf", ""]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def exporter():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def key(live_server):
    pool = PoolFactory()
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 (real senders live in real time)
    services.keep_partitions(now)
    MappingSet.objects.create(
        provider=pool.site.provider,
        rules=[
            {"name": name, "metric": f"tiaodu_{name}", "pool": "{tiaodu_pool}", "field": name}
            | {"combine": "only"}
            for name in FIGURES
        ],
        tick_s=1.0,
        changed_at=now,
        changed_by="test",
    )
    return issue_key("beiyun", actor="system")


@contextlib.contextmanager
def running(command, log):
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition, *, seconds=45):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.2)


def account():
    tally = ProviderTally.objects.get(provider_id="beiyun")
    assert tally.received == tally.accepted + tally.duplicate + tally.conflict + tally.rejected
    return tally


def assert_rows_are_whole(at_least, *, starts=1):
    rows = list(Sample.objects.order_by("measured_at"))
    assert len(rows) >= at_least
    assert {(r.capacity, r.allocated, r.queued, r.quality) for r in rows} == {
        (100.0, 42.0, 7.0, "good")
    }
    # what is not required may come too late for the first row after a start, and for no other
    power = [row.power_kw for row in rows]
    assert set(power) <= {None, 21.5}
    assert power.count(None) <= starts


def prometheus_command(binary, folder, exporter, url, key):
    (folder / "config.yml").write_text(
        f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: grid
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
remote_write:
  - url: {url}
    authorization: {{credentials: {key}}}
    queue_config: {{max_samples_per_send: 3, batch_send_deadline: 500ms}}
"""
    )
    return [
        binary,
        f"--config.file={folder / 'config.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{free_port()}",
    ]


def test_prometheus_sends_unchanged_and_again_after_a_restart(live_server, key, exporter, tmp_path):
    binary = program("prometheus")
    url = f"{live_server.url}/api/v1/prometheus/write"
    command = prometheus_command(binary, tmp_path, exporter, url, key)
    log = tmp_path / "log"

    with running(command, log):
        wait_for(lambda: Sample.objects.count() >= 4)
    before = account().accepted
    with running(command, log):
        wait_for(lambda: account().accepted > before + 20)

    # requests of three samples cut every scrape in two or more
    assert_rows_are_whole(4, starts=2)
    assert (account().rejected, account().conflict) == (0, 0)
    names = {series.labels["__name__"] for series in Series.objects.all()}
    assert {"up", "strange_value", "large_value", "tiaodu_capacity"} <= names
    assert "non-recoverable error" not in log.read_text()


def test_vmagent_sends_unchanged(live_server, key, exporter, tmp_path):
    binary = program("vmagent", "vmagent-prod")
    (tmp_path / "scrape.yml").write_text(
        "scrape_configs:\n  - job_name: grid\n    scrape_interval: 1s\n"
        f'    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]\n'
    )
    command = [
        binary,
        f"-promscrape.config={tmp_path / 'scrape.yml'}",
        f"-remoteWrite.url={live_server.url}/api/v1/prometheus/write",
        f"-remoteWrite.bearerToken={key}",
        f"-remoteWrite.tmpDataPath={tmp_path / 'queue'}",
        f"-httpListenAddr=127.0.0.1:{free_port()}",
    ]

    with running(command, tmp_path / "log"):
        wait_for(lambda: Sample.objects.count() >= 3)

    assert_rows_are_whole(3)
    assert (account().rejected, account().conflict) == (0, 0)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_opentelemetrys_exporter_sends_unchanged(live_server, key, compression):
    exporter = OTLPMetricExporter(
        endpoint=f"{live_server.url}/api/v1/otlp/v1/metrics",
        headers={"Authorization": f"Bearer {key}"},
        compression=compression,
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource.create({"service.name": "slurm", "tiaodu_pool": "beijing-gpu"})
    meters = MeterProvider(metric_readers=[reader], resource=resource)
    meter = meters.get_meter("test")
    for name, value in FIGURES.items():
        meter.create_gauge(f"tiaodu_{name}").set(value)
    meter.create_counter("jobs").add(3)
    meter.create_histogram("wait_s").record(1.5)

    is_sent = meters.force_flush()
    meters.shutdown()

    assert is_sent
    assert_rows_are_whole(1)
    names = {series.labels["__name__"] for series in Series.objects.all()}
    assert {"jobs", "wait_s_count", "wait_s_sum", "wait_s_bucket"} <= names
    assert (account().rejected, account().conflict) == (0, 0)
