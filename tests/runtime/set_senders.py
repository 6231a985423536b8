"""Senders that remember what they sent and what was acknowledged, each in its own format."""

import datetime as dt
import http.client
import io
import itertools
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

from tests.wire import PROTOBUF, V2_TYPE, V2Request, snappy, write_v1

FIELDS = ("capacity", "allocated", "queued")
RETRIED = {429, 500, 502, 503, 504}
# some senders lose patience: what they gave up may be there or not
GIVES_UP_SHARE = 0.3
ANSWER_WITHIN_S = 15.0


@dataclass(frozen=True)
class Row:
    """One unique sample; its second and its figures are its name."""

    pool: str
    second: float
    capacity: float
    allocated: float
    queued: float

    @property
    def key(self):
        """Which sample it is."""
        return self.pool, self.second

    @property
    def figures(self):
        """What must be read back."""
        return self.capacity, self.allocated, self.queued


@dataclass(eq=False)
class Sender(threading.Thread):
    """Sends unique samples of one pool until it is told to stop, and each until it is taken."""

    port: int
    provider: str
    pool: str
    key: str
    form: str
    first_second: float
    capacity: float
    seed: int
    rows_a_batch: int = 20
    pause_s: float = 0.02
    sent: dict = field(default_factory=dict)
    acknowledged: set = field(default_factory=set)
    faults: list = field(default_factory=list)
    tries: int = 0
    refused: int = 0
    turned_away: Counter = field(default_factory=Counter)
    given_up: int = 0

    def __post_init__(self):
        super().__init__(name=f"sender-{self.form}", daemon=True)
        self.ending = threading.Event()
        self.deadline_s = float("inf")
        self._random = random.Random(self.seed)  # noqa: S311 (no secret)

    def run(self):
        """Send batch after batch."""
        seconds = itertools.count(self.first_second)
        while not self.ending.is_set():
            rows = [self._row(round(next(seconds), 2)) for _ in range(self.rows_a_batch)]
            self.sent |= {row.key: row.figures for row in rows}
            self._deliver(rows)
            time.sleep(self.pause_s)

    def _row(self, second):
        allocated = float(self._random.randint(0, int(self.capacity)))
        queued = float(self._random.randrange(0, 500))
        return Row(self.pool, second, self.capacity, allocated, queued)

    def _deliver(self, rows):
        path, headers, body = FORMATS[self.form](rows)
        is_patient = self._random.random() >= GIVES_UP_SHARE
        while time.monotonic() < self.deadline_s:
            self.tries += 1
            status, retry_after, text = self._post(path, headers, body)
            if status is not None and 200 <= status <= 299:
                self._acknowledge(rows, text)
                return
            if status is not None and status not in RETRIED:
                self.faults.append((status, text[:300]))
                return
            self.refused += 1
            if status in (429, 503):
                self.turned_away[_code(text)] += 1
                if not retry_after:
                    self.faults.append((status, "no Retry-After"))
            if not is_patient:
                self.given_up += len(rows)
                return
            time.sleep(self._random.uniform(0.05, 0.4))

    def _post(self, path, headers, body):
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            return response.status, response.getheader("Retry-After"), text
        except (OSError, http.client.HTTPException):
            return None, None, ""
        finally:
            connection.close()

    def _acknowledge(self, rows, text):
        if self.form in ("json", "arrow"):
            report = json.loads(text)
            if report["accepted"] + report["duplicate"] != len(rows):
                self.faults.append((200, text[:300]))
                return
        elif self.form == "otlp" and json.loads(text or "{}"):
            self.faults.append((200, text[:300]))
            return
        self.acknowledged |= {row.key for row in rows}


def _code(text):
    """Return the stable code of a problem; OTLP answers without one."""
    try:
        return json.loads(text).get("code", "no-code")
    except ValueError:
        return "no-json"


def _stamp(row):
    return dt.datetime.fromtimestamp(row.second, dt.UTC)


def _columns(rows, stamps):
    return {
        "pool": [row.pool for row in rows],
        "measured_at": stamps,
        "capacity": [row.capacity for row in rows],
        "allocated": [row.allocated for row in rows],
        "queued": [row.queued for row in rows],
    }


def _json(rows):
    columns = _columns(rows, [_stamp(row).isoformat() for row in rows])
    body = json.dumps({"columns": columns}).encode()
    return "/api/v1/telemetry", {"Content-Type": "application/json"}, body


def _arrow(rows):
    stamps = pa.array([_stamp(row) for row in rows], pa.timestamp("us", "UTC"))
    table = pa.table(_columns(rows, stamps))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    kind = {"Content-Type": "application/vnd.apache.arrow.stream"}
    return "/api/v1/telemetry", kind, sink.getvalue()


def _series(rows):
    for name in FIELDS:
        labels = {"__name__": f"tiaodu_{name}", "tiaodu_pool": rows[0].pool}
        values = dict(zip(FIELDS, zip(*(row.figures for row in rows), strict=True), strict=True))
        stamps = [round(row.second * 1000) for row in rows]
        yield labels, list(zip(stamps, values[name], strict=True))


def _write_v1(rows):
    headers = {"Content-Type": PROTOBUF, "Content-Encoding": "snappy"}
    headers["X-Prometheus-Remote-Write-Version"] = "0.1.0"
    return "/api/v1/prometheus/write", headers, snappy(write_v1(list(_series(rows))))


def _write_v2(rows):
    request = V2Request()
    for labels, samples in _series(rows):
        request.add(labels, samples)
    headers = {"Content-Type": V2_TYPE, "Content-Encoding": "snappy"}
    headers["X-Prometheus-Remote-Write-Version"] = "2.0.0"
    return "/api/v1/prometheus/write", headers, snappy(request.body())


def _otlp(rows):
    metrics = [
        {
            "name": labels["__name__"],
            "gauge": {
                "dataPoints": [
                    {"timeUnixNano": str(at_ms * 1_000_000), "asDouble": value}
                    for at_ms, value in samples
                ]
            },
        }
        for labels, samples in _series(rows)
    ]
    pool = {"key": "tiaodu_pool", "value": {"stringValue": rows[0].pool}}
    resource = {"attributes": [pool]}
    document = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
    body = json.dumps(document).encode()
    return "/api/v1/otlp/v1/metrics", {"Content-Type": "application/json"}, body


FORMATS = {
    "json": _json,
    "arrow": _arrow,
    "remote-write-1": _write_v1,
    "remote-write-2": _write_v2,
    "otlp": _otlp,
}
