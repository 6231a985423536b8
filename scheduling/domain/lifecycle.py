"""The life cycles of plans, moves, passages and commands, as tables of state × event.

The database holds the same tables as triggers, so that no path around this code exists.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from controlplane.lib.errors import ErrorKind, GridError


class TransitionNotAllowed(GridError):
    """What was asked for does not happen from the present state."""

    code = "transition-not-allowed"
    kind = ErrorKind.CONFLICT


class PlanState(StrEnum):
    """Where a rebalancing plan stands."""

    DRAFT = "DRAFT"
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"
    CANCELLED = "CANCELLED"
    DISPATCHING = "DISPATCHING"
    COMPLETED = "COMPLETED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    SETTLED = "SETTLED"


class PlanEvent(StrEnum):
    """What can happen to a plan."""

    PROPOSE = "propose"
    APPROVE = "approve"
    REJECT = "reject"
    EXPIRE = "expire"
    SUPERSEDE = "supersede"
    CANCEL = "cancel"
    DISPATCH = "dispatch"
    COMPLETE = "complete"
    COMPLETE_IN_PART = "complete-in-part"
    FAIL = "fail"
    SETTLE = "settle"


class MoveState(StrEnum):
    """Where one move of a plan stands."""

    PENDING = "PENDING"
    IN_FLIGHT = "IN_FLIGHT"
    DONE = "DONE"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    REVERTED = "REVERTED"


class MoveEvent(StrEnum):
    """What can happen to a move."""

    START = "start"
    FINISH = "finish"
    FAIL = "fail"
    SKIP = "skip"
    REVERT = "revert"


class MovedWork(StrEnum):
    """What a move takes: work that waits, work that runs, or the traffic of a service."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SERVICE = "SERVICE"


class PassageState(StrEnum):
    """Where one workload stands on its way from the source engine to the destination engine."""

    BOUND = "BOUND"
    WITHDRAWING = "WITHDRAWING"
    SUBMITTING = "SUBMITTING"
    PLACED = "PLACED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    SKIPPED = "SKIPPED"
    RELEASING = "RELEASING"
    RETURNED = "RETURNED"
    NEEDS_HUMAN = "NEEDS_HUMAN"


class PassageEvent(StrEnum):
    """What can happen to a workload on its way."""

    START = "start"
    START_THERE = "start-there"
    SKIP = "skip"
    WITHDRAWN = "withdrawn"
    NOT_WITHDRAWN = "not-withdrawn"
    SUBMITTED = "submitted"
    NOT_SUBMITTED = "not-submitted"
    NOT_STARTED_THERE = "not-started-there"
    RELEASED = "released"
    NOT_RELEASED = "not-released"
    RUN = "run"
    FINISH = "finish"


class CommandState(StrEnum):
    """Where one command to an engine stands; in doubt it is UNKNOWN until the engine is asked."""

    PENDING = "PENDING"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    CONFIRMED = "CONFIRMED"
    REFUSED = "REFUSED"


class CommandEvent(StrEnum):
    """What can happen to a command."""

    SEND = "send"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    LOSE_SIGHT = "lose-sight"
    FOUND_MISSING = "found-missing"


_P, _E = PlanState, PlanEvent
PLAN_TRANSITIONS: Mapping[tuple[PlanState, PlanEvent], PlanState] = {
    (_P.DRAFT, _E.PROPOSE): _P.PROPOSED,
    (_P.DRAFT, _E.SUPERSEDE): _P.SUPERSEDED,
    (_P.DRAFT, _E.EXPIRE): _P.EXPIRED,
    (_P.PROPOSED, _E.APPROVE): _P.APPROVED,
    (_P.PROPOSED, _E.REJECT): _P.REJECTED,
    (_P.PROPOSED, _E.EXPIRE): _P.EXPIRED,
    (_P.PROPOSED, _E.SUPERSEDE): _P.SUPERSEDED,
    (_P.PROPOSED, _E.CANCEL): _P.CANCELLED,
    (_P.APPROVED, _E.DISPATCH): _P.DISPATCHING,
    (_P.APPROVED, _E.SUPERSEDE): _P.SUPERSEDED,
    (_P.APPROVED, _E.CANCEL): _P.CANCELLED,
    (_P.APPROVED, _E.EXPIRE): _P.EXPIRED,
    (_P.DISPATCHING, _E.COMPLETE): _P.COMPLETED,
    (_P.DISPATCHING, _E.COMPLETE_IN_PART): _P.PARTIAL,
    (_P.DISPATCHING, _E.FAIL): _P.FAILED,
    (_P.COMPLETED, _E.SETTLE): _P.SETTLED,
    (_P.PARTIAL, _E.SETTLE): _P.SETTLED,
}
OPEN_PLAN_STATES = frozenset({_P.PROPOSED, _P.APPROVED, _P.DISPATCHING})

