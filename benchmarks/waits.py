"""Scores queue-wait forecasts on a replayed trace, beside simple predictors.

Every job of the trace is played through its home cluster (first come first served with backfill,
by a small simulator of its own); then, job by job, only what had happened by its submission is
known. Predictors: ours (quantiles), the last wait, the mean wait of the last 24 hours, the wait of
the last job of the same size class, and the queue played forward as if requests were true.

Run from the project's folder: `python benchmarks/waits.py [--trace philly] [--quantile 0.8]`.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from forecasting.domain.live.waits import (  # noqa: E402
    LEVELS,
    Examples,
    JobTimes,
    describe,
    foresee_wait,
    queue_at,
    recent_waits,
)

FIXTURES = ROOT / "fixtures"
SIMPLE = ("last wait", "mean of 24 h", "same size", "queue played")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", choices=("philly", "surf_lisa"), default="philly")
    parser.add_argument("--quantile", type=float, default=0.8, help="capacity: of offered demand")
    parser.add_argument("--jobs", type=int, default=60_000, help="only so many, the first ones")
    parser.add_argument("--scored", type=int, default=300, help="jobs that are forecast")
    parser.add_argument("--memory", type=int, default=400, help="newest waits learned from")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    frame = pd.read_parquet(FIXTURES / options.trace / "jobs.parquet")
    frame = frame.sort_values(["submit_s", "job_id"]).head(options.jobs)
    clusters = played_clusters(frame, options.quantile)
    began = time.perf_counter()
    rows = [
        row
        for jobs, capacity in clusters
        for row in forecasts_of(jobs, capacity, options.scored // len(clusters), options.memory)
    ]
    result = report(rows, time.perf_counter() - began)
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


def played_clusters(frame: pd.DataFrame, quantile: float) -> list[tuple[JobTimes, float]]:
    """Play each cluster's jobs by first come first served with EASY backfill on requests."""
    unit = "gpus" if frame["gpus"].sum() > 0 else "cores"
    found = []
    for _, own in frame[frame[unit] > 0].sort_values("submit_s").groupby("cluster"):
        submitted = own["submit_s"].to_numpy(float) / 3600.0
        hours = np.maximum(own["runtime_s"].to_numpy(float) / 3600.0, 1 / 60)
        units = own[unit].to_numpy(float)
        asked = requests_of(own, hours)
        capacity = max(offered(submitted, hours, units, quantile), units.max())
        started = easy_backfill(submitted, hours, units, asked, capacity)
        found.append((JobTimes(submitted, started, started + hours, units, asked), capacity))
    return found


def requests_of(own: pd.DataFrame, hours: np.ndarray) -> np.ndarray:
    """Requested hours; a trace without them gets its own running median of finished run times."""
    if "req_time_s" in own and own["req_time_s"].notna().any():
        asked = own["req_time_s"].to_numpy(float) / 3600.0
        return np.maximum(np.where(np.isnan(asked), 4.0, asked), 1 / 60)
    past = pd.Series(hours).shift(200).rolling(500, min_periods=50).quantile(0.8)
    return np.maximum(past.fillna(4.0).to_numpy(), 0.25)


def offered(submitted: np.ndarray, hours: np.ndarray, units: np.ndarray, quantile: float) -> float:
    edges = np.concatenate([submitted, submitted + hours])
    change = np.concatenate([units, -units])
    order = np.argsort(edges, kind="stable")
    level = np.cumsum(change[order])
    grid = np.arange(edges[order][0], submitted.max(), 1.0)
    place = np.clip(np.searchsorted(edges[order], grid, side="right") - 1, 0, None)
    return float(np.quantile(level[place], quantile))


def easy_backfill(
    submitted: np.ndarray, hours: np.ndarray, units: np.ndarray, asked: np.ndarray, capacity: float
) -> np.ndarray:
    """Start times: the head of the queue has a reservation by requests, others may overtake."""
    count = len(submitted)
    started = np.full(count, np.nan)
    queue: list[int] = []
    running: list[tuple[float, int]] = []
    free, coming, now = capacity, 0, 0.0
    while coming < count or queue:
        next_end = running[0][0] if running else np.inf
        next_come = submitted[coming] if coming < count else np.inf
        now = min(next_end, next_come)
        if next_come <= next_end:
            queue.append(coming)
            coming += 1
        else:
            free += units[running.pop(0)[1]]
        free = start_what_fits(queue, running, started, free, now, (hours, units, asked))
    return started


