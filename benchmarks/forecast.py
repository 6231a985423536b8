"""Measures the forecaster beside naive rules and public forecasters, on the same origins.

    python benchmarks/forecast.py [--data FOLDER] [--origins 28] [--step 24] [--no-peers]
        [--m4 FOLDER] [--pools 10000] [--json OUT]

Every `*/hourly.parquet` below the folder is a set (the fixtures unless `--data` or TIAODU_DATA
says otherwise). Peers need `pip install -r requirements/bench-forecast.txt` in an environment of
their own; without them their columns are missing, and said to be. Prints each goal and whether it
is met.
"""

import argparse
import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import forecast_peers  # noqa: E402

from forecasting.artifacts import shipped_library  # noqa: E402
from forecasting.domain.backtest import (  # noqa: E402
    OURS,
    BacktestPlan,
    ModelScore,
    Predictor,
    Trainer,
    baseline_trainer,
    our_trainer,
    run_backtest,
)
from forecasting.domain.baselines import Baseline  # noqa: E402
from forecasting.domain.forecasters import (  # noqa: E402
    ModelSettings,
    fit_model,
    predict_with,
    with_horizon,
    with_quantiles,
)
from forecasting.domain.frames import DemandPanel, Floats, with_sums  # noqa: E402
from forecasting.domain.uploads import read_upload  # noqa: E402

NAIVE = tuple(rule.value for rule in Baseline)
COMBINED = {
    "peers-stat": ("ets", "theta", "mstl"),
    "peers-all": ("theta", "lightgbm", "last"),
}
M4_NAIVE = {"smape": 18.383, "mase": 2.395}
"""Naive2 on M4 hourly, as published; what OWA divides by."""


def main() -> None:
    """Measure and print."""
    options = arguments()
    lacking = [] if options.no_peers else forecast_peers.missing_packages()
    if lacking:
        print(f"peers that are not installed, so not measured: {', '.join(lacking)}")
    plan = BacktestPlan(
        origins=options.origins, step_h=options.step, train_every=options.train_every
    )
    report: dict[str, Any] = {}
    for file in sorted(options.data.rglob("hourly.parquet")):
        panel = read_upload(pd.read_parquet(file)).panel
        with_peers = not (options.no_peers or lacking)
        report[file.parent.name] = measure(file.parent.name, panel, plan, with_peers=with_peers)
    if report:
        print_goals(report)
    if options.m4:
        report["m4"] = measure_m4(options.m4, options.m4_series)
    if options.pools:
        report["refresh"] = measure_refresh(options.pools)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("TIAODU_DATA", ROOT / "fixtures")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path(default))
    parser.add_argument("--origins", type=int, default=28)
    parser.add_argument("--step", type=int, default=24)
    parser.add_argument("--train-every", type=int, default=4)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--m4", type=pathlib.Path, help="folder with Hourly-train.csv.gz")
    parser.add_argument("--m4-series", type=int, default=414)
    parser.add_argument("--pools", type=int, default=0, help="measure a refresh of so many pools")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def measure(
    name: str, panel: DemandPanel, plan: BacktestPlan, *, with_peers: bool
) -> dict[str, Any]:
    """Score every model on one set and, where it has several series, on their sum."""
    trainers = all_trainers(plan, with_peers=with_peers)
    scores = run_backtest(panel, plan, trainers, stopwatch=time.perf_counter)
    print_table(f"{name}: {len(panel.codes)} series", scores)
    found: dict[str, Any] = {"series": {key: score.as_dict() for key, score in scores.items()}}
    if len(panel.codes) > 1:
        whole = with_sums(panel, {"sum": panel.codes}).select(["sum"])
        trainers = all_trainers(plan, with_peers=False)
        sums = run_backtest(whole, plan, trainers, stopwatch=time.perf_counter)
        print_table(f"{name}: their sum", sums)
        found["sum"] = {key: score.as_dict() for key, score in sums.items()}
    return found


def all_trainers(plan: BacktestPlan, *, with_peers: bool) -> dict[str, Trainer]:
    """Return the trainers of all models; combinations are the means of their parts' quantiles."""
    settings = with_quantiles(ModelSettings(), plan.quantiles)
    trainers = {OURS: our_trainer(settings, plan, shipped_library())}
    trainers |= {rule.value: baseline_trainer(rule, plan) for rule in Baseline}
    if not with_peers:
        return trainers
    trainers |= forecast_peers.statistical_trainers(plan.horizon_h, plan.quantiles)
    trainers["lightgbm"] = forecast_peers.boosted_trainer(plan.horizon_h, plan.quantiles)
    said: dict[tuple[str, int], Floats] = {}
    kept = {name: _remembered(name, trainer, said) for name, trainer in trainers.items()}
    return kept | {name: _mean_of(parts, said) for name, parts in COMBINED.items()}


def _remembered(name: str, trainer: Trainer, said: dict[tuple[str, int], Floats]) -> Trainer:
    def train(history: DemandPanel) -> Predictor:
        predictor = trainer(history)

        def predict(known: DemandPanel) -> Floats:
            said[name, known.hours] = predictor(known)
            return said[name, known.hours]

        return predict

    return train


def _mean_of(parts: tuple[str, ...], said: Mapping[tuple[str, int], Floats]) -> Trainer:
    def predict(known: DemandPanel) -> Floats:
        answer: Floats = np.mean([said[part, known.hours] for part in parts], axis=0)
        return answer

    return lambda _history: predict


