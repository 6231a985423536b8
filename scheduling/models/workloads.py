"""Stores workloads as their providers announced them."""

from django.db import models
from django.db.models import Q

from scheduling.domain.workloads import DataClass, WorkloadKind, WorkloadState

MAX = 1e9


class Workload(models.Model):
    """A movable piece of work, as its provider announced it; the engines run it."""

    provider_code = models.TextField()
    external_id = models.TextField()
    pool = models.ForeignKey("monitoring.Pool", on_delete=models.PROTECT, related_name="+")
    kind = models.TextField(
        choices=[(k.value, k.value) for k in WorkloadKind], default=WorkloadKind.BATCH.value
    )
    tenant = models.TextField()
    units = models.IntegerField()
    requested_duration_s = models.FloatField()
    submitted_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    data_class = models.TextField(choices=[(c.value, c.value) for c in DataClass])
    data_gb = models.FloatField()
    checkpointable = models.BooleanField(default=False)
    checkpoint_every_s = models.FloatField(
        null=True, help_text="most work that is lost when it is stopped; null: not known"
    )
    requirement = models.TextField(
        blank=True, default="", help_text="what it asks of an accelerator; empty: any"
    )
    members = models.IntegerField(
        default=1, help_text="of a gang: how many start together or not at all; units are of all"
    )
    priority = models.IntegerField(default=0)
    spec = models.JSONField(default=dict)
    state = models.TextField(choices=[(s.value, s.value) for s in WorkloadState])
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="workload_once_per_provider", fields=["provider_code", "external_id"]
            ),
            models.CheckConstraint(
                name="workload_sizes_sane",
                condition=Q(units__gte=1, units__lte=1_000_000)
                & Q(requested_duration_s__gt=0, requested_duration_s__lte=MAX)
                & Q(data_gb__gte=0, data_gb__lte=MAX),
            ),
            models.CheckConstraint(
                name="workload_gang_and_checkpoints_sane",
                condition=Q(members__gte=1, members__lte=models.F("units"))
                & (
                    Q(checkpoint_every_s__isnull=True)
                    | Q(checkpoint_every_s__gt=0, checkpoint_every_s__lte=MAX)
                ),
            ),
        ]
        indexes = [
            # what waits, and what holds a pool: the planner's first questions
            models.Index(
                fields=["pool", "state"],
                name="workload_open_by_pool",
                condition=Q(state__in=[WorkloadState.QUEUED.value, WorkloadState.RUNNING.value]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_code}/{self.external_id}"


class Service(models.Model):
    """Work that serves users and does not end by itself, as its provider announced it.

    `users` says, per region of users, how many units they ask for in each hour of the UTC day and
    how far away they may be served: `[{"region", "units": [24 numbers], "latency_bound_ms"}]`.
    """

    provider_code = models.TextField()
    external_id = models.TextField()
    pool = models.ForeignKey("monitoring.Pool", on_delete=models.PROTECT, related_name="+")
    tenant = models.TextField()
    data_class = models.TextField(choices=[(c.value, c.value) for c in DataClass])
    requirement = models.TextField(blank=True, default="")
    users = models.JSONField()
    spec = models.JSONField(default=dict)
    is_running = models.BooleanField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="service_once_per_provider", fields=["provider_code", "external_id"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_code}/{self.external_id}"
