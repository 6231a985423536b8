"""Traces and scenarios: what is read, what is skipped and counted, what is refused by name."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.replay.grid import build_grid
from scheduling.domain.replay.jobs import BadJobsFrame, offered_quantile, read_jobs
from scheduling.domain.replay.scenario import BadScenario, read_scenario
from tests.unit.scheduling.replay.traces import energy_table, frame_of, prepared

FRAME = frame_of([("a", 0, 3600, 2), ("b", 10, 1800, 1)])


def test_bad_rows_are_skipped_and_counted():
    rows = [("a", 0, 10, 1), ("a", 0, 10, 0), ("a", None, 10, 1), ("a", 0, -1, 1), ("a", 0, 1, 1.5)]

    jobs = read_jobs(frame_of(rows).assign(cores=0))

    assert len(jobs) == 1
    assert jobs.skipped == {
        "submit_s is missing": 1,
        "runtime_s is missing or below 0": 1,
        "0 gpus and 0 cores": 1,
        "gpus or cores is no whole number above 0": 1,
    }


@pytest.mark.parametrize(
    ("frame", "column"),
    [
        pytest.param(FRAME.drop(columns="submit_s"), "submit_s", id="no-submit"),
        pytest.param(FRAME.drop(columns="gpus"), "gpus or cores", id="no-demand"),
        pytest.param(FRAME.assign(runtime_s="soon"), "runtime_s", id="text"),
        pytest.param(FRAME.assign(job_id="same"), "job_id", id="twice"),
        pytest.param(FRAME.assign(gpus=0), "no job", id="nothing-left"),
    ],
)
def test_a_bad_file_is_refused_by_column(frame, column):
    with pytest.raises(BadJobsFrame, match=column):
        read_jobs(frame)


def test_a_cluster_with_two_kinds_of_unit_becomes_two_pools():
    frame = FRAME.assign(cluster="a", gpus=[2, 0], cores=[8, 16])

    jobs = read_jobs(frame)

    assert jobs.pool_names == ("a/core", "a/gpu")
    assert sorted(jobs.units.tolist()) == [2, 16]


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ([], "scenario"),
        ({"capacities": {}}, "capacities"),
        ({"capacity": {"quantile": 2}}, "capacity.quantile"),
        ({"capacity": {"a": 1.5}}, "capacity.a"),
        ({"capacity": 3}, "capacity"),
        ({"zones": {"a": 1}}, "zones.a"),
        ({"start_utc": "soon"}, "start_utc"),
        ({"kw_per_unit": {"tpu": 1}}, "kw_per_unit"),
        ({"kw_per_unit": True}, "kw_per_unit"),
        ({"pue": 0.9}, "pue"),
        ({"pue": {"a": "x"}}, "pue.a"),
        ({"places": {"a": [91, 0]}}, "places.a"),
        ({"places": {"a": 3}}, "places.a"),
        ({"network": {"speed": 1}}, "network"),
        ({"network": {"gbps": 0}}, "network.gbps"),
        ({"data_class": {"open": 0.5}}, "data_class"),
        ({"sovereignty": {"open": "a"}}, "sovereignty.open"),
        ({"interval_s": 0}, "interval_s"),
        ({"weights": {"delay": 1}}, "weights"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_bad_scenario_is_refused_by_key(document, key):
    with pytest.raises(BadScenario) as refusal:
        read_scenario(document)

    assert refusal.value.extra["field"].startswith(key)


@pytest.mark.parametrize(
    ("document", "key"),
    [
        ({"capacity": {"x": 1}}, "capacity.x"),
        ({"zones": {"a": "nowhere"}}, "zones.a"),
        ({"sovereignty": {"secret": []}}, "sovereignty.secret"),
        ({"start_utc": "2031-01-01"}, "start_utc"),
    ],
)
def test_a_scenario_that_does_not_fit_the_trace_is_refused_by_key(document, key):
    with pytest.raises(BadScenario) as refusal:
        prepared(FRAME, document)

    assert refusal.value.extra["field"] == key


def test_defaults_are_those_of_the_contract():
    _, grid, scenario = prepared(FRAME)

    assert grid.capacity.tolist() == [2, 1]
    assert grid.zones == ("Z1", "Z2")
    assert scenario.interval_s == 300.0
    assert grid.delay_usd.tolist() == [0.5, 0.5]
    assert grid.egress_usd_per_gb.tolist() == [[0.0, 0.05], [0.05, 0.0]]


def test_jobs_larger_than_their_home_are_left_out_and_counted():
    jobs, _, _ = prepared(FRAME, {"capacity": {"a": 1}})

    assert len(jobs) == 1
    assert jobs.skipped == {"larger than its home cluster": 1}


def test_a_written_scenario_reads_back_the_same():
    document = {
        "capacity": {"a": 3},
        "pue": {"a": 1.1},
        "places": {"a": [1, 2], "b": "x"},
        "sovereignty": {"open": {"a": ["b"]}},
        "weights": {"carbon_usd_per_t": 10, "delay_usd_per_unit_h": {"gpu": 1}},
    }
    scenario = read_scenario(document)
    written = {k: v for k, v in scenario.as_dict().items() if k != "energy"}

    assert read_scenario(written) == scenario


def test_a_network_table_gives_price_and_speed_by_the_name_of_the_place():
    network = pd.DataFrame({"src": ["x"], "dst": ["b"], "gbps": [2.0], "egress_usd_per_gb": [0.02]})
    scenario = read_scenario({"places": {"a": "x"}})

    _, grid = build_grid(read_jobs(FRAME), scenario, energy=energy_table(), network=network)

    assert grid.egress_usd_per_gb.tolist() == [[0.0, 0.02], [0.05, 0.0]]
    assert grid.transfer_s_per_gb.tolist() == [[0.0, 4.0], [0.0, 0.0]]


def test_the_quantile_of_offered_demand_weighs_time():
    jobs = read_jobs(frame_of([("a", 0, 100, 2), ("a", 0, 10, 5)]))

    assert [offered_quantile(jobs, 0, level) for level in (0.0, 0.9, 0.91, 1.0)] == [2, 2, 7, 7]


@given(start_s=st.floats(-1e6, 3e6), parts=st.lists(st.floats(0, 1e5), min_size=1, max_size=5))
def test_the_cost_of_a_run_is_the_sum_of_its_parts(start_s, parts):
    _, grid, _ = prepared(FRAME)
    edges = np.cumsum([start_s, *parts])
    pool = np.zeros(len(parts), dtype=np.int64)

    pieces = grid.energy_usd.between(edges[:-1], edges[1:], pool)

    whole = grid.energy_usd.between(edges[:1], edges[-1:], pool[:1])
    assert pieces.sum() == pytest.approx(whole[0], abs=1e-6)


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        pytest.param(energy_table().drop(columns="zone"), "zone", id="column"),
        pytest.param(energy_table().assign(timestamp_utc="x"), "no moment", id="moment"),
        pytest.param(pd.concat([energy_table()] * 2), "two rows", id="twice"),
        pytest.param(
            energy_table().assign(price_usd_per_mwh=np.nan), "both price and carbon", id="empty"
        ),
    ],
)
def test_an_energy_table_that_cannot_be_used_is_refused(energy, words):
    with pytest.raises(BadScenario, match=words):
        prepared(FRAME, energy=energy)


def test_a_network_table_without_its_columns_is_refused():
    network = pd.DataFrame({"src": ["a"], "dst": ["b"]})

    with pytest.raises(BadScenario, match="gbps"):
        build_grid(read_jobs(FRAME), read_scenario({}), energy=energy_table(), network=network)


def test_the_capacity_of_a_cluster_with_two_kinds_of_unit_must_name_both():
    frame = FRAME.assign(cluster="a", gpus=[2, 0], cores=[8, 16])

    with pytest.raises(BadScenario, match="name both pools"):
        prepared(frame, {"capacity": {"a": 8}})


def test_a_trace_of_which_nothing_fits_is_refused():
    with pytest.raises(BadJobsFrame, match="left out"):
        prepared(frame_of([("a", 0, 10, 4)]), {"capacity": {"a": 1}})
