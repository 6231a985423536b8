"""`manage.py replay` on files: its JSON, its table, its refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command


@pytest.fixture
def jobs_file(tmp_path):
    rng = np.random.default_rng(5)
    count = 120
    frame = pd.DataFrame(
        {
            "job_id": np.arange(count),
            "cluster": rng.choice(["east", "north", "west"], count, p=[0.7, 0.2, 0.1]),
            "submit_s": np.sort(rng.integers(0, 40_000, count)),
            "runtime_s": rng.exponential(4000, count).astype(int),
            "gpus": rng.integers(0, 5, count),
            "vc": rng.choice(["x", "y"], count),
        }
    )
    path = tmp_path / "jobs.parquet"
    frame.to_parquet(path)
    return path


def replay(path, out, *arguments):
    call_command("replay", str(path), *arguments, "--json", str(out))
    return json.loads(out.read_text())


def test_the_json_holds_every_measure_of_every_policy(jobs_file, tmp_path, capsys):
    document = replay(jobs_file, tmp_path / "out.json")

    policies = document["policies"]
    assert list(policies) == ["home", "least-loaded", "cheapest", "greenest", "ours", "bound"]
    bound = policies.pop("bound")["objective"]
    for measures in policies.values():
        assert measures["done"] == document["jobs"]
        assert set(measures["wait_h"]) == {"mean", "p50", "p95", "p99"}
        assert set(measures["bounded_slowdown"]) == {"mean", "p95"}
        assert set(measures["decision_ms"]) == {"p50", "p99", "max"}
        assert set(measures["unit_h"]) == {"east", "north", "west"}
        assert 0 < measures["utilization"] <= 1
        assert measures["sovereignty_violations"] == measures["capacity_violations"] == 0
        assert measures["objective"] >= bound
        assert measures["ratio_to_bound"] == pytest.approx(measures["objective"] / bound)
    assert document["skipped"] == {"0 gpus and 0 cores": 120 - document["jobs"]}
    assert document["scenario"]["start_utc"] == "2023-03-01T00:00:00+00:00"
    assert set(document["scenario"]["zones"]) == {"east", "north", "west"}
    table = capsys.readouterr().out
    assert "bound" in table
    assert "skipped: " in table


def test_a_scenario_changes_what_is_replayed(jobs_file, tmp_path):
    network = pd.DataFrame(
        {"src": ["east"], "dst": ["west"], "gbps": [10.0], "egress_usd_per_gb": [0.0]}
    )
    network.to_parquet(tmp_path / "links.parquet")
    scenario = tmp_path / "s.json"
    scenario.write_text(
        json.dumps(
            {
                "capacity": {"east": 6, "north": 8, "west": 8},
                "network": "links.parquet",
                "data_class": {"open": 0.5, "secret": 0.5},
                "sovereignty": {"secret": {"east": ["west"], "*": []}},
            }
        )
    )

    document = replay(
        jobs_file, tmp_path / "o.json", "--scenario", str(scenario), "--policies", "ours"
    )

    assert list(document["policies"]) == ["ours"]
    assert document["scenario"]["capacity"] == {"east": 6, "north": 8, "west": 8}
    assert document["policies"]["ours"]["moved_jobs"] > 0
    assert document["policies"]["ours"]["ratio_to_bound"] is None


def test_the_same_files_give_the_same_measures(jobs_file, tmp_path):
    documents = [replay(jobs_file, tmp_path / f"{turn}.json") for turn in range(2)]

    for document in documents:
        for measures in document["policies"].values():
            measures.pop("decision_ms", None)
            measures.pop("wall_s", None)
    assert documents[0] == documents[1]


def test_an_unknown_policy_is_refused(jobs_file):
    with pytest.raises(CommandError, match="policies"):
        call_command("replay", str(jobs_file), "--policies", "magic")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("{", "cannot be read", id="no-json"),
        pytest.param('{"pue": 0.5}', "pue", id="range"),
        pytest.param('{"zones": {"south": "SG"}}', "zones.south", id="cluster"),
        pytest.param('{"energy": "none.parquet"}', "none.parquet", id="missing-table"),
    ],
)
def test_a_scenario_that_cannot_be_used_is_refused_in_words(jobs_file, tmp_path, text, words):
    scenario = tmp_path / "s.json"
    scenario.write_text(text)

    with pytest.raises(CommandError, match=words):
        call_command("replay", str(jobs_file), "--scenario", str(scenario))


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("no")

    with pytest.raises(CommandError, match="cannot be read"):
        call_command("replay", str(path))


def test_a_column_that_is_missing_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"job_id": [1], "cluster": ["a"], "submit_s": [0], "gpus": [1]}).to_parquet(path)

    with pytest.raises(CommandError, match="runtime_s"):
        call_command("replay", str(path))


def test_a_json_that_cannot_be_written_is_refused(jobs_file, tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        replay(jobs_file, tmp_path / "missing" / "o.json", "--policies", "home")
