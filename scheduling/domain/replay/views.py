"""What a policy may see: jobs without their true run time, and the pools as they stand now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as its user announced it.

    Attributes:
        index: number of the job, by time of submission.
        home: pool it came to.
        units: units it holds while it runs.
        submit_s: when it came.
        req_time_s: run time the user asked for, or None.
        vc: group of the user, may be empty.
        allowed: pools that may run it by rule and size, its home among them.
    """

    index: int
    home: int
    units: int
    submit_s: float
    req_time_s: float | None
    vc: str
    allowed: tuple[int, ...]


class Running(NamedTuple):
    """A job that holds units since `started_s` (its data are still on the way at first)."""

    job: JobView
    started_s: float


class Start(NamedTuple):
    """A decision: this job begins now on this pool."""

    job: JobView
    pool: int


@dataclass(slots=True)
class Situation:
    """The grid at one moment; policies read it, only the simulator changes it.

    Attributes:
        now_s: the moment.
        is_tick: whether this is a decision interval's begin, the time for the costly part.
        free: (P,) units that no job holds.
        running: per pool, index of job -> what runs.
    """

    now_s: float
    is_tick: bool
    free: Sequence[int]
    running: Sequence[Mapping[int, Running]]


class Prices(Protocol):
    """Rates per unit-hour that are known at a moment; the future is not among them."""

    def energy_usd(self, now_s: float) -> Sequence[float]:
        """(P,) cost of energy and carbon of a unit-hour in the hour of `now_s`."""
        ...

    def power_usd(self, now_s: float) -> Sequence[float]:
        """(P,) cost of energy alone of a unit-hour in the hour of `now_s`."""
        ...

    def carbon_g(self, now_s: float) -> Sequence[float]:
        """(P,) carbon of a unit-hour in the hour of `now_s`."""
        ...

    def usual_usd(self, now_s: float) -> Sequence[float]:
        """(P,) mean cost of energy and carbon of a unit-hour over the last seven days."""
        ...


@dataclass(frozen=True)
class Terms:
    """What every policy knows of the grid.

    Attributes:
        pool_names: (P,) names.
        capacity: (P,) units.
        delay_usd: (P,) cost of one unit waiting one hour, by the unit of the pool.
        egress_usd: (P, P) cost of moving the data of one unit-hour of work from pool to pool.
        prices: what is known of the rates.
        interval_s: time between ticks.
    """

    pool_names: tuple[str, ...]
    capacity: tuple[int, ...]
    delay_usd: tuple[float, ...]
    egress_usd: tuple[tuple[float, ...], ...]
    prices: Prices
    interval_s: float


class Policy(Protocol):
    """Decides which waiting jobs begin where."""

    def arrived(self, job: JobView, now_s: float) -> None:
        """Learn of a job; it waits until this policy starts it."""
        ...

    def finished(self, job: JobView, pool: int, *, runtime_s: float) -> None:
        """Learn that a job has ended, and only now how long it ran."""
        ...

    def decide(self, situation: Situation) -> list[Start]:
        """Choose jobs that begin at this moment."""
        ...
