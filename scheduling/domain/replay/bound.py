"""A lower bound on the objective that no policy can beat, from prices on capacity."""

from dataclasses import dataclass

import numpy as np

from scheduling.domain.replay.grid import ReplayGrid
from scheduling.domain.replay.jobs import Floats, Ints, JobTable
from scheduling.domain.replay.tariffs import HOUR_S

_REACHES_H = (1, 4, 16, 48, 168)
_ROUNDS = 40
_CHUNK = 1 << 21
_GAP_AT_FIRST = 0.5
_BOLDER = 1.5
_CALMER = 0.5
# Sums of many floats: what rounding may have added is given back.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Work:
    """Jobs in hours, with what a start on each pool costs at least.

    Attributes:
        submit_h: (N,) hours since the begin of the axis.
        run_h: (N,) true run time.
        units: (N,) units.
        delay_usd: (N,) one unit waiting an hour.
        egress_usd: (N, P) egress of one unit, infinite where a job may not run.
        least_usd: (N,) energy of one unit at the best pool and time of the whole table, at most.
    """

    submit_h: Floats
    run_h: Floats
    units: Floats
    delay_usd: Floats
    egress_usd: Floats
    least_usd: Floats


@dataclass(frozen=True)
class _Choice:
    """Cheapest start of each job under some prices: cost, pool and time."""

    cost_usd: Floats
    pool: Ints
    start_h: Floats


def lower_bound(jobs: JobTable, grid: ReplayGrid, *, rounds: int = _ROUNDS) -> float:
    """Bound from below what any schedule can cost.

    Weak duality: let price[h, p] >= 0 be charged for every unit-hour held on pool p in hour h.
    For every schedule that keeps capacities

        cost >= cost + sum over h, p of price[h, p] x (held[h, p] - capacity[p])
             >= sum over jobs of min over pool and start (cost of job + price of what it holds)
                - sum over h, p of price[h, p] x capacity[p]

    The inner minimum is exact: cost is piecewise linear in the start, with kinks where start or
    end meets a full hour. Only `_REACHES_H` hours of waiting are searched; beyond them the wait
    alone, with the cheapest energy there ever is, bounds the cost. Prices rise where demand of
    the minimizing starts exceeds capacity (projected subgradient); every price gives a true
    bound, the largest is kept.

    Args:
        jobs: the trace, with true run times.
        grid: the grid.
        rounds: number of prices tried; 1 is the relaxation without capacities.

    Returns:
        USD; at most the objective of every schedule, the time to move data left out.

    Source: M. L. Fisher, The Lagrangian relaxation method for solving integer programming
        problems, Management Science 27 (1981), doi:10.1287/mnsc.27.1.1.
    """
    first_h = np.floor((jobs.submit_s.min() + grid.energy_usd.offset_s) / HOUR_S)
    axis_s = first_h * HOUR_S - grid.energy_usd.offset_s
    last_h = float(((jobs.submit_s + jobs.runtime_s).max() - axis_s) / HOUR_S)
    hours = int(np.ceil(last_h)) + _REACHES_H[-1] + 2
    table = grid.energy_usd.rates
    rates = table[(int(first_h) + np.arange(hours)) % len(table)]
    work = _work_of(jobs, grid, axis_s)
    best = _highest(work, rates, grid.capacity, rounds=rounds)
    return best - _ROUNDING * abs(best)


def _highest(work: _Work, rates: Floats, capacity: Ints, *, rounds: int) -> float:
    """Climb by the subgradient: bolder after a gain, back to the best after two misses."""
    price = best_price = np.zeros_like(rates)
    best, gap, misses = -np.inf, _GAP_AT_FIRST, 0
    best_slope = price
    for _ in range(max(rounds, 1)):
        choice = _cheapest(work, rates + price)
        value = float(choice.cost_usd.sum() - (price * capacity).sum())
        excess = _held(work, choice, rates.shape) - capacity
        # A price of nothing where there is room stays nothing.
        slope = np.where((price > 0.0) | (excess > 0.0), excess, 0.0)
        if value > best:
            best, gap, misses = value, gap * _BOLDER, 0
            best_price, best_slope = price, slope
        else:
            gap, misses = gap * _CALMER, misses + 1
        if misses == 2:
            price, slope, value, misses = best_price, best_slope, best, 0
        norm = float((slope**2).sum())
        if norm == 0.0:
            break
        target = best + gap * abs(best)
        price = np.maximum(price + (target - value) / norm * slope, 0.0)
    return best


def _work_of(jobs: JobTable, grid: ReplayGrid, axis_s: float) -> _Work:
    run_h = jobs.runtime_s / HOUR_S
    per_unit_h = grid.gb_per_unit_h[jobs.home, None] * grid.egress_usd_per_gb[jobs.home]
    return _Work(
        submit_h=(jobs.submit_s - axis_s) / HOUR_S,
        run_h=run_h,
        units=jobs.units.astype(np.float64),
        delay_usd=grid.delay_usd[jobs.home],
        egress_usd=np.where(grid.allowed, per_unit_h * run_h[:, None], np.inf),
        least_usd=_least_energy(run_h, grid.energy_usd.rates),
    )


