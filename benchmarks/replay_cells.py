"""Compares all policies on traces at several capacities, as ratios to the best simple policy.

Run from the project's folder: `python benchmarks/replay_cells.py --json OUT.json`, with
`--traces philly` and `--quantiles 0.8` for a part. `--weights` sweeps the price of delay and
prints carbon against waiting; `--aside` plays what only informs: the simple policies without
sending queued jobs elsewhere, and ours with true run times. Files are the shipped ones unless
`--data FOLDER` (or TIAODU_DATA) is given, with `<trace>/jobs.parquet` in it.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scheduling.domain.replay.checks import check_log  # noqa: E402
from scheduling.domain.replay.contest import PolicyName, compare  # noqa: E402
from scheduling.domain.replay.grid import ReplayGrid, build_grid  # noqa: E402
from scheduling.domain.replay.jobs import JobTable, read_jobs  # noqa: E402
from scheduling.domain.replay.policies.ours import Ours  # noqa: E402
from scheduling.domain.replay.policies.rivals import (  # noqa: E402
    Ranked,
    cheapest,
    greenest,
    least_loaded,
)
from scheduling.domain.replay.policies.run_times import RunTimes  # noqa: E402
from scheduling.domain.replay.report import measure as report_of  # noqa: E402
from scheduling.domain.replay.scenario import Scenario, read_scenario  # noqa: E402
from scheduling.domain.replay.simulator import simulate, terms_of  # noqa: E402
from scheduling.domain.replay.views import JobView  # noqa: E402

FIXTURES = ROOT / "fixtures"
SIMPLE = ("home", "least-loaded", "cheapest", "greenest", "first-to-start")
GOALS = {
    ("philly", 0.7): (0.38, 0.12),
    ("philly", 0.8): (0.70, 0.39),
    ("philly", 0.9): (0.90, 0.81),
    ("surf_lisa", 0.7): (0.86, 0.05),
    ("surf_lisa", 0.8): (0.85, 0.14),
    ("surf_lisa", 0.9): (0.99, 0.42),
}
P99_RATIO = 1.1
DECISION_P99_MS = 2000.0
DELAY_WEIGHTS = (0.5, 0.1, 0.02, 0.005)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", default="philly,surf_lisa")
    parser.add_argument("--quantiles", default="0.7,0.8,0.9")
    parser.add_argument("--jobs", type=int, help="only so many, the first ones")
    parser.add_argument("--policies", default=",".join(PolicyName))
    parser.add_argument("--data", type=Path, default=os.environ.get("TIAODU_DATA"))
    parser.add_argument("--weights", action="store_true", help="sweep the price of delay instead")
    parser.add_argument("--aside", action="store_true", help="play what only informs instead")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cells = []
    play = sweep if options.weights else aside if options.aside else measure
    for trace in options.traces.split(","):
        for quantile in map(float, options.quantiles.split(",")):
            cells += play(trace, quantile, options)
            if options.json:
                options.json.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")


def measure(trace: str, quantile: float, options: argparse.Namespace) -> list[dict[str, object]]:
    names = tuple(PolicyName(name) for name in options.policies.split(","))
    policies, bound_usd, pools = replayed(trace, quantile, options, names=names)
    print(f"\n{trace} at {quantile}, {pools} pools")
    simple = {name: policies[name]["objective"] for name in SIMPLE if name in policies}
    best = min(simple, key=simple.__getitem__) if simple else next(iter(policies))
    for name, report in policies.items():
        show(name, report, policies[best])
    if bound_usd is not None:
        print(f"{'bound':19}{bound_usd:12,.0f}{bound_usd / policies[best]['objective']:8.3f}")
    missed = shortfalls(trace, quantile, policies, best=best, bound_usd=bound_usd)
    print("goals met" if not missed else "missed: " + "; ".join(missed))
    cell = {"trace": trace, "quantile": quantile, "best_simple": best, "bound_usd": bound_usd}
    return [cell | {"policies": policies, "missed": missed}]


def shortfalls(
    trace: str,
    quantile: float,
    policies: dict[str, dict[str, object]],
    *,
    best: str,
    bound_usd: float | None,
) -> list[str]:
    """What of the goals a cell misses, in words."""
    ratio_goal, bound_goal = GOALS.get((trace, quantile), (1.0, 0.0))
    missed = []
    ours, base = policies.get("ours"), policies[best]
    if ours is not None:
        ratio = ours["objective"] / base["objective"]
        p99 = ours["wait_h"]["p99"] / max(base["wait_h"]["p99"], 1e-9)
        if ratio > ratio_goal:
            missed.append(f"objective {ratio:.3f} > {ratio_goal}")
        if p99 > P99_RATIO:
            missed.append(f"p99 wait {p99:.2f} > {P99_RATIO}")
    if bound_usd is not None and bound_usd / base["objective"] < bound_goal:
        missed.append(f"bound {bound_usd / base['objective']:.3f} < {bound_goal}")
    for name, report in policies.items():
        if violations(report):
            missed.append(f"{name} breaks rules")
        if report["decision_ms"]["p99"] > DECISION_P99_MS:
            missed.append(f"{name} decides in {report['decision_ms']['p99']:.0f} ms")
    return missed


def sweep(trace: str, quantile: float, options: argparse.Namespace) -> list[dict[str, object]]:
    """Carbon against waiting as delay gets cheaper, egress as it is."""
    found: list[dict[str, object]] = []
    names = (PolicyName.HOME, PolicyName.OURS, PolicyName.CARBON_TIME, PolicyName.WAIT_AWHILE)
    print(f"\n{trace} at {quantile}: price of delay, policy, carbon t, mean wait h")
    for weight in DELAY_WEIGHTS:
        policies, _, _ = replayed(
            trace, quantile, options, names=names, weights={"delay_usd_per_unit_h": weight}
        )
        for name, report in policies.items():
            carbon_t, wait_h = report["carbon_kg"] / 1000.0, report["wait_h"]["mean"]
            print(f"{weight:8} {name:15}{carbon_t:9.2f}{wait_h:9.2f}")
            found.append({"weight": weight, "policy": name, "carbon_t": carbon_t, "wait_h": wait_h})
    return found


class Knowing(RunTimes):
    """Knows every run time; no policy of the contest is given it."""

    def __init__(self, jobs: JobTable) -> None:
        super().__init__()
        self._true_s = jobs.runtime_s.tolist()

    def expected_s(self, job: JobView) -> float:
        """Its run time."""
        return max(self._true_s[job.index], 1.0)

    def square_s2(self, job: JobView) -> float:
        """Its square."""
        return self.expected_s(job) ** 2

    def limit_s(self, job: JobView) -> float:
        """Its run time too: it keeps it."""
        return self.expected_s(job)

    def is_untried(self, job: JobView, tries: int) -> bool:  # noqa: ARG002 (as its parent)
        """Nothing has to be tried."""
        return False


def aside(trace: str, quantile: float, options: argparse.Namespace) -> list[dict[str, object]]:
    """Rivals that queue at home for good, and ours if it knew run times."""
    jobs, grid, scenario = prepared(trace, quantile, options)
    terms = terms_of(jobs, grid, scenario.interval_s)
    policies = {
        "least-loaded plain": Ranked(terms, least_loaded, relieves=False),
        "cheapest plain": Ranked(terms, cheapest, relieves=False),
        "greenest plain": Ranked(terms, greenest, relieves=False),
        "ours knowing": Ours(terms, run_times=Knowing(jobs)),
    }
    capacity = dict(zip(jobs.pool_names, grid.capacity.tolist(), strict=True))
    print(f"\n{trace} at {quantile}, as information")
    found: list[dict[str, object]] = []
    for name, policy in policies.items():
        begun_s = time.perf_counter()
        log = simulate(
            jobs, grid, policy, interval_s=scenario.interval_s, stopwatch=time.perf_counter
        )
        wall_s = time.perf_counter() - begun_s
        broken = check_log(
            jobs, log, scenario, capacity=capacity, data_class=grid.data_class.tolist()
        )
        report = report_of(
            jobs, grid, log, violations=broken, bound_usd=None, wall_s=wall_s
        ).as_dict()
        show(name, report, report)
        found.append({"trace": trace, "quantile": quantile, "policy": name, "report": report})
    return found


def prepared(
    trace: str,
    quantile: float,
    options: argparse.Namespace,
    *,
    weights: dict[str, float] | None = None,
) -> tuple[JobTable, ReplayGrid, Scenario]:
    folder = Path(options.data) if options.data else FIXTURES
    frame = pd.read_parquet(folder / trace / "jobs.parquet").sort_values(["submit_s", "job_id"])
    energy = pd.read_parquet(FIXTURES / "energy" / "energy_hourly_2023.parquet")
    scenario = read_scenario({"capacity": {"quantile": quantile}, "weights": weights or {}})
    head = frame.head(options.jobs or len(frame))
    jobs, grid = build_grid(read_jobs(head), scenario, energy=energy, network=None)
    return jobs, grid, scenario


def replayed(
    trace: str,
    quantile: float,
    options: argparse.Namespace,
    *,
    names: tuple[PolicyName, ...],
    weights: dict[str, float] | None = None,
) -> tuple[dict[str, dict[str, object]], float | None, int]:
    jobs, grid, scenario = prepared(trace, quantile, options, weights=weights)
    reports, bound_usd = compare(jobs, grid, scenario, names=names, stopwatch=time.perf_counter)
    return (
        {name: report.as_dict() for name, report in reports.items()},
        bound_usd,
        len(jobs.pool_names),
    )


def violations(report: dict[str, object]) -> int:
    return sum(report[f"{kind}_violations"] for kind in ("sovereignty", "capacity", "other"))


def show(name: str, report: dict[str, object], base: dict[str, object]) -> None:
    wait = report["wait_h"]
    p99 = wait["p99"] / max(base["wait_h"]["p99"], 1e-9)
    print(
        f"{name:19}{report['objective']:12,.0f}{report['objective'] / base['objective']:8.3f}"
        f"  wait {wait['mean']:7.2f} p99 {wait['p99']:7.1f} ({p99:5.2f})"
        f"  carbon {report['carbon_kg'] / 1000:6.1f} t  broken {violations(report)}"
        f"  decision p99 {report['decision_ms']['p99']:6.1f} ms  wall {report['wall_s']:5.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
