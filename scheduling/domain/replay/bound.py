"""A lower bound on the objective that no policy can beat, from prices on capacity."""

from dataclasses import dataclass

import numpy as np

from scheduling.domain.replay.begins import Work, cheapest_begins, held_units
from scheduling.domain.replay.grid import ReplayGrid
from scheduling.domain.replay.jobs import Floats, Ints, JobTable
from scheduling.domain.replay.tariffs import HOUR_S

_ROUNDS = 100
# Prices per hour first, as they are found quickly, then per quarter of an hour.
_SLOTS_PER_H = (1, 4)
# How far above the best so far the top is thought to be, and how that changes.
_GAPS_AT_FIRST = (0.5, 0.1)
_BOLDER = 1.3
_CALMER = 0.9
_MEMORY = 0.8
_MOST_MISSES = 6
_BEYOND_H = 170
# Sums of many floats: what rounding may have added is given back.
_ROUNDING = 1e-9


def lower_bound(jobs: JobTable, grid: ReplayGrid, *, rounds: int = _ROUNDS) -> float:
    """Bound from below what any schedule can cost.

    Weak duality: let price[t, p] >= 0 be charged for every unit-hour held on pool p in slot t.
    For every schedule that keeps capacities

        cost >= cost + sum over t, p of price[t, p] x (held[t, p] - capacity[p]) x slot length
             >= sum over jobs of min over pool and start (cost of job + price of what it holds)
                - sum over t, p of price[t, p] x capacity[p] x slot length

    The inner minimum is exact (`cheapest_begins`). Prices rise where demand of the minimizing
    starts exceeds capacity (projected subgradient, with memory of the directions before); every
    price gives a true bound, the largest is kept.

    Args:
        jobs: the trace, with true run times.
        grid: the grid.
        rounds: number of prices tried per length of slot; 1 is the relaxation without capacities.

    Returns:
        USD; at most the objective of every schedule, the time to move data left out.

    Source: M. L. Fisher, The Lagrangian relaxation method for solving integer programming
        problems, Management Science 27 (1981), doi:10.1287/mnsc.27.1.1.
    """
    first_h = np.floor((jobs.submit_s.min() + grid.energy_usd.offset_s) / HOUR_S)
    axis_s = first_h * HOUR_S - grid.energy_usd.offset_s
    last_h = float(((jobs.submit_s + jobs.runtime_s).max() - axis_s) / HOUR_S)
    hours = int(np.ceil(last_h)) + _BEYOND_H
    table = grid.energy_usd.rates
    rates = table[(int(first_h) + np.arange(hours)) % len(table)]
    work = _work_of(jobs, grid, axis_s)
    best, prices, before = -np.inf, np.zeros_like(rates), 1
    for slots, gap in zip(_SLOTS_PER_H, _GAPS_AT_FIRST, strict=True):
        dual = _Dual(work, np.repeat(rates, slots, axis=0), grid.capacity, 1.0 / slots)
        finer = np.repeat(prices, slots // before, axis=0)
        value, prices = _climb(dual, finer, gap=gap, rounds=max(rounds, 1))
        best, before = max(best, value), slots
    return best - _ROUNDING * abs(best)


@dataclass(frozen=True)
class _Dual:
    """The bound as a function of prices.

    Attributes:
        work: the jobs.
        rates: (T, P) energy and carbon of a unit-hour in each slot, USD.
        capacity: (P,) units.
        slot_h: length of a slot, h.
    """

    work: Work
    rates: Floats
    capacity: Ints
    slot_h: float

    def at(self, prices: Floats) -> tuple[float, Floats]:
        """Bound in USD under (T, P) prices, and the (T, P) units wanted above capacity."""
        begins = cheapest_begins(self.work, self.rates + prices, self.slot_h)
        kept = float((prices * self.capacity).sum()) * self.slot_h
        held = held_units(self.work, begins, prices.shape, self.slot_h)
        return float(begins.cost_usd.sum()) - kept, held - self.capacity


def _climb(dual: _Dual, prices: Floats, *, gap: float, rounds: int) -> tuple[float, Floats]:
    """Raise the bound: bolder after a gain, calmer after a miss, after some back to the best."""
    best, best_prices, misses = -np.inf, prices, 0
    way = np.zeros_like(prices)
    for _ in range(rounds):
        value, excess = dual.at(prices)
        if value > best:
            best, best_prices, gap, misses = value, prices, gap * _BOLDER, 0
        else:
            gap, misses = gap * _CALMER, misses + 1
        if misses >= _MOST_MISSES:
            prices, way, misses = best_prices, np.zeros_like(prices), 0
            continue
        # A price of nothing where there is room stays nothing.
        way = excess + _MEMORY * way
        way = np.where((prices > 0.0) | (way > 0.0), way, 0.0)
        norm = float((way**2).sum()) * dual.slot_h
        if norm == 0.0:
            break
        step = (best + gap * abs(best) - value) / norm
        prices = np.maximum(prices + step * way, 0.0)
    return best, best_prices


def _work_of(jobs: JobTable, grid: ReplayGrid, axis_s: float) -> Work:
    run_h = jobs.runtime_s / HOUR_S
    per_unit_h = grid.gb_per_unit_h[jobs.home, None] * grid.egress_usd_per_gb[jobs.home]
    return Work(
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
