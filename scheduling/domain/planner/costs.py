"""What one workload costs on every pool and start slot, in money and in its parts.

The objective of the planner is the sum of these over all workloads; nothing else is counted.
"""

import math
from dataclasses import dataclass

import numpy as np

from scheduling.domain.planner.outcome import CostParts, Placement
from scheduling.domain.planner.problem import FloatArray, PlanningProblem

KG_PER_T = 1000.0


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
        unplaced: what a workload without a place costs.
    """

    energy_usd: FloatArray
    carbon_kg: FloatArray
    carbon_usd: FloatArray
    egress_usd: FloatArray
    churn_usd: FloatArray
    delay_usd: FloatArray
    unplaced: CostParts

    @property
    def total_usd(self) -> FloatArray:
        """(P, T) all money of one workload by pool and start slot."""
        moved = (self.egress_usd + self.churn_usd)[:, None]
        total: FloatArray = self.energy_usd + self.carbon_usd + moved + self.delay_usd
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
        )


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


def group_costs(problem: PlanningProblem, group: int) -> GroupCosts:
    """This function will price one workload of a group on every pool and start slot.

    Args:
        problem: the situation.
        group: index g.

    Returns:
        The costs by part. Pools that g may not use are priced as well.

    Source: docs/model-plan.md, "Objective".
    """
    demand, weights = problem.groups[group], problem.weights
    is_away = (np.arange(len(problem.pools)) != demand.home).astype(np.float64)
    carbon_kg = demand.units * held_sum(problem.carbon_kg_per_unit_h, demand.duration_h)
    delay_usd_per_h = demand.units * weights.delay_usd_per_unit_h
    travel_h = demand.data_gb * problem.transfer_h_per_gb[demand.home]
    slot_h = np.arange(problem.slots, dtype=np.float64)
    return GroupCosts(
        energy_usd=demand.units * held_sum(problem.energy_usd_per_unit_h, demand.duration_h),
        carbon_kg=carbon_kg,
        carbon_usd=carbon_kg * (weights.carbon_usd_per_t / KG_PER_T),
        egress_usd=is_away * demand.data_gb * problem.egress_usd_per_gb[demand.home],
        churn_usd=is_away * weights.churn_usd_per_job,
        delay_usd=delay_usd_per_h * np.maximum(slot_h[None, :], travel_h[:, None]),
        unplaced=CostParts(
            delay_usd=delay_usd_per_h * problem.slots,
            unmet_usd=demand.units * demand.duration_h * weights.unmet_usd_per_unit_h,
        ),
    )


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
    costs: tuple[GroupCosts, ...],
) -> CostParts:
    """This function will add up the parts of a whole plan, workloads without a place included."""
    total = CostParts()
    for placement in placements:
        one = costs[placement.group].placed(placement.pool, placement.slot)
        total += one.times(placement.jobs)
    for group, jobs in enumerate(unplaced_jobs(problem, placements)):
        total += costs[group].unplaced.times(jobs)
    return total
