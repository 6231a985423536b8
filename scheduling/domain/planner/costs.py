"""What one workload costs on every pool and start slot, in money and in its parts.

The objective of the planner is the sum of these over all workloads; nothing else is counted.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from scheduling.domain.planner.outcome import CostParts, Placement
from scheduling.domain.planner.problem import FloatArray, IntArray, PlanningProblem
from scheduling.domain.planner.starts import KG_PER_T, placed_parts
from scheduling.domain.planner.terms import terms_of, unplaced_wait_h, waiting_h

# Above so many starts a plan is priced all at once.
FEW_STARTS = 200


@dataclass(frozen=True)
class GroupCosts:
    """Costs of one workload of a group, for every pool and start slot.

    Attributes:
        energy_usd: (P, T) energy over the slots held, also after the horizon.
        carbon_kg: (P, T) CO2e of the same.
        carbon_usd: (P, T) that at the carbon price.
        egress_usd: (P,) data that moves; 0 at home.
        churn_usd: (P,) fixed cost of moving; 0 at home.
        delay_usd: (P, T) unit-hours from the beginning to the start; where the data arrive within
            the start slot, to their arrival.
        latency_usd: (P,) unit-hours served far from their users.
        surplus_usd: (P, T) credit for hours of surplus renewable power, <= 0.
        unplaced: what a workload without a place costs.
    """

    energy_usd: FloatArray
    carbon_kg: FloatArray
    carbon_usd: FloatArray
    egress_usd: FloatArray
    churn_usd: FloatArray
    delay_usd: FloatArray
    latency_usd: FloatArray
    surplus_usd: FloatArray
    unplaced: CostParts

    @property
    def total_usd(self) -> FloatArray:
        """(P, T) all money of one workload by pool and start slot."""
        once = (self.egress_usd + self.churn_usd + self.latency_usd)[:, None]
        running = self.energy_usd + self.carbon_usd + self.surplus_usd
        total: FloatArray = running + once + self.delay_usd
        return total

    def placed(self, pool: int, slot: int) -> CostParts:
        """This function will return the parts of one workload that starts on `pool` in `slot`."""
        return CostParts(
            energy_usd=float(self.energy_usd[pool, slot]),
            carbon_kg=float(self.carbon_kg[pool, slot]),
            carbon_usd=float(self.carbon_usd[pool, slot]),
            egress_usd=float(self.egress_usd[pool]),
            delay_usd=float(self.delay_usd[pool, slot]),
            churn_usd=float(self.churn_usd[pool]),
            latency_usd=float(self.latency_usd[pool]),
            surplus_usd=float(self.surplus_usd[pool, slot]),
        )

    def placed_all(self, pool: IntArray, slot: IntArray, jobs: FloatArray) -> CostParts:
        """This function will add up the parts of many starts: rows, slots and jobs of each."""
        by_start = ("energy_usd", "carbon_kg", "carbon_usd", "delay_usd", "surplus_usd")
        sums = {name: float((getattr(self, name)[pool, slot] * jobs).sum()) for name in by_start}
        once = ("egress_usd", "churn_usd", "latency_usd")
        sums |= {name: float((getattr(self, name)[pool] * jobs).sum()) for name in once}
        return CostParts(**sums)


def held_sum(rate: FloatArray, duration_h: float) -> FloatArray:
    """This function will sum an hourly rate over the hours that a workload runs, per start slot.

    From start slot t the workload runs the hours [t, t + duration_h). Hours after the horizon
    count at the mean rate of the horizon, the last partial hour by its share.

    Args:
        rate: (P, T) value per unit-hour.
        duration_h: hours of run time, > 0.

    Returns:
        (P, T) value per unit, by start slot.
    """
    rate = rate.astype(np.float64)
    slots = rate.shape[1]
    mean = rate.mean(axis=1, keepdims=True)
    whole = math.floor(duration_h)
    starts = np.arange(slots)
    running_total = np.concatenate([np.zeros_like(mean), np.cumsum(rate, axis=1)], axis=1)
    ends = np.minimum(starts + whole, slots)
    inside = running_total[:, ends] - running_total[:, starts]
    after = mean * (starts + whole - ends)
    extended = np.concatenate([rate, mean], axis=1)
    last_partial = (duration_h - whole) * extended[:, ends]
    total: FloatArray = inside + after + last_partial
    return total


def group_costs(problem: PlanningProblem, group: int, pools: IntArray | None = None) -> GroupCosts:
    """This function will price one workload of a group on pools and start slots.

    Args:
        problem: the situation.
        group: index g.
        pools: (A,) indices p; all pools without it.

    Returns:
        The costs by part, with a row per pool. Pools that g may not use are priced as well.

    Source: docs/model.md, "Objective".
    """
    demand, weights = problem.groups[group], problem.weights
    terms = terms_of(problem, group, pools)
    chosen = terms.pools
    energy = _held_by_row(problem.energy_usd_per_unit_h[chosen], terms.hours)
    carbon_kg = demand.units * _held_by_row(problem.carbon_kg_per_unit_h[chosen], terms.hours)
    surplus = np.zeros_like(energy)
    if problem.surplus is not None:
        surplus = -weights.surplus_usd_per_unit_h * _held_by_row(
            problem.surplus[chosen], terms.hours
        )
    delay_usd_per_h = demand.units * weights.delay_usd_per_unit_h
    return GroupCosts(
        energy_usd=demand.units * energy,
        carbon_kg=carbon_kg,
        carbon_usd=carbon_kg * (weights.carbon_usd_per_t / KG_PER_T),
        egress_usd=terms.egress_usd,
        churn_usd=terms.churn_usd,
        delay_usd=delay_usd_per_h * waiting_h(problem, group, terms),
        latency_usd=terms.latency_usd,
        surplus_usd=demand.units * surplus,
        unplaced=CostParts(
            delay_usd=delay_usd_per_h * unplaced_wait_h(problem, group),
            unmet_usd=demand.units * demand.duration_h * weights.unmet_usd_per_unit_h,
        ),
    )


def _held_by_row(rate: FloatArray, hours: FloatArray) -> FloatArray:
    """`held_sum` where every row runs hours of its own."""
    total = np.empty_like(rate, dtype=np.float64)
    for run_h in np.unique(hours):
        same = hours == run_h
        total[same] = held_sum(rate[same], float(run_h))
    return total


def all_group_costs(problem: PlanningProblem) -> tuple[GroupCosts, ...]:
    """This function will price one workload of every group, in the order of the groups."""
    return tuple(group_costs(problem, group) for group in range(len(problem.groups)))


def unplaced_jobs(
    problem: PlanningProblem, placements: tuple[Placement, ...] | list[Placement]
) -> tuple[int, ...]:
    """This function will count the workloads of each group that the placements leave out."""
    left = [group.jobs for group in problem.groups]
    for placement in placements:
        left[placement.group] -= placement.jobs
    return tuple(left)


def plan_parts(
    problem: PlanningProblem,
    placements: tuple[Placement, ...] | list[Placement],
    costs: tuple[GroupCosts, ...] | None = None,
) -> CostParts:
    """This function will add up the parts of a whole plan.

    Args:
        problem: the situation.
        placements: the plan.
        costs: `all_group_costs(problem)` if they are there; at national size they never are.

    Returns:
        Workloads without a place and fair shares not served included.
    """
    total = CostParts(fairness_usd=fairness_usd(problem, placements))
    if costs is None and len(placements) > FEW_STARTS:
        total += placed_parts(problem, placements)
    else:
        total += _placed_by_group(problem, placements, costs)
    delay_usd, weights = 0.0, problem.weights
    unmet_usd = 0.0
    for group, jobs in enumerate(unplaced_jobs(problem, placements)):
        demand = problem.groups[group]
        wait_h = unplaced_wait_h(problem, group)
        delay_usd += jobs * demand.units * wait_h * weights.delay_usd_per_unit_h
        unmet_usd += jobs * demand.units * demand.duration_h * weights.unmet_usd_per_unit_h
    return total + CostParts(delay_usd=delay_usd, unmet_usd=unmet_usd)


def _placed_by_group(
    problem: PlanningProblem,
    placements: tuple[Placement, ...] | list[Placement],
    costs: tuple[GroupCosts, ...] | None,
) -> CostParts:
    by_group: dict[int, list[Placement]] = defaultdict(list)
    for placement in placements:
        by_group[placement.group].append(placement)
    total = CostParts()
    for group, chosen in by_group.items():
        pools = sorted({placement.pool for placement in chosen})
        own = costs[group] if costs else group_costs(problem, group, np.array(pools))
        row = {pool: pool if costs else n for n, pool in enumerate(pools)}
        total += own.placed_all(
            np.array([row[one.pool] for one in chosen]),
            np.array([one.slot for one in chosen]),
            np.array([one.jobs for one in chosen], dtype=np.float64),
        )
    return total


def fairness_usd(
    problem: PlanningProblem, placements: tuple[Placement, ...] | list[Placement]
) -> float:
    """This function will price the unit-hours that tenants have less than their fair share."""
    served: dict[str, float] = defaultdict(float)
    for placement in placements:
        demand = problem.groups[placement.group]
        served[demand.tenant] += placement.jobs * demand.units * demand.duration_h
    lacking = (max(0.0, owed - served[who]) for who, owed in problem.fair_unit_h.items())
    return problem.weights.fairness_usd_per_unit_h * sum(lacking)
