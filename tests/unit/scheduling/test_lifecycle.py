"""Every state × event of every life cycle either moves or is refused."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain import lifecycle as lc
from scheduling.domain.lifecycle import (
    CommandEvent,
    CommandState,
    MoveEvent,
    MoveState,
    PassageEvent,
    PassageState,
    PlanEvent,
    PlanState,
    TransitionNotAllowed,
    next_state,
    outcome_of_moves,
    outcome_of_passages,
)

TABLES = [
    pytest.param(lc.PLAN_TRANSITIONS, PlanState, PlanEvent, id="plan"),
    pytest.param(lc.MOVE_TRANSITIONS, MoveState, MoveEvent, id="move"),
    pytest.param(lc.PASSAGE_TRANSITIONS, PassageState, PassageEvent, id="passage"),
    pytest.param(lc.COMMAND_TRANSITIONS, CommandState, CommandEvent, id="command"),
]
TERMINAL = {
    PlanState: {"REJECTED", "EXPIRED", "SUPERSEDED", "CANCELLED", "FAILED", "SETTLED"},
    MoveState: {"FAILED", "SKIPPED", "REVERTED"},
    PassageState: {"FINISHED", "SKIPPED", "RETURNED", "NEEDS_HUMAN"},
    CommandState: {"CONFIRMED", "REFUSED"},
}


@pytest.mark.parametrize(("table", "states", "events"), TABLES)
def test_every_state_and_event_either_moves_or_is_refused(table, states, events):
    for state, event in product(states, events):
        if (state, event) in table:
            assert next_state(table, state, event) is table[state, event]
        else:
            with pytest.raises(TransitionNotAllowed) as refusal:
                next_state(table, state, event)
            assert str(state) in refusal.value.detail


@pytest.mark.parametrize(("table", "states", "events"), TABLES)
def test_exactly_the_named_states_are_the_end(table, states, events):
    ends = {state.value for state in states if not any(key[0] is state for key in table)}

    assert ends == TERMINAL[states]


@pytest.mark.parametrize(("table", "states", "events"), TABLES)
def test_every_state_can_be_reached_from_the_first(table, states, events):
    reached = {next(iter(states))}
    for _ in states:
        reached |= {after for (before, _), after in table.items() if before in reached}

    assert reached == set(states)


def test_a_plan_never_runs_without_having_been_approved():
    before = {old for (old, _), new in lc.PLAN_TRANSITIONS.items() if new is PlanState.DISPATCHING}

    assert before == {PlanState.APPROVED}


@given(st.lists(st.sampled_from(MoveState), min_size=1))
def test_a_plan_ends_only_when_every_move_has(states):
    is_open = {MoveState.PENDING, MoveState.IN_FLIGHT} & set(states)

    event = outcome_of_moves(states)

    assert (event is None) == bool(is_open)
    if event is PlanEvent.COMPLETE:
        assert set(states) == {MoveState.DONE}
    if event is PlanEvent.FAIL:
        assert MoveState.DONE not in states


@given(st.lists(st.sampled_from(PassageState), min_size=1))
def test_a_move_ends_only_when_no_workload_is_on_its_way(states):
    under_way = {
        PassageState.BOUND,
        PassageState.WITHDRAWING,
        PassageState.SUBMITTING,
        PassageState.RELEASING,
    } & set(states)

    event = outcome_of_passages(states)

    assert (event is None) == bool(under_way)
    if event is MoveEvent.SKIP:
        assert set(states) == {PassageState.SKIPPED}
