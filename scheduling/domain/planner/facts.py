"""Finds why a move is proposed, why the next best destination lost, and why others still wait.

Codes and figures only; the words for them are in `scheduling.domain.planner.reasons`.
"""

import datetime as dt
import enum
from dataclasses import dataclass

import numpy as np

from scheduling.domain.planner.costs import group_costs
from scheduling.domain.planner.exact.room import Occupancy
from scheduling.domain.planner.moves import MoveDraft
from scheduling.domain.planner.occupancy import start_allowed, whole_capacity
from scheduling.domain.planner.outcome import PlanOutcome
from scheduling.domain.planner.problem import BoolArray, FloatArray, PlanningProblem
from scheduling.domain.planner.terms import terms_of, usable_pools

EQUAL_USD = 1e-6


class MoveReason(enum.StrEnum):
    """Which effect of a move weighs most."""

    SHORTAGE_AT_HOME = "SHORTAGE_AT_HOME"
    EARLIER_START = "EARLIER_START"
    CHEAPER_ENERGY = "CHEAPER_ENERGY"
    LOWER_CARBON = "LOWER_CARBON"
    SURPLUS_POWER = "SURPLUS_POWER"
    CLOSER_TO_USERS = "CLOSER_TO_USERS"
    MAKES_ROOM = "MAKES_ROOM"


class LossReason(enum.StrEnum):
    """Why the next best destination was not taken."""

    COSTS_MORE = "COSTS_MORE"
    FULL = "FULL"
    REGION_LIMIT = "REGION_LIMIT"


class WaitReason(enum.StrEnum):
    """Why workloads wait, or start at home later than now."""

    POOL_UNKNOWN = "POOL_UNKNOWN"
    WAITING_COSTS_LESS = "WAITING_COSTS_LESS"
    NOT_WORTH_MOVING = "NOT_WORTH_MOVING"
    REGION_LIMIT = "REGION_LIMIT"
    QUOTA_OR_CAP = "QUOTA_OR_CAP"
    TOO_LATE = "TOO_LATE"
    RULE_FORBIDS = "RULE_FORBIDS"
    NO_CAPACITY_ANYWHERE = "NO_CAPACITY_ANYWHERE"


@dataclass(frozen=True)
class RunnerUp:
    """The destination that would have been next for the same workloads.

    Attributes:
        pool: its code.
        reason: why it lost.
        extra_usd_per_job: what one workload would cost more there; None when there is no room.
    """

    pool: str
    reason: LossReason
    extra_usd_per_job: float | None


@dataclass(frozen=True)
class MoveFacts:
    """The figures behind one move. Times are aware UTC; None means not within the horizon.

    Attributes:
        code: which effect weighs most.
        free_units: units free for guests at the destination through the whole window.
        free_until: when fewer are free, None if they stay free.
        price_usd_per_unit_h, home_price_usd_per_unit_h: mean energy price over the window held.
        short_units: most units that home lacks for its waiting workloads, 0 if none.
        short_from: first slot in which it lacks any.
        hours_earlier: mean hours that a workload starts earlier; until the end of the horizon
            when it had no start at home.
        runner_up: the next best destination, None if there is none.
    """

    code: MoveReason
    free_units: int
    free_until: dt.datetime | None
    price_usd_per_unit_h: float
    home_price_usd_per_unit_h: float
    short_units: int
    short_from: dt.datetime | None
    hours_earlier: float
    runner_up: RunnerUp | None


@dataclass(frozen=True)
class WaitFacts:
    """Why workloads of one group wait.

    Attributes:
        group: index g.
        group_key, home_pool: stable names.
        code: the first reason that applies, in the order of `WaitReason`.
        jobs_unplaced: workloads without a start in the horizon.
        jobs_late: workloads that start at home, but not in slot 0.
    """

    group: int
    group_key: str
    home_pool: str
    code: WaitReason
    jobs_unplaced: int
    jobs_late: int