_M, _N = MoveState, MoveEvent
MOVE_TRANSITIONS: Mapping[tuple[MoveState, MoveEvent], MoveState] = {
    (_M.PENDING, _N.START): _M.IN_FLIGHT,
    (_M.PENDING, _N.SKIP): _M.SKIPPED,
    (_M.IN_FLIGHT, _N.FINISH): _M.DONE,
    (_M.IN_FLIGHT, _N.FAIL): _M.FAILED,
    (_M.IN_FLIGHT, _N.SKIP): _M.SKIPPED,
    (_M.DONE, _N.REVERT): _M.REVERTED,
}

_W, _V = PassageState, PassageEvent
PASSAGE_TRANSITIONS: Mapping[tuple[PassageState, PassageEvent], PassageState] = {
    (_W.BOUND, _V.START): _W.WITHDRAWING,
    # a service goes on at home: its traffic needs units at the destination, and nothing withdrawn
    (_W.BOUND, _V.START_THERE): _W.SUBMITTING,
    (_W.BOUND, _V.SKIP): _W.SKIPPED,
    (_W.WITHDRAWING, _V.WITHDRAWN): _W.SUBMITTING,
    (_W.WITHDRAWING, _V.NOT_WITHDRAWN): _W.SKIPPED,
    (_W.SUBMITTING, _V.SUBMITTED): _W.PLACED,
    (_W.SUBMITTING, _V.NOT_SUBMITTED): _W.RELEASING,
    (_W.SUBMITTING, _V.NOT_STARTED_THERE): _W.SKIPPED,
    (_W.RELEASING, _V.RELEASED): _W.RETURNED,
    (_W.RELEASING, _V.NOT_RELEASED): _W.NEEDS_HUMAN,
    (_W.PLACED, _V.RUN): _W.RUNNING,
    (_W.PLACED, _V.FINISH): _W.FINISHED,
    (_W.RUNNING, _V.FINISH): _W.FINISHED,
}
UNDER_WAY_PASSAGES = frozenset({_W.WITHDRAWING, _W.SUBMITTING, _W.RELEASING})
ARRIVED_PASSAGES = frozenset({_W.PLACED, _W.RUNNING, _W.FINISHED})
# the workload has left home, or may have: whatever home says of it, it is not sent again
GONE_PASSAGES = UNDER_WAY_PASSAGES | ARRIVED_PASSAGES | {_W.NEEDS_HUMAN}

_C, _D = CommandState, CommandEvent
COMMAND_TRANSITIONS: Mapping[tuple[CommandState, CommandEvent], CommandState] = {
    (_C.PENDING, _D.SEND): _C.SENT,
    (_C.SENT, _D.CONFIRM): _C.CONFIRMED,
    (_C.SENT, _D.REFUSE): _C.REFUSED,
    (_C.SENT, _D.LOSE_SIGHT): _C.UNKNOWN,
    (_C.UNKNOWN, _D.CONFIRM): _C.CONFIRMED,
    (_C.UNKNOWN, _D.REFUSE): _C.REFUSED,
    (_C.UNKNOWN, _D.FOUND_MISSING): _C.PENDING,
}

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


def next_state(table: Mapping[tuple[State, Event], State], state: State, event: Event) -> State:
    """This function will say where an event leads, or refuse it.

    Args:
        table: one of the transition tables above.
        state: the present state.
        event: what happens.

    Returns:
        The state after the event.

    Raises:
        TransitionNotAllowed: the table has no such step.

    >>> next_state(PLAN_TRANSITIONS, PlanState.PROPOSED, PlanEvent.REJECT)
    <PlanState.REJECTED: 'REJECTED'>
    """
    try:
        return table[state, event]
    except KeyError:
        raise TransitionNotAllowed(
            f"This is {state}; it cannot {event} any more.", state=str(state), event=str(event)
        ) from None


def outcome_of_moves(states: list[MoveState]) -> PlanEvent | None:
    """This function will say how a dispatching plan ends, as a fold over its moves.

    Args:
        states: the state of each move, at least one.

    Returns:
        The event that ends the plan, or None while a move is not at its end.
    """
    if any(state in (MoveState.PENDING, MoveState.IN_FLIGHT) for state in states):
        return None
    if all(state is MoveState.DONE for state in states):
        return PlanEvent.COMPLETE
    if any(state is MoveState.DONE for state in states):
        return PlanEvent.COMPLETE_IN_PART
    return PlanEvent.FAIL


def outcome_of_passages(states: list[PassageState]) -> MoveEvent | None:
    """This function will say how a move in flight ends, as a fold over its workloads.

    A move is done when at least one workload has arrived and none is still on its way; it is
    skipped when none had to leave, and failed when all that left came back or need a person.
    """
    if any(state in UNDER_WAY_PASSAGES or state is PassageState.BOUND for state in states):
        return None
    if any(state in ARRIVED_PASSAGES for state in states):
        return MoveEvent.FINISH
    if all(state is PassageState.SKIPPED for state in states):
        return MoveEvent.SKIP
    return MoveEvent.FAIL
