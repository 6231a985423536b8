"""The whole integer programme: columns for workloads, for those without a place, and for the rest.

The rest are what tenants lack of their fair shares, and whether a gang starts at a site in a slot.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from scheduling.domain.planner.costs import GroupCosts
from scheduling.domain.planner.exact.formulation import (
    Columns,
    Rows,
    build_rows,
    objective,
    slots_held,
    stack_rows,
    tighten,
)
from scheduling.domain.planner.problem import BoolArray, FloatArray, PlanningProblem
from scheduling.domain.planner.rules.carbon import cap_places
from scheduling.domain.planner.rules.quotas import quota_rows


@dataclass(frozen=True)
class Programme:
    """minimize cost @ v, with rows.lower <= rows.matrix @ v <= rows.upper and 0 <= v <= most.

    Attributes:
        rows: all rows, with their names; the columns are x, y, lacking shares, gang starts.
        cost: USD of one.
        most: upper limits of the columns.
        is_whole: which columns are whole numbers.
    """

    rows: Rows
    cost: FloatArray
    most: FloatArray
    is_whole: BoolArray


def build_programme(
    problem: PlanningProblem, columns: Columns, costs: tuple[GroupCosts, ...]
) -> Programme:
    """This function will state the whole problem over some columns.

    Args:
        problem: the situation.
        columns: x columns to choose from.
        costs: `costs.all_group_costs(problem)`.

    Returns:
        The programme. Running work has no y: it goes on or moves.
    """
    limits = stack_rows([quota_limits(problem, columns), carbon_limits(problem, columns)])
    base = stack_rows([build_rows(problem, columns), limits])
    gangs, starts = gang_rows(problem, columns)
    tenants = sorted(problem.fair_unit_h)
    fair = fair_rows(problem, columns, tenants)
    size = base.matrix.shape[1]
    blocks = [
        _padded(base, 0, len(tenants) + starts),
        _padded(fair, 0, starts),
        Rows(_insert(gangs.matrix, size, len(tenants)), gangs.lower, gangs.upper, gangs.names),
    ]
    weight = problem.weights.fairness_usd_per_unit_h
    jobs = np.array([group.jobs for group in problem.groups], dtype=np.float64)
    is_running = np.array([group.is_running for group in problem.groups], dtype=np.bool_)
    has_column = np.isin(np.arange(len(jobs)), columns.group)
    jobs[is_running & has_column] = 0.0
    return Programme(
        rows=stack_rows(blocks),
        cost=np.concatenate(
            [objective(columns, costs), np.full(len(tenants), weight), np.zeros(starts)]
        ),
        most=np.concatenate([columns.upper, jobs, np.full(len(tenants), np.inf), np.ones(starts)]),
        is_whole=np.r_[np.ones(size, bool), np.zeros(len(tenants), bool), np.ones(starts, bool)],
    )


def _padded(rows: Rows, before: int, after: int) -> Rows:
    count = rows.matrix.shape[0]
    parts = [sparse.csr_array((count, before)), rows.matrix, sparse.csr_array((count, after))]
    matrix = sparse.csr_array(sparse.hstack([part for part in parts if part.shape[1]]))
    return Rows(matrix, rows.lower, rows.upper, rows.names)


def _insert(matrix: sparse.csr_array, at: int, count: int) -> sparse.csr_array:
    """Put empty columns into a matrix."""
    entries = matrix.tocoo()
    column = np.where(entries.col >= at, entries.col + count, entries.col)
    shape = (matrix.shape[0], matrix.shape[1] + count)
    return sparse.csr_array((entries.data, (entries.row, column)), shape=shape)


def quota_limits(problem: PlanningProblem, columns: Columns) -> Rows:
    """This function will limit the units that tenants of a quota hold in every slot.

    quota[n,t]: units held at t by tenants below n in its regions <= most of n. See `quotas`.
    """
    quotas = quota_rows(problem)
    tenant = np.array([group.tenant for group in problem.groups], dtype=np.str_)
    region = np.array([pool.region for pool in problem.pools], dtype=np.str_)
    rows, cols, upper, names = [], [], [], []
    for n, quota in enumerate(quotas):
        counted = np.isin(tenant, sorted(quota.tenants))[columns.group]
        if quota.regions:
            counted &= np.isin(region, sorted(quota.regions))[columns.pool]
        column, slot = slots_held(columns, np.flatnonzero(counted))
        rows.append(n * problem.slots + slot)
        cols.append(column)
        upper += [np.floor(quota.most_units + 1e-9)] * problem.slots
        names += [f"{quota.name[:-1]},t={t}]" for t in range(problem.slots)]
    width = len(columns) + len(problem.groups)
    row = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    column = np.concatenate(cols) if cols else np.zeros(0, dtype=np.int64)
    matrix = sparse.csr_array((columns.units[column], (row, column)), shape=(len(upper), width))
    limits = np.array(upper, dtype=np.float64)
    return tighten(Rows(matrix, np.full(len(upper), -np.inf), limits, tuple(names)))


def carbon_limits(problem: PlanningProblem, columns: Columns) -> Rows:
    """This function will limit the CO2e of what runs in a region on a day.

    carbon[r,day]: sum of units held * kg per unit-hour over the day's slots <= most_kg.
    """
    caps = problem.carbon_caps
    column, slot = slots_held(columns, np.arange(len(columns) if caps else 0))
    cap = cap_places(problem)[columns.pool[column], slot]
    kg = columns.units[column] * problem.carbon_kg_per_unit_h[columns.pool[column], slot]
    some = cap < len(caps)
    width = len(columns) + len(problem.groups)
    matrix = sparse.csr_array((kg[some], (cap[some], column[some])), shape=(len(caps), width))
    names = tuple(f"carbon[{one.region},{one.day}]" for one in caps)
    upper = np.array([one.most_kg for one in caps], dtype=np.float64)
    return Rows(matrix, np.full(len(caps), -np.inf), upper, names)


def fair_rows(problem: PlanningProblem, columns: Columns, tenants: list[str]) -> Rows:
    """This function will say what every tenant lacks of its fair share.

    fair[k]: unit-hours placed of k + lacking[k] >= fair share of k.
    """
    place = {tenant: n for n, tenant in enumerate(tenants)}
    of_group = np.array([place.get(group.tenant, -1) for group in problem.groups], dtype=np.int64)
    hours = np.array([group.duration_h for group in problem.groups], dtype=np.float64)
    chosen = np.flatnonzero(of_group[columns.group] >= 0)
    group = columns.group[chosen]
    width = len(columns) + len(problem.groups)
    served = sparse.csr_array(
        (columns.units[chosen] * hours[group], (of_group[group], chosen)),
        shape=(len(tenants), width),
    )
    matrix = sparse.csr_array(sparse.hstack([served, sparse.eye_array(len(tenants))]))
    owed = np.array([problem.fair_unit_h[tenant] for tenant in tenants], dtype=np.float64)
    names = tuple(f"fair[{tenant}]" for tenant in tenants)
    return Rows(matrix, owed, np.full(len(tenants), np.inf), names)


def gang_rows(problem: PlanningProblem, columns: Columns) -> tuple[Rows, int]:
    """This function will let the jobs of a site gang start together or not at all.

    gang[g,site,t]: sum over pools of the site of x[g,p,t] = jobs of g * starts[g,site,t], binary.

    Returns:
        The rows over x, y and the binaries; and how many of these there are.
    """
    site = np.array([pool.site for pool in problem.pools], dtype=np.str_)
    is_gang = np.array([group.is_site_gang for group in problem.groups], dtype=np.bool_)
    chosen = np.flatnonzero(is_gang[columns.group])
    starts: dict[tuple[int, str, int], int] = {}
    row = [
        starts.setdefault(
            (int(columns.group[n]), str(site[columns.pool[n]]), int(columns.slot[n])), len(starts)
        )
        for n in chosen
    ]
    width = len(columns) + len(problem.groups)
    of_x = sparse.csr_array((np.ones(len(chosen)), (row, chosen)), shape=(len(starts), width))
    jobs = np.array([-problem.groups[g].jobs for g, _, _ in starts], dtype=np.float64)
    of_starts = sparse.diags_array(jobs, shape=(len(starts), len(starts)))
    matrix = sparse.csr_array(sparse.hstack([of_x, of_starts]))
    names = tuple(f"gang[{problem.groups[g].key},{where},t={t}]" for g, where, t in starts)
    nothing = np.zeros(len(starts))
    return Rows(matrix, nothing, nothing, names), len(starts)
