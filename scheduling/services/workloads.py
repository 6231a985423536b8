"""Takes in the workloads that providers announce; the same announcement twice is one workload."""

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from controlplane.lib import events
from forecasting.services import note_workloads
from monitoring import selectors as grid
from scheduling.domain.workloads import DataClass, WorkloadState
from scheduling.models import Workload

MAX_BATCH = 1000
MAX_ERRORS = 100
_UPDATED = ["state", "started_at", "finished_at", "updated_at"]
_FIXED = [
    "pool_id",
    "tenant",
    "units",
    "requested_duration_s",
    "submitted_at",
    "deadline_at",
    "data_class",
    "data_gb",
    "checkpointable",
    "priority",
    "spec",
]


@dataclass(frozen=True)
class Refusal:
    """Why one announced workload was not taken."""

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


class _Bad(Exception):
    def __init__(self, name: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.code, self.reason = name, code, reason


def announce_workloads(
    items: Sequence[Any], *, provider_code: str, now: dt.datetime
) -> AnnounceReport:
    """This function will store what a provider says of its movable work.

    One bad item never blocks a good one. What a workload asks for is fixed by its first
    announcement; later ones move its state.

    Args:
        items: at most 1000 decoded JSON objects.
        provider_code: whose key came with them.
        now: grid time.

    Returns:
        Counts, and for each refused item its index, field, code and reason.
    """
    report = AnnounceReport(received=len(items))
    pools = {pool.code: pool.id for pool in grid.pools() if pool.provider == provider_code}
    rows: dict[str, Workload] = {}
    for index, item in enumerate(items):
        try:
            row = _row(item, pools, provider_code, now)
            _check_first(row, rows)
        except _Bad as bad:
            report.errors.append(Refusal(index, bad.field, bad.code, bad.reason))
        else:
            rows[row.external_id] = row
    with transaction.atomic():
        report.unchanged = _drop_unchanged(rows, provider_code)
        Workload.objects.bulk_create(
            rows.values(),
            update_conflicts=True,
            unique_fields=["provider_code", "external_id"],
            update_fields=_UPDATED,
        )
        report.accepted = len(rows)
        if rows:
            note_workloads(provider_code, list(rows), now)
            events.publish("grid", {"workloads": len(rows)})
    return report


def _check_first(row: Workload, rows: Mapping[str, Workload]) -> None:
    if row.external_id in rows:
        raise _Bad("external_id", "twice-in-batch", "comes twice in this batch")


def _drop_unchanged(rows: dict[str, Workload], provider_code: str) -> int:
    known = Workload.objects.filter(provider_code=provider_code, external_id__in=list(rows))
    same = [
        old.external_id
        for old in known
        if all(getattr(old, name) == getattr(rows[old.external_id], name) for name in _UPDATED[:3])
    ]
    for external_id in same:
        del rows[external_id]
    return len(same)


def _row(item: Any, pools: Mapping[str, int], provider_code: str, now: dt.datetime) -> Workload:
    if not isinstance(item, dict):
        raise _Bad("", "not-an-object", "must be an object")
    pool = _text(item, "pool", 200)
    if pool not in pools:
        raise _Bad("pool", "unknown-pool", "is not a pool of yours")
    spec = item.get("spec", {})
    if not isinstance(spec, dict) or len(str(spec)) > 10_000:
        raise _Bad("spec", "invalid", "must be an object of at most 10,000 characters")
    return Workload(
        provider_code=provider_code,
        external_id=_text(item, "external_id", 200),
        pool_id=pools[pool],
        tenant=_text(item, "tenant", 200),
        units=int(_number(item, "units", least=1, most=1_000_000, whole=True)),
        requested_duration_s=_number(item, "requested_duration_s", least=1, most=1e9),
        submitted_at=_moment(item, "submitted_at"),
        deadline_at=_moment(item, "deadline_at"),
        data_class=_choice(item, "data_class", DataClass),
        data_gb=_number(item, "data_gb", least=0, most=1e9),
        checkpointable=item.get("checkpointable") is True,
        spec=spec,
        state=_choice(item, "state", WorkloadState),
        started_at=_moment(item, "started_at", optional=True),
        finished_at=_moment(item, "finished_at", optional=True),
        updated_at=now,
    )


def _text(item: Mapping[str, Any], name: str, longest: int) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value or len(value) > longest:
        raise _Bad(name, "invalid", f"must be a text of 1 to {longest} characters")
    if "\x00" in value or not value.isprintable():
        raise _Bad(name, "invalid", "must not hold control characters")
    return value


def _number(
    item: Mapping[str, Any], name: str, *, least: float, most: float, whole: bool = False
) -> float:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Bad(name, "not-a-number", "must be a plain number")
    if not least <= value <= most:
        raise _Bad(name, "out-of-range", f"must be from {least:g} to {most:g}")
    if whole and value != int(value):
        raise _Bad(name, "not-whole", "must be a whole number")
    return float(value)


def _choice(item: Mapping[str, Any], name: str, choices: Any) -> str:
    value = item.get(name)
    if value not in set(choices):
        raise _Bad(name, "unknown-choice", f"must be one of {', '.join(choices)}")
    return str(value)


def _moment(item: Mapping[str, Any], name: str, *, optional: bool = False) -> Any:
    value = item.get(name)
    if value is None and optional:
        return None
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _Bad(name, "invalid-time", "must be an RFC 3339 time with an offset")
    return moment


def prune_workloads(now: dt.datetime, *, keep: dt.timedelta) -> int:
    """This function will forget workloads that ended long ago and that no plan ever touched.

    Returns:
        How many were removed.
    """
    old = Workload.objects.filter(
        state=WorkloadState.DONE, finished_at__lt=now - keep, passages__isnull=True
    )
    return sum(Counter(old.delete()[1]).values())
