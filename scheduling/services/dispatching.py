"""Starts approved plans: rechecks, binds workloads, and writes commands into the outbox.

Nothing is sent here. A command is a row, written in the transaction that changes the state it
belongs to; `services.commands` sends it.
"""

import datetime as dt
import hashlib
import logging
from collections.abc import Iterable
from typing import Any

from django.db import transaction

from controlplane.auth import audit
from controlplane.auth.permissions import NotAllowed
from controlplane.auth.roles import Actor, Permission
from controlplane.lib import clock, events
from monitoring import selectors as grid
from scheduling.domain.availability import PoolLoad, room_now
from scheduling.domain.lifecycle import (
    CommandState,
    MovedWork,
    MoveEvent,
    MoveState,
    PassageEvent,
    PassageState,
    PlanEvent,
    PlanState,
    outcome_of_moves,
    outcome_of_passages,
)
from scheduling.domain.sovereignty import Place, rule_on
from scheduling.domain.workloads import LEAST_LEFT_H, WorkloadKind, WorkloadState
from scheduling.models import (
    DispatchCommand,
    DispatchSwitch,
    Move,
    Passage,
    RebalancingPlan,
    Workload,
)
from scheduling.selectors.limits import speeds
from scheduling.selectors.loads import gone_workloads, passages_of_open_plans, pool_loads
from scheduling.selectors.rules import rules_in_force
from scheduling.services.states import change_move, change_passage, change_plan
from scheduling.services.validity import why_superseded

logger = logging.getLogger(__name__)

# what a workload must be at home when its move begins; a replica of a service is never there
STATE_AT_HOME = {
    MovedWork.WAITING: WorkloadState.QUEUED,
    MovedWork.RUNNING: WorkloadState.RUNNING,
    MovedWork.SERVICE: WorkloadState.WITHDRAWN,
}


def set_frozen(actor: Actor, *, frozen: bool, reason: str, now: dt.datetime) -> DispatchSwitch:
    """This function will stop all new commands, or let them go again.

    Raises:
        NotAllowed: only operators throw this switch.
    """
    if not actor.may(Permission.PROPOSE_PLAN):
        raise NotAllowed("Only grid operators freeze dispatch.")
    with transaction.atomic():
        switch, _ = DispatchSwitch.objects.update_or_create(
            pk=1,
            defaults={
                "is_frozen": frozen,
                "changed_by": actor.username,
                "changed_at": now,
                "reason": reason[:500],
            },
        )
        action = "freeze-dispatch" if frozen else "unfreeze-dispatch"
        audit.record(actor.username, action, "dispatch", {"reason": reason[:500]})
        events.publish("grid", {"frozen": frozen})
    return switch


def is_frozen() -> bool:
    """Whether new commands are stopped."""
    return DispatchSwitch.objects.filter(pk=1, is_frozen=True).exists()


def start_plans(now: dt.datetime) -> int:
    """This function will take every approved plan that still holds into dispatch.

    A plan whose basis has changed is superseded here, in the transaction that would start it.

    Returns:
        How many plans were started.
    """
    started = 0
    approved = RebalancingPlan.objects.filter(state=PlanState.APPROVED).order_by("created_at")
    for plan_id in approved.values_list("pk", flat=True):
        with transaction.atomic():
            plan = (
                RebalancingPlan.objects.select_for_update(skip_locked=True)
                .filter(pk=plan_id, state=PlanState.APPROVED)
                .first()
            )
            if plan is None:
                continue
            reason = why_superseded(plan, now)
            if reason:
                change_plan(plan, PlanEvent.SUPERSEDE, now, reason)
                audit.record("system", "supersede-plan", f"plan:{plan.pk}", {"reason": reason})
            else:
                change_plan(plan, PlanEvent.DISPATCH, now)
                audit.record("system", "start-plan", f"plan:{plan.pk}", {})
                started += 1
            events.publish("grid", {"plan": plan.pk})
    return started


def start_moves(now: dt.datetime) -> int:
    """This function will start as many workloads of due moves as fit at this moment.

    What does not fit stays bound until the move's window closes; then it is skipped.

    Returns:
        How many workloads were started on their way.
    """
    if is_frozen():
        return 0
    started = 0
    due = Move.objects.filter(
        plan__state=PlanState.DISPATCHING,
        state__in=[MoveState.PENDING, MoveState.IN_FLIGHT],
        window_start__lte=now,
        passages__state=PassageState.BOUND,
    )
    for move_id in due.distinct().order_by("plan_id", "position").values_list("pk", flat=True):
        with transaction.atomic():
            started += _start_move(move_id, now)
    return started


