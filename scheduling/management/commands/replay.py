"""Compares scheduling policies by replaying a file of recorded jobs under each of them."""

import json
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from controlplane.lib.errors import GridError
from scheduling.domain.replay.contest import STANDARD, PolicyName, compare
from scheduling.domain.replay.grid import ReplayGrid, build_grid
from scheduling.domain.replay.jobs import BadJobsFrame, JobTable, read_jobs
from scheduling.domain.replay.report import PolicyReport
from scheduling.domain.replay.scenario import BadScenario, Scenario, read_scenario

_SHIPPED_ENERGY = Path("energy") / "energy_hourly_2023.parquet"


class Command(BaseCommand):
    """`manage.py replay JOBS.parquet`."""

    help = "Replay recorded jobs under several policies and measure what each would have cost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the jobs, the scenario and the policies."""
        parser.add_argument("file", type=Path, help="parquet: job_id, cluster, submit_s, runtime_s")
        parser.add_argument("--scenario", type=Path, help="JSON; every key is optional")
        parser.add_argument("--policies", type=_names, default=STANDARD)
        parser.add_argument("--json", type=Path, help="write the measures here")

    def handle(self, **options: Any) -> None:
        """Replay, print a table, write the JSON; fail if a policy broke a rule."""
        scenario, folder = _scenario(options["scenario"])
        jobs, grid = _prepare(options["file"], scenario, folder)
        names: tuple[PolicyName, ...] = options["policies"]
        try:
            reports, bound_usd = compare(
                jobs,
                grid,
                scenario,
                names=names,
                stopwatch=time.perf_counter,
                progress=self._progress(len(jobs)),
            )
        except GridError as error:
            raise CommandError(error.detail) from error
        self._print(reports, bound_usd, jobs)
        if options["json"]:
            document = _document(reports, bound_usd, jobs=jobs, grid=grid, scenario=scenario)
            text = json.dumps(document, indent=1, allow_nan=False)
            _write(options["json"], text + "\n")
        broken = [name for name, report in reports.items() if not report.is_sound]
        if broken:
            raise CommandError(f"Rules were broken by {', '.join(broken)}; see the table.")

    def _progress(self, total: int) -> Callable[[str, int], None] | None:
        if not self.stderr.isatty():
            return None
        shown = -1

        def show(name: str, done: int) -> None:
            nonlocal shown
            filled = 30 * done // total
            if filled != shown:
                shown = filled
                bar = f"{'█' * filled:·<30}"
                self.stderr.write(f"\r{name:12} {bar} {done}/{total}", ending="")
                if done == total:
                    self.stderr.write("")

        return show

    def _print(
        self, reports: dict[str, PolicyReport], bound_usd: float | None, jobs: JobTable
    ) -> None:
        skipped = ", ".join(f"{count} {why}" for why, count in jobs.skipped.items())
        pools = len(jobs.pool_names)
        self.stdout.write(f"{len(jobs)} jobs, {pools} pools, skipped: {skipped or 'nothing'}")
        self.stdout.write(_line(_HEAD))
        for name, report in reports.items():
            self.stdout.write(_line(_row(name, report)))
        if bound_usd is not None:
            self.stdout.write(_line(("bound", f"{bound_usd:,.0f}", "1.000")))


_HEAD = (
    "policy", "objective", "to bound", "energy $", "carbon kg", "egress $", "delay $", "moved",
    "wait h", "p95", "p99", "slowdown", "util", "broken", "p99 ms", "wall s",
)  # fmt: skip


def _row(name: str, report: PolicyReport) -> tuple[str, ...]:
    ratio = report.ratio_to_bound
    broken = report.sovereignty_violations + report.capacity_violations + report.other_violations
    return (
        name,
        f"{report.objective:,.0f}",
        "-" if ratio is None else f"{ratio:.3f}",
        f"{report.energy_cost_usd:,.0f}",
        f"{report.carbon_kg:,.0f}",
        f"{report.egress_usd:,.0f}",
        f"{report.delay_cost_usd:,.0f}",
        str(report.moved_jobs),
        f"{report.wait_h['mean']:.2f}",
        f"{report.wait_h['p95']:.2f}",
        f"{report.wait_h['p99']:.2f}",
        f"{report.bounded_slowdown['mean']:.1f}",
        f"{report.utilization:.3f}",
        str(broken),
        f"{report.decision_ms['p99']:.2f}",
        f"{report.wall_s:.1f}",
    )


def _line(cells: tuple[str, ...]) -> str:
    return f"{cells[0]:12}" + "".join(f"{cell:>11}" for cell in cells[1:])


def _scenario(path: Path | None) -> tuple[Scenario, Path]:
    if path is None:
        return Scenario(), Path()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    try:
        return read_scenario(document), path.parent
    except BadScenario as error:
        raise CommandError(f"{path}: {error.detail}") from error


def _prepare(path: Path, scenario: Scenario, folder: Path) -> tuple[JobTable, ReplayGrid]:
    shipped = settings.FIXTURES_DIR / _SHIPPED_ENERGY
    energy = _table(folder / scenario.energy if scenario.energy else shipped)
    network = _table(folder / scenario.network) if scenario.network else None
    frame = _table(path)
    try:
        return build_grid(read_jobs(frame), scenario, energy=energy, network=network)
    except BadJobsFrame as error:
        raise CommandError(f"{path}: {error.detail}") from error
    except BadScenario as error:
        raise CommandError(f"scenario: {error.detail}") from error


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error


def _document(
    reports: dict[str, PolicyReport],
    bound_usd: float | None,
    *,
    jobs: JobTable,
    grid: ReplayGrid,
    scenario: Scenario,
) -> dict[str, Any]:
    policies: dict[str, Any] = {name: report.as_dict() for name, report in reports.items()}
    if bound_usd is not None:
        policies["bound"] = {"objective": bound_usd}
    resolved = {
        "capacity": dict(zip(jobs.pool_names, grid.capacity.tolist(), strict=True)),
        "zones": dict(zip(jobs.pool_names, grid.zones, strict=True)),
    }
    return {
        "policies": policies,
        "scenario": scenario.as_dict() | resolved,
        "jobs": len(jobs),
        "skipped": jobs.skipped,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error}") from error


def _names(text: str) -> tuple[PolicyName, ...]:
    return tuple(dict.fromkeys(PolicyName(part) for part in text.split(",")))
