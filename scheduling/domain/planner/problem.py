"""The planning problem as arrays: everything that is known when a plan is made.

Index letters throughout scheduling/domain: `g` demand group, `p` pool, `t` slot (one hour),
`r` region. Slot 0 starts at `starts_at`. All money is USD, all carbon kg CO2e.
"""

import datetime as dt
import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Weights:
    """What the objective counts, in money. Data with an author and a date, not code.

    Attributes:
        carbon_usd_per_t: price of a tonne of CO2e.
        delay_usd_per_unit_h: one unit-hour of a waiting workload.
        churn_usd_per_job: fixed cost of moving one workload.
        unmet_usd_per_unit_h: one requested unit-hour that finds no place within the horizon.
        latency_usd_per_unit_h_ms: one unit-hour served one millisecond of round trip from its
            users.
        surplus_usd_per_unit_h: credit for one unit-hour in an hour of surplus renewable power.
        fairness_usd_per_unit_h: one unit-hour that a tenant has less than its fair share.
    """

    carbon_usd_per_t: float = 50.0
    delay_usd_per_unit_h: float = 0.5
    churn_usd_per_job: float = 0.25
    unmet_usd_per_unit_h: float = 1.0
    latency_usd_per_unit_h_ms: float = 0.0
    surplus_usd_per_unit_h: float = 0.0
    fairness_usd_per_unit_h: float = 0.0


@dataclass(frozen=True)
class PoolFacts:
    """What the planner knows of one pool, apart from its time series.

    Attributes:
        code, site, region, jurisdiction: stable names.
        is_known: whether its telemetry is fresh enough to be believed.
        kind: accelerator or node type, for `PlanningProblem.throughput`.
    """

    code: str
    site: str
    region: str
    jurisdiction: str
    is_known: bool = True
    kind: str = ""


@dataclass(frozen=True)
class DemandGroup:
    """Workloads that are alike, so that one variable stands for all of them.

    Attributes:
        key: stable name, such as `beijing-gpu/open/8u/24h/L12`.
        home: index of the home pool: where the work waits, or runs.
        data_class: open, internal or restricted.
        units: units that each job holds while it runs, whole, >= 1.
        jobs: how many jobs there are, >= 1.
        duration_slots: slots that each job holds its units, >= 1; may pass the horizon.
        duration_h: requested (or remaining) duration of each job in hours, <= duration_slots.
        latest_start: last slot in which a job may start and still meet its deadline, 0..T-1.
        data_gb: data that moves with each job; of a running job, its checkpoint.
        first_start: first slot in which a job may start; its waiting counts from there.
        away_from: first slot in which a job may start away from home (cool-down).
        requirement: what the job asks of an accelerator, for `PlanningProblem.throughput`.
        tenant: who asks, for quotas and fair shares.
        members: workloads that one job stands for: a gang at one pool, whose `units` and
            `data_gb` are those of all its members.
        is_site_gang: all jobs of the group start in the same slot, in pools of one site, or none.
        is_running: the jobs run at home now. Each goes on there, or moves with its checkpoint.
        lost_h: hours of work that a running job repeats after a move.
        user_zone: network zone of the users of a service, None for batch work.
        latency_bound_ms: most round trip between users and pool.
        service: name of the service that this is one slot of, empty for batch work.
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
    first_start: int = 0
    away_from: int = 0
    requirement: str = ""
    tenant: str = ""
    members: int = 1
    is_site_gang: bool = False
    is_running: bool = False
    lost_h: float = 0.0
    user_zone: int | None = None
    latency_bound_ms: float = math.inf
    service: str = ""


@dataclass(frozen=True)
class Quota:
    """Most units that a tenant, or a cohort of tenants, holds at the same time.

    Quotas form trees. A node may hold its nominal units and borrow what its siblings leave, up to
    `borrowing_units`; it lends at most `lending_units` of what it leaves itself.

    Attributes:
        name: of a tenant (a leaf) or of a cohort.
        parent: name of its cohort, empty at the top.
        nominal_units: what belongs to it, cohorts: on top of what its members have; >= 0.
        borrowing_units: most units beyond nominal; infinite is no limit.
        lending_units: most units of its nominal that siblings may use; infinite is all.
        regions: regions in which it counts; none means everywhere.
        in_use_units: units that its other work holds already, >= 0.
    """

    name: str
    parent: str = ""
    nominal_units: float = 0.0
    borrowing_units: float = math.inf
    lending_units: float = math.inf
    regions: frozenset[str] = frozenset()
    in_use_units: float = 0.0


@dataclass(frozen=True)
class CarbonCap:
    """Most CO2e that the work of a plan may cause in a region on one day.

    Attributes:
        region: its name.
        day: UTC date.
        most_kg: kg CO2e of the unit-hours that run in slots of that day, >= 0.
    """

    region: str
    day: dt.date
    most_kg: float


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
        egress_usd_per_gb: (Z, Z) from the zone of the home pool (row) to that of another pool.
        transfer_h_per_gb: (Z, Z) hours to move one GB. Staying at home costs and takes nothing.
        max_out_units, max_in_units: per region name, most units that one plan cycle may move out
            of, or into, a region.
        weights: the objective.
        zones: (P,) network zone of each pool, 0..Z-1; None: every pool is a zone of its own.
        rtt_ms: (Z, Z) round trip between zones; None where no group has a latency bound.
        throughput: speed of a requirement on a kind of pool, 1 where nothing is said: a job of
            `duration_h` runs `duration_h / factor` there, and not at all where it is 0.
        closed: (P, T) slots of maintenance in which no job of the plan may hold units.
        surplus: (P, T) share of surplus renewable power in the mix, 0..1.
        quotas: trees of quotas of tenants and cohorts.
        carbon_caps: per region and day.
        fair_unit_h: per tenant, unit-hours that are its fair share of this plan.
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
    zones: IntArray | None = None
    rtt_ms: FloatArray | None = None
    throughput: dict[tuple[str, str], float] = field(default_factory=dict)
    closed: BoolArray | None = None
    surplus: FloatArray | None = None
    quotas: tuple[Quota, ...] = ()
    carbon_caps: tuple[CarbonCap, ...] = ()
    fair_unit_h: dict[str, float] = field(default_factory=dict)

    @cached_property
    def zone_of(self) -> IntArray:
        """(P,) network zone of each pool."""
        return np.arange(len(self.pools)) if self.zones is None else self.zones

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Names of all regions, in order."""
        return tuple(sorted({pool.region for pool in self.pools}))

    @cached_property
    def region_of(self) -> IntArray:
        """(P,) place of each pool's region in `regions`."""
        place = {region: r for r, region in enumerate(self.regions)}
        return np.array([place[pool.region] for pool in self.pools], dtype=np.int64)

    @cached_property
    def is_known(self) -> BoolArray:
        """(P,) whether the state of each pool is known."""
        return np.array([pool.is_known for pool in self.pools], dtype=np.bool_)

    @cached_property
    def speed(self) -> dict[str, FloatArray]:
        """Per requirement of any group, (P,) how fast each pool runs it; 0 is not at all."""
        return {
            wanted: np.array([self.throughput.get((wanted, pool.kind), 1.0) for pool in self.pools])
            for wanted in {group.requirement for group in self.groups}
        }
