"""Sends the outbox's commands to engines, and asks engines about those in doubt.

A command is claimed by a conditional update before it is sent, so two workers never send it at
once. What a crash leaves as SENT, or an engine leaves unanswered, is UNKNOWN until the engine has
been asked; sending again with the same key is safe, because the key is the engine's too.
"""

import datetime as dt
import logging
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from controlplane.auth import audit
from controlplane.lib import clock, events
from scheduling.dispatchers.base import (
    Dispatcher,
    Endpoint,
    EngineInDoubt,
    EngineJobState,
    EngineRefused,
    JobOrder,
    JobReport,
)
from scheduling.dispatchers.registry import dispatcher_for
from scheduling.domain.lifecycle import (
    CommandEvent,
    CommandState,
    MovedWork,
    PassageEvent,
    PassageState,
)
from scheduling.models import DispatchCommand, Passage
from scheduling.services.dispatching import is_frozen, write_command
from scheduling.services.states import change_command, change_passage

if TYPE_CHECKING:
    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

TIMEOUT_S = 3.0
MAX_PER_SWEEP = 60
LOST_AFTER = dt.timedelta(seconds=15)
BACKOFF_S = (1, 2, 5, 10, 30, 60)
Kind = DispatchCommand.Kind
# commands that take a job out at home, with the state in which it must be there
TAKES_OUT = {
    Kind.WITHDRAW: EngineJobState.QUEUED,
    Kind.CHECKPOINT: EngineJobState.RUNNING,
}


def sweep(now: dt.datetime) -> int:
    """This function will send due commands and settle those in doubt.

    Args:
        now: grid time, written on what is closed.

    Returns:
        How many commands were closed.
    """
    wall = clock.wall_now()
    DispatchCommand.objects.filter(
        state=CommandState.SENT, sent_wall_at__lt=wall - LOST_AFTER
    ).update(state=CommandState.UNKNOWN, due_wall_at=wall, error="the sender died on the way")
    closed = 0
    unknown = DispatchCommand.objects.filter(state=CommandState.UNKNOWN, due_wall_at__lte=wall)
    for command_id in _first(unknown):
        closed += _reconcile(command_id, now)
    # a frozen grid sends nothing new, but still finds out what became of what was sent
    for command_id in _first(_sendable(wall)):
        if is_frozen() and not _is_compensation(command_id):
            continue
        closed += _send(command_id, now)
    return closed


def track(now: dt.datetime) -> int:
    """This function will ask destinations where the workloads stand that were placed there.

    Returns:
        How many workloads began or ended.
    """
    changed = 0
    rows = Passage.objects.filter(
        state__in=[PassageState.PLACED, PassageState.RUNNING],
        commands__kind=Kind.SUBMIT,
    ).values_list("pk", "commands__key", "commands__pool_id")
    by_pool: dict[int, dict[str, int]] = {}
    for passage_id, key, pool_id in rows:
        by_pool.setdefault(pool_id, {})[key] = passage_id
    for keys in by_pool.values():
        try:
            reports = _ask_all(keys)
        except EngineInDoubt:
            continue  # no answer changes nothing: ask again next time
        for key, report in reports.items():
            changed += _note_progress(keys[key], report, now)
    if changed:
        events.publish("grid", {"tracked": changed})
    return changed


def _first(queryset: "QuerySet[DispatchCommand]") -> list[int]:
    return list(queryset.order_by("due_wall_at", "pk").values_list("pk", flat=True)[:MAX_PER_SWEEP])


def _sendable(wall: dt.datetime) -> "QuerySet[DispatchCommand]":
    return DispatchCommand.objects.filter(state=CommandState.PENDING, due_wall_at__lte=wall)


def _is_compensation(command_id: int) -> bool:
    return DispatchCommand.objects.filter(pk=command_id, kind=Kind.RELEASE).exists()


