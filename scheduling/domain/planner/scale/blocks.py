"""Splits what prices favor into blocks of pools, each small enough for a linear programme.

Blocks come one after the other. How the smoothed bound spreads a group over pools says how many of
its jobs, and of the units that may cross a border, each block may take; what one leaves passes on.
"""

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.block import Cells, place_cells
from scheduling.domain.planner.scale.compiled.filling import Signs
from scheduling.domain.planner.scale.compiled.spread import Single
from scheduling.domain.planner.scale.rounding import Rounding

# So many starts go into one programme; beyond that, blocks are of the second size.
MOST_CELLS = 40_000
BLOCK_CELLS = 18_000


def place_in_blocks(plan: Rounding, signs: Signs, cells: Cells, arc_units: Single | None) -> None:
    """This function will place jobs on favored starts, block by block where there are many.

    Args:
        plan: the plan so far.
        signs: prices.
        cells: favored starts.
        arc_units: (N,) units of each arc's group that use it under the prices; without it each
            block takes what it can.
    """
    if len(cells) <= MOST_CELLS:
        place_cells(plan, cells, np.zeros_like(signs.lane_usd), plan.left.astype(np.float64))
        return
    block_of = _blocks_of_pools(plan, cells)
    block_of_cell = block_of[plan.market.arcs.pool[cells.arc]]
    quotas = None if arc_units is None else _Quotas(plan, cells, block_of, arc_units)
    for block in range(int(block_of.max()) + 1):
        chosen = cells.only(block_of_cell == block)
        if quotas is None:
            place_cells(plan, chosen, signs.lane_usd, plan.left.astype(np.float64))
            continue
        board = plan.board
        out, into = board.out.copy(), board.into.copy()
        most_out, most_in = quotas.crossing(block)
        board.out[:], board.into[:] = np.minimum(out, most_out), np.minimum(into, most_in)
        given_out, given_in = board.out.copy(), board.into.copy()
        place_cells(plan, chosen, signs.lane_usd, quotas.jobs(block))
        used_out, used_in = given_out - board.out, given_in - board.into
        quotas.used_out += used_out
        quotas.used_in += used_in
        board.out[:], board.into[:] = out - used_out, into - used_in


class _Quotas:
    """What the blocks up to one may place and move, by the shares that prices give them."""

    def __init__(self, plan: Rounding, cells: Cells, block_of: IntArray, arc_units: Single) -> None:
        self.plan, self.block_of = plan, block_of
        arcs = plan.market.arcs
        self.at_first = plan.left.copy()
        self.units = arc_units
        self.block_of_arc = block_of[arcs.pool]
        last = np.full(len(plan.left), -1, dtype=np.int64)
        np.maximum.at(last, cells.group, block_of[arcs.pool[cells.arc]])
        self.last = last
        self.share = np.zeros(len(plan.left))
        regions = plan.market.space.regions
        self.lanes = np.zeros((regions, regions))
        self.used_out, self.used_in = np.zeros(regions), np.zeros(regions)

    def jobs(self, block: int) -> FloatArray:
        """Return (G,) jobs that may be placed in a block: its share, and what others left."""
        arcs, plan = self.plan.market.arcs, self.plan
        own = np.flatnonzero(self.block_of_arc == block)
        units = np.bincount(arcs.group[own], self.units[own], len(self.share))
        self.share += units / arcs.units
        placed = self.at_first - plan.left
        due = np.minimum(plan.left, np.maximum(0.0, np.ceil(self.share) - placed))
        return np.where(self.last <= block, plan.left, due).astype(np.float64)

    def crossing(self, block: int) -> tuple[FloatArray, FloatArray]:
        """Return (R,) units that may leave and come, in this block."""
        arcs, regions = self.plan.market.arcs, len(self.lanes)
        own = np.flatnonzero((self.block_of_arc == block) & (arcs.lane > 0))
        by_lane = np.bincount(arcs.lane[own], self.units[own], regions * regions)
        self.lanes += by_lane.reshape(regions, regions)
        if block == self.block_of.max():
            return np.full(regions, np.inf), np.full(regions, np.inf)
        most_out = np.ceil(self.lanes.sum(axis=1)) - self.used_out
        most_in = np.ceil(self.lanes.sum(axis=0)) - self.used_in
        return np.maximum(0.0, most_out), np.maximum(0.0, most_in)


def _blocks_of_pools(plan: Rounding, cells: Cells) -> IntArray:
    """(P,) block of each pool: pools that groups share stay together, then those of a region."""
    groups, pools = len(plan.left), len(plan.market.problem.pools)
    pool = plan.market.arcs.pool[cells.arc]
    links = sparse.csr_array(
        (np.ones(len(cells)), (cells.group, groups + pool)), shape=(groups + pools,) * 2
    )
    _, part = csgraph.connected_components(links, directed=False)
    order = np.lexsort((np.arange(pools), plan.market.problem.region_of, part[groups:]))
    size = np.bincount(pool, minlength=pools)[order]
    block = np.empty(pools, dtype=np.int64)
    block[order] = np.cumsum(size) // BLOCK_CELLS
    return block
