"""Who must agree, who may decide, and what decisions amount to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.policy import (
    OPERATOR,
    REGIONAL_ADMIN,
    Decision,
    Outcome,
    Person,
    Seat,
    Vote,
    outcome,
    required_seats,
    seat_of,
)

SEATS = required_seats(["CN-BJ", "CN-NM"])
BJ, NM, OP = SEATS
PROPOSER = 1


def test_a_plan_needs_each_region_once_and_one_operator():
    assert required_seats(["CN-NM", "CN-BJ", "CN-NM"]) == (
        Seat(REGIONAL_ADMIN, "CN-BJ"),
        Seat(REGIONAL_ADMIN, "CN-NM"),
        Seat(OPERATOR),
    )


@pytest.mark.parametrize(
    ("person", "seat"),
    [
        pytest.param(Person(2, REGIONAL_ADMIN, "CN-BJ"), BJ, id="admin of a region touched"),
        pytest.param(Person(2, REGIONAL_ADMIN, "CN-GD"), None, id="admin of another region"),
        pytest.param(Person(2, OPERATOR), OP, id="another operator"),
        pytest.param(Person(2, OPERATOR, "CN-BJ"), OP, id="an operator's region does not matter"),
        pytest.param(Person(PROPOSER, OPERATOR), None, id="the proposer"),
        pytest.param(Person(PROPOSER, REGIONAL_ADMIN, "CN-BJ"), None, id="proposer as admin"),
        pytest.param(Person(2, "AUDITOR"), None, id="auditor"),
        pytest.param(Person(2, "GRID_ADMIN"), None, id="grid admin"),
        pytest.param(Person(2, "PROVIDER", "CN-BJ"), None, id="provider"),
    ],
)
def test_only_those_whom_the_plan_touches_have_a_seat(person, seat):
    assert seat_of(person, SEATS, PROPOSER) == seat


def approve(user_id, seat):
    return Vote(user_id, seat, Decision.APPROVE)


def test_all_seats_together_approve():
    votes = [approve(2, BJ), approve(3, NM), approve(4, OP)]

    assert outcome(SEATS, votes, PROPOSER) is Outcome.APPROVED
    assert outcome(SEATS, votes[:2], PROPOSER) is Outcome.WAITING


def test_the_proposer_never_counts():
    votes = [approve(2, BJ), approve(3, NM), approve(PROPOSER, OP)]

    assert outcome(SEATS, votes, PROPOSER) is Outcome.WAITING


def test_one_person_counts_once():
    votes = [approve(2, BJ), approve(2, NM), approve(4, OP)]

    assert outcome(SEATS, votes, PROPOSER) is Outcome.WAITING


def test_one_rejection_ends_it_whatever_the_others_say():
    votes = [approve(2, BJ), approve(4, OP), Vote(3, NM, Decision.REJECT)]

    assert outcome(SEATS, votes, PROPOSER) is Outcome.REJECTED


VOTES = st.lists(
    st.builds(
        Vote,
        st.integers(1, 6),
        st.sampled_from([*SEATS, Seat(REGIONAL_ADMIN, "CN-GD"), Seat("AUDITOR")]),
        st.sampled_from(Decision),
    )
)


@given(VOTES)
def test_approval_always_has_a_different_person_in_every_seat(votes):
    if outcome(SEATS, votes, PROPOSER) is Outcome.APPROVED:
        good = [v for v in votes if v.user_id != PROPOSER and v.seat in SEATS]
        people = {v.user_id for v in good}
        assert {v.seat for v in good if v.decision is Decision.APPROVE} == set(SEATS)
        assert len(people) >= len(SEATS)


@given(VOTES)
def test_silence_never_approves(votes):
    silent = [vote for vote in votes if vote.seat != NM]

    assert outcome(SEATS, silent, PROPOSER) is not Outcome.APPROVED
