"""Who must agree to a plan, who may decide, and what the decisions so far amount to.

Required are one admin of every region touched and one grid operator who did not propose the plan.
The proposer never counts, a person counts once, silence is no.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

OPERATOR = "OPERATOR"
REGIONAL_ADMIN = "REGIONAL_ADMIN"


class Decision(StrEnum):
    """What somebody answered."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"


class RejectReason(StrEnum):
    """Why a plan was rejected, in codes that can be counted."""

    CAPACITY_NEEDED_HERE = "capacity-needed-here"
    DATA_MUST_STAY = "data-must-stay"
    COST = "cost"
    TIMING = "timing"
    MAINTENANCE = "maintenance"
    NOT_CONVINCED = "not-convinced"
    OTHER = "other"


class Outcome(StrEnum):
    """What the decisions so far amount to."""

    WAITING = "WAITING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


@dataclass(frozen=True)
class Seat:
    """One decision that a plan needs: a role, and the region it speaks for."""

    role: str
    region: str | None = None


@dataclass(frozen=True)
class Vote:
    """One person's decision from one seat."""

    user_id: int
    seat: Seat
    decision: Decision


@dataclass(frozen=True)
class Person:
    """Somebody who wants to decide: the role and region as stored by an administrator."""

    user_id: int
    role: str
    region: str | None = None


def required_seats(regions: Iterable[str]) -> tuple[Seat, ...]:
    """This function will name the decisions that a plan needs.

    Args:
        regions: every region that the plan touches, source or destination.

    Returns:
        One seat per region in order of its code, then the operator's.
    """
    seats = [Seat(REGIONAL_ADMIN, region) for region in sorted(set(regions))]
    return (*seats, Seat(OPERATOR))


def seat_of(person: Person, seats: Sequence[Seat], proposer_id: int) -> Seat | None:
    """This function will find the seat from which a person may decide, if there is one.

    Args:
        person: who wants to decide.
        seats: the plan's required seats.
        proposer_id: who proposed the plan; never has a seat.

    Returns:
        The person's seat, or None.
    """
    if person.user_id == proposer_id:
        return None
    region = person.region if person.role == REGIONAL_ADMIN else None
    seat = Seat(person.role, region)
    return seat if seat in seats else None


def outcome(seats: Sequence[Seat], votes: Iterable[Vote], proposer_id: int) -> Outcome:
    """This function will say whether the decisions so far approve or reject a plan.

    A vote of the proposer, a second vote of one person, and a vote from a seat that the plan does
    not have count for nothing.
    """
    counted: dict[Seat, Decision] = {}
    people: set[int] = set()
    for vote in votes:
        if vote.user_id == proposer_id or vote.user_id in people or vote.seat not in seats:
            continue
        if vote.decision is Decision.REJECT:
            return Outcome.REJECTED
        people.add(vote.user_id)
        counted.setdefault(vote.seat, vote.decision)
    return Outcome.APPROVED if all(seat in counted for seat in seats) else Outcome.WAITING
