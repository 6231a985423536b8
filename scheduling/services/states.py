"""Changes of state: each goes through its transition table and writes the reason beside it."""

import datetime as dt

from scheduling.domain.lifecycle import (
    COMMAND_TRANSITIONS,
    MOVE_TRANSITIONS,
    PASSAGE_TRANSITIONS,
    PLAN_TRANSITIONS,
    CommandEvent,
    CommandState,
    MoveEvent,
    MoveState,
    PassageEvent,
    PassageState,
    PlanEvent,
    PlanState,
    next_state,
)
from scheduling.models import DispatchCommand, Move, Passage, RebalancingPlan

_DECIDED = frozenset(
    {PlanEvent.APPROVE, PlanEvent.REJECT, PlanEvent.EXPIRE, PlanEvent.SUPERSEDE, PlanEvent.CANCEL}
)
_FINISHED = frozenset({PlanEvent.COMPLETE, PlanEvent.COMPLETE_IN_PART, PlanEvent.FAIL})


def change_plan(
    plan: RebalancingPlan,
    event: PlanEvent,
    now: dt.datetime,
    reason: str = "",
    *,
    proposer_id: int | None = None,
) -> None:
    """This function will take a plan, locked by the caller, one step further.

    Args:
        plan: the plan; its state is saved.
        event: what happens to it.
        now: grid time.
        reason: words kept beside the state.
        proposer_id: who proposes it, when that is what happens.

    Raises:
        TransitionNotAllowed: the plan's state has no such step.
    """
    plan.state = next_state(PLAN_TRANSITIONS, PlanState(plan.state), event)
    plan.state_reason = reason
    if event is PlanEvent.PROPOSE:
        plan.proposer_id, plan.proposed_at = proposer_id, now
    if event in _DECIDED:
        plan.decided_at = now
    if event in _FINISHED:
        plan.finished_at = now
    plan.save(
        update_fields=[
            "state",
            "state_reason",
            "proposer",
            "proposed_at",
            "decided_at",
            "finished_at",
        ]
    )


def change_move(move: Move, event: MoveEvent, reason: str = "") -> None:
    """This function will take a move, locked by the caller, one step further."""
    move.state = next_state(MOVE_TRANSITIONS, MoveState(move.state), event)
    move.state_reason = reason
    move.save(update_fields=["state", "state_reason"])


def change_passage(
    passage: Passage, event: PassageEvent, now: dt.datetime, reason: str = ""
) -> None:
    """This function will take a workload's passage, locked by the caller, one step further."""
    passage.state = next_state(PASSAGE_TRANSITIONS, PassageState(passage.state), event)
    passage.state_reason = reason
    passage.updated_at = now
    passage.save()


def change_command(
    command: DispatchCommand, event: CommandEvent, now: dt.datetime, error: str = ""
) -> None:
    """This function will take a command, locked by the caller, one step further."""
    command.state = next_state(COMMAND_TRANSITIONS, CommandState(command.state), event)
    command.error = error
    if command.state in (CommandState.CONFIRMED, CommandState.REFUSED):
        command.closed_at = now
    command.save()
