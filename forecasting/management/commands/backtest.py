"""Measures forecasts on a file of hourly demand by replaying them at past moments."""

import json
import time
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from django.core.management.base import BaseCommand, CommandError

from forecasting.artifacts import shipped_library
from forecasting.domain.backtest import (
    OURS,
    BacktestPlan,
    ModelScore,
    Trainer,
    baseline_trainer,
    our_trainer,
    run_backtest,
)
from forecasting.domain.baselines import Baseline
from forecasting.domain.forecasters import ModelSettings, with_horizon, with_quantiles
from forecasting.domain.frames import BadDemandFrame, DemandPanel
from forecasting.domain.uploads import Upload, read_upload

_KNOWN = (OURS, *(rule.value for rule in Baseline))
_MAX_HORIZON_H = 24 * 28


class Command(BaseCommand):
    """`manage.py backtest FILE.parquet`."""

    help = "Forecast at past moments from what was known then, and measure what came true."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, the moments, the levels and the models."""
        parser.add_argument("file", type=Path, help="parquet: cluster, demand and a time per row")
        parser.add_argument("--horizon", type=int, default=24, help="leads in hours")
        parser.add_argument("--origins", type=int, default=28, help="most moments, newest ones")
        parser.add_argument("--step", type=int, default=24, help="hours between moments")
        parser.add_argument("--min-train", type=int, default=336, help="fewest hours before one")
        parser.add_argument("--train-every", type=int, default=4, help="moments per training")
        parser.add_argument("--quantiles", type=_levels, default=(0.1, 0.5, 0.9, 0.95))
        parser.add_argument("--models", type=_names, default=_KNOWN)
        parser.add_argument("--seed", type=int, default=None, help="of our model")
        parser.add_argument("--json", type=Path, help="write the measures here")

    def handle(self, **options: Any) -> None:
        """Run the backtest, print a table and write the JSON."""
        upload = _read(options["file"])
        plan = _plan(options)
        places = plan.places(upload.panel.hours)
        if not places:
            hours = upload.panel.hours
            raise CommandError(
                f"{hours} hours are too few: the first moment needs {plan.min_train_h} before it "
                f"and {plan.horizon_h} after it."
            )
        trainers = _trainers(options["models"], plan, options["seed"])
        shown = {
            name: self._with_progress(name, trainer, len(places), plan.train_every)
            for name, trainer in trainers.items()
        }
        scores = run_backtest(upload.panel, plan, shown, stopwatch=time.perf_counter)
        self._print(scores, upload, len(places))
        if options["json"]:
            text = json.dumps(_document(scores, upload, len(places)), indent=1, allow_nan=False)
            options["json"].write_text(text + "\n", encoding="utf-8")

    def _with_progress(self, name: str, trainer: Trainer, origins: int, every: int) -> Trainer:
        if not self.stderr.isatty():
            return trainer
        done = 0

        def train(history: DemandPanel) -> Any:
            nonlocal done
            done = min(origins, done + every)
            filled = 30 * done // origins
            self.stderr.write(f"\r{name:8} {'█' * filled:·<30} {done}/{origins}", ending="")
            if done == origins:
                self.stderr.write("")
            return trainer(history)

        return train

    def _print(self, scores: dict[str, ModelScore], upload: Upload, origins: int) -> None:
        skipped = ", ".join(f"{count} {why}" for why, count in upload.rows_skipped.items())
        self.stdout.write(
            f"{len(upload.panel.codes)} series, {origins} moments, skipped: {skipped or 'nothing'}"
        )
        head = ("model", "wape", "mase", "pinball", "p90", "in 10-90", "recall", "train", "predict")
        self.stdout.write("  ".join(f"{name:>9}" for name in head))
        for name, score in scores.items():
            self.stdout.write("  ".join(f"{cell:>9}" for cell in _row(name, score)))


def _read(path: Path) -> Upload:
    try:
        return read_upload(pd.read_parquet(path))
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    except BadDemandFrame as error:
        raise CommandError(f"{path}: {error.detail}") from error


def _plan(options: dict[str, Any]) -> BacktestPlan:
    for name in ("horizon", "origins", "step", "min_train", "train_every"):
        if options[name] < 1:
            raise CommandError(f"--{name.replace('_', '-')} must be at least 1.")
    if options["horizon"] > _MAX_HORIZON_H:
        raise CommandError(f"--horizon must be at most {_MAX_HORIZON_H}.")
    return BacktestPlan(
        horizon_h=options["horizon"],
        origins=options["origins"],
        step_h=options["step"],
        min_train_h=options["min_train"],
        train_every=options["train_every"],
        quantiles=tuple(sorted({0.5, *options["quantiles"]})),
    )


def _trainers(names: tuple[str, ...], plan: BacktestPlan, seed: int | None) -> dict[str, Trainer]:
    settings = with_quantiles(with_horizon(ModelSettings(), plan.horizon_h), plan.quantiles)
    if seed is not None:
        settings = replace(settings, seed=seed)
    return {
        name: our_trainer(settings, plan, shipped_library())
        if name == OURS
        else baseline_trainer(Baseline(name), plan)
        for name in names
    }


def _document(scores: dict[str, ModelScore], upload: Upload, origins: int) -> dict[str, Any]:
    return {
        "models": {name: score.as_dict() for name, score in scores.items()},
        "series": len(upload.panel.codes),
        "origins": origins,
        "rows_skipped": upload.rows_skipped,
    }


def _row(name: str, score: ModelScore) -> tuple[str, ...]:
    overall = score.overall
    return (
        name,
        _figure(overall.wape),
        _figure(overall.mase),
        _figure(overall.pinball.get("mean")),
        _figure(overall.pinball.get("0.9")),
        _figure(overall.coverage.get("band_10_90")),
        _figure(overall.peak_recall),
        f"{score.train_s:.1f} s",
        f"{score.predict_s:.1f} s",
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _levels(text: str) -> tuple[float, ...]:
    levels = tuple(float(part) for part in text.split(","))
    if not all(0.0 < level < 1.0 for level in levels):
        raise ValueError(text)
    return levels


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= set(_KNOWN):
        raise ValueError(text)
    return names
