"""The planning problem as an integer programme: one function per family of columns and rows.

Columns are x[g,p,t], whole workloads of group g that start on pool p in slot t, followed by y[g],
workloads without a place in the horizon. Rows have stable names such as
`guests[horinger-gpu,t=5]`. Columns that no best plan needs are left out, which is exact.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scheduling.domain.planner.costs import GroupCosts
from scheduling.domain.planner.occupancy import (
    held_minimum,
    movable_units,
    start_allowed,
    whole_capacity,
    whole_limits,
)
from scheduling.domain.planner.problem import BoolArray, FloatArray, IntArray, PlanningProblem
from scheduling.domain.planner.terms import terms_of


@dataclass(frozen=True)
class Columns:
    """The x columns, N of them, sorted by (group, pool, slot).

    Attributes:
        group, pool, slot: (N,) indices.
        units: (N,) units that one workload holds.
        held_until: (N,) first slot in which its units are free again, at most T.
        upper: (N,) most workloads that fit when nothing else is placed.
        cost_usd: (N,) cost of one workload.
        is_guest: (N,) whether the pool is not the group's home.
    """

    group: IntArray
    pool: IntArray
    slot: IntArray
    units: FloatArray
    held_until: IntArray
    upper: FloatArray
    cost_usd: FloatArray
    is_guest: BoolArray

    def __len__(self) -> int:
        return len(self.group)

    def only(self, chosen: BoolArray) -> "Columns":
        """This function will return the chosen columns, in their order."""
        return Columns(
            group=self.group[chosen],
            pool=self.pool[chosen],
            slot=self.slot[chosen],
            units=self.units[chosen],
            held_until=self.held_until[chosen],
            upper=self.upper[chosen],
            cost_usd=self.cost_usd[chosen],
            is_guest=self.is_guest[chosen],
        )


@dataclass(frozen=True)
class Rows:
    """Rows `lower <= matrix @ (x, y) <= upper`, each with its name."""

    matrix: sparse.csr_array
    lower: FloatArray
    upper: FloatArray
    names: tuple[str, ...]


def build_columns(
    problem: PlanningProblem, costs: tuple[GroupCosts, ...], *, with_guests: bool = True
) -> Columns:
    """This function will list the x columns that a best plan can need.

    Left out, exactly: pools that are not allowed or not known, starts before the data is there or
    after `latest_start`, starts where not one workload fits, and starts that cost no less than
    having no place.

    Args:
        problem: the situation.
        costs: `costs.all_group_costs(problem)`.
        with_guests: False leaves out all moves.

    Returns:
        The columns; there may be none.
    """
    guests, everybody = whole_capacity(problem)
    limits = whole_limits(problem.max_out_units), whole_limits(problem.max_in_units)
    parts: list[tuple[IntArray, ...]] = []
    uppers, prices = [np.zeros(0)], [np.zeros(0)]
    ends = [np.zeros(0, dtype=np.int64)]
    for g, demand in enumerate(problem.groups):
        terms = terms_of(problem, g)
        held = held_minimum(_room_of(demand.home, guests, everybody), terms.slots)
        units = np.minimum(held, movable_units(problem, g, *limits)[:, None])
        if not with_guests:
            units[np.arange(len(problem.pools)) != demand.home] = 0.0
        fits = np.minimum(np.floor(units / demand.units), demand.jobs)
        total_usd = costs[g].total_usd
        chosen = start_allowed(problem, g) & (fits >= 1)
        chosen &= total_usd < _most_usd(problem, g, costs[g])
        pool, slot = np.nonzero(chosen)
        parts.append((np.full(len(pool), g), pool, slot))
        uppers.append(fits[pool, slot])
        prices.append(total_usd[pool, slot])
        ends.append(np.minimum(slot + terms.slots[pool], problem.slots))
    joined = [np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True)]
    group, pool, slot = joined or [np.zeros(0, dtype=np.int64)] * 3
    home = np.array([demand.home for demand in problem.groups], dtype=np.int64)
    units = np.array([demand.units for demand in problem.groups], dtype=np.float64)
    return Columns(
        group=group,
        pool=pool,
        slot=slot,
        units=units[group],
        held_until=np.concatenate(ends),
        upper=np.concatenate(uppers),
        cost_usd=np.concatenate(prices),
        is_guest=pool != home[group],
    )


def _room_of(home: int, guests: FloatArray, everybody: FloatArray) -> FloatArray:
    room = guests.copy()
    room[home] = everybody[home]
    return room


def _most_usd(problem: PlanningProblem, group: int, cost: GroupCosts) -> float:
    """What a start may cost and still be of use: running work needs one whatever it costs."""
    demand = problem.groups[group]
    if demand.is_running:
        return np.inf
    credit = demand.units * demand.duration_h * problem.weights.fairness_usd_per_unit_h
    return cost.unplaced.total_usd + (credit if demand.tenant in problem.fair_unit_h else 0.0)


def assignment_rows(problem: PlanningProblem, columns: Columns) -> Rows:
    """This function will state that every workload is placed once or has no place.

    jobs[g]: sum over p, t of x[g,p,t] + y[g] = jobs of g.
    """
    groups = len(problem.groups)
    of_x = sparse.csr_array(
        (np.ones(len(columns)), (columns.group, np.arange(len(columns)))),
        shape=(groups, len(columns)),
    )
    jobs = np.array([group.jobs for group in problem.groups], dtype=np.float64)
    names = tuple(f"jobs[{group.key}]" for group in problem.groups)
    matrix = sparse.csr_array(sparse.hstack([of_x, sparse.eye_array(groups)]))
    return Rows(matrix, jobs, jobs, names)


def capacity_rows(problem: PlanningProblem, columns: Columns) -> Rows:
    """This function will state that pools hold no more than they have, in every slot.

    guests[p,t]: units held at t by workloads away from home <= available[p,t].
    capacity[p,t]: units held at t by all <= max(available, home_available)[p,t].
    A row that cannot bind is left out.
    """
    guests, everybody = whole_capacity(problem)
    blocks = [
        _occupancy_rows(problem, columns, columns.is_guest, guests, "guests"),
        _occupancy_rows(problem, columns, np.ones_like(columns.is_guest), everybody, "capacity"),
    ]
    return stack_rows(blocks)


def _occupancy_rows(
    problem: PlanningProblem,
    columns: Columns,
    counted: BoolArray,
    capacity: FloatArray,
    name: str,
) -> Rows:
    pools, slots = capacity.shape
    column, slot = slots_held(columns, np.flatnonzero(counted))
    row = columns.pool[column] * slots + slot
    matrix = sparse.csr_array(
        (columns.units[column], (row, column)), shape=(pools * slots, len(columns))
    )
    most = matrix @ columns.upper
    binding = most > capacity.ravel()
    names = tuple(
        f"{name}[{problem.pools[r // slots].code},t={r % slots}]" for r in np.flatnonzero(binding)
    )
    upper = capacity.ravel()[binding]
    return with_y(problem, matrix[binding], upper, names)


def slots_held(columns: Columns, index: IntArray) -> tuple[IntArray, IntArray]:
    """This function will list (column, slot) for every slot in which some columns hold units."""
    lengths = columns.held_until[index] - columns.slot[index]
    column = np.repeat(index, lengths)
    first = np.cumsum(lengths) - lengths
    passed = np.arange(len(column)) - np.repeat(first, lengths)
    return column, np.repeat(columns.slot[index], lengths) + passed


def region_rows(problem: PlanningProblem, columns: Columns) -> Rows:
    """This function will limit the units that one plan moves out of and into each region.

    max_out[r]: units of all x from a pool of r to a pool outside r <= max_out_units[r].
    max_in[r]: units of all x from outside r to a pool of r <= max_in_units[r].
    A move between pools of one region counts in neither.
    """
    region = np.array([pool.region for pool in problem.pools], dtype=np.str_)
    home = np.array([group.home for group in problem.groups], dtype=np.int64)
    source, destination = region[home[columns.group]], region[columns.pool]
    crosses = source != destination
    rows: list[FloatArray] = []
    upper: list[float] = []
    names: list[str] = []
    for name, side, limits in (
        ("max_out", source, problem.max_out_units),
        ("max_in", destination, problem.max_in_units),
    ):
        for code, units in sorted(whole_limits(limits).items()):
            rows.append(np.where(crosses & (side == code), columns.units, 0.0))
            upper.append(units)
            names.append(f"{name}[{code}]")
    matrix = sparse.csr_array(np.array(rows).reshape(len(rows), len(columns)))
    return with_y(problem, matrix, np.array(upper, dtype=np.float64), tuple(names))


def with_y(
    problem: PlanningProblem, of_x: sparse.csr_array, upper: FloatArray, names: tuple[str, ...]
) -> Rows:
    """This function will append empty columns for y to rows that bound x from above only."""
    of_y = sparse.csr_array((of_x.shape[0], len(problem.groups)))
    matrix = sparse.csr_array(sparse.hstack([of_x, of_y]))
    return Rows(matrix, np.full(len(names), -np.inf), upper, names)


def tighten(rows: Rows) -> Rows:
    """This function will round upper limits down to what whole workloads can reach.

    Where all sizes in a row are multiples of a number, so is every sum of them; no plan is lost.
    """
    sizes = rows.matrix.data.astype(np.int64)
    upper = rows.upper.copy()
    for row, (begin, end) in enumerate(itertools.pairwise(rows.matrix.indptr)):
        if begin < end and np.isfinite(upper[row]):
            step = np.gcd.reduce(sizes[begin:end])
            upper[row] = np.floor(upper[row] / step) * step
    return Rows(rows.matrix, rows.lower, upper, rows.names)


def stack_rows(blocks: list[Rows]) -> Rows:
    """This function will put blocks of rows below one another."""
    return Rows(
        matrix=sparse.csr_array(sparse.vstack([block.matrix for block in blocks])),
        lower=np.concatenate([block.lower for block in blocks]),
        upper=np.concatenate([block.upper for block in blocks]),
        names=tuple(name for block in blocks for name in block.names),
    )


def build_rows(problem: PlanningProblem, columns: Columns) -> Rows:
    """This function will return all rows: assignment, capacity, region limits."""
    limits = stack_rows([capacity_rows(problem, columns), region_rows(problem, columns)])
    return stack_rows([assignment_rows(problem, columns), tighten(limits)])


def objective(columns: Columns, costs: tuple[GroupCosts, ...]) -> FloatArray:
    """This function will return (N + G,) the cost of one workload per column, y last.

    minimize sum x[g,p,t] * cost[g,p,t] + sum y[g] * unplaced cost[g].
    """
    unplaced = np.array([cost.unplaced.total_usd for cost in costs], dtype=np.float64)
    return np.concatenate([columns.cost_usd, unplaced])
