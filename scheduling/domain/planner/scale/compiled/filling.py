"""Fills groups in, cheapest start first, by prices or by cost alone; and brings jobs home."""

from typing import NamedTuple

from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.compiled.board import (
    NONE,
    Board,
    Tables,
    arc_at,
    gain_of,
    jobs_that_fit,
    put,
)
from scheduling.domain.planner.scale.compiled.jit import compiled, compiled_into

WORTH_USD = 1e-9
# At the right prices many starts cost exactly as much as having no place.
PRICED_WORTH_USD = 1e-6


class Signs(NamedTuple):
    """Prices as the filling reads them.

    Attributes:
        sums: (Q, T + 1) prices of a unit summed up over slots, by rate.
        lane_usd: (R * R,) prices of region limits by lane.
        owed_usd: (G,) what a unit earns by its tenant's fair share.
    """

    sums: FloatArray
    lane_usd: FloatArray
    owed_usd: FloatArray


class Desk(NamedTuple):
    """Room to list starts in: cost, arc and slot of each."""

    usd: FloatArray
    arc: IntArray
    slot: IntArray


@compiled_into
def fair_usd(tables: Tables, board: Board, group: int) -> float:
    """This function will return what one more unit of a group earns by its tenant's share."""
    share = tables.share[group]
    if share < len(board.owed_unit_h) and board.owed_unit_h[share] > 0.0:
        return float(tables.fair_usd * tables.hours[group])
    return 0.0


@compiled_into
def _list_starts(
    tables: Tables,
    board: Board,
    signs: Signs,
    desk: Desk,
    start: tuple[int, int, int],
    below: tuple[float, float],
) -> int:
    """List starts of an arc that pay and have room, after those listed; how many there are then.

    `start` is group, arc and how many are listed; `below` what a start must cost less than, and
    the weight of the prices.
    """
    group, arc, found = start
    below_usd, weight = below
    ride = tables.ride[arc]
    rate, held = tables.rate[ride], tables.slots[ride]
    paid = weight * (signs.lane_usd[tables.lane[arc]] - signs.owed_usd[group])
    for slot in range(tables.earliest[ride], tables.latest[arc] + 1):
        usd = gain_of(tables, group, arc, slot)
        if usd >= below_usd:
            continue
        end = min(slot + held, tables.usd.shape[1])
        usd += weight * (signs.sums[rate, end] - signs.sums[rate, slot]) + paid
        if weight > 0.0 and usd >= PRICED_WORTH_USD:
            continue
        if found < len(desk.usd) and jobs_that_fit(tables, board, group, arc, slot) > 0:
            desk.usd[found], desk.arc[found], desk.slot[found] = usd, arc, slot
            found += 1
    return found


@compiled
def _place_listed(tables: Tables, board: Board, desk: Desk, group: int, found: int) -> None:
    """Place what is left of a group on listed starts, cheapest first."""
    while found > 0 and board.left[group] > 0:
        best = 0
        for n in range(1, found):
            if desk.usd[n] < desk.usd[best]:
                best = n
        arc, slot = desk.arc[best], desk.slot[best]
        jobs = jobs_that_fit(tables, board, group, arc, slot)
        if jobs > 0:
            put(tables, board, group, arc, slot, min(jobs, board.left[group]))
        found -= 1
        desk.usd[best], desk.arc[best] = desk.usd[found], desk.arc[found]
        desk.slot[best] = desk.slot[found]


@compiled
def fill(tables: Tables, board: Board, signs: Signs, desk: Desk, group: int, weight: float) -> None:
    """This function will place what is left of a group, cheapest start first, while it pays.

    Args:
        tables: what does not change.
        board: the plan.
        signs: prices.
        desk: room for lists.
        group: index g.
        weight: of the prices: 1 minds what others would do with the room, 0 does not.
    """
    if board.left[group] < 1:
        return
    below = (fair_usd(tables, board, group) - WORTH_USD, weight)
    found = 0
    for arc in range(tables.arcs_first[group], tables.arcs_first[group + 1]):
        found = _list_starts(tables, board, signs, desk, (group, arc, found), below)
    _place_listed(tables, board, desk, group, found)


@compiled
def fill_pools(
    tables: Tables,
    board: Board,
    signs: Signs,
    desk: Desk,
    start: tuple[int, int, int],
    weight: float,
) -> None:
    """This function will place what is left of a group on two pools at most, as `fill` does.

    Args:
        tables: what does not change.
        board: the plan.
        signs: prices.
        desk: room for lists.
        start: group, and two pools; -1 is none.
        weight: of the prices.
    """
    group = start[0]
    if board.left[group] < 1:
        return
    below = (fair_usd(tables, board, group) - WORTH_USD, weight)
    found = 0
    for pool in start[1:]:
        arc = arc_at(tables, group, pool) if pool != NONE else NONE
        if arc != NONE:
            found = _list_starts(tables, board, signs, desk, (group, arc, found), below)
    _place_listed(tables, board, desk, group, found)


@compiled
def fill_all(
    tables: Tables, board: Board, signs: Signs, desk: Desk, groups: IntArray, weight: float
) -> None:
    """This function will fill in some groups, one after the other."""
    for group in groups:
        board.tally[1] = 0
        fill(tables, board, signs, desk, group, weight)


@compiled
def _bring_home(tables: Tables, board: Board, group: int, arc: int, away: IntArray) -> None:
    """Bring jobs of one start back to the home arc, where they cost no more there."""
    most_usd = gain_of(tables, group, away[1], away[2]) + 2 * WORTH_USD
    put(tables, board, group, away[1], away[2], -away[3])
    jobs = away[3]
    while jobs > 0:
        best, best_usd, best_fits = NONE, most_usd, 0
        for slot in range(tables.earliest[tables.ride[arc]], tables.latest[arc] + 1):
            usd = gain_of(tables, group, arc, slot)
            if usd < best_usd:
                fits = jobs_that_fit(tables, board, group, arc, slot)
                if fits > 0:
                    best, best_usd, best_fits = slot, usd, fits
        if best == NONE:
            break
        put(tables, board, group, arc, best, min(jobs, best_fits))
        jobs -= min(jobs, best_fits)
    if jobs > 0:
        put(tables, board, group, away[1], away[2], jobs)


@compiled
def bring_home(tables: Tables, board: Board, home_arc: IntArray, starts: IntArray) -> None:
    """This function will bring home every moved job that costs no more there.

    Args:
        tables: what does not change.
        board: the plan.
        home_arc: (G,) arc to the own pool, -1 where there is none.
        starts: (S, 4) to work in; no group has more starts.
    """
    for group in range(len(home_arc)):
        board.tally[1] = 0
        if home_arc[group] == NONE or tables.is_fixed[group]:
            continue
        found, entry = 0, board.head[group]
        while entry != NONE:
            if board.start[entry, 1] != home_arc[group]:
                for part in range(4):
                    starts[found, part] = board.start[entry, part]
                found += 1
            entry = board.after[entry]
        for n in range(found):
            _bring_home(tables, board, group, home_arc[group], starts[n])
