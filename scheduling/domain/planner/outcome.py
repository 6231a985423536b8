"""What the planner answers: a typed status, whole placements, and the objective in its parts.

Everything here is per plan cycle; index letters as in `scheduling.domain.planner.problem`.
"""

import datetime as dt
import enum
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray


class PlanStatus(enum.StrEnum):
    """How an attempt to plan ended. Every status but INFEASIBLE comes with a valid plan."""

    OPTIMAL = "OPTIMAL"
    WITHIN_GAP = "WITHIN_GAP"
    TIME_LIMIT = "TIME_LIMIT"
    INFEASIBLE = "INFEASIBLE"
    NOTHING_TO_DO = "NOTHING_TO_DO"


@dataclass(frozen=True)
class CostParts:
    """The objective in its parts. A difference of two is one too, so values may be negative.

    Attributes:
        energy_usd: energy of the unit-hours that run, also those after the horizon.
        carbon_kg: CO2e of the same unit-hours; told for people, paid as `carbon_usd`.
        carbon_usd: `carbon_kg` at the carbon price.
        egress_usd: data that leaves its site with moved workloads.
        delay_usd: unit-hours waited from slot 0 to the start, the whole horizon if there is none.
        churn_usd: fixed cost of moving.
        unmet_usd: requested unit-hours without a place in the horizon.
        latency_usd: unit-hours served far from their users.
        surplus_usd: credit for unit-hours in hours of surplus renewable power; <= 0.
        fairness_usd: unit-hours that tenants have less than their fair share.
    """

    energy_usd: float = 0.0
    carbon_kg: float = 0.0
    carbon_usd: float = 0.0
    egress_usd: float = 0.0
    delay_usd: float = 0.0
    churn_usd: float = 0.0
    unmet_usd: float = 0.0
    latency_usd: float = 0.0
    surplus_usd: float = 0.0
    fairness_usd: float = 0.0

    @property
    def total_usd(self) -> float:
        """Everything that is money; `carbon_kg` is in it only as `carbon_usd`."""
        return (
            self.energy_usd
            + self.carbon_usd
            + self.egress_usd
            + self.delay_usd
            + self.churn_usd
            + self.unmet_usd
            + self.latency_usd
            + self.surplus_usd
            + self.fairness_usd
        )

    def __add__(self, other: "CostParts") -> "CostParts":
        return CostParts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: "CostParts") -> "CostParts":
        return self + other.times(-1.0)

    def times(self, factor: float) -> "CostParts":
        """This function will return every part multiplied by `factor`."""
        return CostParts(*(getattr(self, f.name) * factor for f in fields(self)))


@dataclass(frozen=True, order=True)
class Placement:
    """`jobs` whole workloads of group g that start on pool p in slot t. Indices, not names."""

    group: int
    pool: int
    slot: int
    jobs: int


@dataclass(frozen=True)
class PlanMemory:
    """What a plan leaves to the next one, by names that both know.

    Attributes:
        starts_at: start of slot 0 of the plan.
        slotted: (T,) prices of limits that hold in every slot, by constraint name.
        single: prices of all other limits.
        starts: group key, pool code, slot and jobs of every placement.
    """

    starts_at: dt.datetime
    slotted: dict[str, NDArray[np.float64]]
    single: dict[str, float]
    starts: tuple[tuple[str, str, int, int], ...]


@dataclass(frozen=True)
class PlanOutcome:
    """The answer to one planning problem.

    Attributes:
        status: how it ended.
        objective: total cost of this plan, USD.
        bound: no plan can cost less than this, USD.
        gap: (objective - bound) / |objective|, 0 when both are 0.
        placements: sorted, at most one per (group, pool, slot), jobs >= 1.
        unplaced: (G,) whole jobs of each group that find no place within the horizon.
        parts: the objective in its parts; `parts.total_usd == objective`.
        conflicts: names of the constraints that contradict each other when INFEASIBLE.
        memory: what the next plan may begin with; None where plans are searched exactly.
    """

    status: PlanStatus
    objective: float = 0.0
    bound: float = 0.0
    gap: float = 0.0
    placements: tuple[Placement, ...] = ()
    unplaced: tuple[int, ...] = ()
    parts: CostParts = CostParts()
    conflicts: tuple[str, ...] = ()
    memory: PlanMemory | None = field(default=None, compare=False, repr=False)
