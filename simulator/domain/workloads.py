"""What a provider tells the grid about a movable job, by stated rules where the trace is silent."""

import hashlib

from simulator.domain.timeline import DAY_S, HOUR_S

REQUEST_LADDER_H = (0.25, 0.5, 1, 2, 4, 8, 12, 24, 48, 96, 168, 336, 720, 1440)
OPEN_PERCENT = 70
INTERNAL_PERCENT = 20
GB_PER_UNIT_H = 1.0
MAX_DATA_GB = 500.0
CHECKPOINTABLE_FROM_S = 4 * HOUR_S
CHECKPOINT_EVERY_S = HOUR_S


def requested_duration_s(runtime_s: int) -> int:
    """Return the wall time a user would ask for: the true run time rounded up to a usual limit.

    Raises:
        ValueError: The run time is longer than the longest limit, 1440 h.
    """
    for limit_h in REQUEST_LADDER_H:
        if runtime_s <= limit_h * HOUR_S:
            return int(limit_h * HOUR_S)
    msg = f"no limit covers a run time of {runtime_s} s"
    raise ValueError(msg)


def data_class(program: str) -> str:
    """Return open (70 %), internal (20 %) or restricted (10 %), fixed by the program's name."""
    percentile = int.from_bytes(hashlib.sha256(program.encode()).digest()[:4]) % 100
    if percentile < OPEN_PERCENT:
        return "open"
    return "internal" if percentile < OPEN_PERCENT + INTERNAL_PERCENT else "restricted"


def data_gb(units: int, requested_s: int) -> float:
    """Return the data that moves with a job: 1 GB per requested unit-hour, at most 500 GB."""
    return round(min(MAX_DATA_GB, GB_PER_UNIT_H * units * requested_s / HOUR_S), 3)


def deadline_at(submitted_at: int, requested_s: int) -> int:
    """Return the deadline (epoch s): a day and twice the requested time after submission."""
    return submitted_at + DAY_S + 2 * requested_s


def is_checkpointable(requested_s: int) -> bool:
    """Say whether a job can be stopped and resumed: those asking for four hours or more."""
    return requested_s >= CHECKPOINTABLE_FROM_S


def kept_s(ran_s: int) -> int:
    """Return how much of a stretch of running the last checkpoint holds: whole hours.

    >>> kept_s(7199)
    3600
    """
    return ran_s // CHECKPOINT_EVERY_S * CHECKPOINT_EVERY_S


def tenant_of(virtual_cluster: str) -> str:
    """Return the tenant's name for a virtual cluster of the trace, such as `vc-d40d8f`."""
    return f"vc-{virtual_cluster[:6]}"
