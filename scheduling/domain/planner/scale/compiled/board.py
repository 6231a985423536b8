"""Puts jobs on starts and takes them off, while every limit keeps count of what is left."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray
from scheduling.domain.planner.scale.compiled.jit import compiled, compiled_into
from scheduling.domain.planner.scale.compiled.spread import Single

# What stands for no limit, and for no place in a list.
FULL = 1e15
NONE = -1
ROUNDING = 1e-9
# Entries and places in the log that are kept back for what must not fail.
SPARE = 64


class Tables(NamedTuple):
    """What does not change while jobs are placed.

    Attributes:
        usd: (K, T) cost of a unit by ride and start slot, 1e18 where no start is possible.
        rate, slots, earliest, pool: (K,) of each ride.
        rows_first, rows: (Q + 1,) and beyond, the rows of limits by slot that a rate pays.
        carbon_kg, cap_of: (Q, T) of one unit-hour by rate, and whose cap; none is beyond the last.
        arcs_first: (G + 1,) where the arcs of each group begin.
        ride, latest, once_usd, late_usd, lane: (N,) of each arc.
        units, aim_usd, hours: (G,) of a job; cost of a unit without a place; hours of fair shares.
        share: (G,) fair share that a group counts in; none is beyond the last.
        is_fixed: (G,) whether jobs stay where they are once placed: gangs at a site.
        fair_usd: what a unit-hour of a fair share is worth, one number.
    """

    usd: FloatArray
    rate: IntArray
    slots: IntArray
    earliest: IntArray
    pool: IntArray
    rows_first: IntArray
    rows: IntArray
    carbon_kg: FloatArray
    cap_of: IntArray
    arcs_first: IntArray
    ride: NDArray[np.int32]
    latest: NDArray[np.int32]
    once_usd: FloatArray
    late_usd: Single
    lane: NDArray[np.int32]
    units: FloatArray
    aim_usd: FloatArray
    hours: FloatArray
    share: IntArray
    is_fixed: BoolArray
    fair_usd: float


class Board(NamedTuple):
    """What changes while jobs are placed. A start has an entry, in two lists at the same time.

    Attributes:
        room: (rows, T) units left; capacity, guests, quotas.
        out, into, caps_kg, owed_unit_h: left of region limits, caps, and owed to fair shares.
        left: (G,) jobs without a place.
        head, after: (G,) first entry of a group; per entry, the next one.
        pool_head, pool_after, pool_before: the same by pool, in both directions.
        start: (E, 4) group, arc, slot, jobs of each entry.
        free: entries that are not used, a stack.
        log: (L, 4) group, arc, slot, jobs of every change since the log was cleared.
        tally: entries free, changes in the log.
        total_usd: cost of what is placed less the cost of no place for it; one number.
    """

    room: FloatArray
    out: FloatArray
    into: FloatArray
    caps_kg: FloatArray
    owed_unit_h: FloatArray
    left: IntArray
    head: IntArray
    after: IntArray
    pool_head: IntArray
    pool_after: IntArray
    pool_before: IntArray
    start: IntArray
    free: IntArray
    log: IntArray
    tally: IntArray
    total_usd: FloatArray


@compiled_into
def arc_at(tables: Tables, group: int, pool: int) -> int:
    """This function will return the arc from a group to a pool, -1 where there is none."""
    low, high = tables.arcs_first[group], tables.arcs_first[group + 1]
    while low < high:
        middle = (low + high) // 2
        if tables.pool[tables.ride[middle]] < pool:
            low = middle + 1
        else:
            high = middle
    if low < tables.arcs_first[group + 1] and tables.pool[tables.ride[low]] == pool:
        return int(low)
    return NONE


@compiled_into
def gain_of(tables: Tables, group: int, arc: int, slot: int) -> float:
    """This function will return what a unit costs at a start, less what no place costs it."""
    ride = tables.ride[arc]
    usd = tables.usd[ride, slot] + tables.once_usd[arc] - tables.aim_usd[group]
    if slot == tables.earliest[ride]:
        usd += tables.late_usd[arc]
    return float(usd)


@compiled_into
def jobs_that_fit(tables: Tables, board: Board, group: int, arc: int, slot: int) -> int:
    """This function will count how many more jobs of a group fit; none on a full board."""
    if board.tally[0] < SPARE or board.tally[1] > len(board.log) - SPARE:
        return 0
    ride, units = tables.ride[arc], tables.units[group]
    rate = tables.rate[ride]
    end = min(slot + tables.slots[ride], tables.usd.shape[1])
    least = FULL
    for n in range(tables.rows_first[rate], tables.rows_first[rate + 1]):
        row = tables.rows[n]
        for t in range(slot, end):
            least = min(least, board.room[row, t])
            if least < units:
                return 0
    lane, regions = tables.lane[arc], len(board.out)
    if lane > 0:
        least = min(least, board.out[lane // regions], board.into[lane % regions])
    if len(board.caps_kg):
        least = min(least, _units_under_caps(tables, board, rate, slot, end))
    return max(0, int(least / units + ROUNDING))


@compiled_into
def _units_under_caps(tables: Tables, board: Board, rate: int, slot: int, end: int) -> float:
    least = FULL
    begin = slot
    while begin < end:
        cap, kg = tables.cap_of[rate, begin], 0.0
        while begin < end and tables.cap_of[rate, begin] == cap:
            kg += tables.carbon_kg[rate, begin]
            begin += 1
        if cap < len(board.caps_kg) and kg > ROUNDING:
            least = min(least, board.caps_kg[cap] / kg)
    return least


@compiled_into
def _take(tables: Tables, board: Board, group: int, arc: int, slot: int, jobs: int) -> None:
    """Take the room of some jobs, and count what they cost."""
    ride, units = tables.ride[arc], jobs * tables.units[group]
    rate = tables.rate[ride]
    end = min(slot + tables.slots[ride], tables.usd.shape[1])
    for n in range(tables.rows_first[rate], tables.rows_first[rate + 1]):
        row = tables.rows[n]
        for t in range(slot, end):
            board.room[row, t] -= units
    lane, regions = tables.lane[arc], len(board.out)
    if lane > 0:
        board.out[lane // regions] -= units
        board.into[lane % regions] -= units
    if len(board.caps_kg):
        for t in range(slot, end):
            if tables.cap_of[rate, t] < len(board.caps_kg):
                board.caps_kg[tables.cap_of[rate, t]] -= units * tables.carbon_kg[rate, t]
    board.total_usd[0] += units * gain_of(tables, group, arc, slot)
    share = tables.share[group]
    if share < len(board.owed_unit_h):
        owed = board.owed_unit_h[share]
        board.owed_unit_h[share] = owed - units * tables.hours[group]
        less = max(0.0, board.owed_unit_h[share]) - max(0.0, owed)
        board.total_usd[0] += tables.fair_usd * less


@compiled
def put(tables: Tables, board: Board, group: int, arc: int, slot: int, jobs: int) -> None:
    """This function will place some jobs, room or not; fewer than 0 takes them back."""
    _take(tables, board, group, arc, slot, jobs)
    board.left[group] -= jobs
    change = board.tally[1]
    board.log[change, 0], board.log[change, 1] = group, arc
    board.log[change, 2], board.log[change, 3] = slot, jobs
    board.tally[1] = change + 1
    entry, last = board.head[group], NONE
    while entry != NONE and (board.start[entry, 1] != arc or board.start[entry, 2] != slot):
        last, entry = entry, board.after[entry]
    if entry == NONE:
        _enter(board, tables.pool[tables.ride[arc]], (group, arc, slot, jobs))
        return
    board.start[entry, 3] += jobs
    if board.start[entry, 3] == 0:
        _leave(board, tables.pool[tables.ride[arc]], entry, last)


@compiled_into
def _enter(board: Board, pool: int, start: tuple[int, int, int, int]) -> None:
    board.tally[0] -= 1
    entry = board.free[board.tally[0]]
    board.start[entry, 0], board.start[entry, 1], board.start[entry, 2] = (
        start[0],
        start[1],
        start[2],
    )
    board.start[entry, 3] = start[3]
    board.after[entry] = board.head[start[0]]
    board.head[start[0]] = entry
    following = board.pool_head[pool]
    board.pool_after[entry], board.pool_before[entry] = following, NONE
    if following != NONE:
        board.pool_before[following] = entry
    board.pool_head[pool] = entry


@compiled_into
def _leave(board: Board, pool: int, entry: int, last: int) -> None:
    if last == NONE:
        board.head[board.start[entry, 0]] = board.after[entry]
    else:
        board.after[last] = board.after[entry]
    before, following = board.pool_before[entry], board.pool_after[entry]
    if before == NONE:
        board.pool_head[pool] = following
    else:
        board.pool_after[before] = following
    if following != NONE:
        board.pool_before[following] = before
    board.free[board.tally[0]] = entry
    board.tally[0] += 1


@compiled
def undo(tables: Tables, board: Board) -> None:
    """This function will take back every change in the log, last first, and clear it."""
    changes = board.tally[1]
    for n in range(changes - 1, -1, -1):
        group, arc, slot = board.log[n, 0], board.log[n, 1], board.log[n, 2]
        put(tables, board, group, arc, slot, -board.log[n, 3])
    board.tally[1] = 0
