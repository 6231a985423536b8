"""Stores commands to engines, accounts of plans, and the switch that stops commands."""

from django.db import models
from django.db.models import Q

from scheduling.domain.lifecycle import CommandState
from scheduling.models.plans import Passage, RebalancingPlan


class DispatchCommand(models.Model):
    """One command to one engine: the outbox row, written with the state that it belongs to."""

    class Kind(models.TextChoices):
        """What the engine is asked to do."""

        WITHDRAW = "WITHDRAW", "take a waiting job out of the source's queue"
        CHECKPOINT = "CHECKPOINT", "stop a running job at its last checkpoint and take it out"
        SUBMIT = "SUBMIT", "queue the job at the destination"
        RELEASE = "RELEASE", "put the job back into the source's queue"

    passage = models.ForeignKey(Passage, on_delete=models.CASCADE, related_name="commands")
    kind = models.TextField(choices=Kind.choices)
    key = models.TextField(unique=True, help_text="hash of plan, move, workload, kind and target")
    pool = models.ForeignKey("monitoring.Pool", on_delete=models.PROTECT, related_name="+")
    order = models.JSONField(
        default=dict, help_text="of SUBMIT: the job as it is sent, the same at every attempt"
    )
    state = models.TextField(choices=[(s.value, s.value) for s in CommandState])
    attempts = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    due_wall_at = models.DateTimeField(help_text="not before this wall time")
    sent_wall_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    answer = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(name="command_once_per_passage", fields=["passage", "kind"]),
        ]
        indexes = [
            # the sweep: commands that are not closed, in order of their due time
            models.Index(
                fields=["state", "due_wall_at"],
                name="command_open",
                condition=Q(
                    state__in=[
                        CommandState.PENDING.value,
                        CommandState.SENT.value,
                        CommandState.UNKNOWN.value,
                    ]
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key[:12]} {self.state}"


class Settlement(models.Model):
    """The account of one finished plan: promised against realised, part by part."""

    plan = models.OneToOneField(
        RebalancingPlan, primary_key=True, on_delete=models.CASCADE, related_name="settlement"
    )
    measured_at = models.DateTimeField()
    is_final = models.BooleanField(help_text="whether every moved workload has ended")
    report = models.JSONField()
    predicted_saving_usd = models.FloatField()
    realised_saving_usd = models.FloatField()

    def __str__(self) -> str:
        return f"settlement of plan {self.plan_id}"


class DispatchSwitch(models.Model):
    """The one row that says whether new commands may be sent."""

    is_frozen = models.BooleanField(default=False)
    changed_by = models.TextField(blank=True, default="")
    changed_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(name="dispatchswitch_is_one_row", condition=Q(id=1)),
        ]

    def __str__(self) -> str:
        return "frozen" if self.is_frozen else "open"
