"""Measures the planner on situations of the demo grid: columns, time, gap and what moving saves.

    python benchmarks/plan.py [--slots 24] [--situations 6] [--split 1] [--json OUT]

A situation is a moment of the shipped Philly trace: each Philly cluster is run first come first
served (a job that does not fit is passed over) at the demo grid's capacity up to that moment; what
waits then is the demand, what runs holds its capacity. Hub pools take their Helios series. Energy,
carbon, sites and PUE are those of `fixtures/grid.json`; network prices are constants. Each
situation is planned with the region limits of a tenth of its capacity, and without any limit.
`--split N` cuts every group into up to N, to see what more groups cost.
"""

import argparse
import dataclasses
import datetime as dt
import heapq
import json
import math
import pathlib
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scheduling.domain.planner.checks import recompute_cost, verify  # noqa: E402
from scheduling.domain.planner.costs import all_group_costs  # noqa: E402
from scheduling.domain.planner.exact.formulation import build_columns  # noqa: E402
from scheduling.domain.planner.moves import draft_moves  # noqa: E402
from scheduling.domain.planner.problem import (  # noqa: E402
    DemandGroup,
    FloatArray,
    PlanningProblem,
    PoolFacts,
)
from scheduling.domain.planner.solver import do_nothing, solve  # noqa: E402

FIXTURES = ROOT / "fixtures"
WALL_LIMITS_H = (0.25, 0.5, 1, 2, 4, 8, 12, 24, 48, 96, 168, 336, 720, 1440)
KW_PER_UNIT = 0.4
HELIOS_HOURS = 24 * 21
EGRESS_USD_PER_GB = 0.05
TRANSFER_H_PER_GB = 8 / 3600 / 3.0
REGION_SHARE_PER_CYCLE = 0.1


class Job(NamedTuple):
    """One job of the trace, with the run time that its user would ask for."""

    submit_s: float
    job_id: int
    units: int
    runtime_s: float
    asked_h: float


def asked_hours(runtime_s: float) -> float:
    """Return the wall-time limit that a user would ask for."""
    return next((h for h in WALL_LIMITS_H if h * 3600 >= runtime_s), WALL_LIMITS_H[-1])


def situations_of(
    jobs: list[Job], capacity: int, moments_s: list[float]
) -> Iterator[tuple[list[Job], list[tuple[float, Job]]]]:
    """Yield (waiting jobs, [(start, running job)]) of one cluster at each moment."""
    running: list[tuple[float, float, Job]] = []
    waiting: list[Job] = []
    free, submitted = capacity, 0
    for moment in moments_s:
        while True:
            next_submit = jobs[submitted].submit_s if submitted < len(jobs) else math.inf
            next_end = running[0][0] if running else math.inf
            event_s = min(next_submit, next_end)
            if event_s > moment:
                break
            if next_end <= next_submit:
                free += heapq.heappop(running)[2].units
            else:
                waiting.append(jobs[submitted])
                submitted += 1
            left = []
            for job in waiting:
                if job.units <= free:
                    free -= job.units
                    heapq.heappush(running, (event_s + job.runtime_s, event_s, job))
                else:
                    left.append(job)
            waiting = left
        yield list(waiting), [(start, job) for _, start, job in running]