def move_facts(
    problem: PlanningProblem, plan: PlanOutcome, moves: tuple[MoveDraft, ...]
) -> tuple[MoveFacts, ...]:
    """This function will find the reason and the figures of every move, in their order.

    Args:
        problem: the situation.
        plan: outcome of `solver.solve` on it.
        moves: moves of that plan.

    Returns:
        One entry per move.
    """
    occupancy = Occupancy.after(problem, plan.placements)
    return tuple(_explain(problem, occupancy, move) for move in moves)


def _explain(problem: PlanningProblem, occupancy: Occupancy, move: MoveDraft) -> MoveFacts:
    terms = terms_of(problem, move.group, np.array([move.destination]))
    window = slice(move.start_slot, min(problem.slots, move.start_slot + int(terms.slots[0])))
    guests, _ = whole_capacity(problem)
    free = guests[move.destination]
    free_units = int(free[window].min())
    fewer = np.flatnonzero(free[window.stop :] < free_units)
    short = shortage(problem, move.source)
    energy = problem.energy_usd_per_unit_h
    delay_usd_per_h = move.units * problem.weights.delay_usd_per_unit_h
    return MoveFacts(
        code=_weightiest(move),
        free_units=free_units,
        free_until=_slot_start(problem, window.stop + int(fewer[0])) if len(fewer) else None,
        price_usd_per_unit_h=float(energy[move.destination, window].mean()),
        home_price_usd_per_unit_h=float(energy[move.source, window].mean()),
        short_units=int(np.ceil(short.max())),
        short_from=_slot_start(problem, int((short > 0).argmax())) if short.any() else None,
        hours_earlier=-move.change.delay_usd / delay_usd_per_h if delay_usd_per_h else 0.0,
        runner_up=_runner_up(problem, occupancy, move),
    )


def shortage(problem: PlanningProblem, pool: int) -> FloatArray:
    """This function will return the units a pool lacks for its own waiting workloads.

    Args:
        problem: the situation.
        pool: index p.

    Returns:
        (T,) units asked for, if all work that the pool has yet to serve started now, services in
        their hours, less `available`;
        0 where there are enough.
    """
    asked = np.zeros(problem.slots)
    for group in problem.groups:
        if group.home == pool and not group.is_running:
            held = slice(group.first_start, group.first_start + group.duration_slots)
            asked[held] += group.jobs * group.units
    lacking: FloatArray = np.maximum(0.0, asked - problem.available[pool])
    return lacking


def _weightiest(move: MoveDraft) -> MoveReason:
    if move.saving_usd <= EQUAL_USD:
        return MoveReason.MAKES_ROOM
    change = move.change
    has_no_place = change.unmet_usd < -EQUAL_USD
    waiting = MoveReason.SHORTAGE_AT_HOME if has_no_place else MoveReason.EARLIER_START
    gains = {
        waiting: -change.delay_usd - change.unmet_usd,
        MoveReason.CHEAPER_ENERGY: -change.energy_usd,
        MoveReason.LOWER_CARBON: -change.carbon_usd,
        MoveReason.SURPLUS_POWER: -change.surplus_usd,
        MoveReason.CLOSER_TO_USERS: -change.latency_usd,
    }
    return max(gains, key=lambda reason: gains[reason])


def _slot_start(problem: PlanningProblem, slot: int) -> dt.datetime:
    return problem.starts_at + dt.timedelta(hours=slot)


