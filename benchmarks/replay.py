"""Measures replays of the shipped traces: time per policy, time per decision, ratio to the bound.

Run from the project's folder: `python benchmarks/replay.py [--trace philly] [--jobs 10000]`.
"""

import argparse
import sys
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scheduling.domain.replay.contest import PolicyName, compare  # noqa: E402
from scheduling.domain.replay.grid import build_grid  # noqa: E402
from scheduling.domain.replay.jobs import read_jobs  # noqa: E402
from scheduling.domain.replay.scenario import Scenario  # noqa: E402

FIXTURES = ROOT / "fixtures"
# On two busy cores; a tenth of the decision interval would still be 30 s.
BUDGET_DECISION_P99_MS = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", choices=("philly", "surf_lisa"), default="philly")
    parser.add_argument("--jobs", type=int, help="only so many, the first ones")
    options = parser.parse_args()
    frame = pd.read_parquet(FIXTURES / options.trace / "jobs.parquet")
    frame = frame.sort_values(["submit_s", "job_id"]).head(options.jobs or len(frame))
    energy = pd.read_parquet(FIXTURES / "energy" / "energy_hourly_2023.parquet")
    scenario = Scenario()
    jobs, grid = build_grid(read_jobs(frame), scenario, energy=energy, network=None)
    reports, bound_usd = compare(
        jobs, grid, scenario, names=tuple(PolicyName), stopwatch=time.perf_counter
    )
    print(f"{len(jobs)} jobs, bound {bound_usd:,.0f} USD")
    for name, report in reports.items():
        decision = report.decision_ms
        print(
            f"{name:13} {report.wall_s:6.1f} s  {len(jobs) / report.wall_s:8,.0f} jobs/s"
            f"  decision p50 {decision['p50']:.3f} p99 {decision['p99']:.2f}"
            f" max {decision['max']:.1f} ms  ratio {report.ratio_to_bound or float('nan'):.3f}"
        )
        if decision["p99"] > BUDGET_DECISION_P99_MS:
            raise SystemExit(f"{name}: a decision takes {decision['p99']:.1f} ms at p99.")


if __name__ == "__main__":
    main()