def start_what_fits(queue, running, started, free, now, facts):
    hours, units, asked = facts

    def start(job):
        started[job] = now
        running.append((now + hours[job], job))
        running.sort()

    while queue and units[queue[0]] <= free:
        free -= units[queue[0]]
        start(queue.pop(0))
    if not queue:
        return free
    # when the head could start if everybody ran as long as asked, and what is left beside it then
    ends = sorted((max(now, started[job] + asked[job]), units[job]) for _, job in running)
    spare, shadow = free, now
    for end, size in ends:
        spare += size
        shadow = end
        if spare >= units[queue[0]]:
            break
    spare -= units[queue[0]]
    for job in list(queue[1:60]):
        if units[job] <= free and (now + asked[job] <= shadow or units[job] <= spare):
            if now + asked[job] > shadow:
                spare -= units[job]
            free -= units[job]
            queue.remove(job)
            start(job)
    return free


def forecasts_of(jobs: JobTimes, capacity: float, wanted: int, memory: int) -> list[dict]:
    """Forecast every so many jobs of the second half, knowing only what had happened by then."""
    count = len(jobs.submitted)
    # situations as they were at each submission: known then, so computing them once is fair
    places = np.arange(count // 4, count, max(1, count // 3000))
    situations = np.array(
        [
            describe(
                queue_at(jobs, jobs.submitted[i], capacity, i),
                jobs.units[i],
                recent_waits(jobs, jobs.submitted[i], i),
            )
            for i in places
        ]
    )
    asked = np.arange(count // 2, count, max(1, (count - count // 2) // max(wanted, 1)))
    rows = []
    for i in asked:
        now = jobs.submitted[i]
        known = np.flatnonzero((places < i) & (jobs.started[places] <= now))[-memory:]
        waited = jobs.started[places[known]] - jobs.submitted[places[known]]
        queue = queue_at(jobs, now, capacity, i)
        recent = recent_waits(jobs, now, i)
        past_examples = Examples(situations[known], waited)
        forecast = foresee_wait(queue, jobs.units[i], past_examples, recent=recent)
        before = np.flatnonzero(jobs.started[:i] <= now)
        rows.append(
            {
                "true": jobs.started[i] - now,
                "ours": forecast.quantiles_h,
                **simple_forecasts(jobs, before, i, forecast.played_h),
            }
        )
    return rows


def simple_forecasts(jobs: JobTimes, before: np.ndarray, i: int, played: float) -> dict[str, float]:
    if not len(before):
        return dict.fromkeys(SIMPLE, 0.0)
    by_start = before[np.argsort(jobs.started[before], kind="stable")]
    waits = jobs.started[by_start] - jobs.submitted[by_start]
    day = waits[jobs.started[by_start] > jobs.submitted[i] - 24.0]
    alike = waits[np.floor(np.log2(jobs.units[by_start])) == np.floor(np.log2(jobs.units[i]))]
    return {
        "last wait": float(waits[-1]),
        "mean of 24 h": float(day.mean()) if len(day) else float(waits[-1]),
        "same size": float(alike[-1]) if len(alike) else float(waits[-1]),
        "queue played": played,
    }


def report(rows: list[dict], wall_s: float) -> dict:
    truth = np.array([row["true"] for row in rows])
    quantiles = np.array([row["ours"] for row in rows])
    ours = {"mae_h": mae(truth, quantiles[:, 1]), "pinball_h": pinball(truth, quantiles)}
    ours |= {
        f"coverage_{level:g}": float((truth <= quantiles[:, place] + 1e-9).mean())
        for place, level in enumerate(LEVELS)
    }
    simple = {}
    for name in SIMPLE:
        points = np.array([row[name] for row in rows])
        simple[name] = {
            "mae_h": mae(truth, points),
            "pinball_h": pinball(truth, np.repeat(points[:, None], len(LEVELS), axis=1)),
        }
    best = min(simple, key=lambda name: simple[name]["mae_h"])
    return {
        "jobs": len(rows),
        "mean_wait_h": float(truth.mean()),
        "waited_share": float((truth > 1 / 60).mean()),
        "ours": ours,
        "simple": simple,
        "best_simple": best,
        "mae_ratio": ours["mae_h"] / simple[best]["mae_h"],
        "pinball_ratio": ours["pinball_h"] / min(each["pinball_h"] for each in simple.values()),
        "ms_per_forecast": 1000 * wall_s / max(len(rows), 1),
    }


def mae(truth: np.ndarray, points: np.ndarray) -> float:
    return float(np.abs(truth - points).mean())


def pinball(truth: np.ndarray, quantiles: np.ndarray) -> float:
    error = truth[:, None] - quantiles
    levels = np.array(LEVELS)
    return float(np.maximum(levels * error, (levels - 1) * error).mean())


if __name__ == "__main__":
    main()
