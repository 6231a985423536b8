"""Speaks to the simulated engines over HTTP, as the adapter of a real engine does."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from scheduling.dispatchers.base import (
    Endpoint,
    EngineInDoubt,
    EngineJobState,
    EngineRefused,
    JobOrder,
    JobReport,
)

KEYS_PER_QUESTION = 100


class SimulatedDispatcher:
    """Adapter of the simulated engine; see `scheduling.dispatchers.base.Dispatcher`."""

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        """Take a transport in tests; by default the network.

        Connections are not kept: an engine that restarted must not look like one in doubt.
        """
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(transport=transport, limits=limits, trust_env=False)

    def submit(
        self, endpoint: Endpoint, key: str, order: JobOrder, *, timeout_s: float
    ) -> JobReport:
        """Queue a job under a key."""
        body = {
            "name": order.name,
            "units": order.units,
            "requested_duration_s": math.ceil(order.requested_duration_s),
            "spec": dict(order.spec),
        }
        headers = {"Idempotency-Key": key}
        path = f"/v1/pools/{quote(endpoint.pool)}/jobs"
        return self._job(endpoint, "POST", path, timeout_s, json=body, headers=headers)

    def withdraw(self, endpoint: Endpoint, key: str, *, timeout_s: float) -> JobReport:
        """Take a waiting job out of the queue."""
        return self._job(endpoint, "DELETE", _path(endpoint, key), timeout_s)

    def checkpoint(self, endpoint: Endpoint, key: str, *, timeout_s: float) -> JobReport:
        """Stop a running job at its last checkpoint and take it out."""
        return self._job(endpoint, "POST", f"{_path(endpoint, key)}/checkpoint", timeout_s)

    def release(self, endpoint: Endpoint, key: str, *, timeout_s: float) -> JobReport:
        """Put a withdrawn job back at its old place."""
        return self._job(endpoint, "POST", f"{_path(endpoint, key)}/release", timeout_s)

    def report(self, endpoint: Endpoint, key: str, *, timeout_s: float) -> JobReport | None:
        """Say where a job stands."""
        response = self._ask(endpoint, "GET", _path(endpoint, key), timeout_s)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return _report(_body(response))

    def reports(
        self, endpoint: Endpoint, keys: Sequence[str], *, timeout_s: float
    ) -> dict[str, JobReport]:
        """Say where several jobs stand."""
        found: dict[str, JobReport] = {}
        path = f"/v1/pools/{quote(endpoint.pool)}/jobs"
        for first in range(0, len(keys), KEYS_PER_QUESTION):
            params = {"keys": ",".join(keys[first : first + KEYS_PER_QUESTION])}
            response = self._ask(endpoint, "GET", path, timeout_s, params=params)
            if response.status_code != httpx.codes.OK:
                raise EngineInDoubt(f"The engine answered {response.status_code}.")
            for job in _body(response).get("jobs", []):
                report = _report(job)
                found[report.key] = report
        return found

    def _job(
        self, endpoint: Endpoint, method: str, path: str, timeout_s: float, **kwargs: Any
    ) -> JobReport:
        response = self._ask(endpoint, method, path, timeout_s, **kwargs)
        if response.status_code >= 400:
            raise EngineRefused(
                f"The engine refused ({response.status_code}): {response.text[:200]}",
                status=response.status_code,
            )
        return _report(_body(response))

    def _ask(
        self, endpoint: Endpoint, method: str, path: str, timeout_s: float, **kwargs: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {endpoint.token}", **kwargs.pop("headers", {})}
        try:
            response = self._client.request(
                method, endpoint.url + path, headers=headers, timeout=timeout_s, **kwargs
            )
        except httpx.HTTPError as error:
            raise EngineInDoubt(f"No answer from the engine: {type(error).__name__}.") from error
        # a 5xx, a rate limit or a refused token says nothing about the job
        if response.status_code >= 500 or response.status_code in (401, 403, 408, 429):
            raise EngineInDoubt(f"The engine answered {response.status_code}.")
        return response


def _path(endpoint: Endpoint, key: str) -> str:
    return f"/v1/pools/{quote(endpoint.pool)}/jobs/{quote(key, safe='')}"


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise EngineInDoubt("The engine's answer is not JSON.") from error
    if not isinstance(body, dict):
        raise EngineInDoubt("The engine's answer is not an object.")
    return body


def _report(job: Mapping[str, Any]) -> JobReport:
    try:
        return JobReport(
            key=str(job["key"]),
            state=EngineJobState(job["state"]),
            started_at=_moment(job.get("started_at")),
            finished_at=_moment(job.get("finished_at")),
            done_s=float(job.get("done_s") or 0.0),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EngineInDoubt(f"The engine's answer cannot be read: {error}.") from error


def _moment(text: Any) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(str(text))
