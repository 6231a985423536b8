"""Takes in the work that providers announce; the same announcement twice is one workload."""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.db import transaction

from controlplane.lib import events
from forecasting.services import note_workloads
from monitoring import selectors as grid
from scheduling.domain.announcements import (
    AnnounceReport,
    BadItem,
    Refusal,
    read_service,
    read_workload,
)
from scheduling.domain.workloads import WorkloadKind, WorkloadState
from scheduling.models import Service, Workload

_UPDATED = ["state", "started_at", "finished_at", "updated_at"]
_SERVICE_UPDATED = ["users", "requirement", "spec", "is_running", "updated_at"]

Row = TypeVar("Row", Workload, Service)


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
    pools = _pools_of(provider_code)
    rows, report = _read_all(
        items,
        lambda item: Workload(
            **read_workload(item, pools), provider_code=provider_code, updated_at=now
        ),
    )
    with transaction.atomic():
        _store(Workload, rows, report, provider_code=provider_code, updated=_UPDATED)
        if rows:
            note_workloads(provider_code, list(rows), now)
            events.publish("grid", {"workloads": len(rows)})
    return report


def announce_services(
    items: Sequence[Any], *, provider_code: str, now: dt.datetime
) -> AnnounceReport:
    """This function will store what a provider says of its services.

    What users ask for, and whether it runs, is what was said last; home, tenant and data class are
    fixed by the first announcement.

    Args:
        items: at most 1000 decoded JSON objects.
        provider_code: whose key came with them.
        now: grid time.

    Returns:
        Counts, and for each refused item its index, field, code and reason.
    """
    pools = _pools_of(provider_code)
    regions = [region.code for region in grid.regions()]
    rows, report = _read_all(
        items,
        lambda item: Service(
            **read_service(item, pools, regions), provider_code=provider_code, updated_at=now
        ),
    )
    with transaction.atomic():
        _store(Service, rows, report, provider_code=provider_code, updated=_SERVICE_UPDATED)
        if rows:
            events.publish("grid", {"services": len(rows)})
    return report


def _pools_of(provider_code: str) -> dict[str, int]:
    return {pool.code: pool.id for pool in grid.pools() if pool.provider == provider_code}


def _read_all(
    items: Sequence[Any], read: Callable[[Any], Row]
) -> tuple[dict[str, Row], AnnounceReport]:
    report = AnnounceReport(received=len(items))
    rows: dict[str, Row] = {}
    for index, item in enumerate(items):
        try:
            row = read(item)
            _check_first(row.external_id, rows)
        except BadItem as bad:
            report.errors.append(Refusal(index, bad.field, bad.code, bad.reason))
        else:
            rows[row.external_id] = row
    return rows, report


def _check_first(external_id: str, rows: Mapping[str, object]) -> None:
    if external_id in rows:
        raise BadItem("external_id", "twice-in-batch", "comes twice in this batch")


def _store(
    model: type[Row],
    rows: dict[str, Row],
    report: AnnounceReport,
    *,
    provider_code: str,
    updated: Sequence[str],
) -> None:
    """Store what is new or has changed, leave only that in `rows`, and count both."""
    known = model.objects.filter(provider_code=provider_code, external_id__in=list(rows))
    report.unchanged = _drop_unchanged(rows, known, [n for n in updated if n != "updated_at"])
    model.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["provider_code", "external_id"],
        update_fields=list(updated),
    )
    report.accepted = len(rows)


def _drop_unchanged(rows: dict[str, Row], known: Iterable[Row], fields: Sequence[str]) -> int:
    same = [
        old.external_id
        for old in known
        if all(getattr(old, name) == getattr(rows[old.external_id], name) for name in fields)
    ]
    for external_id in same:
        del rows[external_id]
    return len(same)


def prune_workloads(now: dt.datetime, *, keep: dt.timedelta) -> int:
    """This function will forget workloads that ended long ago and that no plan ever touched.

    Replicas of services that were drafted and never sent are among them.

    Returns:
        How many were removed.
    """
    old = Workload.objects.filter(
        state=WorkloadState.DONE, finished_at__lt=now - keep, passages__isnull=True
    )
    idle = Workload.objects.filter(
        kind=WorkloadKind.SERVICE, updated_at__lt=now - keep, passages__isnull=True
    )
    return sum((Counter(old.delete()[1]) + Counter(idle.delete()[1])).values())
