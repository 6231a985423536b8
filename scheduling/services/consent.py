"""Proposing and deciding: the same functions for the API, the page and every other way in."""

import datetime as dt

from django.db import IntegrityError, transaction

from controlplane.auth import audit
from controlplane.auth.permissions import NotAllowed
from controlplane.auth.roles import Actor, Permission, Role
from controlplane.lib import events
from controlplane.lib.errors import ErrorKind, GridError, InvalidField
from scheduling.domain.lifecycle import OPEN_PLAN_STATES, PlanEvent, PlanState
from scheduling.domain.policy import (
    OPERATOR,
    Decision,
    Outcome,
    Person,
    RejectReason,
    Seat,
    Vote,
    outcome,
    required_seats,
    seat_of,
)
from scheduling.models import Approval, Passage, RebalancingPlan
from scheduling.services.states import change_plan
from scheduling.services.validity import why_superseded

MAX_COMMENT = 2000


class PlanNotFound(GridError):
    """There is no plan with this number."""

    code = "plan-not-found"
    kind = ErrorKind.NOT_FOUND


class PlanChanged(GridError):
    """The plan is not the one that the person looked at."""

    code = "plan-changed"
    kind = ErrorKind.PRECONDITION_FAILED


class PlanNotOpen(GridError):
    """The plan can no longer be decided on."""

    code = "plan-not-open"
    kind = ErrorKind.CONFLICT


class AlreadyDecided(GridError):
    """This person, or somebody else from the same seat, has decided already."""

    code = "already-decided"
    kind = ErrorKind.CONFLICT


class NoSeat(NotAllowed):
    """The plan does not need this person's decision."""

    code = "no-seat"


def seats_of(plan: RebalancingPlan) -> tuple[Seat, ...]:
    """This function will name the decisions that a plan needs."""
    return required_seats((plan.source_region, plan.destination_region))


def propose_plan(
    actor: Actor, plan_id: int, *, content_hash: str, now: dt.datetime
) -> RebalancingPlan:
    """This function will put a draft before the regions that it touches.

    Args:
        actor: a grid operator, who then cannot decide on it.
        plan_id: the draft.
        content_hash: of the content that the operator looked at.
        now: grid time.

    Returns:
        The proposed plan.

    Raises:
        NotAllowed: the role does not propose plans.
        PlanNotFound, PlanChanged, PlanNotOpen, TransitionNotAllowed: as they say.
    """
    _require(actor, Permission.PROPOSE_PLAN)
    _settle_time(plan_id, now)
    with transaction.atomic():
        plan = _locked(plan_id, content_hash)
        taken = Passage.objects.filter(
            move__plan__state__in=[state.value for state in OPEN_PLAN_STATES],
            workload__in=Passage.objects.filter(move__plan=plan).values("workload"),
        ).exclude(move__plan=plan)
        if taken.exists():
            raise PlanNotOpen("An open plan already moves some of these workloads.")
        change_plan(plan, PlanEvent.PROPOSE, now, proposer_id=actor.user_id)
        _record(actor, "propose-plan", plan, {})
    return plan


def approve_plan(
    actor: Actor, plan_id: int, *, content_hash: str, now: dt.datetime, comment: str = ""
) -> RebalancingPlan:
    """This function will record an approval, and approve the plan when it was the last one needed.

    Args:
        actor: an admin of a region touched, or an operator who did not propose the plan.
        plan_id: the plan.
        content_hash: of the content that the person looked at; the approval signs it.
        now: grid time.
        comment: free words.

    Returns:
        The plan, approved or still waiting for others.

    Raises:
        NoSeat: the plan does not need this person's decision.
        AlreadyDecided, PlanNotFound, PlanChanged, PlanNotOpen: as they say.
    """
    return _decide(
        actor, plan_id, Decision.APPROVE, content_hash=content_hash, now=now, comment=comment
    )


def reject_plan(
    actor: Actor,
    plan_id: int,
    *,
    content_hash: str,
    now: dt.datetime,
    reason_code: str,
    comment: str = "",
) -> RebalancingPlan:
    """This function will record a rejection, which ends the plan.

    Args:
        actor: as for an approval.
        plan_id: the plan.
        content_hash: of the content that the person looked at.
        now: grid time.
        reason_code: one of `RejectReason`.
        comment: free words.

    Raises:
        InvalidField: the reason is not one of the codes.
        NoSeat, AlreadyDecided, PlanNotFound, PlanChanged, PlanNotOpen: as they say.
    """
    if reason_code not in set(RejectReason):
        codes = ", ".join(RejectReason)
        raise InvalidField("reason_code", f"must be one of {codes}")
    return _decide(
        actor,
        plan_id,
        Decision.REJECT,
        content_hash=content_hash,
        now=now,
        comment=comment,
        reason_code=reason_code,
    )


def cancel_plan(
    actor: Actor, plan_id: int, *, content_hash: str, now: dt.datetime
) -> RebalancingPlan:
    """This function will take back a plan that has not begun; any operator may."""
    _require(actor, Permission.PROPOSE_PLAN)
    with transaction.atomic():
        plan = _locked(plan_id, content_hash)
        change_plan(plan, PlanEvent.CANCEL, now, f"by {actor.username}")
        _record(actor, "cancel-plan", plan, {})
    return plan


