"""Writes what came before the live start: telemetry of all pools, and each provider's file."""

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from simulator.domain.cluster import JobState
from simulator.domain.records import JobRecord, site_job
from simulator.domain.timeline import LIVE_START, TICK_S, next_tick, parse_rfc3339
from simulator.prepare import DEFAULT_FIXTURES, HISTORY_FILE, replace_file
from simulator.store import Store
from simulator.world import PoolRun, World, load_world, run_world, samples_table


def main(arguments: list[str]) -> int:
    """Run `history` with command-line arguments; return the exit status."""
    parser = ArgumentParser(prog="simulator history", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="Parquet file to write")
    parser.add_argument("--until", type=parse_rfc3339, default=LIVE_START, metavar="RFC3339")
    parser.add_argument("--fixtures", type=Path, default=DEFAULT_FIXTURES)
    options = parser.parse_args(arguments)
    samples, _ = run_world(load_world(options.fixtures), next_tick(options.until - 1))
    pq.write_table(samples_table(samples), options.out, compression="zstd")
    return 0


def write_start(fixtures: Path, out: Path) -> None:
    """Write `history.parquet` and `<provider>.sqlite` for the live start, keeping what is there.

    Args:
        fixtures: Folder of the fixtures.
        out: Existing folder to write to.
    """
    world = load_world(fixtures)
    samples, runs = run_world(world, LIVE_START)
    for provider in world.providers:
        path = out / f"{provider}.sqlite"
        if not path.exists():
            made = out / f"{provider}.sqlite.part"
            made.unlink(missing_ok=True)
            _write_provider(made, world, [run for run in runs if run.trace.provider == provider])
            replace_file(path, made)
    made = out / f"{HISTORY_FILE}.part"
    pq.write_table(samples_table(samples), made, compression="zstd")
    replace_file(out / HISTORY_FILE, made)


def _write_provider(path: Path, world: World, runs: list[PoolRun]) -> None:
    store = Store.create(path)
    with store.transaction():
        store.set_last_tick(LIVE_START - TICK_S)
        store.add_programs(sorted(world.programs.items()))
        for zone in sorted({run.trace.record.energy_zone for run in runs}):
            store.add_prices(zone, world.prices[zone])
        for run in runs:
            code = run.trace.record.code
            store.add_pool(run.trace.record)
            store.add_arrivals(code, run.trace.arrivals)
            store.set_advanced_to(code, run.cluster.at)
            for job in _open_jobs(run):
                store.add_job(job)
                store.announce(code, job.key)
    store.close()


def _open_jobs(run: PoolRun) -> list[JobRecord]:
    open_keys = {job.key for job in [*run.cluster.running_jobs, *run.cluster.queued_jobs]}
    records = [
        site_job(run.trace.record.code, arrival)
        for arrival in run.trace.arrivals
        if arrival.key in open_keys
    ]
    return [
        replace(job, state=JobState.RUNNING, started_at=run.started_at[job.key])
        if job.key in run.started_at
        else job
        for job in records
    ]
