"""Builds planning problems for tests from the few things that a test is about."""

import datetime as dt
from dataclasses import dataclass, field, replace

import numpy as np

from scheduling.domain.planner.problem import DemandGroup, PlanningProblem, PoolFacts, Weights

STARTS_AT = dt.datetime(2023, 5, 26, 1, tzinfo=dt.UTC)
POOLS = (
    PoolFacts("beijing-gpu", "beijing", "CN-BJ", "CN"),
    PoolFacts("horinger-gpu", "horinger", "CN-NM", "CN"),
    PoolFacts("guian-gpu", "guian", "CN-GZ", "CN"),
)


def a_group(key: str = "beijing-gpu/open/8u", **changes: object) -> DemandGroup:
    """One workload of 8 units for 2 hours at the first pool, free to start at any time."""
    group = DemandGroup(
        key=key,
        home=0,
        data_class="open",
        units=8,
        jobs=1,
        duration_slots=2,
        duration_h=2.0,
        latest_start=3,
        data_gb=1.0,
    )
    return replace(group, **changes)


@dataclass
class ProblemBuilder:
    """Three pools and four slots with room, equal prices and free, instant transfers."""

    groups: tuple[DemandGroup, ...] = ()
    pools: tuple[PoolFacts, ...] = POOLS
    slots: int = 4
    available: float | np.ndarray = 16.0
    home_available: float | np.ndarray | None = None
    energy: float | np.ndarray = 0.02
    carbon: float | np.ndarray = 0.2
    egress: float = 0.0
    transfer_h_per_gb: float = 0.0
    max_out_units: dict[str, float] = field(default_factory=dict)
    max_in_units: dict[str, float] = field(default_factory=dict)
    weights: Weights = field(default_factory=Weights)

    def build(self) -> PlanningProblem:
        """Return the problem; a number stands for all pools and slots, a row per pool too."""
        away = 1.0 - np.eye(len(self.pools))
        home = self.available if self.home_available is None else self.home_available
        return PlanningProblem(
            starts_at=STARTS_AT,
            slots=self.slots,
            pools=self.pools,
            groups=self.groups,
            available=self.by_slot(self.available),
            home_available=self.by_slot(home),
            energy_usd_per_unit_h=self.by_slot(self.energy),
            carbon_kg_per_unit_h=self.by_slot(self.carbon),
            allowed=np.ones((len(self.groups), len(self.pools)), dtype=np.bool_),
            egress_usd_per_gb=self.egress * away,
            transfer_h_per_gb=self.transfer_h_per_gb * away,
            max_out_units=self.max_out_units,
            max_in_units=self.max_in_units,
            weights=self.weights,
        )

    def by_slot(self, values: float | np.ndarray) -> np.ndarray:
        """Spread a number, or one number per pool, over pools and slots."""
        array = np.asarray(values, dtype=np.float64)
        column = array[:, None] if array.ndim == 1 else array
        return np.broadcast_to(column, (len(self.pools), self.slots)).copy()


def a_problem(*groups: DemandGroup, **changes: object) -> PlanningProblem:
    """A problem of the given groups on three pools; see `ProblemBuilder` for what may change."""
    return ProblemBuilder(groups=groups, **changes).build()


def a_short_home(**changes: object) -> PlanningProblem:
    """Beijing is full, Horinger has room for two workloads, Guian for one at twice the price."""
    settings = {"available": [0.0, 16.0, 8.0], "energy": [0.06, 0.02, 0.04], **changes}
    last = int(settings.get("slots", 4)) - 1
    return a_problem(a_group(jobs=4, latest_start=last), **settings)


def a_home_freed_for_another() -> PlanningProblem:
    """Home holds one of two workloads; the one that stays by itself can move, the other not."""
    groups = (
        a_group("open", latest_start=0),
        a_group("restricted", latest_start=0, duration_h=1.5),
    )
    problem = a_problem(*groups, available=[8.0, 8.0, 0.0], slots=2)
    return replace(problem, allowed=np.array([[True, True, True], [True, False, False]]))


def a_grid(*, pools: int, slots: int, groups: int, seed: int) -> PlanningProblem:
    """A larger random grid with scarce capacity, for what needs size."""
    rng = np.random.default_rng(seed)
    facts = tuple(PoolFacts(f"p{n:02d}", f"s{n}", f"R{n // 2}", "CN") for n in range(pools))
    demand = tuple(
        a_group(
            f"g{n:03d}",
            home=int(rng.integers(pools)),
            units=int(rng.choice([1, 1, 1, 2, 4])),
            jobs=int(rng.integers(1, 12)),
            duration_slots=(hours := int(rng.choice([1, 2, 4, 8, 24]))),
            duration_h=float(hours),
            latest_start=int(rng.integers(slots)),
            data_gb=float(rng.integers(0, 200)),
        )
        for n in range(groups)
    )
    first, last = rng.integers(0, 40, size=(2, pools, 1))
    available = np.floor(first + (last - first) * np.linspace(0, 1, slots))
    problem = ProblemBuilder(
        groups=demand,
        pools=facts,
        slots=slots,
        available=available,
        home_available=available + rng.integers(0, 10, size=(pools, 1)),
        energy=rng.uniform(0.005, 0.08, size=(pools, slots)),
        carbon=rng.uniform(0.1, 0.4, size=(pools, slots)),
        egress=0.05,
        transfer_h_per_gb=0.002,
        max_out_units={f"R{n}": 40.0 for n in range(pools // 2)},
        max_in_units={f"R{n}": 40.0 for n in range(pools // 2)},
    ).build()
    return replace(problem, allowed=rng.random((groups, pools)) < 0.8)