def _send(command_id: int, now: dt.datetime) -> int:
    wall = clock.wall_now()
    claimed = DispatchCommand.objects.filter(pk=command_id, state=CommandState.PENDING).update(
        state=CommandState.SENT, sent_wall_at=wall
    )
    if claimed != 1:
        return 0  # another worker has it
    command = _load(command_id)
    command.attempts += 1
    try:
        report = _call(command)
    except EngineRefused as error:
        return _close(command, CommandEvent.REFUSE, now, error=error.detail)
    except EngineInDoubt as error:
        return _lose_sight(command, error.detail)
    return _close(command, CommandEvent.CONFIRM, now, report=report)


def _reconcile(command_id: int, now: dt.datetime) -> int:
    command = _load(command_id)
    if command.state != CommandState.UNKNOWN:
        return 0
    dispatcher, endpoint = _engine(command)
    try:
        report = dispatcher.report(endpoint, _job_key(command), timeout_s=TIMEOUT_S)
    except EngineInDoubt as error:
        return _lose_sight(command, error.detail)
    event = _event_for(command.kind, report)
    if event is CommandEvent.FOUND_MISSING:
        with transaction.atomic():
            locked = DispatchCommand.objects.select_for_update().get(pk=command_id)
            if locked.state == CommandState.UNKNOWN:
                change_command(locked, event, now, "the engine has not seen it; sent again")
        return 0
    why = f"found {report.state} at the engine" if report else "not known to the engine"
    return _close(command, event, now, report=report, error=why)


def _event_for(kind: str, report: JobReport | None) -> CommandEvent:
    """What the job's state at the engine says about a command in doubt."""
    if kind == Kind.SUBMIT:
        return CommandEvent.FOUND_MISSING if report is None else CommandEvent.CONFIRM
    if report is None:
        return CommandEvent.REFUSE
    is_withdrawn = report.state is EngineJobState.WITHDRAWN
    if kind in TAKES_OUT:
        if is_withdrawn:
            return CommandEvent.CONFIRM
        is_there = report.state is TAKES_OUT[Kind(kind)]
        return CommandEvent.FOUND_MISSING if is_there else CommandEvent.REFUSE
    return CommandEvent.FOUND_MISSING if is_withdrawn else CommandEvent.CONFIRM


def _close(
    command: DispatchCommand,
    event: CommandEvent,
    now: dt.datetime,
    *,
    report: JobReport | None = None,
    error: str = "",
) -> int:
    with transaction.atomic():
        locked = DispatchCommand.objects.select_for_update().get(pk=command.pk)
        if locked.state not in (CommandState.SENT, CommandState.UNKNOWN):
            return 0  # closed by another worker meanwhile
        passage = (
            Passage.objects.select_for_update(of=("self",))
            .select_related("move__plan", "move__source_pool", "move__destination_pool", "workload")
            .get(pk=locked.passage_id)
        )
        locked.attempts = command.attempts
        locked.answer = {"state": report.state} if report else {}
        change_command(locked, event, now, error)
        if report is not None and locked.kind == Kind.CHECKPOINT:
            passage.done_s = report.done_s
        _advance(passage, locked.kind, event, now, error)
        facts = {"command": locked.key, "result": locked.state, "error": error[:200]}
        audit.record("system", f"{locked.kind.lower()}-job", f"plan:{passage.move.plan_id}", facts)
        events.publish("grid", {"plan": passage.move.plan_id})
    return 1


