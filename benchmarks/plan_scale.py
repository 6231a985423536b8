"""Measures the planner at national size, beside the whole model given to general solvers.

    python benchmarks/plan_scale.py [--sizes S,M,L,XL] [--peers highs-ipm,highs-ds,ortools]
        [--peer-sizes S,M] [--peer-limit-s 1800] [--ortools-python PATH] [--seed 1] [--json OUT]

Every run is a process of its own: wall and CPU seconds, peak memory, the proven gap, the gap to the
peers' optimum of the linear relaxation, and the checker's verdict. After a cold plan one group in
a hundred asks for half as much again and one pool in a hundred loses a fifth of its room; the same
process plans again with what it remembers. A small plan is made before the clock starts, because
the first one in a process loads machine code, and compiles it where there is none yet (`load_s`).
The HiGHS peers solve the relaxation of the whole model (SciPy's HiGHS), with all columns that a
best plan can need; OR-Tools solves its flow relaxation, in which a job holds units in its first
slot only: it needs a Python that has ortools, numpy and no highspy. Problems come from
`plan_instances.py`.
"""

import argparse
import dataclasses
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from plan_instances import SIZES, make_instance  # noqa: E402
from scipy import optimize  # noqa: E402

from scheduling.domain.planner.checks import recompute_cost, verify  # noqa: E402
from scheduling.domain.planner.costs import all_group_costs  # noqa: E402
from scheduling.domain.planner.exact.formulation import build_columns  # noqa: E402
from scheduling.domain.planner.exact.programme import build_programme  # noqa: E402
from scheduling.domain.planner.outcome import PlanOutcome  # noqa: E402
from scheduling.domain.planner.problem import PlanningProblem  # noqa: E402
from scheduling.domain.planner.scale.arcs import build_arcs  # noqa: E402
from scheduling.domain.planner.solver import solve  # noqa: E402

GAP = 0.01
FLOW_PROGRAM = """
import sys, time
import numpy as np
from ortools.graph.python import min_cost_flow
data = np.load(sys.argv[1])
began, cpu = time.perf_counter(), time.process_time()
flow = min_cost_flow.SimpleMinCostFlow()
flow.add_arcs_with_capacity_and_unit_cost(*(data[k] for k in ("tail", "head", "capacity", "cost")))
flow.set_nodes_supplies(np.arange(len(data["supply"])), data["supply"])
status = flow.solve()
print(status == flow.OPTIMAL, flow.optimal_cost(), time.perf_counter() - began,
      time.process_time() - cpu)
"""


