"""Reads what providers announce of their work, field by field; what is wrong is named."""

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduling.domain.workloads import DataClass, WorkloadKind, WorkloadState

MAX_BATCH = 1000
MAX_ERRORS = 100
MOST_UNITS = 1_000_000
HOURS_PER_DAY = 24
LONGEST_SPEC = 10_000
MOST_USER_REGIONS = 100
# names that the grid itself gives to replicas of services
RESERVED = "replica:"


class BadItem(Exception):
    """An announced item cannot be taken: which field, a stable code and the reason in words."""

    def __init__(self, name: str, code: str, reason: str) -> None:
        """Refuse an item because of one field."""
        super().__init__(reason)
        self.field, self.code, self.reason = name, code, reason


@dataclass(frozen=True)
class Refusal:
    """Why one announced item was not taken."""

    index: int
    field: str
    code: str
    reason: str


@dataclass
class AnnounceReport:
    """What became of a batch: received = accepted + unchanged + rejected."""

    received: int = 0
    accepted: int = 0
    unchanged: int = 0
    errors: list[Refusal] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        """How many were not taken."""
        return len({error.index for error in self.errors})


def read_workload(item: Any, pools: Mapping[str, int]) -> dict[str, Any]:
    """This function will read one announced batch workload.

    Args:
        item: a decoded JSON value.
        pools: key of each pool of the provider by its code.

    Returns:
        Fields of a stored workload.

    Raises:
        BadItem: the first field that is wrong.
    """
    body = _object(item)
    if body.get("kind", WorkloadKind.BATCH) != WorkloadKind.BATCH:
        raise BadItem("kind", "not-batch", "services are announced at /api/v1/services")
    name = _text(body, "external_id", 200)
    if name.startswith(RESERVED):
        raise BadItem("external_id", "reserved", f"must not begin with {RESERVED}")
    units = int(_number(body, "units", least=1, most=MOST_UNITS, whole=True))
    return {
        "external_id": name,
        "pool_id": _pool(body, pools),
        "tenant": _text(body, "tenant", 200),
        "units": units,
        "requested_duration_s": _number(body, "requested_duration_s", least=1, most=1e9),
        "submitted_at": _moment(body, "submitted_at"),
        "deadline_at": _moment(body, "deadline_at"),
        "data_class": _choice(body, "data_class", DataClass),
        "data_gb": _number(body, "data_gb", least=0, most=1e9),
        "checkpointable": body.get("checkpointable") is True,
        "checkpoint_every_s": (
            _number(body, "checkpoint_every_s", least=1, most=1e9)
            if body.get("checkpoint_every_s") is not None
            else None
        ),
        "requirement": _optional_text(body, "requirement"),
        "members": int(_number({"members": 1} | body, "members", least=1, most=units, whole=True)),
        "spec": _spec(body),
        "state": _choice(body, "state", WorkloadState),
        "started_at": _moment(body, "started_at", optional=True),
        "finished_at": _moment(body, "finished_at", optional=True),
    }


def read_service(item: Any, pools: Mapping[str, int], regions: Iterable[str]) -> dict[str, Any]:
    """This function will read one announced service.

    Args:
        item: a decoded JSON value.
        pools: key of each pool of the provider by its code.
        regions: codes of regions in which users may be.

    Returns:
        Fields of a stored service.

    Raises:
        BadItem: the first field that is wrong.
    """
    body = _object(item)
    name = _text(body, "external_id", 200)
    if "/" in name:
        raise BadItem("external_id", "invalid", "must not hold a slash")
    users = body.get("users")
    if not isinstance(users, list) or not 0 < len(users) <= MOST_USER_REGIONS:
        message = f"must be a list of 1 to {MOST_USER_REGIONS} objects"
        raise BadItem("users", "invalid", message)
    known = set(regions)
    read = [_users(one, f"users[{place}]", known) for place, one in enumerate(users)]
    if len({one["region"] for one in read}) < len(read):
        raise BadItem("users", "twice", "names a region twice")
    return {
        "external_id": name,
        "pool_id": _pool(body, pools),
        "tenant": _text(body, "tenant", 200),
        "data_class": _choice(body, "data_class", DataClass),
        "requirement": _optional_text(body, "requirement"),
        "users": read,
        "spec": _spec(body),
        "is_running": _choice(body, "state", ("RUNNING", "ENDED")) == "RUNNING",
    }


def _users(item: Any, where: str, regions: set[str]) -> dict[str, Any]:
    if not isinstance(item, dict) or item.get("region") not in regions:
        raise BadItem(f"{where}.region", "unknown-region", "there is no such region")
    units = item.get("units")
    if not isinstance(units, list) or len(units) != HOURS_PER_DAY:
        message = "must be 24 numbers, one per hour of the UTC day"
        raise BadItem(f"{where}.units", "invalid", message)
    asked = [
        _number({f"{where}.units": one}, f"{where}.units", least=0, most=MOST_UNITS)
        for one in units
    ]
    bound = f"{where}.latency_bound_ms"
    return {
        "region": item["region"],
        "units": asked,
        "latency_bound_ms": _number(
            {bound: item.get("latency_bound_ms")}, bound, least=0.1, most=1e5
        ),
    }


def _object(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise BadItem("", "not-an-object", "must be an object")
    return item


def _pool(body: Mapping[str, Any], pools: Mapping[str, int]) -> int:
    code = _text(body, "pool", 200)
    if code not in pools:
        raise BadItem("pool", "unknown-pool", "is not a pool of yours")
    return pools[code]


def _spec(body: Mapping[str, Any]) -> dict[str, Any]:
    spec = body.get("spec", {})
    if not isinstance(spec, dict) or len(str(spec)) > LONGEST_SPEC:
        raise BadItem("spec", "invalid", "must be an object of at most 10,000 characters")
    return spec


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > longest:
        raise BadItem(name, "invalid", f"must be a text of 1 to {longest} characters")
    if "\x00" in value or not value.isprintable():
        raise BadItem(name, "invalid", "must not hold control characters")
    return value


def _optional_text(body: Mapping[str, Any], name: str) -> str:
    return _text(body, name, 100) if body.get(name) else ""


def _number(
    body: Mapping[str, Any], name: str, *, least: float, most: float, whole: bool = False
) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadItem(name, "not-a-number", "must be a plain number")
    if not least <= value <= most:
        raise BadItem(name, "out-of-range", f"must be from {least:g} to {most:g}")
    if whole and value != int(value):
        raise BadItem(name, "not-whole", "must be a whole number")
    return float(value)


def _choice(body: Mapping[str, Any], name: str, choices: Iterable[str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or value not in set(choices):
        raise BadItem(name, "unknown-choice", f"must be one of {', '.join(choices)}")
    return str(value)


def _moment(body: Mapping[str, Any], name: str, *, optional: bool = False) -> Any:
    value = body.get(name)
    if value is None and optional:
        return None
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadItem(name, "invalid-time", "must be an RFC 3339 time with an offset")
    return moment
