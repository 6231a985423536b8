"""The engine API of a provider: HTTP on the loopback, guarded by the engine token."""

import hmac
import json
import logging
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from simulator.engine import (
    Engine,
    EngineRefusal,
    JobNotQueued,
    JobNotStoppable,
    JobNotWithdrawn,
    JobRequest,
    JobTooLarge,
    KeyReused,
    UnknownJob,
    UnknownPool,
)

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
MAX_KEY_LENGTH = 200
MAX_KEYS = 500
MAX_DURATION_S = 366 * 86_400
MAX_CONNECTIONS = 64
IDLE_CONNECTION_S = 60
STATUS_OF = {
    UnknownPool: 404,
    UnknownJob: 404,
    KeyReused: 422,
    JobTooLarge: 409,
    JobNotQueued: 409,
    JobNotStoppable: 409,
    JobNotWithdrawn: 409,
}


@dataclass
class Faults:
    """Faults to act out next: answers to drop, requests to fail, and a delay before answering."""

    drop_responses: int = 0
    fail_requests: int = 0
    delay_s: float = 0.0


class BadRequest(Exception):
    """A request cannot be read; `field` names the part, `status` the HTTP status."""

    def __init__(self, field: str, reason: str, *, status: int = 400) -> None:
        """Refuse the request because of one field."""
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.status = status


