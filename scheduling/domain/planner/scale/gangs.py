"""Places gangs whole: all jobs of a group start in one slot, in pools of one site, or none does."""

import numpy as np

from scheduling.domain.planner.problem import FloatArray, IntArray
from scheduling.domain.planner.scale.compiled import listing
from scheduling.domain.planner.scale.compiled.filling import WORTH_USD, Signs
from scheduling.domain.planner.scale.rounding import Rounding, largest_first


def place_gangs(plan: Rounding, signs: Signs) -> None:
    """This function will place site gangs whole, each where it is cheapest under prices.

    Args:
        plan: the plan so far.
        signs: prices.
    """
    problem, arcs = plan.market.problem, plan.market.arcs
    gangs = np.array([group.is_site_gang for group in problem.groups], dtype=np.bool_)
    if not gangs.any():
        return
    site = np.unique([pool.site for pool in problem.pools], return_inverse=True)[1]
    for group in largest_first(plan.market):
        if not gangs[group] or not plan.left[group]:
            continue
        own = np.array(plan.arcs_of(int(group)), dtype=np.int64)
        options: list[tuple[float, int, list[tuple[int, int]]]] = []
        for place in np.unique(site[arcs.pool[own]]):
            here = own[site[arcs.pool[own]] == place]
            options += _options(plan, signs, int(group), here)
        for usd, slot, starts in sorted(options, key=lambda one: (one[0], one[1])):
            if usd >= -WORTH_USD or _put(plan, int(group), slot, starts):
                break


def _options(
    plan: Rounding, signs: Signs, group: int, own: IntArray
) -> list[tuple[float, int, list[tuple[int, int]]]]:
    """By slot: what all jobs cost there less no place, and how many start on which arc."""
    usd, fits = _table(plan, signs, group, own)
    options = []
    for slot in np.flatnonzero(fits.sum(axis=0) >= plan.left[group]):
        left, total, starts = int(plan.left[group]), 0.0, []
        for row in np.argsort(usd[:, slot], kind="stable"):
            count = int(min(left, fits[row, slot]))
            if count:
                starts.append((int(own[row]), count))
                total += count * float(usd[row, slot])
                left -= count
        options.append((total, int(slot), starts))
    return options


def _table(plan: Rounding, signs: Signs, group: int, own: IntArray) -> tuple[FloatArray, IntArray]:
    """(A, T) priced cost of a unit less no place, and how many jobs fit."""
    tables, slots = plan.tables, plan.market.space.slots
    usd = np.full((len(own), slots), np.inf)
    fits = np.zeros((len(own), slots), dtype=np.int64)
    for row, arc in enumerate(own.tolist()):
        for slot in range(int(tables.earliest[tables.ride[arc]]), int(tables.latest[arc]) + 1):
            usd[row, slot] = listing.priced_usd(tables, signs, group, arc, slot)
            # a start that is not possible costs without end
            fits[row, slot] = plan.fits_at(group, arc, slot) if usd[row, slot] < 1e17 else 0
    return usd, fits


def _put(plan: Rounding, group: int, slot: int, starts: list[tuple[int, int]]) -> bool:
    """Place a gang, or nothing of it where limits that pools share do not let all of it in."""
    done = []
    for arc, jobs in starts:
        if plan.fits_at(group, arc, slot) < jobs:
            break
        plan.put(group, arc, slot, jobs)
        done.append((arc, jobs))
    if len(done) == len(starts):
        return True
    for arc, jobs in done:
        plan.put(group, arc, slot, -jobs)
    return False