def print_table(title: str, scores: Mapping[str, ModelScore]) -> None:
    """Print one line per model, with its ratio to the best naive rule."""
    losses = {name: score.overall.pinball["mean"] for name, score in scores.items()}
    best = min(losses[name] for name in NAIVE)
    print(f"\n{title}")
    print("model        pinball  /naive    WAPE   <=q90   lead 1  7-12   13-24  train s")
    for name, score in scores.items():
        leads = [score.by_lead[label].pinball["mean"] for label in ("1", "7-12", "13-24")]
        print(
            f"{name:11} {losses[name]:8.4f} {losses[name] / best:7.3f} {score.overall.wape:7.4f} "
            f"{score.overall.coverage['0.9']:7.3f}  "
            + " ".join(f"{loss:6.4f}" for loss in leads)
            + f" {score.train_s:7.1f}",
            flush=True,
        )


def print_goals(report: Mapping[str, Any]) -> None:
    """Print what was aimed at, what was reached, and whether that is enough."""
    print("\ngoals")
    ratios, peers, lines = [], [], []
    for name, found in report.items():
        models = found["series"]
        loss = {key: model["overall"]["pinball"]["mean"] for key, model in models.items()}
        wape = {key: model["overall"]["wape"] for key, model in models.items()}
        ours = models[OURS]
        ratios.append(loss[OURS] / min(loss[rule] for rule in NAIVE))
        others = [value for key, value in loss.items() if key not in (OURS, *NAIVE)]
        peers += [loss[OURS] / min(others)] if others else []
        ratio = wape[OURS] / min(wape[rule] for rule in NAIVE)
        lines.append((f"{name}: WAPE / best naive <= 1.00", ratio, ratio <= 1.0))
        first = {key: model["by_lead"]["1"]["pinball"]["mean"] for key, model in models.items()}
        lead = first[OURS] / first["last"]
        lines.append((f"{name}: lead 1 / last value <= 1.00", lead, lead <= 1.0))
        covered = ours["overall"]["coverage"]["0.9"]
        lines.append((f"{name}: covered by 0.9 in .88-.93", covered, 0.88 <= covered <= 0.93))
        for label, part in ours["by_lead"].items():
            share = part["coverage"]["0.9"]
            lines.append((f"{name}: the same, lead {label}, .86-.94", share, 0.86 <= share <= 0.94))
    mean = math.exp(float(np.mean(np.log(ratios))))
    _line("pinball / best naive, geometric mean <= 0.85", mean, mean <= 0.85)
    _line("pinball / best naive, worst set <= 1.02", max(ratios), max(ratios) <= 1.02)
    if peers:
        worst = math.exp(float(np.mean(np.log(peers))))
        _line("pinball / best peer, geometric mean <= 0.95", worst, worst <= 0.95)
    for line in lines:
        _line(*line)


def _line(what: str, value: float, is_met: object) -> None:
    print(f"  {'met   ' if is_met else 'MISSED'} {value:7.3f}  {what}")


def measure_m4(folder: pathlib.Path, series: int) -> dict[str, float]:
    """Forecast the last 48 hours of the M4 hourly series and return MASE, sMAPE and OWA."""
    trains, tests = (
        pd.read_csv(folder / f"Hourly-{part}.csv.gz").iloc[:series, 1:].to_numpy(float)
        for part in ("train", "test")
    )
    hours = trains.shape[1]
    demand = np.full((len(trains), hours), np.nan)
    for row, values in enumerate(trains):
        known = values[~np.isnan(values)]
        demand[row, hours - len(known) :] = known
    unknown = np.full_like(demand, np.nan)
    codes = tuple(f"H{row:03d}" for row in range(len(demand)))
    start_at = pd.Timestamp("2001-01-01", tz="UTC").to_pydatetime()
    panel = DemandPanel(codes, start_at, demand, unknown, unknown)
    began = time.perf_counter()
    model = fit_model(panel, with_horizon(ModelSettings(), 48), shipped_library())
    assert model is not None
    median = predict_with(model, panel)[:, :, model.settings.quantiles.index(0.5)]
    spent = time.perf_counter() - began
    off = np.abs(median - tests)
    seasonal = np.nanmean(np.abs(trains[:, 24:] - trains[:, :-24]), axis=1)
    mase = float((off.mean(axis=1) / seasonal).mean())
    smape = float((200.0 * off / (np.abs(median) + np.abs(tests))).mean())
    owa = 0.5 * (mase / M4_NAIVE["mase"] + smape / M4_NAIVE["smape"])
    print(
        f"\nM4 hourly, {len(demand)} series: MASE {mase:.3f}, sMAPE {smape:.2f}, OWA {owa:.3f}",
        end="",
    )
    print(f" in {spent:.0f} s (published: seasonal naive MASE 1.193, best OWA 0.410)")
    return {"mase": mase, "smape": smape, "owa": owa, "seconds": spent}


def measure_refresh(pools: int) -> dict[str, float]:
    """Train on and forecast so many pools with seven weeks of made-up history."""
    chance = np.random.default_rng(3)
    steps = chance.normal(0, 1.0, (pools, 7 * 168)) * (chance.random((pools, 7 * 168)) < 0.3)
    demand = np.maximum(40.0 + np.cumsum(steps, axis=1), 0.0).round()
    unknown = np.full_like(demand, np.nan)
    codes = tuple(f"pool:{row:05d}" for row in range(pools))
    start_at = pd.Timestamp("2001-01-01", tz="UTC").to_pydatetime()
    panel = DemandPanel(codes, start_at, demand, unknown, unknown)
    began = time.perf_counter()
    model = fit_model(panel, ModelSettings(), shipped_library())
    trained = time.perf_counter()
    assert model is not None
    predict_with(model, panel)
    done = time.perf_counter()
    print(f"\n{pools} pools: training {trained - began:.0f} s, refresh {done - trained:.0f} s")
    return {"training_s": trained - began, "refresh_s": done - trained}


if __name__ == "__main__":
    main()
