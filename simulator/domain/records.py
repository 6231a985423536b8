"""The rows a provider keeps about its pools, its jobs and the trace behind them."""

from dataclasses import dataclass
from typing import Any

from simulator.domain import workloads
from simulator.domain.cluster import Cluster, Job, JobState
from simulator.domain.native import NativeLoad
from simulator.domain.timeline import rfc3339

SITE = "site"
GRID = "grid"


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """One pool of a provider, with what its telemetry is computed from."""

    code: str
    capacity: int
    kw_per_unit: float
    pue: float
    energy_zone: str
    carbon_g_per_kwh: float | None
    native: NativeLoad


@dataclass(frozen=True, slots=True)
class Arrival:
    """One job of the trace: `program` runs on `units` for `runtime_s` from `submit_at` on."""

    key: str
    program: str
    tenant: str
    units: int
    runtime_s: int
    submit_at: int

    def as_job(self) -> Job:
        """Return what the cluster needs to know of the job."""
        return Job(self.key, self.units, self.runtime_s, self.submit_at)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A movable job of a pool: the site's own, or one the grid sent (`origin`).

    `is_released` remembers that a withdrawal was taken back; `fingerprint` is the digest of the
    body the grid sent, empty for the site's own jobs. `done_s` is the work that a checkpoint holds:
    it is not done again.
    """

    pool: str
    key: str
    origin: str
    program: str
    tenant: str
    units: int
    runtime_s: int
    requested_duration_s: int
    submitted_at: int
    started_at: int | None
    finished_at: int | None
    state: JobState
    is_released: bool
    fingerprint: str
    done_s: int = 0

    def as_job(self) -> Job:
        """Return what the cluster needs to know of the job."""
        left_s = max(1, self.runtime_s - self.done_s)
        return Job(self.key, self.units, left_s, self.submitted_at)

    def as_engine_job(self) -> dict[str, Any]:
        """Return the job as the engine API shows it."""
        return {
            "key": self.key,
            "pool": self.pool,
            "units": self.units,
            "state": self.state.value,
            "submitted_at": rfc3339(self.submitted_at),
            "started_at": rfc3339(self.started_at),
            "finished_at": rfc3339(self.finished_at),
            "done_s": self.done_s,
        }

    def as_workload(self) -> dict[str, Any]:
        """Return the job as the provider announces it to the grid."""
        requested_s = self.requested_duration_s
        return {
            "external_id": self.key,
            "pool": self.pool,
            "tenant": self.tenant,
            "units": self.units,
            "requested_duration_s": requested_s,
            "submitted_at": rfc3339(self.submitted_at),
            "deadline_at": rfc3339(workloads.deadline_at(self.submitted_at, requested_s)),
            "data_class": workloads.data_class(self.program),
            "data_gb": workloads.data_gb(self.units, requested_s),
            "checkpointable": workloads.is_checkpointable(requested_s),
            "checkpoint_every_s": (
                workloads.CHECKPOINT_EVERY_S if workloads.is_checkpointable(requested_s) else None
            ),
            "state": self.state.value,
            "started_at": rfc3339(self.started_at),
            "finished_at": rfc3339(self.finished_at),
            "spec": {"program": self.program},
        }


def site_job(pool: str, arrival: Arrival) -> JobRecord:
    """Return the record of a job of the trace at the moment it arrives."""
    return JobRecord(
        pool=pool,
        key=arrival.key,
        origin=SITE,
        program=arrival.program,
        tenant=arrival.tenant,
        units=arrival.units,
        runtime_s=arrival.runtime_s,
        requested_duration_s=workloads.requested_duration_s(arrival.runtime_s),
        submitted_at=arrival.submit_at,
        started_at=None,
        finished_at=None,
        state=JobState.QUEUED,
        is_released=False,
        fingerprint="",
    )


def telemetry_sample(
    pool: PoolRecord, cluster: Cluster, *, price_usd_per_mwh: float
) -> dict[str, Any]:
    """Return the telemetry of a pool at its cluster's moment.

    Args:
        pool: The pool.
        cluster: Its cluster, advanced to the moment of the sample.
        price_usd_per_mwh: Energy price of the pool's zone in that hour.

    Returns:
        One sample; power in kW, price in USD per unit-hour (energy of one unit at the wall;
        a negative market price counts as nothing).
    """
    wall_kw_per_unit = pool.kw_per_unit * pool.pue
    return {
        "pool": pool.code,
        "measured_at": rfc3339(cluster.at),
        "capacity": cluster.capacity,
        "allocated": cluster.allocated,
        "queued": cluster.queued,
        "unavailable": 0,
        "power_kw": round(cluster.allocated * wall_kw_per_unit, 3),
        "price_per_unit_h": round(wall_kw_per_unit * max(0.0, price_usd_per_mwh) / 1000, 6),
        "carbon_g_per_kwh": pool.carbon_g_per_kwh,
    }
