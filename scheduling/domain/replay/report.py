"""Measures what a policy's log has cost, in the terms in which policies are compared."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scheduling.domain.replay.checks import Violations
from scheduling.domain.replay.grid import ReplayGrid
from scheduling.domain.replay.jobs import Floats, JobTable
from scheduling.domain.replay.simulator import EventLog
from scheduling.domain.replay.tariffs import HOUR_S

# Slowdown of a job of seconds says nothing; ten seconds is the bound in use since Feitelson.
_SLOWDOWN_BOUND_S = 10.0


@dataclass(frozen=True)
class PolicyReport:
    """Measures of one policy over one trace.

    Attributes:
        done: jobs that ran to their end.
        wait_h: mean, p50, p95, p99 of the time from submission to the begin of the run.
        bounded_slowdown: mean, p95 of (wait + run) / max(run, 10 s), at least 1.
        utilization: unit-hours held over capacity x time from first submission to last end.
        unit_h: pool -> unit-hours of work that it served.
        moved_jobs: jobs that ran elsewhere than at home.
        moved_gb: data moved with them.
        moved_gb_km: data times distance, None unless every move's places are known.
        energy_cost_usd: energy bought.
        carbon_cost_usd: carbon at its price.
        delay_cost_usd: unit-hours waited at their price.
        egress_usd: data moved at its price.
        carbon_kg: carbon emitted.
        objective: the sum of the four costs.
        ratio_to_bound: objective over the lower bound, None without a positive bound.
        sovereignty_violations: must be 0.
        capacity_violations: must be 0.
        other_violations: must be 0; jobs lost, run too early or on a wrong unit.
        decision_ms: p50, p99, max real time of a decision.
        wall_s: real time of the whole simulation.
    """

    done: int
    wait_h: dict[str, float]
    bounded_slowdown: dict[str, float]
    utilization: float
    unit_h: dict[str, float]
    moved_jobs: int
    moved_gb: float
    moved_gb_km: float | None
    energy_cost_usd: float
    carbon_cost_usd: float
    delay_cost_usd: float
    egress_usd: float
    carbon_kg: float
    objective: float
    ratio_to_bound: float | None
    sovereignty_violations: int
    capacity_violations: int
    other_violations: int
    decision_ms: dict[str, float]
    wall_s: float

    @property
    def is_sound(self) -> bool:
        """Whether nothing was violated."""
        return not (
            self.sovereignty_violations or self.capacity_violations or self.other_violations
        )

    def as_dict(self) -> dict[str, Any]:
        """The measures as JSON writes them."""
        return asdict(self)


def measure(
    jobs: JobTable,
    grid: ReplayGrid,
    log: EventLog,
    *,
    violations: Violations,
    bound_usd: float | None,
    wall_s: float,
) -> PolicyReport:
    """Measure a log.

    Args:
        jobs: the trace.
        grid: the grid.
        log: what happened under a policy.
        violations: what the independent check found.
        bound_usd: lower bound on the objective, if it was asked for.
        wall_s: real time of the simulation.

    Returns:
        The measures. Delay counts from submission to the begin of the run, units times hours.
    """
    wait_h = (log.started_s - jobs.submit_s) / HOUR_S
    is_moved = log.pool != jobs.home
    gb = jobs.unit_h * grid.gb_per_unit_h[jobs.home] * is_moved
    run = (log.started_s, log.ended_s, log.pool)
    power = float((jobs.units * grid.power_usd.between(*run)).sum())
    priced = float((jobs.units * grid.energy_usd.between(*run)).sum())
    delay = float((jobs.units * wait_h * grid.delay_usd[jobs.home]).sum())
    egress = float((gb * grid.egress_usd_per_gb[jobs.home, log.pool]).sum())
    objective = priced + delay + egress
    return PolicyReport(
        done=int((log.pool >= 0).sum()),
        wait_h=_shape(wait_h, (50, 95, 99)),
        bounded_slowdown=_shape(_slowdown(jobs, wait_h), (95,)),
        utilization=_utilization(jobs, grid, log),
        unit_h={
            name: float(jobs.unit_h[log.pool == p].sum()) for p, name in enumerate(jobs.pool_names)
        },
        moved_jobs=int(is_moved.sum()),
        moved_gb=float(gb.sum()),
        moved_gb_km=_gb_km(grid, jobs, log, gb=gb),
        energy_cost_usd=power,
        carbon_cost_usd=priced - power,
        delay_cost_usd=delay,
        egress_usd=egress,
        carbon_kg=float((jobs.units * grid.carbon_g.between(*run)).sum()) / 1000.0,
        objective=objective,
        ratio_to_bound=objective / bound_usd if bound_usd and bound_usd > 0 else None,
        sovereignty_violations=violations.sovereignty,
        capacity_violations=violations.capacity,
        other_violations=violations.lost + violations.unit,
        decision_ms=_decisions(log.decision_s * 1000.0),
        wall_s=wall_s,
    )


def _shape(values: Floats, levels: tuple[int, ...]) -> dict[str, float]:
    marks = {f"p{level}": float(np.percentile(values, level)) for level in levels}
    return {"mean": float(values.mean())} | marks


def _decisions(values_ms: Floats) -> dict[str, float]:
    marks = np.percentile(values_ms, (50, 99, 100)) if len(values_ms) else np.zeros(3)
    return dict(zip(("p50", "p99", "max"), marks.tolist(), strict=True))


def _slowdown(jobs: JobTable, wait_h: Floats) -> Floats:
    run_s = np.maximum(jobs.runtime_s, _SLOWDOWN_BOUND_S)
    return np.asarray(np.maximum(1.0, (wait_h * HOUR_S + jobs.runtime_s) / run_s))


def _utilization(jobs: JobTable, grid: ReplayGrid, log: EventLog) -> float:
    span_h = (float(log.ended_s.max()) - float(jobs.submit_s.min())) / HOUR_S
    available_h = float(grid.capacity.sum()) * span_h
    return float(jobs.unit_h.sum()) / available_h if available_h > 0 else 0.0


def _gb_km(grid: ReplayGrid, jobs: JobTable, log: EventLog, *, gb: Floats) -> float | None:
    if not gb.any():
        return 0.0
    moved = gb > 0
    total = float((gb[moved] * grid.distance_km[jobs.home[moved], log.pool[moved]]).sum())
    return total if np.isfinite(total) else None
