"""Stores planning runs, plans with their moves, the work that moves, and decisions."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from scheduling.domain.lifecycle import MovedWork, MoveState, PassageState, PlanState
from scheduling.domain.planner.outcome import PlanStatus
from scheduling.domain.policy import Decision
from scheduling.models.workloads import Workload


class PlanningRun(models.Model):
    """One solve of one situation: what went in, how good the answer is, and doing nothing."""

    as_of = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField()
    request_key = models.TextField(  # noqa: DJ001 (unique: empty texts would clash)
        null=True, unique=True, help_text="Idempotency-Key of the request that asked for it"
    )
    forecast_run_id = models.BigIntegerField(null=True)
    snapshot_hash = models.TextField()
    rules_version = models.TextField()
    risk_quantile = models.FloatField()
    slots = models.IntegerField()
    status = models.TextField(choices=[(s.value, s.value) for s in PlanStatus])
    objective_usd = models.FloatField()
    bound_usd = models.FloatField()
    gap = models.FloatField()
    do_nothing_usd = models.FloatField()
    parts = models.JSONField()
    do_nothing_parts = models.JSONField()
    residual_usd = models.FloatField(help_text="saving of those who stay")
    waiting = models.JSONField(help_text="per group that waits: why, in code and words")
    statistics = models.JSONField()
    solve_s = models.FloatField()
    memory = models.BinaryField(
        null=True, help_text="what the next solve may begin with; losing it costs time only"
    )
    violations = models.JSONField(default=list, help_text="what the independent checker found")

    def __str__(self) -> str:
        return f"{self.as_of} {self.status}"


class RebalancingPlan(models.Model):
    """The moves of one solve between one pair of regions: what these regions must agree on."""

    run = models.ForeignKey(PlanningRun, on_delete=models.PROTECT, related_name="plans")
    state = models.TextField(choices=[(s.value, s.value) for s in PlanState])
    source_region = models.TextField()
    destination_region = models.TextField()
    created_at = models.DateTimeField()
    decide_by = models.DateTimeField()
    content_hash = models.TextField()
    units = models.FloatField()
    jobs = models.IntegerField()
    saving_usd = models.FloatField()
    parts = models.JSONField()
    capacities = models.JSONField(help_text="capacity of each pool touched, as planned with")
    proposer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    proposed_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    state_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="plan_proposed_has_proposer",
                condition=Q(proposer__isnull=False)
                | Q(
                    state__in=[
                        PlanState.DRAFT.value,
                        PlanState.SUPERSEDED.value,
                        PlanState.EXPIRED.value,
                    ]
                ),
            ),
            models.UniqueConstraint(
                name="plan_one_per_corridor_and_run",
                fields=["run", "source_region", "destination_region"],
            ),
        ]
        indexes = [
            # the loops: plans in a state, oldest first
            models.Index(fields=["state", "created_at"], name="plan_by_state"),
        ]

    def __str__(self) -> str:
        return f"plan {self.pk} {self.source_region} → {self.destination_region} {self.state}"


class Move(models.Model):
    """Whole jobs of one group from one pool to another, from a moment on."""

    plan = models.ForeignKey(RebalancingPlan, on_delete=models.CASCADE, related_name="moves")
    position = models.IntegerField()
    state = models.TextField(choices=[(s.value, s.value) for s in MoveState])
    group_key = models.TextField()
    work = models.TextField(
        choices=[(k.value, k.value) for k in MovedWork], default=MovedWork.WAITING.value
    )
    data_class = models.TextField()
    source_pool = models.ForeignKey("monitoring.Pool", on_delete=models.PROTECT, related_name="+")
    destination_pool = models.ForeignKey(
        "monitoring.Pool", on_delete=models.PROTECT, related_name="+"
    )
    jobs = models.IntegerField()
    units_per_job = models.IntegerField()
    requested_duration_s = models.FloatField()
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    saving_usd = models.FloatField()
    parts = models.JSONField()
    reason_code = models.TextField()
    reason_zh = models.TextField()
    reason_en = models.TextField()
    runner_up = models.JSONField(default=dict)
    predicted = models.JSONField(help_text="per job: at home and away, for the account")
    state_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(name="move_once_per_plan", fields=["plan", "position"]),
            models.CheckConstraint(
                name="move_goes_somewhere",
                condition=~Q(source_pool=models.F("destination_pool")),
            ),
        ]

    def __str__(self) -> str:
        return f"move {self.plan_id}.{self.position} {self.state}"


class Passage(models.Model):
    """One workload bound to a move, on its way from engine to engine."""

    move = models.ForeignKey(Move, on_delete=models.CASCADE, related_name="passages")
    workload = models.ForeignKey(Workload, on_delete=models.PROTECT, related_name="passages")
    state = models.TextField(choices=[(s.value, s.value) for s in PassageState])
    state_reason = models.TextField(blank=True, default="")
    done_s = models.FloatField(
        default=0.0, help_text="work that a checkpoint kept: not done again at the destination"
    )
    placed_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="passage_once_per_move", fields=["move", "workload"]),
            # a workload goes one way at a time: plans that compete for it cannot both have it
            models.UniqueConstraint(
                name="passage_one_at_a_time",
                fields=["workload"],
                condition=Q(
                    state__in=[
                        PassageState.WITHDRAWING.value,
                        PassageState.SUBMITTING.value,
                        PassageState.RELEASING.value,
                        PassageState.PLACED.value,
                        PassageState.RUNNING.value,
                    ]
                ),
            ),
        ]
        indexes = [
            # the dispatch loop: workloads on their way
            models.Index(fields=["state"], name="passage_by_state"),
        ]

    def __str__(self) -> str:
        return f"passage {self.pk} {self.state}"


class Approval(models.Model):
    """One person's recorded decision on one content of one plan."""

    plan = models.ForeignKey(RebalancingPlan, on_delete=models.CASCADE, related_name="approvals")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = models.TextField()
    region_code = models.TextField(blank=True, default="")
    decision = models.TextField(choices=[(d.value, d.value) for d in Decision])
    reason_code = models.TextField(blank=True, default="")
    comment = models.TextField(blank=True, default="")
    content_hash = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            # two clicks, a retry or a second seat are one decision
            models.UniqueConstraint(name="approval_once_per_person", fields=["plan", "user"]),
            models.UniqueConstraint(
                name="approval_once_per_seat", fields=["plan", "role", "region_code"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id} {self.role} {self.region_code} {self.decision}"