def _least_energy(run_h: Floats, table: Floats) -> Floats:
    """(N,) at most the energy cost of one unit for a run, whenever and wherever it runs."""
    least = float(table.min())
    hours = len(table)
    total = np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(np.tile(table, (2, 1)), 0)])
    # A run covers at least one whole hour less than its length, rounded down.
    whole = np.maximum(np.floor(run_h).astype(np.int64) - 1, 0)
    window = {
        m: float((total[m % hours :][:hours] - total[:hours]).min())
        for m in np.unique(whole).tolist()
    }
    turns = (whole // hours) * float(total[hours].min())
    inside = turns + np.array([window[m] for m in whole.tolist()])
    loose = inside + (run_h - whole) * min(least, 0.0)
    return np.asarray(np.maximum(loose, run_h * least), dtype=np.float64)


def _cheapest(work: _Work, rates: Floats) -> _Choice:
    total = np.concatenate([np.zeros((1, rates.shape[1])), np.cumsum(rates, axis=0)])
    count = len(work.run_h)
    at_once = _best_of(work, np.arange(count), total, reach_h=0)
    unit_usd = at_once.cost_usd / work.units
    needed_h = (unit_usd - work.least_usd) / np.maximum(work.delay_usd, 1e-12)
    cost, pool, start_h = at_once.cost_usd.copy(), at_once.pool.copy(), at_once.start_h.copy()
    lower_h = 0.0
    for reach_h in _REACHES_H:
        upper_h = np.inf if reach_h == _REACHES_H[-1] else float(reach_h)
        rows = np.flatnonzero((needed_h > lower_h) & (needed_h <= upper_h))
        lower_h = upper_h
        step = max(1, _CHUNK // (4 * reach_h))
        for at in range(0, len(rows), step):
            part = rows[at : at + step]
            found = _best_of(work, part, total, reach_h=reach_h)
            cost[part], pool[part], start_h[part] = found.cost_usd, found.pool, found.start_h
    beyond = work.units * (work.delay_usd * _REACHES_H[-1] + work.least_usd)
    return _Choice(np.minimum(cost, beyond), pool, start_h)


def _best_of(work: _Work, rows: Ints, total: Floats, *, reach_h: int) -> _Choice:
    submit, run = work.submit_h[rows], work.run_h[rows]
    starts = _kinks(submit, run, reach_h)
    ends = starts + run[:, None]
    wait = (starts - submit[:, None]) * work.delay_usd[rows, None]
    best = np.full(len(rows), np.inf)
    pool = np.zeros(len(rows), dtype=np.int64)
    start = submit.copy()
    for p in range(total.shape[1]):
        cost = wait + _integral(total[:, p], ends) - _integral(total[:, p], starts)
        at = np.argmin(cost, axis=1)
        here = cost[np.arange(len(rows)), at] + work.egress_usd[rows, p]
        is_better = here < best
        best = np.where(is_better, here, best)
        pool[is_better] = p
        start = np.where(is_better, starts[np.arange(len(rows)), at], start)
    return _Choice(best * work.units[rows], pool, start)


def _kinks(submit: Floats, run: Floats, reach_h: int) -> Floats:
    """(n, 1 + 2 x reach) starts at which cost can be least: at once, or on full hours."""
    ahead = np.arange(1, reach_h + 1)
    by_start = np.floor(submit)[:, None] + ahead
    end = submit + run
    by_end = np.floor(end)[:, None] + ahead - run[:, None]
    starts = np.concatenate([submit[:, None], by_start, by_end], axis=1)
    return np.asarray(np.maximum(starts, submit[:, None]), dtype=np.float64)


def _integral(total: Floats, at_h: Floats) -> Floats:
    # The axis reaches beyond every candidate's end; the limit is for an end on its last edge.
    row = np.minimum(at_h.astype(np.int64), len(total) - 2)
    low = total[row]
    return np.asarray(low + (at_h - row) * (total[row + 1] - low), dtype=np.float64)


def _held(work: _Work, choice: _Choice, shape: tuple[int, ...]) -> Floats:
    """(H, P) unit-hours that the chosen starts hold in each hour."""
    in_hour = np.zeros((shape[0] + 2, shape[1]))
    from_next = np.zeros_like(in_hour)
    for at_h, sign in ((choice.start_h, 1.0), (choice.start_h + work.run_h, -1.0)):
        row = np.minimum(at_h.astype(np.int64), shape[0])
        np.add.at(in_hour, (row, choice.pool), sign * work.units * (1.0 - (at_h - row)))
        np.add.at(from_next, (row + 1, choice.pool), sign * work.units)
    return np.asarray((in_hour + np.cumsum(from_next, axis=0))[: shape[0]], dtype=np.float64)
