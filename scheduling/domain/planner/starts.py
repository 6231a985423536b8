"""Prices many starts at once, where pricing group by group would take too long."""

from collections.abc import Sequence

import numpy as np

from scheduling.domain.planner.outcome import CostParts, Placement
from scheduling.domain.planner.problem import DemandGroup, FloatArray, IntArray, PlanningProblem

KG_PER_T = 1000.0
NO_USERS = -1


def placed_parts(problem: PlanningProblem, placements: Sequence[Placement]) -> CostParts:
    """This function will add up the parts of all starts of a plan.

    Args:
        problem: the situation.
        placements: the plan.

    Returns:
        What is placed; neither work without a place nor fair shares.

    Source: docs/model.md, "Objective".
    """
    one = np.array([(p.group, p.pool, p.slot, p.jobs) for p in placements], dtype=np.int64)
    group, pool, slot, jobs = one.reshape(-1, 4).T
    of, weights = _Facts(problem.groups, group), problem.weights
    home = of.whole("home")
    away = pool != home
    units = of.whole("units") * jobs
    zone, home_zone = problem.zone_of[pool], problem.zone_of[home]
    data_gb = np.where(away, of.real("data_gb"), 0.0)
    travel_h = data_gb * problem.transfer_h_per_gb[home_zone, zone]
    hours = of.real("duration_h") + np.where(away, of.real("lost_h"), 0.0)
    hours = hours / _speeds(problem, group, pool)
    held = _Held(slot, pool, hours, problem.slots)
    carbon_kg = units @ held.sums(problem.carbon_kg_per_unit_h)
    waited_h = np.maximum(slot, travel_h) - of.whole("first_start")
    surplus = 0.0 if problem.surplus is None else units @ held.sums(problem.surplus)
    egress = data_gb * jobs * problem.egress_usd_per_gb[home_zone, zone]
    moved = (of.whole("members") * jobs)[away].sum()
    return CostParts(
        energy_usd=float(units @ held.sums(problem.energy_usd_per_unit_h)),
        carbon_kg=float(carbon_kg),
        carbon_usd=float(carbon_kg) * weights.carbon_usd_per_t / KG_PER_T,
        egress_usd=float(egress.sum()),
        delay_usd=float(units @ waited_h) * weights.delay_usd_per_unit_h,
        churn_usd=float(moved) * weights.churn_usd_per_job,
        latency_usd=_latency_usd(problem, group, zone, units * hours),
        surplus_usd=-float(surplus) * weights.surplus_usd_per_unit_h,
    )


class _Facts:
    """Facts of the groups of many starts, by name."""

    def __init__(self, groups: tuple[DemandGroup, ...], group: IntArray) -> None:
        self.groups, self.group = groups, group

    def whole(self, name: str) -> IntArray:
        facts = np.array([getattr(group, name) for group in self.groups], dtype=np.int64)
        return facts[self.group]

    def real(self, name: str) -> FloatArray:
        facts = np.array([getattr(group, name) for group in self.groups], dtype=np.float64)
        return facts[self.group]


class _Held:
    """The hours that many starts run: whole ones in the horizon, and what comes after it."""

    def __init__(self, slot: IntArray, pool: IntArray, hours: FloatArray, slots: int) -> None:
        self.slot, self.pool = slot, pool
        whole = np.floor(hours).astype(np.int64)
        self.end = np.minimum(slot + whole, slots)
        self.after_h = slot + whole - self.end
        self.part_h = hours - whole

    def sums(self, rate: FloatArray) -> FloatArray:
        """Sum a (P, T) rate over the hours of each start; after the horizon its mean counts."""
        mean = rate.mean(axis=1, keepdims=True)
        running = np.concatenate([np.zeros_like(mean), np.cumsum(rate, axis=1)], axis=1)
        extended = np.concatenate([rate, mean], axis=1)
        inside = running[self.pool, self.end] - running[self.pool, self.slot]
        after = mean[self.pool, 0] * self.after_h + self.part_h * extended[self.pool, self.end]
        total: FloatArray = inside + after
        return total


def _speeds(problem: PlanningProblem, group: IntArray, pool: IntArray) -> FloatArray:
    """(S,) how fast each start runs; starts that run at no speed are priced as at 1."""
    wanted = sorted(problem.speed)
    place = {name: n for n, name in enumerate(wanted)}
    row = np.array([place[one.requirement] for one in problem.groups], dtype=np.int64)
    speed = np.array([problem.speed[name] for name in wanted])[row[group], pool]
    return np.where(speed > 0, speed, 1.0)


def _latency_usd(
    problem: PlanningProblem, group: IntArray, zone: IntArray, unit_h: FloatArray
) -> float:
    rate = problem.weights.latency_usd_per_unit_h_ms
    if problem.rtt_ms is None or not rate:
        return 0.0
    users = [NO_USERS if one.user_zone is None else one.user_zone for one in problem.groups]
    user_zone = np.array(users, dtype=np.int64)[group]
    served = user_zone != NO_USERS
    rtt_ms = problem.rtt_ms[user_zone[served], zone[served]]
    return rate * float(unit_h[served] @ rtt_ms)