def close_moves(now: dt.datetime) -> int:
    """This function will end every move whose workloads have all come to rest, and its plan.

    Returns:
        How many plans ended.
    """
    ended = 0
    running = RebalancingPlan.objects.filter(state=PlanState.DISPATCHING)
    for plan_id in running.values_list("pk", flat=True):
        with transaction.atomic():
            plan = RebalancingPlan.objects.select_for_update().get(pk=plan_id)
            ended += _close_plan(plan, now)
    return ended


def command_key(passage: Passage, kind: str) -> str:
    """This function will name a command: the same plan, move, workload, target give one name."""
    move = passage.move
    target = (
        move.destination_pool_id if kind == DispatchCommand.Kind.SUBMIT else move.source_pool_id
    )
    parts = (move.plan_id, move.plan.content_hash, move.pk, passage.workload_id, kind, target)
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:40]


def write_command(passage: Passage, kind: str, now: dt.datetime) -> DispatchCommand:
    """This function will put one command into the outbox, in the caller's transaction."""
    at_destination = kind == DispatchCommand.Kind.SUBMIT
    move = passage.move
    return DispatchCommand.objects.create(
        passage=passage,
        kind=kind,
        key=command_key(passage, kind),
        pool_id=move.destination_pool_id if at_destination else move.source_pool_id,
        order=_order(passage) if at_destination else {},
        state=CommandState.PENDING,
        created_at=now,
        due_wall_at=clock.wall_now(),
    )


def _order(passage: Passage) -> dict[str, Any]:
    """The job as the destination is asked to run it, written once: a repeated command is alike."""
    move, workload = passage.move, passage.workload
    left_s = max(1.0, workload.requested_duration_s - passage.done_s)
    known = speeds()
    there = known.of(workload.requirement, move.destination_pool.code) or 1.0
    slower = known.asked_factor(workload.requirement, move.source_pool.code) / there
    spec = dict(workload.spec)
    if passage.done_s:
        spec["done_s"] = int(passage.done_s)
    # a faster place gets no less time than was asked for: a factor is an estimate
    return {"requested_duration_s": left_s * max(1.0, slower), "spec": spec}


def _start_move(move_id: int, now: dt.datetime) -> int:
    move = (
        Move.objects.select_for_update(of=("self",))
        .select_related("plan", "source_pool__site__region", "destination_pool__site__region")
        .get(pk=move_id)
    )
    bound = list(
        move.passages.select_for_update(of=("self",))
        .filter(state=PassageState.BOUND)
        .select_related("workload", "move__plan", "move__source_pool", "move__destination_pool")
        .order_by("workload__submitted_at", "pk")
    )
    if move.window_end <= now:
        return _skip_all(move, bound, now, "the window closed before there was room")
    refusal = _forbidden_by_rule(move)
    if refusal:
        return _skip_all(move, bound, now, refusal)
    load = _load_of(move.destination_pool.code, now)
    if load is None:
        return 0  # unknown is not room; ask again next time
    room = room_now(load) + sum(p.workload.units for p in bound)  # its own promise is in the load
    return _start_passages(move, bound, room, now)


def _start_passages(move: Move, bound: list[Passage], room: float, now: dt.datetime) -> int:
    started = 0
    for first in bound:
        passage = _still_there(move, first, now)
        if passage is None:
            continue
        if passage.workload.units > room:
            break  # first come, first served: nobody overtakes
        room -= passage.workload.units
        _start_passage(passage, MovedWork(move.work), now)
        started += 1
    if started and move.state == MoveState.PENDING:
        change_move(move, MoveEvent.START)
    if started:
        events.publish("grid", {"plan": move.plan_id})
    return started


