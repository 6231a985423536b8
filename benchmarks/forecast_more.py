"""Scores the forecaster where the daily origins of `forecast.py` do not look.

Cold starts: windows of two days of each shipped trace; one day is known, the next is forecast.
Electricity: carbon and price per zone of the shipped energy table, against naive forecasts. A week
ahead: the 168 h horizon. Each through `manage.py backtest`, as a user would.

Run from the project's folder: `python benchmarks/forecast_more.py [--parts cold,energy,week]`.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
TRACES = ("helios_earth", "philly", "surf_lisa")
DAY_H = 24
ENERGY_HOURS = 70 * DAY_H


def backtest(frame: pd.DataFrame, *options: str) -> dict[str, dict[str, dict[str, object]]]:
    """Run the command on a frame and return its models."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "hourly.parquet", Path(folder) / "out.json"
        frame.to_parquet(path)
        command = [sys.executable, "manage.py", "backtest", str(path), "--json", str(out)]
        done = subprocess.run(
            [*command, *options], cwd=ROOT, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise ValueError((done.stderr or done.stdout).strip().splitlines()[-1])
        models: dict[str, dict[str, dict[str, object]]] = json.loads(out.read_text())["models"]
    return models


def ratio(models: dict[str, dict[str, dict[str, object]]]) -> tuple[float, str, float, float]:
    """Return pinball ours ÷ best naive, the naive's name, WAPE ours ÷ its, coverage of 0.9."""
    loss = {name: model["overall"]["pinball"].get("mean") for name, model in models.items()}  # type: ignore
    rivals = {name: value for name, value in loss.items() if name != "ours" and value is not None}
    best = min(rivals, key=lambda name: rivals[name])
    ours, other = models["ours"]["overall"], models[best]["overall"]
    wape = ours["wape"] / other["wape"] if other["wape"] else math.nan  # type: ignore[operator]
    return loss["ours"] / rivals[best], best, wape, ours["coverage"]["0.9"]  # type: ignore


def cold_starts(windows: int) -> None:
    """Forecast a day from one day of history, many times."""
    for trace in TRACES:
        frame = pd.read_parquet(ROOT / "fixtures" / trace / "hourly.parquet")
        last = int(frame["hour"].max()) - 2 * DAY_H
        found = []
        for number in range(windows):
            start = last * (number + 1) // (windows + 1)
            part = frame[(frame["hour"] >= start) & (frame["hour"] < start + 2 * DAY_H)]
            try:
                models = backtest(part, "--min-train", str(DAY_H), "--origins", "1")
            except ValueError as refusal:
                print(f"  {trace} from hour {start}: left out, {refusal}", flush=True)
                continue
            found.append(ratio(models)[0])
            print(f"  {trace} from hour {start}: {found[-1]:.3f}", flush=True)
        mean = math.exp(sum(map(math.log, found)) / len(found))
        print(f"cold start {trace}: pinball ÷ best naive {mean:.3f} over {len(found)} windows")


def energy(zones: int) -> None:
    """Forecast carbon and price per zone; prices below zero are left out by the command."""
    table = pd.read_parquet(next((ROOT / "fixtures" / "energy").glob("*.parquet")))
    for column in ("carbon_lca_g_per_kwh", "price_usd_per_mwh"):
        known = table.dropna(subset=[column])
        names = sorted(known["zone"].unique())[:zones]
        rows = known[known["zone"].isin(names)].groupby("zone").head(ENERGY_HOURS)
        frame = rows.rename(columns={"zone": "cluster", column: "demand"})
        frame = frame[["timestamp_utc", "cluster", "demand"]]
        value, best, wape, covered = ratio(backtest(frame, "--origins", "14", "--train-every", "7"))
        print(
            f"{column}, {len(names)} zones: pinball ÷ {best} {value:.3f}, WAPE ÷ its {wape:.3f}, "
            f"0.9 covers {covered:.3f}"
        )


def week() -> None:
    """Forecast 168 h ahead."""
    for trace in TRACES:
        frame = pd.read_parquet(ROOT / "fixtures" / trace / "hourly.parquet")
        options = ("--horizon", "168", "--origins", "6", "--train-every", "6", "--min-train", "336")
        value, best, wape, covered = ratio(backtest(frame, *options))
        print(
            f"week ahead {trace}: pinball ÷ {best} {value:.3f}, WAPE ÷ its {wape:.3f}, "
            f"0.9 covers {covered:.3f}"
        )


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="cold,energy,week")
    parser.add_argument("--windows", type=int, default=6, help="cold starts a trace")
    parser.add_argument("--zones", type=int, default=6)
    options = parser.parse_args()
    for part in options.parts.split(","):
        {
            "cold": lambda: cold_starts(options.windows),
            "energy": lambda: energy(options.zones),
            "week": week,
        }[part]()


if __name__ == "__main__":
    main()
