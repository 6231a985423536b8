"""Places the jobs of some groups on some pools by programmes over the starts that prices favor.

A linear programme over those few starts is solved quickly and mostly in whole jobs; what it leaves
in fractions is decided by a small integer programme.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse

from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray
from scheduling.domain.planner.scale.compiled import listing
from scheduling.domain.planner.scale.compiled.filling import Signs
from scheduling.domain.planner.scale.rounding import Rounding

WHOLE = 1e-5
NEARLY_WHOLE = 0.7


@dataclass(frozen=True)
class Cells:
    """Starts that may be used, C of them: group, arc, slot, and what a unit costs and is worth.

    Attributes:
        group, arc, slot: (C,) indices.
        gain_usd: (C,) what a unit costs there less what it costs to have no place; < 0 is good.
    """

    group: IntArray
    arc: IntArray
    slot: IntArray
    gain_usd: FloatArray

    def __len__(self) -> int:
        return len(self.group)

    def only(self, chosen: BoolArray) -> "Cells":
        """This function will return the chosen cells, in their order."""
        return Cells(self.group[chosen], self.arc[chosen], self.slot[chosen], self.gain_usd[chosen])


def promising(plan: Rounding, signs: Signs, groups: IntArray, slack: float) -> Cells:
    """This function will list the starts that prices find nearly best for each group.

    Args:
        plan: the present plan.
        signs: prices.
        groups: indices g; site gangs are none of them.
        slack: starts within this share of a unit's worth from the best are listed.

    Returns:
        The starts; only those cheaper than having no place, where a job fits.
    """
    arcs = plan.market.arcs
    slack_usd = np.zeros(len(arcs.units))
    slack_usd[arcs.groups] = slack * arcs.rides.scale_usd[arcs.ride[arcs.first]]
    room = 8 * len(groups) + 1_000
    while True:
        cells, gain_usd = np.empty((room, 3), dtype=np.int64), np.empty(room)
        found = listing.list_cells(
            plan.tables, plan.board, signs, (groups, slack_usd), cells, gain_usd
        )
        if found <= room:
            group, arc, slot = cells[:found].T
            return Cells(group, arc, slot, gain_usd[:found])
        room = found


def place_cells(plan: Rounding, cells: Cells, lane_usd: FloatArray, jobs_left: FloatArray) -> None:
    """This function will place jobs on cells as a linear programme does, as far as they are whole.

    Args:
        plan: the plan so far, with the room it leaves.
        cells: starts to choose from.
        lane_usd: prices of region limits by lane, where other cells compete for these.
        jobs_left: (G,) most jobs to place.
    """
    if not len(cells):
        return
    arcs = plan.market.arcs
    matrix, most = cell_limits(plan, cells, jobs_left)
    cost = arcs.units[cells.group] * (cells.gain_usd + lane_usd[arcs.lane[cells.arc]])
    jobs = _linear(cost, matrix, most, jobs_left[cells.group])
    if jobs is not None:
        _put_down(plan, cells, jobs)


def _linear(
    cost: FloatArray, matrix: sparse.csr_array, most: FloatArray, upper: FloatArray
) -> FloatArray | None:
    # linprog takes sparse matrices and an array of bounds; its stubs know neither.
    result = optimize.linprog(  # type: ignore[call-overload]
        cost,
        A_ub=matrix,
        b_ub=most,
        bounds=np.column_stack([np.zeros_like(upper), upper]),
        method="highs-ds",
    )
    jobs: FloatArray | None = result.x if result.success else None
    return jobs


def _put_down(plan: Rounding, cells: Cells, jobs: FloatArray) -> None:
    """Place whole jobs, then of the rest those nearest to whole that fit."""
    whole = np.floor(jobs + WHOLE).astype(np.int64)
    starts = np.stack([cells.group, cells.arc, cells.slot], axis=1)
    chosen = np.flatnonzero(whole > 0)
    listing.put_whole(plan.tables, plan.board, starts, whole, chosen)
    part = jobs - whole
    nearly = np.argsort(-part, kind="stable")[: int((part >= NEARLY_WHOLE).sum())]
    listing.put_whole(plan.tables, plan.board, starts, np.ones_like(whole), nearly)


def cell_limits(
    plan: Rounding, cells: Cells, jobs_left: FloatArray
) -> tuple[sparse.csr_array, FloatArray]:
    """This function will state every limit that may bind as a row over cells, jobs too."""
    arcs, space = plan.market.arcs, plan.market.space
    ride = arcs.ride[cells.arc]
    rate = space.rate_of[ride]
    units = arcs.units[cells.group]
    # a cell pays the rows of its rate, each in all the slots that it holds
    pays = np.diff(space.rates.indptr)[rate]
    cell = np.repeat(np.arange(len(cells)), pays)
    row = space.rates.indices[_runs(space.rates.indptr.astype(np.int64)[rate], pays)].astype(
        np.int64
    )
    length = arcs.rides.ends[ride, cells.slot] - cells.slot
    slotted = np.repeat(np.arange(len(cell)), length[cell])
    slot = _runs(cells.slot[cell], length[cell])
    parts = [(row[slotted] * space.slots + slot, cell[slotted], units[cell[slotted]])]
    base = space.rows * space.slots
    crossing = np.flatnonzero(arcs.lane[cells.arc] > 0)
    lane = arcs.lane[cells.arc[crossing]]
    parts.append((base + lane // space.regions, crossing, units[crossing]))
    parts.append((base + space.regions + lane % space.regions, crossing, units[crossing]))
    base += 2 * space.regions
    if space.caps:
        begin, held = np.arange(len(cells)), length
        column = np.repeat(begin, held)
        when = _runs(cells.slot, held)
        cap = space.cap_of[rate[column], when]
        kg = units[column] * space.carbon_kg[rate[column], when]
        some = cap < space.caps
        parts.append((base + cap[some], column[some], kg[some]))
    base += space.caps
    parts.append((base + cells.group, np.arange(len(cells)), np.ones(len(cells))))
    rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    board = plan.board
    limits = (board.room.ravel(), board.out, board.into, board.caps_kg)
    most = np.concatenate([*limits, jobs_left])

    used, place = np.unique(rows, return_inverse=True)
    matrix = sparse.csr_array((values, (place, columns)), shape=(len(used), len(cells)))
    binds = matrix @ jobs_left[cells.group] > most[used]
    return matrix[binds], np.maximum(0.0, most[used][binds])


def _runs(begin: IntArray, length: IntArray) -> IntArray:
    """Return begin, begin + 1, ... for each run, one run after the other."""
    total = np.arange(int(length.sum()))
    before = np.repeat(np.cumsum(length) - length, length)
    runs: IntArray = np.repeat(begin, length) + total - before
    return runs