def expire_overdue(now: dt.datetime) -> int:
    """This function will expire every proposed plan whose last time to decide has passed.

    Returns:
        How many plans expired.
    """
    count = 0
    overdue = RebalancingPlan.objects.filter(state=PlanState.PROPOSED, decide_by__lte=now)
    for plan_id in overdue.values_list("pk", flat=True):
        count += _settle_time(plan_id, now)
    return count


def _decide(
    actor: Actor,
    plan_id: int,
    decision: Decision,
    *,
    content_hash: str,
    now: dt.datetime,
    comment: str,
    reason_code: str = "",
) -> RebalancingPlan:
    if len(comment) > MAX_COMMENT:
        raise InvalidField("comment", f"must not be longer than {MAX_COMMENT} characters")
    _settle_time(plan_id, now)
    with transaction.atomic():
        plan = _locked(plan_id, content_hash)
        if plan.state != PlanState.PROPOSED:
            raise PlanNotOpen(f"This plan is {plan.state}; it cannot be decided on.")
        seat = _seat(actor, plan)
        _write_approval(actor, plan, seat, decision, now, comment, reason_code)
        facts = {"decision": decision, "seat": seat.region or seat.role, "reason": reason_code}
        _record(actor, "decide-plan", plan, facts)
        _draw_conclusion(plan, now, f"{actor.username}: {reason_code}")
    return plan


def _write_approval(
    actor: Actor,
    plan: RebalancingPlan,
    seat: Seat,
    decision: Decision,
    now: dt.datetime,
    comment: str,
    reason_code: str,
) -> None:
    try:
        with transaction.atomic():
            Approval.objects.create(
                plan=plan,
                user_id=actor.user_id,
                role=seat.role,
                region_code=seat.region or "",
                decision=decision,
                reason_code=reason_code,
                comment=comment,
                content_hash=plan.content_hash,
                created_at=now,
            )
    except IntegrityError as error:
        raise AlreadyDecided("You, or somebody from the same seat, decided already.") from error


def _draw_conclusion(plan: RebalancingPlan, now: dt.datetime, words: str) -> None:
    votes = [
        Vote(row.user_id, Seat(row.role, row.region_code or None), Decision(row.decision))
        for row in plan.approvals.filter(content_hash=plan.content_hash)
    ]
    result = outcome(seats_of(plan), votes, plan.proposer_id or 0)
    if result is Outcome.REJECTED:
        change_plan(plan, PlanEvent.REJECT, now, words)
    if result is Outcome.APPROVED:
        change_plan(plan, PlanEvent.APPROVE, now)
        events.enqueue("scheduling.tasks.advance_plans")


def _seat(actor: Actor, plan: RebalancingPlan) -> Seat:
    person = Person(actor.user_id, str(actor.role), actor.region_code)
    seat = seat_of(person, seats_of(plan), plan.proposer_id or 0)
    if seat is not None:
        return seat
    if actor.user_id == plan.proposer_id:
        raise NoSeat("You proposed this plan, so somebody else must decide.")
    if actor.role is Role.REGIONAL_ADMIN:
        raise NoSeat(f"This plan does not touch {actor.region_code}.")
    raise NoSeat(f"Only an admin of a region touched, or an {OPERATOR.lower()}, decides on plans.")


def _settle_time(plan_id: int, now: dt.datetime) -> int:
    """Expire or supersede a proposed plan first, in a transaction of its own that stands."""
    with transaction.atomic():
        plan = RebalancingPlan.objects.select_for_update().filter(pk=plan_id).first()
        if plan is None or plan.state not in (PlanState.DRAFT, PlanState.PROPOSED):
            return 0
        if plan.decide_by <= now:
            change_plan(plan, PlanEvent.EXPIRE, now, "nobody objected, but silence is no")
            audit.record("system", "expire-plan", f"plan:{plan.pk}", {})
            events.publish("grid", {"plan": plan.pk})
            return 1
        reason = why_superseded(plan, now)
        if reason:
            change_plan(plan, PlanEvent.SUPERSEDE, now, reason)
            audit.record("system", "supersede-plan", f"plan:{plan.pk}", {"reason": reason})
            events.publish("grid", {"plan": plan.pk})
    return 0


def _locked(plan_id: int, content_hash: str) -> RebalancingPlan:
    plan = RebalancingPlan.objects.select_for_update().filter(pk=plan_id).first()
    if plan is None:
        raise PlanNotFound(f"There is no plan {plan_id}.")
    if plan.content_hash != content_hash:
        raise PlanChanged("The plan has changed since you looked at it; look again.")
    return plan


def _require(actor: Actor, permission: Permission) -> None:
    if not actor.may(permission):
        raise NotAllowed(f"Your role does not allow this ({permission}).")


def _record(actor: Actor, action: str, plan: RebalancingPlan, facts: dict[str, str]) -> None:
    content = {"content_hash": plan.content_hash, "state": plan.state, **facts}
    audit.record(actor.username, action, f"plan:{plan.pk}", content)
    events.publish("grid", {"plan": plan.pk})
