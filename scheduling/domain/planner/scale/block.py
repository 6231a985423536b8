"""Places the jobs of some groups on some pools by programmes over the starts that prices favor.

A linear programme over those few starts is solved quickly and mostly in whole jobs; what it leaves
in fractions is decided by a small integer programme.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse

from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray
from scheduling.domain.planner.scale.prices import Market
from scheduling.domain.planner.scale.rounding import Rounding

WHOLE = 1e-5
NEARLY_WHOLE = 0.7
MOST_DIVES = 6
MOST_WHOLE_CELLS = 1_500


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


@dataclass(frozen=True)
class Guide:
    """What prices say.

    Attributes:
        priced_usd: (T, K) cost of a unit, prices included.
        lane_usd: by lane, prices of region limits.
        aim_usd: (G,) cost to stay below, prices of fair shares included.
    """

    priced_usd: FloatArray
    lane_usd: FloatArray
    aim_usd: FloatArray

    @classmethod
    def of(cls, market: Market, prices: FloatArray) -> "Guide":
        """This function will read the guide off some prices."""
        return cls(market.ride_usd(prices), market.lane_usd(prices), market.aim_usd(prices))


def promising(plan: Rounding, guide: Guide, groups: IntArray, slack: float) -> Cells:
    """This function will list the starts that prices find nearly best for each group.

    Args:
        plan: the present plan.
        guide: what prices say.
        groups: indices g.
        slack: starts within this share of a unit's worth from the best are listed.

    Returns:
        The starts; only those cheaper than having no place.
    """
    market, arcs = plan.market, plan.market.arcs
    no_lane = np.zeros_like(guide.lane_usd)
    aim = arcs.unplaced_usd + arcs.offset_usd
    found: list[tuple[IntArray, IntArray, IntArray, FloatArray]] = []
    for group in groups:
        if market.problem.groups[group].is_site_gang:
            continue
        chosen, priced = plan.costs(guide.priced_usd, guide.lane_usd, int(group))
        if not len(chosen):
            continue
        best = min(float(priced.min()), float(guide.aim_usd[group]))
        worth = float(arcs.rides.scale_usd[arcs.ride[chosen[0]]])
        rows = np.flatnonzero((priced <= best + slack * worth).any(axis=1))
        row, slot = np.nonzero(priced[rows] <= best + slack * worth)
        row = rows[row]
        cost = plan.costs(market.usd, no_lane, int(group), chosen[rows])[1]
        gain = cost[np.searchsorted(rows, row), slot] - (
            aim[group] + plan.room.fair_usd(int(group))
        )
        found.append((np.full(len(row), group), chosen[row], slot, gain))
    if not found:
        nothing = np.zeros(0, dtype=np.int64)
        return Cells(nothing, nothing, nothing, np.zeros(0))
    group_, arc, slot_, gain_ = (np.concatenate(column) for column in zip(*found, strict=True))
    cells = Cells(group_.astype(np.int64), arc, slot_, gain_)
    return cells.only(gain_ < 0)


def place_cells(plan: Rounding, cells: Cells, *, nodes: int) -> None:
    """This function will place jobs on cells: by linear programmes, the rest in whole numbers.

    Each linear programme places what it has in whole jobs, and what is nearly whole as far as it
    fits; the next one is for what is left. A small rest is decided by an integer programme.

    Args:
        plan: the plan so far, with the room it leaves.
        cells: starts to choose from.
        nodes: most nodes of the search for the rest; deterministic, unlike a time limit.
    """
    for _ in range(MOST_DIVES):
        cells = _fitting(plan, cells)
        if not len(cells):
            return
        matrix, most = cell_limits(plan, cells)
        cost = plan.market.arcs.units[cells.group] * cells.gain_usd
        jobs = _linear(cost, matrix, most, plan.left[cells.group].astype(np.float64))
        if jobs is None or not _put_down(plan, cells, jobs):
            break
    cells = _fitting(plan, cells)
    if 0 < len(cells) <= MOST_WHOLE_CELLS:
        matrix, most = cell_limits(plan, cells)
        cost = plan.market.arcs.units[cells.group] * cells.gain_usd
        upper = plan.left[cells.group].astype(np.float64)
        _put_down(plan, cells, _whole(cost, matrix, most, upper, nodes))


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


def _whole(
    cost: FloatArray, matrix: sparse.csr_array, most: FloatArray, upper: FloatArray, nodes: int
) -> FloatArray:
    result = optimize.milp(
        cost,
        integrality=np.ones(len(cost), dtype=np.int64),
        bounds=optimize.Bounds(0.0, upper),
        constraints=optimize.LinearConstraint(matrix, -np.inf, most),
        options={"node_limit": nodes, "mip_rel_gap": 1e-3},
    )
    jobs: FloatArray = np.zeros(len(cost)) if result.x is None else result.x
    return jobs


def _put_down(plan: Rounding, cells: Cells, jobs: FloatArray) -> bool:
    """Place whole jobs, then those nearly whole that fit; return whether there were any."""
    whole = np.floor(jobs + WHOLE).astype(np.int64)
    for n in np.flatnonzero(whole > 0):
        plan.put(int(cells.group[n]), int(cells.arc[n]), int(cells.slot[n]), int(whole[n]))
    part = jobs - whole
    any_placed = bool((whole > 0).any())
    for n in np.argsort(-part, kind="stable")[: int((part >= NEARLY_WHOLE).sum())]:
        group, arc, slot = int(cells.group[n]), int(cells.arc[n]), int(cells.slot[n])
        if plan.left[group] and plan.room.fits_at(group, arc, slot):
            plan.put(group, arc, slot, 1)
            any_placed = True
    return any_placed


def _fitting(plan: Rounding, cells: Cells) -> Cells:
    """Leave out groups that are placed, and starts where not one job fits any more."""
    keep = np.zeros(len(cells), dtype=np.bool_)
    if not len(cells):
        return cells
    bounds = np.flatnonzero(np.r_[True, cells.group[1:] != cells.group[:-1], True])
    for begin, end in itertools.pairwise(bounds):
        group = int(cells.group[begin])
        if plan.left[group] < 1:
            continue
        arc, place = np.unique(cells.arc[begin:end], return_inverse=True)
        fits = plan.room.jobs_that_fit(group, arc)
        keep[begin:end] = fits[place, cells.slot[begin:end]] >= 1
    return cells.only(keep)


def cell_limits(plan: Rounding, cells: Cells) -> tuple[sparse.csr_array, FloatArray]:
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
    most = np.concatenate([plan.room.left_of_limits(), plan.left.astype(np.float64)])
    used, place = np.unique(rows, return_inverse=True)
    matrix = sparse.csr_array((values, (place, columns)), shape=(len(used), len(cells)))
    binds = matrix @ plan.left[cells.group].astype(np.float64) > most[used]
    return matrix[binds], np.maximum(0.0, most[used][binds])


def _runs(begin: IntArray, length: IntArray) -> IntArray:
    """Return begin, begin + 1, ... for each run, one run after the other."""
    total = np.arange(int(length.sum()))
    before = np.repeat(np.cumsum(length) - length, length)
    runs: IntArray = np.repeat(begin, length) + total - before
    return runs
