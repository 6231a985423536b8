"""Lists the starts that prices find nearly best, and counts what fits on listed starts."""

from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.compiled.board import (
    Board,
    Tables,
    gain_of,
    jobs_that_fit,
    put,
)
from scheduling.domain.planner.scale.compiled.filling import Signs, fair_usd
from scheduling.domain.planner.scale.compiled.jit import compiled, compiled_into


@compiled_into
def priced_usd(tables: Tables, signs: Signs, group: int, arc: int, slot: int) -> float:
    """This function will return what a unit costs at a start under prices, less no place."""
    ride = tables.ride[arc]
    rate = tables.rate[ride]
    end = min(slot + tables.slots[ride], tables.usd.shape[1])
    usd = gain_of(tables, group, arc, slot) + signs.sums[rate, end] - signs.sums[rate, slot]
    return float(usd + signs.lane_usd[tables.lane[arc]] - signs.owed_usd[group])


@compiled_into
def _least_priced(tables: Tables, signs: Signs, group: int) -> float:
    least = 0.0
    for arc in range(tables.arcs_first[group], tables.arcs_first[group + 1]):
        for slot in range(tables.earliest[tables.ride[arc]], tables.latest[arc] + 1):
            least = min(least, priced_usd(tables, signs, group, arc, slot))
    return least


@compiled
def list_cells(
    tables: Tables,
    board: Board,
    signs: Signs,
    wanted: tuple[IntArray, FloatArray],
    cells: IntArray,
    gain_usd: FloatArray,
) -> int:
    """This function will list starts within some slack of each group's best, where a job fits.

    Args:
        tables: what does not change.
        board: the plan.
        signs: prices.
        wanted: groups, those with nothing left are passed over; (G,) slack, USD per unit.
        cells: (C, 3) group, arc, slot; written as far as there is room.
        gain_usd: (C,) what a unit costs there less what it costs to have no place.

    Returns:
        How many there are, also when they did not all find room.
    """
    found = 0
    for group in wanted[0]:
        if board.left[group] < 1:
            continue
        most = _least_priced(tables, signs, group) + wanted[1][group]
        fair = fair_usd(tables, board, group)
        for arc in range(tables.arcs_first[group], tables.arcs_first[group + 1]):
            for slot in range(tables.earliest[tables.ride[arc]], tables.latest[arc] + 1):
                gain = gain_of(tables, group, arc, slot) - fair
                if gain >= 0.0 or priced_usd(tables, signs, group, arc, slot) > most:
                    continue
                if jobs_that_fit(tables, board, group, arc, slot) < 1:
                    continue
                if found < len(cells):
                    cells[found, 0], cells[found, 1], cells[found, 2] = group, arc, slot
                    gain_usd[found] = gain
                found += 1
    return found


@compiled
def put_whole(
    tables: Tables, board: Board, cells: IntArray, jobs: IntArray, order: IntArray
) -> int:
    """This function will place jobs on starts as far as they fit; how many it placed."""
    placed = 0
    for n in order:
        group, arc, slot = cells[n, 0], cells[n, 1], cells[n, 2]
        most = min(jobs[n], board.left[group])
        if most > 0:
            most = min(most, jobs_that_fit(tables, board, group, arc, slot))
        if most > 0:
            board.tally[1] = 0
            put(tables, board, group, arc, slot, most)
            placed += most
    return placed
