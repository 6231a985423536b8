"""Builders and strategies of small traces, grids and policies for the replay's tests."""

import itertools

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from scheduling.domain.replay.contest import PolicyName, policy_of
from scheduling.domain.replay.grid import build_grid
from scheduling.domain.replay.jobs import read_jobs
from scheduling.domain.replay.scenario import read_scenario
from scheduling.domain.replay.simulator import simulate, terms_of

DECIDING = tuple(name for name in PolicyName if name is not PolicyName.BOUND)


def energy_table(zones=("Z1", "Z2", "Z3"), hours=24 * 21, seed=7):
    rng = np.random.default_rng(seed)
    at = pd.date_range("2023-02-22", periods=hours, freq="h", tz="UTC")
    return pd.concat(
        pd.DataFrame(
            {
                "timestamp_utc": at,
                "zone": zone,
                "price_usd_per_mwh": rng.normal(60, 60, hours),
                "carbon_lca_g_per_kwh": rng.uniform(20, 700, hours),
            }
        )
        for zone in zones
    )


def frame_of(rows):
    columns = ("cluster", "submit_s", "runtime_s", "gpus")
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(job_id=[f"j{i}" for i in range(len(frame))])


def prepared(frame, scenario=None, energy=None):
    conditions = read_scenario(scenario or {})
    table = energy_table() if energy is None else energy
    jobs, grid = build_grid(read_jobs(frame), conditions, energy=table, network=None)
    return jobs, grid, conditions


def play(jobs, grid, name, interval_s=300.0):
    policy = policy_of(PolicyName(name), terms_of(jobs, grid, interval_s))
    return played(jobs, grid, policy, interval_s)


def played(jobs, grid, policy, interval_s=300.0):
    ticks = itertools.count()
    return simulate(jobs, grid, policy, interval_s=interval_s, stopwatch=lambda: next(ticks))


def objective(jobs, grid, *, pool, started_s):
    wait_h = (started_s - jobs.submit_s) / 3600.0
    energy = grid.energy_usd.between(started_s, started_s + jobs.runtime_s, pool)
    egress = grid.gb_per_unit_h[jobs.home] * grid.egress_usd_per_gb[jobs.home, pool]
    delay = jobs.units * wait_h * grid.delay_usd[jobs.home]
    return float((jobs.units * energy + jobs.unit_h * egress + delay).sum())


@st.composite
def frames(draw, max_jobs=25, span_s=20_000, longest_s=30_000):
    row = st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, span_s),
        st.one_of(st.integers(0, 600), st.integers(0, longest_s)),
        st.integers(1, 4),
    )
    frame = frame_of(draw(st.lists(row, min_size=1, max_size=max_jobs)))
    asks = draw(st.booleans())
    return frame.assign(req_time_s=frame["runtime_s"] * 2 + 60) if asks else frame


SCENARIOS = st.sampled_from(
    [
        {},
        {"capacity": {"quantile": 0.3}},
        {"network": {"gbps": 0.01, "egress_usd_per_gb": 0.0}},
        {"weights": {"delay_usd_per_unit_h": 0.01}, "kw_per_unit": 2.0},
        {
            "data_class": {"open": 0.4, "internal": 0.4, "secret": 0.2},
            "sovereignty": {"secret": []},
            "seed": 3,
        },
    ]
)