def _runner_up(problem: PlanningProblem, occupancy: Occupancy, move: MoveDraft) -> RunnerUp | None:
    """Compare destinations for one workload of the move, all others staying where planned."""
    price = group_costs(problem, move.group).total_usd
    allowed = start_allowed(problem, move.group)
    allowed[[move.source, move.destination]] = False
    alone = np.where(allowed & (Occupancy(problem).fitting(move.group) >= 1), price, np.inf)
    if not np.isfinite(alone).any():
        return None
    best_alone = alone.min(axis=1)
    pool = min(
        np.flatnonzero(best_alone <= best_alone.min() + EQUAL_USD),
        key=lambda p: problem.pools[p].code,
    )
    start = (move.group, move.destination, move.start_slot)
    occupancy.add(*start, jobs=-1)
    has_room = allowed[pool] & (occupancy.fitting(move.group)[pool] >= 1)
    is_within = bool(occupancy.within_limits(move.group)[pool] >= 1)
    occupancy.add(*start, jobs=1)
    code = problem.pools[pool].code
    if not has_room.any():
        return RunnerUp(code, LossReason.FULL, None)
    if not is_within:
        return RunnerUp(code, LossReason.REGION_LIMIT, None)
    extra_usd = float(price[pool, has_room].min() - price[move.destination, move.start_slot])
    return RunnerUp(code, LossReason.COSTS_MORE, max(0.0, extra_usd))


def wait_facts(problem: PlanningProblem, plan: PlanOutcome) -> tuple[WaitFacts, ...]:
    """This function will say for every group with waiting workloads why they wait.

    A workload waits when it has no start in the horizon, or starts at home after slot 0.

    Args:
        problem: the situation.
        plan: outcome of `solver.solve` on it.

    Returns:
        One entry per group that has waiting workloads, in the order of the groups.
    """
    late = [0] * len(problem.groups)
    last_start = [0] * len(problem.groups)
    for placement in plan.placements:
        demand = problem.groups[placement.group]
        if placement.pool == demand.home and placement.slot > demand.first_start:
            late[placement.group] += placement.jobs
            last_start[placement.group] = max(last_start[placement.group], placement.slot)
    occupancy = Occupancy.after(problem, plan.placements)
    found = []
    for g, group in enumerate(problem.groups):
        unplaced = plan.unplaced[g]
        if unplaced or late[g]:
            before = problem.slots if unplaced else last_start[g]
            code = _why_waiting(problem, occupancy, g, before)
            home = problem.pools[group.home].code
            found.append(WaitFacts(g, group.key, home, code, unplaced, late[g]))
    return tuple(found)


def _why_waiting(
    problem: PlanningProblem, occupancy: Occupancy, group: int, before: int
) -> WaitReason:
    """Return the first reason that keeps one workload from a start in a slot before `before`."""
    home = problem.groups[group].home
    is_known = np.array([pool.is_known for pool in problem.pools], dtype=np.bool_)
    if not is_known[home]:
        return WaitReason.POOL_UNKNOWN
    has_room = occupancy.fitting(group) >= 1
    is_soon = np.arange(problem.slots) < before
    open_starts = start_allowed(problem, group) & has_room & is_soon
    is_forbidden = is_known & ~problem.allowed[group]
    forbidden_starts = start_allowed(problem, group, pools=is_forbidden) & has_room & is_soon
    within_limits = occupancy.within_limits(group) >= 1
    in_pool = occupancy.fitting(group, in_pools_only=True) >= 1
    pool_starts = start_allowed(problem, group) & in_pool & is_soon
    reasons: tuple[tuple[bool, WaitReason], ...] = (
        (bool(open_starts[home].any()), WaitReason.WAITING_COSTS_LESS),
        (bool(open_starts[within_limits].any()), WaitReason.NOT_WORTH_MOVING),
        (bool(open_starts.any()), WaitReason.REGION_LIMIT),
        (bool(pool_starts.any()), WaitReason.QUOTA_OR_CAP),
        (_has_room_out_of_time(problem, group, has_room), WaitReason.TOO_LATE),
        (bool(forbidden_starts.any()), WaitReason.RULE_FORBIDS),
    )
    return next((reason for holds, reason in reasons if holds), WaitReason.NO_CAPACITY_ANYWHERE)


def _has_room_out_of_time(problem: PlanningProblem, group: int, has_room: BoolArray) -> bool:
    """Return whether a pool has room only before the data is there or after the deadline."""
    out_of_time = usable_pools(problem, group)[:, None] & ~start_allowed(problem, group)
    return bool((out_of_time & has_room).any())
