"""`manage.py backtest` on files: its JSON, its table, its refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command

from forecasting.management.commands import backtest
from tests.integration.forecasting.grids import cut_library
from tests.unit.forecasting.series import wandering


@pytest.fixture
def few_traces(monkeypatch):
    """Learn from few of the shipped traces: what they teach is not looked at."""
    monkeypatch.setattr(backtest, "shipped_library", cut_library)


@pytest.fixture
def demand_file(tmp_path):
    rows = wandering(series=2, hours=420)
    frame = pd.DataFrame(
        {
            "hour": np.tile(np.arange(420), 2),
            "cluster": np.repeat(["a", "b"], 420),
            "demand": rows.ravel(),
        }
    )
    path = tmp_path / "demand.parquet"
    frame.to_parquet(path)
    return path


@pytest.mark.slow
def test_the_json_holds_every_measure_of_every_model(demand_file, tmp_path, capsys):
    out = tmp_path / "out.json"

    call_command("backtest", str(demand_file), "--origins", "2", "--json", str(out))

    document = json.loads(out.read_text())
    assert (document["series"], document["origins"]) == (2, 2)
    assert document["rows_skipped"] == {}
    assert list(document["models"]) == ["ours", "last", "sn24", "sn168", "mean168"]
    for model in document["models"].values():
        assert set(model["overall"]["pinball"]) == {"0.1", "0.5", "0.9", "0.95", "mean"}
        assert set(model["overall"]["coverage"]) >= {"0.9", "band_10_90"}
        assert set(model["by_lead"]) == {"1", "2-6", "7-12", "13-24"}
        assert model["overall"]["hours"] == 2 * 2 * 24
        assert model["train_s"] >= 0
    table = capsys.readouterr().out
    assert table.startswith("2 series, 2 moments, skipped: nothing")
    assert "mean168" in table


@pytest.mark.slow
def test_horizon_levels_and_models_can_be_chosen(demand_file, tmp_path, few_traces):
    out = tmp_path / "out.json"
    arguments = ["--horizon", "30", "--quantiles", "0.8", "--models", "ours,last", "--origins", "1"]

    call_command("backtest", str(demand_file), *arguments, "--json", str(out))

    models = json.loads(out.read_text())["models"]
    assert list(models) == ["ours", "last"]
    assert set(models["ours"]["overall"]["pinball"]) == {"0.5", "0.8", "mean"}
    assert "25+" in models["ours"]["by_lead"]


@pytest.mark.slow
def test_a_seed_decides_the_figures(demand_file, tmp_path, few_traces):
    figures = []
    for turn, seed in enumerate(("1", "1", "2")):
        out = tmp_path / f"{turn}.json"
        call_command(
            "backtest", str(demand_file), "--origins", "1", "--models", "ours",
            "--seed", seed, "--json", str(out),
        )  # fmt: skip
        figures.append(json.loads(out.read_text())["models"]["ours"]["overall"])

    assert figures[0] == figures[1]
    assert figures[0] != figures[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--min-train", "5000"], "too few"),
        (["--horizon", "0"], "at least 1"),
        (["--horizon", "9999"], "at most"),
        (["--quantiles", "1.5"], "invalid"),
        (["--models", "magic"], "invalid"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(demand_file, arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("backtest", str(demand_file), *arguments)


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("no")

    with pytest.raises(CommandError, match="cannot be read"):
        call_command("backtest", str(path))
