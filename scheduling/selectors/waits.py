"""Foresees, pool by pool, when a workload of some size and length would start."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from controlplane.lib.units import HOUR, floor_hour
from forecasting import selectors as forecasts
from forecasting.domain.frames import Floats
from forecasting.domain.live.waits import (
    FEATURES,
    LEVELS,
    Examples,
    JobTimes,
    PoolQueue,
    describe,
    foresee_wait,
    queue_at,
    recent_waits,
)
from monitoring import selectors as grid
from monitoring.domain.headroom import usable_units
from monitoring.domain.inventory import PoolInfo
from monitoring.domain.readings import PoolReading
from scheduling.domain.sovereignty import Place, rule_on
from scheduling.domain.workloads import WorkloadState
from scheduling.models import Workload
from scheduling.selectors.rules import rules_in_force

LOOK_BACK = dt.timedelta(days=14)
MOST_EXAMPLES = 400
AHEAD_H = 48
_EVERYONES_UNITS = 8.0
"""Size in which waiting work that nobody announced is taken to come."""
_EVERYONES_H = 4.0

_JOB_COLUMNS = (
    *("pool__code", "submitted_at", "started_at", "finished_at", "units"),
    "requested_duration_s",
)

Measured = Mapping[dt.datetime, tuple[float, float, float]]


def waits(
    now: dt.datetime,
    *,
    units: float,
    requested_h: float,
    data_class: str = "",
    home: str = "",
) -> dict[str, Any]:
    """This function will say for every pool how long a workload would wait there.

    Args:
        now: grid time.
        units: size of the workload.
        requested_h: hours that it asks for.
        data_class: only pools to which data of this class may go from `home`.
        home: pool where it is now; needed with a data class.

    Returns:
        `as_of`, `levels`, the `declaration` of the forecast that was used (None without one), and
        `pools`, the soonest first: `pool, unit, wait_h` (one per level, None where nothing is
        known), `starts_at` (likewise), `ends_at` by the median, `played_h`, `examples`, `method`
        (`calibrated`, `played`, `too-large` or `unknown`).
    """
    pools = _eligible(data_class, home)
    readings = {reading.pool: reading for reading in grid.pool_states(now)}
    jobs = _jobs(now)
    measured = _measured(now)
    codes = [pool.code for pool in pools]
    median = forecasts.demand_quantile(codes, now, AHEAD_H, 0.5) if codes else np.empty((0, 0))
    run = forecasts.latest_run(now)
    rows = [
        _row(pool, readings.get(pool.code), jobs.get(pool.code), measured.get(pool.code, {}), path)
        | {"unit": pool.unit}
        for pool, path in zip(pools, (_Ask(now, units, path) for path in median), strict=True)
    ]
    for row in rows:
        row["ends_at"] = _later(now, row["wait_h"][1], requested_h)
    rows.sort(key=lambda row: (row["wait_h"][1] is None, row["wait_h"][1] or 0.0, row["pool"]))
    declared = None if run is None else forecasts.declaration_of(run)
    return {"as_of": now, "levels": list(LEVELS), "declaration": declared, "pools": rows}


@dataclass(frozen=True)
class _Ask:
    """What is asked of one pool: when, how large, and the median of its demand ahead (T,)."""

    now: dt.datetime
    units: float
    median: Floats


def _row(
    pool: PoolInfo,
    reading: PoolReading | None,
    jobs: JobTimes | None,
    measured: Measured,
    ask: _Ask,
) -> dict[str, Any]:
    queue = _queue_now(pool, reading, jobs, ask)
    if queue is None:
        unknown = [None] * len(LEVELS)
        found = {"wait_h": unknown, "starts_at": unknown, "played_h": None, "examples": 0}
        return {"pool": pool.code, **found, "method": "unknown"}
    times = jobs or _no_jobs()
    forecast = foresee_wait(
        queue,
        ask.units,
        _examples(pool, jobs, measured, ask.now),
        recent=recent_waits(times, 0.0, len(times.units)),
    )
    return {
        "pool": pool.code,
        "wait_h": [round(hours, 3) for hours in forecast.quantiles_h],
        "starts_at": [_later(ask.now, hours, 0.0) for hours in forecast.quantiles_h],
        "played_h": round(forecast.played_h, 3),
        "examples": forecast.examples,
        "method": forecast.method,
    }


def _queue_now(
    pool: PoolInfo, reading: PoolReading | None, jobs: JobTimes | None, ask: _Ask
) -> PoolQueue | None:
    known = reading and (reading.capacity, reading.allocated, reading.queued)
    if not known or None in known:
        return None
    capacity, allocated, queued = (float(value or 0.0) for value in known)
    usable = usable_units(capacity, contract=pool.contract, reserve=pool.reserve) or 0.0
    times = jobs or _no_jobs()
    queue = queue_at(times, _hours(ask.now, ask.now), usable, len(times.units))
    others = max(0.0, allocated - float(queue.running[:, 0].sum()))
    queue = _with_others(queue, usable, allocated, queued)
    return PoolQueue(
        capacity=queue.capacity,
        free=queue.free,
        running=np.vstack([queue.running, _leaving(others, ask.median)]),
        waiting=queue.waiting,
    )


def _with_others(queue: PoolQueue, usable: float, allocated: float, queued: float) -> PoolQueue:
    """Add what the telemetry shows and nobody announced: it stands before every newcomer."""
    unannounced = max(0.0, queued - float(queue.waiting[:, 0].sum()))
    count = int(np.ceil(unannounced / _EVERYONES_UNITS))
    others = np.full((count, 2), _EVERYONES_H)
    others[:, 0] = unannounced / max(count, 1)
    return PoolQueue(
        capacity=usable,
        free=max(0.0, usable - allocated),
        running=queue.running,
        waiting=np.vstack([others, queue.waiting]),
    )


def _leaving(others: float, median: Floats) -> Floats:
    """Return when unannounced running work is expected to go: as the median of demand falls."""
    rows = []
    held, level = others, None
    for hour, demand in enumerate(median):
        if np.isnan(demand) or held <= 0:
            break
        if level is not None and demand < level:
            freed = min(held, level - demand)
            rows.append((freed, float(hour)))
            held -= freed
        level = demand if level is None else min(level, demand)
    # what is not foreseen to leave within the forecast leaves after it
    rows.extend([(held, float(AHEAD_H))] if held > 0 else [])
    return np.array(rows).reshape(len(rows), 2)


def _examples(
    pool: PoolInfo, jobs: JobTimes | None, measured: Measured, now: dt.datetime
) -> Examples:
    if jobs is None:
        return Examples(np.empty((0, FEATURES)), np.empty(0))
    rows, waited = [], []
    places = np.flatnonzero(jobs.started >= jobs.submitted)
    for place in places[-MOST_EXAMPLES:]:
        submitted_at = now + float(jobs.submitted[place]) * HOUR
        # the hour before: of its own hour nobody knew the mean yet
        then = measured.get(floor_hour(submitted_at) - HOUR)
        if then is None:
            continue
        capacity, allocated, queued = then
        usable = usable_units(capacity, contract=pool.contract, reserve=pool.reserve) or 0.0
        queue = queue_at(jobs, float(jobs.submitted[place]), usable, int(place))
        queue = _with_others(queue, usable, allocated, queued)
        recent = recent_waits(jobs, float(jobs.submitted[place]), int(place))
        rows.append(describe(queue, float(jobs.units[place]), recent))
        waited.append(float(jobs.started[place] - jobs.submitted[place]))
    situations = np.array(rows).reshape(len(rows), FEATURES)
    return Examples(situations, np.array(waited))


def _eligible(data_class: str, home: str) -> list[PoolInfo]:
    pools = sorted(grid.pools(), key=lambda pool: pool.code)
    source = next((pool for pool in pools if pool.code == home), None)
    if not data_class or source is None:
        return pools
    rules = rules_in_force().sovereignty
    start = Place(source.region, source.jurisdiction)
    return [
        pool
        for pool in pools
        if rule_on(rules, data_class, start, Place(pool.region, pool.jurisdiction)).is_allowed
    ]


def _jobs(now: dt.datetime) -> dict[str, JobTimes]:
    rows = (
        Workload.objects.filter(submitted_at__gte=now - LOOK_BACK, submitted_at__lte=now)
        .exclude(state=WorkloadState.WITHDRAWN)
        .order_by("pool__code", "submitted_at", "pk")
        .values_list(*_JOB_COLUMNS)
    )
    found: defaultdict[str, list[tuple[float, ...]]] = defaultdict(list)
    for code, submitted, started, finished, units, asked_s in rows:
        moments = (_hours(moment, now) for moment in (submitted, started, finished))
        found[code].append((*moments, float(units), asked_s / 3600.0))
    return {code: JobTimes(*np.array(own).T) for code, own in found.items()}


def _measured(now: dt.datetime) -> dict[str, dict[dt.datetime, tuple[float, float, float]]]:
    frame = grid.demand_frame(now - LOOK_BACK, now, as_of=now)
    known = frame.dropna(subset=["capacity", "allocated", "queued"])
    found: defaultdict[str, dict[dt.datetime, tuple[float, float, float]]] = defaultdict(dict)
    columns = (known[name] for name in ("pool", "hour_at", "capacity", "allocated", "queued"))
    for code, at, capacity, allocated, queued in zip(*columns, strict=True):
        found[str(code)][at.to_pydatetime()] = (capacity, allocated, queued)
    return found


def _no_jobs() -> JobTimes:
    return JobTimes(*(np.empty(0) for _ in range(5)))


def _hours(moment: dt.datetime | None, now: dt.datetime) -> float:
    return float("nan") if moment is None else (moment - now).total_seconds() / 3600.0


def _later(now: dt.datetime, wait_h: float | None, more_h: float) -> dt.datetime | None:
    return None if wait_h is None else now + dt.timedelta(hours=wait_h + more_h)
