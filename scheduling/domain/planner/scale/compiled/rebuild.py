"""Betters a plan of whole jobs: takes a few pools' jobs off and places them anew, largest first."""

from typing import NamedTuple

from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.compiled.board import NONE, Board, Tables, put, undo
from scheduling.domain.planner.scale.compiled.filling import Desk, Signs, fill, fill_pools
from scheduling.domain.planner.scale.compiled.jit import compiled, compiled_into

BETTER_USD = 1e-6
LIFTED, WAITING = 1, 2
# Groups that are offered the room of a pool, of those that wait.
MOST_WAITING = 60
# By how much the order of sizes is shaken, in 1024ths.
SHAKE = 512


class Shop(NamedTuple):
    """What rebuilding reads and works in.

    Attributes:
        guests_first, guests: (P + 1,) and beyond, the groups that have an arc to each pool.
        sizes: (G,) unit-slots of a job; larger ones are placed first.
        marks: (G,) zeros.
        noted: (G + 1,) groups of the present rebuild, how many in its last place.
        order_by: (G,) what they are ordered by.
        state: (1,) seed of the generator.
    """

    guests_first: IntArray
    guests: IntArray
    sizes: FloatArray
    marks: IntArray
    noted: IntArray
    order_by: FloatArray
    state: IntArray


@compiled_into
def _next(state: IntArray, below: int) -> int:
    """Return a number >= 0 and below the given one, by a linear congruential generator."""
    state[0] = (state[0] * 1103515245 + 12345) & 0x7FFFFFFF
    return int((state[0] >> 8) % below)


@compiled
def _lift(tables: Tables, board: Board, pool: int, marks: IntArray, lifted: IntArray) -> None:
    """Take all jobs off a pool, but those that are fixed; note their groups."""
    entry = board.pool_head[pool]
    while entry != NONE:
        following = board.pool_after[entry]
        group = board.start[entry, 0]
        if not tables.is_fixed[group]:
            _note(marks, lifted, group, LIFTED)
            put(
                tables,
                board,
                group,
                board.start[entry, 1],
                board.start[entry, 2],
                -board.start[entry, 3],
            )
        entry = following


@compiled_into
def _note(marks: IntArray, noted: IntArray, group: int, mark: int) -> None:
    """Put a group on the list whose length stands in its last place, once."""
    if marks[group] == 0:
        marks[group] = mark
        noted[noted[-1]] = group
        noted[-1] += 1


@compiled
def _note_waiting(tables: Tables, board: Board, shop: Shop, pool: int) -> None:
    """Note some groups that wait and have an arc to a pool."""
    first = shop.guests_first[pool]
    there = shop.guests_first[pool + 1] - first
    if there == 0:
        return
    begin, most = _next(shop.state, there), shop.noted[-1] + MOST_WAITING
    for n in range(there):
        group = shop.guests[first + (begin + n) % there]
        if shop.noted[-1] >= most:
            return
        if board.left[group] > 0 and not tables.is_fixed[group]:
            _note(shop.marks, shop.noted, group, WAITING)


@compiled_into
def _sort(noted: IntArray, order_by: FloatArray, count: int) -> None:
    """Sort by insertion: lists are short, and mostly in order."""
    for n in range(1, count):
        group, key = noted[n], order_by[n]
        place = n
        while place > 0 and order_by[place - 1] > key:
            noted[place], order_by[place] = noted[place - 1], order_by[place - 1]
            place -= 1
        noted[place], order_by[place] = group, key


@compiled
def _clear(tables: Tables, board: Board, shop: Shop, pool: int) -> int:
    """Lift a pool and another one that a group of it could use; note who may come. The other."""
    shop.noted[-1] = 0
    _lift(tables, board, pool, shop.marks, shop.noted)
    other = NONE
    if shop.noted[-1] > 0:
        group = shop.noted[_next(shop.state, shop.noted[-1])]
        first = tables.arcs_first[group]
        arc = first + _next(shop.state, tables.arcs_first[group + 1] - first)
        other = tables.pool[tables.ride[arc]]
    if other == pool:
        other = NONE
    if other != NONE:
        _lift(tables, board, other, shop.marks, shop.noted)
        _note_waiting(tables, board, shop, other)
    _note_waiting(tables, board, shop, pool)
    return int(other)


@compiled
def _place_again(
    tables: Tables, board: Board, signs: Signs, desk: Desk, shop: Shop, pools: tuple[int, int]
) -> None:
    """Place noted groups: first at the two pools by prices, then by cost."""
    for n in range(shop.noted[-1]):
        fill_pools(tables, board, signs, desk, (shop.noted[n], pools[0], pools[1]), 1.0)
    for n in range(shop.noted[-1]):
        # what was there may go anywhere, what waited only where there is room again
        group = shop.noted[n]
        if shop.marks[group] == LIFTED:
            fill(tables, board, signs, desk, group, 0.0)
        else:
            fill_pools(tables, board, signs, desk, (group, pools[0], pools[1]), 0.0)


@compiled
def rebuild(
    tables: Tables, board: Board, signs: Signs, desk: Desk, shop: Shop, pools: IntArray
) -> int:
    """This function will rebuild pairs of pools and keep what costs less.

    Args:
        tables: what does not change.
        board: the plan.
        signs: prices.
        desk: room for lists.
        shop: who may use which pool, and room to work in.
        pools: pools to begin with, in turn.

    Returns:
        How many rebuilt pairs were kept.
    """
    kept = 0
    for pool in pools:
        board.tally[1] = 0
        before_usd = board.total_usd[0]
        other = _clear(tables, board, shop, pool)
        count = shop.noted[-1]
        for n in range(count):
            shaken = 1.0 - _next(shop.state, SHAKE) / 1024.0
            shop.order_by[n] = -shop.sizes[shop.noted[n]] * shaken
        _sort(shop.noted, shop.order_by, count)
        _place_again(tables, board, signs, desk, shop, (pool, other))
        for n in range(count):
            shop.marks[shop.noted[n]] = 0
        if board.total_usd[0] > before_usd - BETTER_USD:
            undo(tables, board)
        else:
            kept += 1
    return kept
