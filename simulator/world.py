"""Reads the fixtures into the traces behind each pool and runs them up to the live start."""

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from simulator.domain.cluster import Cluster, JobState
from simulator.domain.native import NativeLoad
from simulator.domain.records import Arrival, PoolRecord, telemetry_sample
from simulator.domain.timeline import (
    HELIOS_START_LOCAL,
    HISTORY_START,
    PHILLY_LAP_END,
    PHILLY_SHIFT_S,
    PRICE_YEAR_H,
    TICK_S,
    price_hour,
)
from simulator.domain.workloads import tenant_of


@dataclass(frozen=True)
class PoolTrace:
    """A pool with the arrivals of its trace (none where the demand is native), in queue order."""

    provider: str
    record: PoolRecord
    arrivals: tuple[Arrival, ...]


@dataclass(frozen=True)
class World:
    """Everything outside the grid: pools with traces, programs (name to run time in s), prices.

    `prices` maps a zone to its 8760 hourly prices of 2023, USD/MWh.
    """

    providers: tuple[str, ...]
    pools: tuple[PoolTrace, ...]
    programs: dict[str, int]
    prices: dict[str, list[float]]


@dataclass(frozen=True)
class PoolRun:
    """A pool's cluster after the run, and the start of each job that is still open."""

    trace: PoolTrace
    cluster: Cluster
    started_at: dict[str, int]


def load_world(fixtures: Path) -> World:
    """Return the world that the fixtures describe.

    Args:
        fixtures: Folder with `grid.json`, `helios_earth/`, `philly/` and `energy/`.
    """
    grid = json.loads((fixtures / "grid.json").read_text(encoding="utf-8"))
    sites = {site["code"]: site for site in grid["sites"]}
    carbon = {region["code"]: region["carbon_g_per_kwh"] for region in grid["regions"]}
    philly = {
        pool["trace"]["cluster"] for pool in grid["pools"] if pool["trace"]["family"] == "philly"
    }
    arrivals = _philly_arrivals(fixtures / "philly" / "jobs.parquet", philly)
    levels = _helios_levels(fixtures / "helios_earth" / "5min.parquet")
    traces = []
    for pool in grid["pools"]:
        site = sites[pool["site"]]
        record = PoolRecord(
            code=pool["code"],
            capacity=pool["installed"],
            kw_per_unit=pool["kw_per_unit"],
            pue=site["pue"],
            energy_zone=site["energy_zone"],
            carbon_g_per_kwh=carbon[site["region"]],
            native=NativeLoad(levels.get(pool["trace"]["cluster"], array("H"))),
        )
        own = tuple(arrivals.get(pool["trace"]["cluster"], ()))
        traces.append(PoolTrace(site["provider"], record, own))
    return World(
        providers=tuple(provider["code"] for provider in grid["providers"]),
        pools=tuple(traces),
        programs={a.program: a.runtime_s for trace in traces for a in trace.arrivals},
        prices=_prices(
            fixtures / "energy" / "energy_hourly_2023.parquet",
            {site["energy_zone"] for site in grid["sites"]},
        ),
    )


def run_world(world: World, until: int) -> tuple[list[dict[str, Any]], list[PoolRun]]:
    """Run every pool by itself, as if nothing were ever moved.

    Args:
        world: The traces.
        until: End of the run, exclusive, a tick (epoch s).

    Returns:
        Telemetry of each tick from the start of the history on, in order of time and pool, and
        the pools as they are at the last tick.
    """
    runs = []
    columns = []
    for trace in world.pools:
        run = PoolRun(trace, _empty_cluster(trace), {})
        columns.append(list(_pool_samples(run, world.prices[trace.record.energy_zone], until)))
        runs.append(run)
    return [sample for tick in zip(*columns, strict=True) for sample in tick], runs


def samples_table(samples: list[dict[str, Any]]) -> pa.Table:
    """Return telemetry samples as a table whose `measured_at` is a timestamp in UTC."""
    table = pa.Table.from_pylist(samples)
    index = table.schema.get_field_index("measured_at")
    moments = pc.strptime(table["measured_at"], "%Y-%m-%dT%H:%M:%SZ", "us")
    return table.set_column(index, "measured_at", moments.cast(pa.timestamp("us", "UTC")))


def _empty_cluster(trace: PoolTrace) -> Cluster:
    # A trace begins before the history; its backlog at the start of the history is real.
    first = min([HISTORY_START, *(a.submit_at for a in trace.arrivals[:1])])
    return Cluster(trace.record.capacity, at=first - 1)


def _pool_samples(run: PoolRun, prices: list[float], until: int) -> Iterator[dict[str, Any]]:
    jobs = [arrival.as_job() for arrival in run.trace.arrivals]
    moments = [job.submit_at for job in jobs]
    cluster = run.cluster
    for tick in range(HISTORY_START, until, TICK_S):
        due = slice(bisect_right(moments, cluster.at), bisect_right(moments, tick))
        native = run.trace.record.native.changes(cluster.at, tick)
        for change in cluster.advance(tick, arrivals=jobs[due], native=native):
            if change.state is JobState.RUNNING:
                run.started_at[change.key] = change.at
            else:
                del run.started_at[change.key]
        price = prices[price_hour(tick)]
        yield telemetry_sample(run.trace.record, cluster, price_usd_per_mwh=price)


def _philly_arrivals(path: Path, clusters: set[str]) -> dict[str, list[Arrival]]:
    table = pq.read_table(
        path, columns=["job_id", "cluster", "submit_s", "runtime_s", "gpus", "vc"]
    )
    arrivals: dict[str, list[Arrival]] = {cluster: [] for cluster in clusters}
    for row in table.to_pylist():
        submit_at = row["submit_s"] + PHILLY_SHIFT_S
        if row["cluster"] in clusters and submit_at < PHILLY_LAP_END:
            key = f"philly-{row['job_id']}"
            job = Arrival(key, key, tenant_of(row["vc"]), row["gpus"], row["runtime_s"], submit_at)
            arrivals[row["cluster"]].append(job)
    for jobs in arrivals.values():
        jobs.sort(key=lambda a: (a.submit_at, a.key))
    return arrivals


def _helios_levels(path: Path) -> dict[str, "array[int]"]:
    table = pq.read_table(path, columns=["timestamp_local", "cluster", "running", "queued"])
    table = table.sort_by([("cluster", "ascending"), ("timestamp_local", "ascending")])
    levels: dict[str, array[int]] = {}
    for row in table.to_pylist():
        series = levels.setdefault(row["cluster"], array("H"))
        step = (row["timestamp_local"] - HELIOS_START_LOCAL).total_seconds() / TICK_S
        if step != len(series):
            msg = f"{row['cluster']} has no point before {row['timestamp_local']}"
            raise ValueError(msg)
        series.append(row["running"] + row["queued"])
    return levels


def _prices(path: Path, zones: set[str]) -> dict[str, list[float]]:
    table = pq.read_table(path, columns=["timestamp_utc", "zone", "price_usd_per_mwh"])
    table = table.sort_by([("zone", "ascending"), ("timestamp_utc", "ascending")])
    prices: dict[str, list[float]] = {zone: [] for zone in sorted(zones)}
    for zone, price in zip(
        table["zone"].to_pylist(), table["price_usd_per_mwh"].to_pylist(), strict=True
    ):
        if zone in zones:
            prices[zone].append(round(price, 4))
    short = [zone for zone, hours in prices.items() if len(hours) != PRICE_YEAR_H]
    if short:
        msg = f"no whole year of prices for {short}"
        raise ValueError(msg)
    return prices