def _start_passage(passage: Passage, work: MovedWork, now: dt.datetime) -> None:
    if work is MovedWork.SERVICE:
        # it serves until the end of its window, however late consent came
        workload = passage.workload
        workload.requested_duration_s = (passage.move.window_end - now).total_seconds()
        workload.save(update_fields=["requested_duration_s"])
        change_passage(passage, PassageEvent.START_THERE, now)
        write_command(passage, DispatchCommand.Kind.SUBMIT, now)
        return
    kind = DispatchCommand.Kind
    change_passage(passage, PassageEvent.START, now)
    is_running = work is MovedWork.RUNNING
    write_command(passage, kind.CHECKPOINT if is_running else kind.WITHDRAW, now)


def _still_there(move: Move, passage: Passage, now: dt.datetime) -> Passage | None:
    """The passage if its workload is at home as it was, else one that takes its place."""
    workload = passage.workload
    if workload.state != STATE_AT_HOME[MovedWork(move.work)]:
        why = f"it is {workload.state} at home by now"
    elif gone_workloads().filter(workload_id=workload.pk).exists():
        why = "another plan has moved it"
    elif move.work == MovedWork.RUNNING and _left_s(workload, now) < LEAST_LEFT_H * 3600.0:
        why = "so little of it is left that it may as well end at home"
    else:
        return passage
    change_passage(passage, PassageEvent.SKIP, now, why)
    return _bind_substitute(move, now) if move.work == MovedWork.WAITING else None


def _left_s(workload: Workload, now: dt.datetime) -> float:
    ran_s = (now - (workload.started_at or now)).total_seconds()
    return workload.requested_duration_s - ran_s


def _bind_substitute(move: Move, now: dt.datetime) -> Passage | None:
    """Another workload of the same group that still waits: consent covers the group, not the id."""
    taken = passages_of_open_plans().values("workload_id")
    seen = move.passages.values("workload_id")
    alike = Workload.objects.filter(passages__move=move)
    workload = (
        Workload.objects.filter(
            pool_id=move.source_pool_id,
            kind=WorkloadKind.BATCH,
            state=WorkloadState.QUEUED,
            data_class=move.data_class,
            units=move.units_per_job,
            requested_duration_s=move.requested_duration_s,
            requirement__in=alike.values("requirement"),
            members__in=alike.values("members"),
        )
        .exclude(pk__in=taken)
        .exclude(pk__in=gone_workloads())
        .exclude(pk__in=seen)
        .order_by("submitted_at", "pk")
        .first()
    )
    if workload is None:
        return None
    return Passage.objects.create(
        move=move, workload=workload, state=PassageState.BOUND, updated_at=now
    )


def _skip_all(move: Move, bound: Iterable[Passage], now: dt.datetime, reason: str) -> int:
    for passage in bound:
        change_passage(passage, PassageEvent.SKIP, now, reason)
    logger.info("move.skipped", extra={"move": move.pk, "reason": reason})
    return 0


def _forbidden_by_rule(move: Move) -> str | None:
    """Sovereignty once more, on its own, right before commands are written."""
    source = move.source_pool.site.region
    destination = move.destination_pool.site.region
    ruling = rule_on(
        rules_in_force().sovereignty,
        move.data_class,
        Place(source.code, source.jurisdiction),
        Place(destination.code, destination.jurisdiction),
    )
    return None if ruling.is_allowed else f"rule {ruling.rule or '(none allows it)'} forbids it"


def _load_of(pool_code: str, now: dt.datetime) -> PoolLoad | None:
    pools = tuple(pool for pool in grid.pools() if pool.code == pool_code)
    return pool_loads(now, pools)[pool_code]


def _close_plan(plan: RebalancingPlan, now: dt.datetime) -> int:
    moves = list(plan.moves.select_for_update())
    for move in moves:
        if move.state not in (MoveState.PENDING, MoveState.IN_FLIGHT):
            continue
        states = [PassageState(s) for s in move.passages.values_list("state", flat=True)]
        ending = outcome_of_passages(states)
        if ending is None:
            continue
        if move.state == MoveState.PENDING and ending is not MoveEvent.SKIP:
            change_move(move, MoveEvent.START)
        change_move(move, ending)
    event = outcome_of_moves([MoveState(move.state) for move in moves])
    if event is None:
        return 0
    done = sum(move.state == MoveState.DONE for move in moves)
    change_plan(plan, event, now, f"{done} of {len(moves)} moves done")
    audit.record("system", "finish-plan", f"plan:{plan.pk}", {"state": plan.state})
    events.publish("grid", {"plan": plan.pk})
    return 1