def _advance(
    passage: Passage, kind: str, event: CommandEvent, now: dt.datetime, error: str
) -> None:
    """Take the workload one step on, and write the next command in the same transaction."""
    confirmed = event is CommandEvent.CONFIRM
    if kind in TAKES_OUT and confirmed:
        change_passage(passage, PassageEvent.WITHDRAWN, now)
        write_command(passage, Kind.SUBMIT, now)
    elif kind in TAKES_OUT:
        change_passage(passage, PassageEvent.NOT_WITHDRAWN, now, error)
    elif kind == Kind.SUBMIT and confirmed:
        passage.placed_at = now
        change_passage(passage, PassageEvent.SUBMITTED, now)
    elif kind == Kind.SUBMIT and passage.move.work == MovedWork.SERVICE:
        change_passage(passage, PassageEvent.NOT_STARTED_THERE, now, error)
    elif kind == Kind.SUBMIT:
        change_passage(passage, PassageEvent.NOT_SUBMITTED, now, error)
        write_command(passage, Kind.RELEASE, now)
    elif confirmed:
        change_passage(passage, PassageEvent.RELEASED, now, "back in its queue at home")
    else:
        change_passage(passage, PassageEvent.NOT_RELEASED, now, error)


def _lose_sight(command: DispatchCommand, error: str) -> int:
    wait_s = BACKOFF_S[min(command.attempts, len(BACKOFF_S) - 1)]
    DispatchCommand.objects.filter(
        pk=command.pk, state__in=[CommandState.SENT, CommandState.UNKNOWN]
    ).update(
        state=CommandState.UNKNOWN,
        attempts=command.attempts,
        due_wall_at=clock.wall_now() + dt.timedelta(seconds=wait_s),
        error=error[:500],
    )
    logger.warning("command.unknown", extra={"key": command.key, "error": error})
    return 0


def _note_progress(passage_id: int, report: JobReport, now: dt.datetime) -> int:
    with transaction.atomic():
        passage = Passage.objects.select_for_update().get(pk=passage_id)
        state = PassageState(passage.state)
        passage.started_at, passage.finished_at = report.started_at, report.finished_at
        if report.state is EngineJobState.RUNNING and state is PassageState.PLACED:
            change_passage(passage, PassageEvent.RUN, now)
            return 1
        if report.state is EngineJobState.DONE and state is not PassageState.FINISHED:
            change_passage(passage, PassageEvent.FINISH, now)
            return 1
    return 0


def _ask_all(keys: dict[str, int]) -> dict[str, JobReport]:
    first = DispatchCommand.objects.select_related("pool").get(key=next(iter(keys)))
    dispatcher, endpoint = _engine(first)
    return dispatcher.reports(endpoint, list(keys), timeout_s=TIMEOUT_S)


def _load(command_id: int) -> DispatchCommand:
    return DispatchCommand.objects.select_related("pool", "passage__workload").get(pk=command_id)


def _engine(command: DispatchCommand) -> tuple[Dispatcher, Endpoint]:
    pool = command.pool
    endpoint = Endpoint(url=pool.engine_url, pool=pool.code, token=settings.ENGINE_TOKEN)
    return dispatcher_for(pool.engine), endpoint


def _job_key(command: DispatchCommand) -> str:
    """The name that the job has at its engine: its own at home, the command's where it was sent."""
    if command.kind == Kind.SUBMIT:
        return command.key
    return command.passage.workload.external_id


def _call(command: DispatchCommand) -> JobReport:
    dispatcher, endpoint = _engine(command)
    workload = command.passage.workload
    if command.kind == Kind.WITHDRAW:
        return dispatcher.withdraw(endpoint, workload.external_id, timeout_s=TIMEOUT_S)
    if command.kind == Kind.RELEASE:
        return dispatcher.release(endpoint, workload.external_id, timeout_s=TIMEOUT_S)
    if command.kind == Kind.CHECKPOINT:
        return dispatcher.checkpoint(endpoint, workload.external_id, timeout_s=TIMEOUT_S)
    order = JobOrder(
        name=workload.external_id,
        units=workload.units,
        requested_duration_s=command.order.get(
            "requested_duration_s", workload.requested_duration_s
        ),
        spec=command.order.get("spec", workload.spec),
    )
    return dispatcher.submit(endpoint, command.key, order, timeout_s=TIMEOUT_S)
