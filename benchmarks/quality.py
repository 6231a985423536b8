"""Measures how soon wrong units are caught, and how often a right reading is called suspect.

Real traces are read as telemetry: Helios (5 minutes, 11 pools), Philly and SURF (hourly; and every
5 minutes, counted from their jobs). Power is made from the allocation, as no trace has it: what a
busy unit draws wanders by 8 %, and meters err by 1 %.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from monitoring.domain.samples import RULES
from monitoring.domain.usual.plausibility import weigh
from monitoring.domain.usual.profiles import WATCHED, Readings, new_profiles

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
DAYS = 30
LEARN_DAYS = 3
ERRORS = {
    "×1000": 1000.0, "÷1000": 1e-3, "×1024": 1024.0, "÷1024": 1 / 1024,
    "×8": 8.0, "÷8": 0.125, "percent": None, "fraction": None,
}  # fmt: skip
TARGETS = ("capacity", "allocated", "queued", "power_kw", "all units")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--fuzz", type=int, default=40, help="moments of each trace at which each error begins"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-power", action="store_true", help="as if no pool reported power")
    options = parser.parse_args()
    caught: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    result: dict[str, object] = {"false_alarms": {}, "caught": {}}
    for name, trace in traces().items():
        if options.no_power:
            trace["power_kw"] = trace["power_kw"] * np.nan
        alarms, months = run(trace, options.fuzz, np.random.default_rng(options.seed), caught)
        figures = {"pools": len(trace["allocated"].columns), "months": round(months, 2), **alarms}
        result["false_alarms"][name] = figures  # type: ignore[index]
        total = sum(alarms.values())
        size = f"{figures['pools']:3} pools {months:5.2f} months"
        print(f"{name:16} {size}: {total} false alarms {alarms}", flush=True)
    print(f"\ncaught within 3 samples   {'  '.join(f'{t:>9}' for t in TARGETS)}")
    for error in ERRORS:
        cells = [caught[error, target] for target in TARGETS]
        shares = [f"{100 * c / n:8.1f}%" if n else "        -" for c, n in cells]
        print(f"{error:24}  {'  '.join(shares)}")
    for target in (*TARGETS, "but queued"):
        pairs = [
            v
            for (_, t), v in caught.items()
            if t == target or (target == "but queued" and t != "queued")
        ]
        if not any(n for _, n in pairs):
            continue
        share = sum(c for c, _ in pairs) / sum(n for _, n in pairs)
        print(f"{target:12} {share:.4f} of {sum(n for _, n in pairs)}")
        result["caught"][target] = share  # type: ignore[index]
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


def traces() -> dict[str, dict[str, pd.DataFrame]]:
    helios = pd.read_parquet(FIXTURES / "helios_earth" / "5min.parquet")
    at = {"index": "timestamp_local", "columns": "cluster"}
    found = {
        "helios 5 min": _trace(
            helios.pivot(**at, values="running"),
            helios.pivot(**at, values="queued"),
            helios.groupby("cluster")["capacity"].max(),
        )
    }
    for name, unit in (("philly", "gpus"), ("surf_lisa", "cores")):
        hourly = pd.read_parquet(FIXTURES / name / "hourly.parquet")
        at = {"index": "hour", "columns": "cluster"}
        running = hourly.pivot(**at, values="running")
        found[f"{name} hourly"] = _trace(
            running, hourly.pivot(**at, values="queued"), _rounded(running)
        )
        running = _from_jobs(pd.read_parquet(FIXTURES / name / "jobs.parquet"), unit)
        found[f"{name} 5 min"] = _trace(running, running * 0, _rounded(running))
    return found


def _from_jobs(jobs: pd.DataFrame, unit: str) -> pd.DataFrame:
    step, first = 300, float(jobs["submit_s"].min()) + 7 * 86_400
    edges = first + step * np.arange(DAYS * 86_400 // step)
    columns = {}
    for cluster, group in jobs.groupby("cluster"):
        units = group[unit].to_numpy(float)
        starts, ends = (
            np.argsort(group["start_s"].to_numpy()),
            np.argsort(group["end_s"].to_numpy()),
        )
        up = np.append(0, np.cumsum(units[starts]))[
            np.searchsorted(group["start_s"].to_numpy()[starts], edges, "right")
        ]
        down = np.append(0, np.cumsum(units[ends]))[
            np.searchsorted(group["end_s"].to_numpy()[ends], edges, "right")
        ]
        columns[cluster] = up - down
    return pd.DataFrame(columns, index=edges)


def _rounded(running: pd.DataFrame) -> pd.Series:
    return np.ceil(running.max() / 8) * 8


def _trace(
    running: pd.DataFrame, queued: pd.DataFrame, capacity: pd.Series
) -> dict[str, pd.DataFrame]:
    index = running.index
    step = index[1] - index[0]
    step_s = (
        step.total_seconds()
        if isinstance(step, pd.Timedelta)
        else (3600.0 if step == 1 else float(step))
    )
    rows = int(DAYS * 86_400 / step_s)
    allocated = running.iloc[:rows].clip(upper=capacity, axis=1)
    wide = pd.DataFrame(
        np.tile(capacity.to_numpy(float), (len(allocated), 1)), columns=allocated.columns
    )
    # what a busy unit draws wanders by 8 %, and meters err by 1 %
    load, noise = _wander(allocated.shape, step_s), np.random.default_rng(11)
    power = 0.4 * 1.35 * (0.3 * wide.to_numpy() + 0.7 * allocated.to_numpy() * load)
    power *= 1 + 0.01 * noise.standard_normal(power.shape)
    return {
        "capacity": wide, "allocated": allocated, "queued": queued.iloc[:rows],
        "power_kw": pd.DataFrame(power, columns=allocated.columns), "step_s": step_s,
    }  # fmt: skip


def _wander(shape: tuple[int, int], step_s: float) -> np.ndarray:
    """Return factors around 1 that go on for about two hours."""
    random, keep = np.random.default_rng(3), np.exp(-step_s / 7200.0)
    shocks = random.standard_normal(shape) * 0.08 * np.sqrt(1 - keep**2)
    away = np.zeros(shape[1])
    factors = np.empty(shape)
    for step in range(shape[0]):
        away = keep * away + shocks[step]
        factors[step] = np.maximum(0.3, 1 + away)
    return factors


def run(trace, fuzz, random, caught) -> tuple[dict[str, int], float]:
    grids = {name: trace[name].to_numpy(float) for name in WATCHED}
    steps, pools = grids["allocated"].shape
    profiles, was_bad, alarms = new_profiles(pools), np.zeros(pools, bool), Counter()
    learn_steps = int(LEARN_DAYS * 86_400 / trace["step_s"])
    onsets = set(
        random.choice(
            np.arange(learn_steps, steps - 4), min(fuzz, steps // 2), replace=False
        ).tolist()
    )
    for step in range(steps):
        if step in onsets:
            _fuzz(grids, profiles, step, trace["step_s"], caught)
        rule = _weigh(profiles, grids, step, trace["step_s"])
        for code in rule[(rule != 0) & ~was_bad].tolist():
            alarms[RULES[code].value] += 1
        was_bad = rule != 0
    return dict(alarms), steps * trace["step_s"] / (30 * 86_400)


def _fuzz(grids, profiles, step, step_s, caught) -> None:
    for error, factor in ERRORS.items():
        for target in TARGETS:
            if factor is None and target != "allocated":
                continue
            copy, found = profiles.copy(), np.zeros(profiles.shape[0], bool)
            hurt = {name: grid[step : step + 3].copy() for name, grid in grids.items()}
            if factor is None:
                share = 100.0 if error == "percent" else 1.0
                hurt["allocated"] = share * hurt["allocated"] / np.maximum(hurt["capacity"], 1.0)
            for name in WATCHED[:3] if target == "all units" else (target,):
                hurt[name] = hurt[name] * (factor or 1.0)
            for ahead in range(3):
                rule = _weigh(copy, hurt, ahead, step_s, offset=step)
                over = hurt["allocated"][ahead] > hurt["capacity"][ahead] * (1 + 1e-9)
                # the contract is what the pool has: more is an over-claim, as at the door
                found |= (
                    (rule != 0)
                    | over
                    | (hurt["capacity"][ahead] > grids["capacity"][step] * 1.0001)
                )
            name = "capacity" if target == "all units" else target
            # nought times anything is nought, and percent of a hundred are units: nothing is wrong
            right = grids[name][step : step + 3]
            with np.errstate(invalid="ignore", divide="ignore"):
                counts = (np.abs(np.log(hurt[name] / right)) > np.log(1.5)).any(axis=0)
            caught[error, target][0] += int((found & counts).sum())
            caught[error, target][1] += int(counts.sum())


def _weigh(profiles, grids, step, step_s, *, offset=0):
    pools = profiles.shape[0]
    values = {name: grids[name][step] for name in WATCHED}
    at_s = np.full(pools, 1e9 + (offset + step) * step_s)
    return weigh(profiles, Readings(np.arange(pools), at_s, values), np.zeros(pools, np.int16))


if __name__ == "__main__":
    main()