class Demo:
    """The demo grid as the shipped files describe it."""

    def __init__(self, slots: int, split: int) -> None:
        self.slots, self.split = slots, split
        self.grid = json.loads((FIXTURES / "grid.json").read_text())
        self.sites = {site["code"]: site for site in self.grid["sites"]}
        self.regions = {region["code"]: region for region in self.grid["regions"]}
        energy = pd.read_parquet(FIXTURES / "energy" / "energy_hourly_2023.parquet")
        self.price = energy.pivot_table(
            index="timestamp_utc", columns="zone", values="price_usd_per_mwh"
        ).ffill()
        helios = pd.read_parquet(FIXTURES / "helios_earth" / "hourly.parquet")
        self.helios = {
            str(code): frame.sort_values("hour")["demand"].to_numpy()
            for code, frame in helios.groupby("cluster")
        }
        self.trace = pd.read_parquet(FIXTURES / "philly" / "jobs.parquet")

    def pools(self) -> tuple[PoolFacts, ...]:
        """Return the pools in the order of the inventory."""
        return tuple(
            PoolFacts(
                code=pool["code"],
                site=pool["site"],
                region=self.sites[pool["site"]]["region"],
                jurisdiction="CN",
            )
            for pool in self.grid["pools"]
        )

    def clusters(self, moments_s: list[float]) -> dict[str, list[Any]]:
        """Return the situations of every Philly pool, by pool code."""
        result = {}
        for pool in self.grid["pools"]:
            if pool["trace"]["family"] != "philly":
                continue
            rows = self.trace[self.trace["cluster"] == pool["trace"]["cluster"]]
            rows = rows.sort_values(["submit_s", "job_id"])
            jobs = [
                Job(float(s), int(i), int(g), float(r), asked_hours(float(r)))
                for s, i, g, r in zip(
                    rows["submit_s"], rows["job_id"], rows["gpus"], rows["runtime_s"], strict=True
                )
                if 0 < g <= pool["installed"] and r > 0
            ]
            result[pool["code"]] = list(situations_of(jobs, pool["installed"], moments_s))
        return result

    def problem(
        self, waiting: dict[str, list[Job]], running: dict[str, list[Any]], moment_s: float
    ) -> PlanningProblem:
        """Return the planning problem of one moment."""
        starts_at = dt.datetime(2023, 5, 26, tzinfo=dt.UTC) + dt.timedelta(
            hours=int(moment_s // 3600) % (24 * 180)
        )
        pools = self.pools()
        groups = tuple(self.groups(waiting, pools, moment_s))
        available, home = self.capacity(running, moment_s)
        energy, carbon = self.rates(starts_at)
        installed: dict[str, float] = defaultdict(float)
        for pool, facts in zip(self.grid["pools"], pools, strict=True):
            installed[facts.region] += pool["installed"]
        limits = {r: max(16.0, REGION_SHARE_PER_CYCLE * u) for r, u in installed.items()}
        away = 1.0 - np.eye(len(pools))
        return PlanningProblem(
            starts_at=starts_at,
            slots=self.slots,
            pools=pools,
            groups=groups,
            available=available,
            home_available=home,
            energy_usd_per_unit_h=energy,
            carbon_kg_per_unit_h=carbon,
            allowed=self.allowed(groups, pools),
            egress_usd_per_gb=EGRESS_USD_PER_GB * away,
            transfer_h_per_gb=TRANSFER_H_PER_GB * away,
            max_out_units=limits,
            max_in_units=limits,
        )

    def groups(
        self, waiting: dict[str, list[Job]], pools: tuple[PoolFacts, ...], moment_s: float
    ) -> Iterator[DemandGroup]:
        """Yield the demand groups of the waiting jobs."""
        counts: dict[tuple[int, str, int, float, int, int, int], int] = defaultdict(int)
        for home, pool in enumerate(pools):
            for job in waiting.get(pool.code, []):
                share = job.job_id * 2654435761 % 1000
                data_class = "open" if share < 700 else "internal" if share < 900 else "restricted"
                deadline_h = (job.submit_s - moment_s) / 3600 + 24 + 2 * job.asked_h
                last = int(min(self.slots - 1, max(0, math.floor(deadline_h - job.asked_h))))
                last = last // 4 * 4 + 3 if last < self.slots - 4 else self.slots - 1
                gb = int(min(500, job.asked_h * job.units))
                part = job.job_id % self.split
                counts[home, data_class, job.units, job.asked_h, last, gb, part] += 1
        for (home, data_class, units, asked_h, last, gb, part), jobs in sorted(counts.items()):
            yield DemandGroup(
                key=f"{pools[home].code}/{data_class}/{units}u/{asked_h}h/L{last}/{gb}GB/{part}",
                home=home,
                data_class=data_class,
                units=units,
                jobs=jobs,
                duration_slots=max(1, math.ceil(asked_h)),
                duration_h=float(asked_h),
                latest_start=last,
                data_gb=float(gb),
            )

    def allowed(
        self, groups: tuple[DemandGroup, ...], pools: tuple[PoolFacts, ...]
    ) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return (G, P): restricted stays at its site, internal in its region."""
        allowed = np.ones((len(groups), len(pools)), dtype=np.bool_)
        for g, group in enumerate(groups):
            home = pools[group.home]
            for p, pool in enumerate(pools):
                if group.data_class == "restricted":
                    allowed[g, p] = pool.site == home.site
                elif group.data_class == "internal":
                    allowed[g, p] = pool.region == home.region
        return allowed

    def capacity(
        self, running: dict[str, list[Any]], moment_s: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return (P, T) units left at the risk quantile and at the median."""
        available, home = [], []
        hour = int(moment_s // 3600)
        for pool in self.grid["pools"]:
            if pool["code"] in running:
                ahead = moment_s + 3600 * np.arange(self.slots)
                held = np.zeros(self.slots)
                for start_s, job in running[pool["code"]]:
                    held += job.units * (ahead < start_s + 3600 * job.asked_h)
                spread = 0.0
            else:
                demand = self.helios[pool["trace"]["cluster"]]
                held = demand[(hour + np.arange(self.slots)) % HELIOS_HOURS]
                spread = 0.1 * float(held.mean())
            home.append(np.maximum(0.0, pool["installed"] - held))
            available.append(np.maximum(0.0, pool["installed"] - held - spread))
        return np.array(available), np.array(home)

    def rates(self, starts_at: dt.datetime) -> tuple[FloatArray, FloatArray]:
        """Return (P, T) USD and kg CO2e per unit-hour."""
        first = self.price.index.get_loc(pd.Timestamp(starts_at).tz_localize(None))
        assert isinstance(first, int)
        energy, carbon = [], []
        for pool in self.grid["pools"]:
            site = self.sites[pool["site"]]
            kwh = KW_PER_UNIT * site["pue"]
            series = self.price[site["energy_zone"]].to_numpy()[first : first + self.slots]
            energy.append(kwh * series / 1000)
            factor = self.regions[site["region"]]["carbon_g_per_kwh"] / 1000
            carbon.append(np.full(self.slots, kwh * factor))
        return np.array(energy, dtype=np.float64), np.array(carbon, dtype=np.float64)


def load_situations(slots: int, wanted: int, split: int) -> list[tuple[float, PlanningProblem]]:
    """Return the moments with the most waiting groups, and others spread over the trace."""
    demo = Demo(slots, split)
    end_s = float(demo.trace["submit_s"].max())
    moments = [3600.0 * hour for hour in range(24, int(end_s // 3600), 12)]
    clusters = demo.clusters(moments)
    problems = []
    for index, moment in enumerate(moments):
        waiting = {code: states[index][0] for code, states in clusters.items()}
        running = {code: states[index][1] for code, states in clusters.items()}
        problems.append((moment, demo.problem(waiting, running, moment)))
    problems.sort(key=lambda pair: -len(pair[1].groups))
    largest = problems[: (wanted + 1) // 2]
    others = [pair for pair in problems[len(largest) :] if pair[1].groups]
    more = wanted - len(largest)
    return largest + (others[:: max(1, len(others) // more)][:more] if more else [])


def measure(problem: PlanningProblem) -> dict[str, Any]:
    """Plan one situation, check the plan by the independent verifier, and return the figures."""
    began, began_cpu = time.perf_counter(), time.process_time()
    baseline = do_nothing(problem)
    between = time.perf_counter()
    plan = solve(problem, baseline=baseline)
    ended, ended_cpu = time.perf_counter(), time.process_time()
    broken = verify(problem, plan.placements) + verify(problem, baseline.placements)
    if broken:
        raise SystemExit(f"The plan breaks a rule: {broken[0]}")
    difference = abs(recompute_cost(problem, plan.placements) - plan.objective)
    if difference > 1e-6 * max(1.0, abs(plan.objective)):
        raise SystemExit(f"The checker prices the plan {difference} USD off.")
    moves = draft_moves(problem, plan, baseline).moves
    costs = all_group_costs(problem)
    return {
        "groups": len(problem.groups),
        "workloads": sum(group.jobs for group in problem.groups),
        "columns": len(build_columns(problem, costs)),
        "status": str(plan.status),
        "do_nothing_s": between - began,
        "solve_s": ended - between,
        "both_cpu_s": ended_cpu - began_cpu,
        "gap": plan.gap,
        "do_nothing_usd": baseline.objective,
        "plan_usd": plan.objective,
        "moves": len(moves),
        "moved_units": sum(move.units for move in moves),
    }


def main() -> None:
    """Measure all situations and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=24)
    parser.add_argument("--situations", type=int, default=6)
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = []
    print(
        f"{'hour':>5} {'limits':>6} {'groups':>6} {'jobs':>5} {'columns':>7} {'home s':>7} "
        f"{'plan s':>7} {'cpu s':>6} {'gap':>8} {'stay USD':>9} {'plan USD':>9} {'moved':>5}  "
        "status"
    )
    for moment, limited in load_situations(options.slots, options.situations, options.split):
        free = dataclasses.replace(limited, max_out_units={}, max_in_units={})
        for limits, problem in (("yes", limited), ("no", free)):
            row = {"hour": int(moment // 3600), "limits": limits, **measure(problem)}
            rows.append(row)
            print(
                f"{row['hour']:5d} {limits:>6} {row['groups']:6d} {row['workloads']:5d} "
                f"{row['columns']:7d} {row['do_nothing_s']:7.2f} {row['solve_s']:7.2f} "
                f"{row['both_cpu_s']:6.2f} {row['gap']:8.1e} {row['do_nothing_usd']:9.2f} "
                f"{row['plan_usd']:9.2f} "
                f"{row['moved_units']:5d}  {row['status']}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps({"situations": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
