"""Real senders, unchanged: Prometheus, vmagent and OpenTelemetry's own exporter."""

import contextlib
import datetime as dt
import http.client
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
from controlplane.lib import clock
from monitoring import services
from monitoring.models import Alert, MappingSet, Point, ProviderTally, Sample, Series
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


class Relay(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the grid and keeps what they were."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.pass_on(dict(self.headers), body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def relay(live_server):
    """A relay to the live server: `relay.requests` and `relay.statuses` are what went through."""
    target = live_server.url.removeprefix("http://")

    def pass_on(headers, body):
        connection = http.client.HTTPConnection(target, timeout=20)
        kept = {name: text for name, text in headers.items() if name not in ("Host", "Connection")}
        connection.request("POST", "/api/v1/prometheus/write", body, kept)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        server.requests.append((headers, body))
        server.statuses.append(answer.status)
        return answer.status

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    server.requests, server.statuses, server.pass_on = [], [], pass_on
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def everything_until(moment):
    """What is stored of times up to a moment: points by series, and wide rows."""
    points = Point.objects.filter(measured_at__lte=moment).order_by("series_id", "measured_at")
    rows = Sample.objects.filter(measured_at__lte=moment).order_by("pool_id", "measured_at")
    return (
        [(p.series_id, p.measured_at, repr(p.value)) for p in points],
        list(rows.values_list("pool_id", "measured_at", "capacity", "allocated", "quality")),
    )


def alerts_now():
    services.evaluate_alerts(clock.now())
    return sorted(Alert.objects.values_list("kind", "scope", "state"))


def test_prometheus_killed_and_restarted_changes_nothing_that_is_stored(
    live_server, key, exporter, relay, tmp_path
):
    """Drill D23: its log is read again, and whatever it sends once more is a duplicate."""
    binary = program("prometheus")
    url = f"http://127.0.0.1:{relay.server_address[1]}/write"
    command = prometheus_command(binary, tmp_path, exporter, url, key)
    log = tmp_path / "log"
    with running(command, log) as process:
        wait_for(lambda: Sample.objects.count() >= 8)
        process.kill()
        process.wait()
    # what was on its way when it was killed may come later, and is new then
    before = Point.objects.latest("measured_at").measured_at - dt.timedelta(seconds=3)
    kept, quiet, sent = everything_until(before), alerts_now(), len(relay.requests)

    with running(command, log):
        wait_for(lambda: len(relay.requests) > sent + 10)
    after_restart, duplicates = everything_until(before), account().duplicate
    # the same once more, byte by byte, as a sender does that reads all of its log again
    again = {relay.pass_on(headers, body) for headers, body in relay.requests[:sent]}

    assert len(kept[0]) > 20
    assert set(relay.statuses) == {204}
    assert again == {204}
    assert after_restart == kept == everything_until(before)
    assert account().duplicate > duplicates
    assert (account().rejected, account().conflict) == (0, 0)
    assert alerts_now() == quiet == []


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
