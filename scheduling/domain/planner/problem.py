"""The planning problem as arrays: what is known at the start, and the checks it must pass.

Index letters throughout scheduling/domain: `g` demand group, `p` pool, `t` slot (one hour),
`r` region. Slot 0 starts at `starts_at`. All money is USD, all carbon kg CO2e.
"""

import datetime as dt
import math
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from controlplane.lib.errors import GridError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class ProblemNotSane(GridError):
    """An input of the planner cannot be true; the extra member `field` names it."""

    code = "planning-problem-not-sane"


@dataclass(frozen=True)
class Weights:
    """What the objective counts, in money. Data with an author and a date, not code.

    Attributes:
        carbon_usd_per_t: price of a tonne of CO2e.
        delay_usd_per_unit_h: one unit-hour of a waiting workload.
        churn_usd_per_job: fixed cost of moving one workload.
        unmet_usd_per_unit_h: one requested unit-hour that finds no place within the horizon.
    """

    carbon_usd_per_t: float = 50.0
    delay_usd_per_unit_h: float = 0.5
    churn_usd_per_job: float = 0.25
    unmet_usd_per_unit_h: float = 1.0


@dataclass(frozen=True)
class PoolFacts:
    """What the planner knows of one pool, apart from its time series."""

    code: str
    site: str
    region: str
    jurisdiction: str
    is_known: bool = True


@dataclass(frozen=True)
class DemandGroup:
    """Waiting workloads that are alike, so that one variable stands for all of them.

    Attributes:
        key: stable name, such as `beijing-gpu/open/8u/24h/L12`.
        home: index of the home pool.
        data_class: open, internal or restricted.
        units: units that each job holds while it runs, whole, >= 1.
        jobs: how many jobs wait, >= 1.
        duration_slots: slots that each job holds its units, >= 1; may pass the horizon.
        duration_h: requested duration of each job in hours, <= duration_slots.
        latest_start: last slot in which a job may start and still meet its deadline, 0..T-1.
        data_gb: data that moves with each job.
    """

    key: str
    home: int
    data_class: str
    units: int
    jobs: int
    duration_slots: int
    duration_h: float
    latest_start: int
    data_gb: float


@dataclass(frozen=True)
class PlanningProblem:
    """One situation to plan for.

    Attributes:
        starts_at: start of slot 0, aware UTC.
        slots: number of hourly slots T.
        pools: P pools.
        groups: G demand groups.
        available: (P, T) units left for the groups: usable capacity less the pool's own immovable
            demand at the risk quantile, less reserve and promises; >= 0. For a group at its home
            pool `home_available` holds instead.
        home_available: (P, T) the same at the median, because staying needs no promise.
        energy_usd_per_unit_h: (P, T) price of one unit-hour, may be negative.
        carbon_kg_per_unit_h: (P, T) carbon of one unit-hour, >= 0.
        allowed: (G, P) whether requirement, sovereignty rule and calendar let g run on p.
        egress_usd_per_gb: (P, P) from row to column, 0 on the diagonal.
        transfer_h_per_gb: (P, P) hours to move one GB from row to column, 0 on the diagonal.
        max_out_units, max_in_units: per region name, most units that one plan cycle may move out
            of, or into, a region.
        weights: the objective.
    """

    starts_at: dt.datetime
    slots: int
    pools: tuple[PoolFacts, ...]
    groups: tuple[DemandGroup, ...]
    available: FloatArray
    home_available: FloatArray
    energy_usd_per_unit_h: FloatArray
    carbon_kg_per_unit_h: FloatArray
    allowed: BoolArray
    egress_usd_per_gb: FloatArray
    transfer_h_per_gb: FloatArray
    max_out_units: dict[str, float] = field(default_factory=dict)
    max_in_units: dict[str, float] = field(default_factory=dict)
    weights: Weights = field(default_factory=Weights)


def check_problem(problem: PlanningProblem) -> None:
    """This function will refuse a problem whose arrays do not fit together or hold nonsense.

    Args:
        problem: the situation.

    Raises:
        ProblemNotSane: a shape is off, a value is not finite, or a size is out of range.
    """
    pools, groups, slots = len(problem.pools), len(problem.groups), problem.slots
    if slots < 1 or pools < 1:
        raise ProblemNotSane("There is no slot or no pool to plan for.", field="slots")
    if problem.allowed.dtype != np.bool_:
        raise ProblemNotSane("allowed holds something else than True and False.", field="allowed")
    shapes = {
        "available": (pools, slots),
        "home_available": (pools, slots),
        "energy_usd_per_unit_h": (pools, slots),
        "carbon_kg_per_unit_h": (pools, slots),
        "allowed": (groups, pools),
        "egress_usd_per_gb": (pools, pools),
        "transfer_h_per_gb": (pools, pools),
    }
    for name, shape in shapes.items():
        array = getattr(problem, name)
        if array.shape != shape:
            raise ProblemNotSane(f"{name} has shape {array.shape}, not {shape}.", field=name)
        if array.dtype != np.bool_ and not np.all(np.abs(array) <= 1e9):
            raise ProblemNotSane(f"{name} holds a value that is not finite.", field=name)
    for name in sorted(shapes.keys() - {"energy_usd_per_unit_h", "allowed"}):
        if np.any(getattr(problem, name) < 0):
            raise ProblemNotSane(f"{name} holds a negative value.", field=name)
    for group in problem.groups:
        _check_group(group, pools, slots)
    _check_names(problem)
    _check_limits(problem)


def _check_names(problem: PlanningProblem) -> None:
    """Plans are told, ordered and compared by name, so names must be unique."""
    names = {
        "pools": [pool.code for pool in problem.pools],
        "groups": [group.key for group in problem.groups],
    }
    for name, values in names.items():
        if len(set(values)) < len(values):
            raise ProblemNotSane(f"Two {name} have the same name.", field=name)


def _check_limits(problem: PlanningProblem) -> None:
    """Limits may be infinite (none) or negative (a contradiction that the solver names)."""
    for name in ("max_out_units", "max_in_units"):
        if any(math.isnan(units) for units in getattr(problem, name).values()):
            raise ProblemNotSane(f"{name} holds a value that is not a number.", field=name)
    for weight in fields(Weights):
        value = getattr(problem.weights, weight.name)
        if not 0 <= value <= 1e9:
            raise ProblemNotSane(f"Weight {weight.name} is {value}.", field=weight.name)


def _check_group(group: DemandGroup, pools: int, slots: int) -> None:
    is_sane = (
        0 <= group.home < pools
        and group.units >= 1
        and group.jobs >= 1
        and group.duration_slots >= 1
        and 0 < group.duration_h <= group.duration_slots
        and 0 <= group.latest_start < slots
        and 0 <= group.data_gb <= 1e9
    )
    if not is_sane:
        raise ProblemNotSane(f"Group {group.key} is out of range: {group}.", field="groups")
