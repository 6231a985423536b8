"""Open workloads and services, for whoever asks what waits and what runs."""

from typing import Any

from django.db.models import Count, Sum

from scheduling.domain.workloads import WorkloadState
from scheduling.models import Service, Workload

MOST = 500
OPEN = (WorkloadState.QUEUED, WorkloadState.RUNNING)


def open_workloads(pool: str | None = None) -> dict[str, Any]:
    """This function will list open workloads, oldest first, and count them by pool and state.

    Args:
        pool: code of one pool, or None for all.

    Returns:
        JSON-able: `counts` [{pool, state, workloads, units}], `workloads` (at most 500).
    """
    rows = Workload.objects.filter(state__in=OPEN)
    if pool:
        rows = rows.filter(pool__code=pool)
    counts = (
        rows.values("pool__code", "state")
        .annotate(workloads=Count("pk"), units_sum=Sum("units"))
        .order_by("pool__code", "state")
    )
    first = rows.select_related("pool").order_by("submitted_at", "pk")[:MOST]
    return {
        "counts": [
            {
                "pool": row["pool__code"],
                "state": row["state"],
                "workloads": row["workloads"],
                "units": row["units_sum"],
            }
            for row in counts
        ],
        "workloads": [
            {
                "id": row.pk,
                "provider": row.provider_code,
                "external_id": row.external_id,
                "pool": row.pool.code,
                "tenant": row.tenant,
                "units": row.units,
                "state": row.state,
                "data_class": row.data_class,
                "requirement": row.requirement,
                "members": row.members,
                "checkpoint_every_s": row.checkpoint_every_s,
                "submitted_at": row.submitted_at.isoformat(),
                "deadline_at": row.deadline_at.isoformat(),
            }
            for row in first
        ],
    }


def running_services() -> list[dict[str, Any]]:
    """This function will list running services, at most 500, JSON-able."""
    rows = Service.objects.filter(is_running=True).select_related("pool")
    return [
        {
            "id": row.pk,
            "provider": row.provider_code,
            "external_id": row.external_id,
            "pool": row.pool.code,
            "tenant": row.tenant,
            "data_class": row.data_class,
            "requirement": row.requirement,
            "users": row.users,
            "updated_at": row.updated_at.isoformat(),
        }
        for row in rows.order_by("provider_code", "external_id")[:MOST]
    ]