def changed(problem: PlanningProblem, seed: int) -> PlanningProblem:
    """Return the situation after a change of one part in a hundred."""
    rng = np.random.default_rng(seed)
    groups = list(problem.groups)
    for g in rng.choice(len(groups), max(1, len(groups) // 100), replace=False):
        groups[g] = dataclasses.replace(groups[g], jobs=max(1, int(groups[g].jobs * 1.5)))
    pools = rng.choice(len(problem.pools), max(1, len(problem.pools) // 100), replace=False)
    available, home = problem.available.copy(), problem.home_available.copy()
    available[pools] = np.floor(available[pools] * 0.8)
    home[pools] = np.floor(home[pools] * 0.8)
    return dataclasses.replace(
        problem, groups=tuple(groups), available=available, home_available=home
    )


def timed(call: Any) -> tuple[Any, float, float]:
    """Return what a call returns, and its wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def checked(problem: PlanningProblem, plan: PlanOutcome) -> int:
    """Return how many rules the plan breaks; a wrong price counts as one."""
    off = abs(recompute_cost(problem, plan.placements) - plan.objective)
    return len(verify(problem, plan.placements)) + (off > 1e-6 * abs(plan.objective))


def run_ours(size: str, seed: int) -> dict[str, Any]:
    """Plan cold, then again after a small change; machine code is loaded, or made, before."""
    _, load_s, _ = timed(lambda: solve(make_instance(SIZES["S"], seed + 1), gap=GAP))
    problem = make_instance(SIZES[size], seed)
    cold, cold_s, cold_cpu_s = timed(lambda: solve(problem, gap=GAP))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    later = changed(problem, seed)
    warm, warm_s, warm_cpu_s = timed(lambda: solve(later, gap=GAP, memory=cold.memory))
    arcs = build_arcs(problem)
    columns = int((arcs.latest_of_arc - arcs.rides.earliest[arcs.ride] + 1).sum())
    return {
        "columns": columns,
        "jobs": sum(group.jobs for group in problem.groups),
        "load_s": load_s,
        "wall_s": cold_s,
        "cpu_s": cold_cpu_s,
        "peak_mb": peak_mb,
        "gap": cold.gap,
        "objective": cold.objective,
        "bound": cold.bound,
        "violations": checked(problem, cold) + checked(later, warm),
        "warm_cpu_share": warm_cpu_s / cold_cpu_s,
        "warm_wall_share": warm_s / cold_s,
        "warm_gap": warm.gap,
    }


def run_highs(size: str, seed: int, method: str) -> dict[str, Any]:
    """Solve the relaxation of the whole model."""
    problem = make_instance(SIZES[size], seed)
    costs = all_group_costs(problem)
    columns = build_columns(problem, costs)
    programme = build_programme(problem, columns, costs)
    rows = programme.rows
    is_equal = rows.lower == rows.upper
    result, wall_s, cpu_s = timed(
        lambda: optimize.linprog(
            programme.cost,
            A_ub=rows.matrix[~is_equal],
            b_ub=rows.upper[~is_equal],
            A_eq=rows.matrix[is_equal],
            b_eq=rows.upper[is_equal],
            bounds=np.column_stack([np.zeros_like(programme.most), programme.most]),
            method=method,
        )
    )
    return {
        "columns": len(columns),
        "entries": int(rows.matrix.nnz),
        "is_optimal": bool(result.success),
        "objective": float(result.fun) if result.success else None,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def flow_arrays(problem: PlanningProblem) -> dict[str, np.ndarray]:
    """Return the flow relaxation: groups to pools and start slots, units held in the first only."""
    arcs, slots = build_arcs(problem), problem.slots
    row = np.repeat(np.arange(len(arcs)), slots)
    slot = np.tile(np.arange(slots), len(arcs))
    usd = arcs.rides.usd[arcs.ride[row], slot] + arcs.once_usd[row]
    keep = np.isfinite(usd) & (slot <= arcs.latest_of_arc[row])
    row, slot, usd = row[keep], slot[keep], usd[keep]
    groups, cells = len(problem.groups), len(problem.pools) * slots
    sink = groups + cells
    supply = np.zeros(sink + 1, dtype=np.int64)
    supply[:groups] = (arcs.units * arcs.jobs).astype(np.int64)
    supply[sink] = -supply[:groups].sum()
    whole = np.concatenate([supply[arcs.group[row]], arcs.everybody.ravel(), supply[:groups]])
    return {
        "tail": np.concatenate([arcs.group[row], groups + np.arange(cells), np.arange(groups)]),
        "head": np.concatenate(
            [groups + arcs.pool[row] * slots + slot, np.full(cells, sink), np.full(groups, sink)]
        ),
        "capacity": whole.astype(np.int64),
        "cost": np.round(1e4 * np.concatenate([usd, np.zeros(cells), arcs.unplaced_usd])).astype(
            np.int64
        ),
        "supply": supply,
    }


def run_flow(size: str, seed: int, python: str) -> dict[str, Any]:
    """Solve the flow relaxation in a process that has OR-Tools."""
    arrays = flow_arrays(make_instance(SIZES[size], seed))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "flow.npz"
        np.savez(path, **arrays)
        done = subprocess.run(
            [python, "-c", FLOW_PROGRAM, str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        sys.exit(f"{python} has no OR-Tools, or it failed; see --ortools-python")
    is_optimal, cost, wall_s, cpu_s = done.stdout.split()
    return {
        "columns": len(arrays["tail"]),
        "is_optimal": is_optimal == "True",
        "objective": float(cost) / 1e4,
        "wall_s": float(wall_s),
        "cpu_s": float(cpu_s),
    }


def in_own_process(options: argparse.Namespace, size: str, who: str) -> dict[str, Any]:
    """Run one measurement in a process of its own; one that takes too long says so."""
    command = [sys.executable, __file__, "--child", who, "--sizes", size]
    command += ["--seed", str(options.seed), "--ortools-python", options.ortools_python]
    limit_s = None if who == "ours" else options.peer_limit_s
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"no answer within {limit_s:g} s"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr else "killed"}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def child(options: argparse.Namespace) -> None:
    """Measure one thing and print it as JSON."""
    if options.child == "ours":
        found = run_ours(options.sizes, options.seed)
    elif options.child == "ortools":
        found = run_flow(options.sizes, options.seed, options.ortools_python)
    else:
        found = run_highs(options.sizes, options.seed, options.child)
    print(json.dumps(found))


def tell(size: str, who: str, found: dict[str, Any], ours: dict[str, Any]) -> None:
    """Print one line."""
    if "failed" in found:
        print(f"{size:>3} {who:>10}  {found['failed']}", flush=True)
        return
    line = (
        f"{size:>3} {who:>10} {found['columns']:>10,} {found['wall_s']:9.2f} {found['cpu_s']:9.2f}"
    )
    line += f" {found.get('peak_mb', float('nan')):8.0f} {found['objective']:14.1f}"
    if who == "ours":
        line += f"  gap {found['gap']:.3%}, again {found['warm_cpu_share']:.1%} of the CPU time"
        line += f" (gap {found['warm_gap']:.3%}), {found['violations']} violations"
    else:
        line += f"  {found['cpu_s'] / ours['cpu_s']:.1f} x our CPU time"
        if who != "ortools" and found["is_optimal"]:
            above = (ours["objective"] - found["objective"]) / found["objective"]
            line += f"; our plan of whole jobs is {above:.3%} above this relaxation"
    print(line, flush=True)


def main() -> None:
    """Measure all sizes and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="S,M,L,XL")
    parser.add_argument("--peers", default="highs-ds")
    parser.add_argument("--peer-sizes", default="S")
    parser.add_argument("--peer-limit-s", type=float, default=1800.0)
    parser.add_argument("--ortools-python", default="python3")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    print(f"{'':>3} {'':>10} {'columns':>10} {'wall s':>9} {'CPU s':>9} {'peak MB':>8} {'USD':>14}")
    rows: dict[str, dict[str, Any]] = {}
    for size in options.sizes.split(","):
        ours = in_own_process(options, size, "ours")
        rows[size] = {"ours": ours}
        tell(size, "ours", ours, ours)
        if size in options.peer_sizes.split(",") and "failed" not in ours:
            for peer in filter(None, options.peers.split(",")):
                rows[size][peer] = in_own_process(options, size, peer)
                tell(size, peer, rows[size][peer], ours)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