class EngineServer(ThreadingHTTPServer):
    """Serves one engine; every connection has a thread, at most 64 at a time."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, engine: Engine, *, token: str) -> None:
        """Listen on 127.0.0.1; `port` 0 takes a free one."""
        self.engine = engine
        self.token = token.encode()
        self.faults = Faults()
        self.faults_lock = threading.Lock()
        self.slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(("127.0.0.1", port), EngineHandler)

    def take_fault(self, name: str) -> bool:
        """Use up one of the counted faults if any is left."""
        with self.faults_lock:
            left = getattr(self.faults, name)
            setattr(self.faults, name, max(0, left - 1))
        return bool(left)


class EngineHandler(BaseHTTPRequestHandler):
    """Translates one connection's requests into calls of the engine."""

    server: EngineServer
    protocol_version = "HTTP/1.1"
    server_version = "SimulatedEngine/1"
    sys_version = ""
    timeout = IDLE_CONNECTION_S
    # Head and body leave in one segment; otherwise each answer waits for a delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Serve the connection if a slot is free, else close it at once."""
        if not self.server.slots.acquire(blocking=False):
            self.close_connection = True
            return
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            self.server.slots.release()

    def do_GET(self) -> None:
        """Answer a read."""
        self._answer_request("GET")

    def do_POST(self) -> None:
        """Answer a submission, a release or a change of faults."""
        self._answer_request("POST")

    def do_DELETE(self) -> None:
        """Answer a withdrawal."""
        self._answer_request("DELETE")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what http.server itself refuses with a problem, too."""
        self.close_connection = True
        detail = explain or message or "the request cannot be read"
        self._send_problem(int(code), "bad-request", detail)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of the base class
        """Keep requests out of the log, except when somebody debugs."""
        logger.debug(format, *args)

    def _answer_request(self, method: str) -> None:
        parts = urlsplit(self.path)
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        try:
            body = self._read_body()
            if path == ["healthz"] and method == "GET":
                self._send(200, {"status": "ok"})
                return
            self._check_token()
            if path == ["v1", "faults"] and method == "POST":
                self._send(200, self._set_faults(_json_body(body)))
                return
            if self.server.take_fault("fail_requests"):
                self._send_problem(503, "injected-fault", "this failure was asked for")
                return
            status, document = self._route(method, path, query=parts.query, body=body)
        except BadRequest as error:
            self._send_problem(error.status, "bad-request", error.reason, field=error.field)
        except EngineRefusal as error:
            job = error.job.as_engine_job() if error.job else {}
            self._send_problem(STATUS_OF[type(error)], error.code, error.detail, **job)
        else:
            self._send_effect(status, document)

    def _route(
        self, method: str, path: list[str], *, query: str, body: bytes
    ) -> tuple[int, dict[str, Any]]:
        engine = self.server.engine
        match (method, *path):
            case ("POST", "v1", "pools", pool, "jobs"):
                job, is_new = engine.submit(pool, self._idempotency_key(), _job_request(body))
                return (201 if is_new else 200), job.as_engine_job()
            case ("GET", "v1", "pools", pool, "jobs"):
                jobs = engine.jobs(pool, _keys(query))
                return 200, {"jobs": [job.as_engine_job() for job in jobs]}
            case ("GET", "v1", "pools", pool, "jobs", key):
                return 200, engine.job(pool, key).as_engine_job()
            case ("DELETE", "v1", "pools", pool, "jobs", key):
                return 200, engine.withdraw(pool, key).as_engine_job()
            case ("POST", "v1", "pools", pool, "jobs", key, "release" | "checkpoint" as verb):
                act = engine.release if verb == "release" else engine.checkpoint
                return 200, act(pool, key).as_engine_job()
        raise BadRequest("path", f"there is no {method} {self.path}", status=404)

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            raise BadRequest("Content-Length", "a body needs a length", status=411)
        if int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise BadRequest("body", f"more than {MAX_BODY_BYTES} bytes", status=413)
        return self.rfile.read(int(length))

    def _check_token(self) -> None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        is_valid = hmac.compare_digest(token.strip().encode(), self.server.token)
        if scheme.lower() != "bearer" or not is_valid:
            raise BadRequest("Authorization", "the engine token is missing or wrong", status=401)

    def _idempotency_key(self) -> str:
        key: str = self.headers.get("Idempotency-Key", "").strip()
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            raise BadRequest("Idempotency-Key", f"must have 1 to {MAX_KEY_LENGTH} characters")
        return key

    def _set_faults(self, document: dict[str, Any]) -> dict[str, Any]:
        limits = {"drop_responses": 10_000, "fail_requests": 10_000, "delay_s": 60.0}
        with self.server.faults_lock:
            for name, limit in limits.items():
                value = document.get(name, getattr(self.server.faults, name))
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                if not is_number or not 0 <= value <= limit:
                    raise BadRequest(name, f"must be a number from 0 to {limit}")
                setattr(self.server.faults, name, value if name == "delay_s" else int(value))
            return dict(vars(self.server.faults))

    def _send_effect(self, status: int, document: dict[str, Any]) -> None:
        if self.server.faults.delay_s:
            time.sleep(self.server.faults.delay_s)
        if self.server.take_fault("drop_responses"):
            self.close_connection = True
            return
        self._send(status, document)

    def _send_problem(self, status: int, code: str, detail: str, **more: Any) -> None:
        problem = {"title": code.replace("-", " "), "status": status, "code": code}
        document = {"type": "about:blank", **problem, "detail": detail, **more}
        self._send(status, document, media_type="application/problem+json")

    def _send(
        self, status: int, document: dict[str, Any], *, media_type: str = "application/json"
    ) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _keys(query: str) -> list[str]:
    keys = [key for key in ",".join(parse_qs(query).get("keys", [])).split(",") if key]
    if not 0 < len(keys) <= MAX_KEYS:
        raise BadRequest("keys", f"must name 1 to {MAX_KEYS} jobs")
    return keys


def _json_body(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        raise BadRequest("body", "is no JSON") from None
    if not isinstance(document, dict):
        raise BadRequest("body", "must be an object")
    return document


def _job_request(body: bytes) -> JobRequest:
    document = _json_body(body)
    name, spec = document.get("name"), document.get("spec")
    if not isinstance(name, str) or not name:
        raise BadRequest("name", "must be a text")
    if not isinstance(spec, dict) or not isinstance(spec.get("program"), str):
        raise BadRequest("spec.program", "must be a text")
    done_s = spec.get("done_s", 0)
    if not isinstance(done_s, int) or isinstance(done_s, bool) or not 0 <= done_s <= MAX_DURATION_S:
        raise BadRequest("spec.done_s", f"must be a whole number from 0 to {MAX_DURATION_S}")
    units = _whole_number(document, "units", most=1_000_000)
    duration_s = _whole_number(document, "requested_duration_s", most=MAX_DURATION_S)
    return JobRequest(name, units, duration_s, spec)


def _whole_number(document: dict[str, Any], name: str, *, most: int) -> int:
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise BadRequest(name, f"must be a whole number from 1 to {most}")
    return value
