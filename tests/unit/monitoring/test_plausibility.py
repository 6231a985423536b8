"""What cannot be right by a pool's own past: on real traces, on steps, on rest."""

import numpy as np
import pandas as pd
import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from monitoring.domain.samples import RULES
from monitoring.domain.skew import ClockState, add_lags, estimate_skew
from monitoring.domain.usual.learning import learn
from monitoring.domain.usual.plausibility import confirm, weigh
from monitoring.domain.usual.profiles import COLUMN, WATCHED, Readings, new_profiles

STEP_S = 300.0


def readings(ref, at_s, **values):
    size = len(ref)
    columns = {name: np.full(size, np.nan) for name in WATCHED}
    columns |= {name: np.asarray(column, float) for name, column in values.items()}
    return Readings(np.asarray(ref, np.int64), np.asarray(at_s, float), columns)


def judge(profiles, part):
    found = weigh(profiles, part, np.zeros(len(part.ref), np.int16))
    return [RULES[code].value for code in found.tolist()]


@pytest.fixture(scope="module")
def helios():
    """Two weeks of five real pools, 5 minutes apart: (steps, pools) of allocated and capacity."""
    frame = pd.read_parquet(settings.FIXTURES_DIR / "helios_earth" / "5min.parquet")
    running = frame.pivot(index="timestamp_local", columns="cluster", values="running")
    capacity = frame.groupby("cluster")["capacity"].max()
    names = ["vc3sl", "vc6YE", "vcMod", "vcTJs", "vcpDC"]
    steps = 14 * 288
    wide = np.tile(capacity[names].to_numpy(float), (steps, 1))
    return running[names].to_numpy(float)[:steps], wide


def whole_trace(allocated, capacity, start=0, stop=None):
    part = slice(start, stop)
    rows, pools = allocated[part].shape
    return readings(
        np.repeat(np.arange(pools), rows),
        np.tile((start + np.arange(rows)) * STEP_S + 1e9, pools),
        capacity=capacity[part].T.ravel(),
        allocated=allocated[part].T.ravel(),
        queued=np.zeros(rows * pools),
    )


def test_two_real_weeks_raise_at_most_two_alarms_among_five_pools(helios):
    profiles = new_profiles(5)

    found = judge(profiles, whole_trace(*helios))

    episodes = sum(
        rule != "" and (position == 0 or found[position - 1] == "")
        for position, rule in enumerate(found)
    )
    assert episodes <= 2


@pytest.mark.parametrize("factor", [8.0, 1 / 8, 1000.0, 1 / 1000, 1024.0, 1 / 1024])
def test_a_unit_that_is_wrong_everywhere_is_caught_in_the_first_reading(helios, factor):
    allocated, capacity = helios
    profiles = new_profiles(5)
    judge(profiles, whole_trace(allocated[:2000], capacity[:2000]))
    hurt = whole_trace(allocated * factor, capacity * factor, start=2000, stop=2003)

    found = judge(profiles, hurt)

    assert set(found) == {"unit-jump"} or set(found) <= {"unit-jump", "not-a-count"}
    assert "" not in found


def test_the_chunks_of_a_trace_do_not_matter_while_nothing_is_odd(helios):
    allocated, capacity = helios
    whole, pieces = new_profiles(5), new_profiles(5)

    judge(whole, whole_trace(allocated[:600], capacity[:600]))
    for start in range(0, 600, 60):
        judge(pieces, whole_trace(allocated, capacity, start, start + 60))

    for part in ("level", "reach", "jump", "whole"):
        column = COLUMN[f"allocated_{part}"]
        assert pieces[:, column] == pytest.approx(whole[:, column], rel=0.05)
    assert pieces[:, COLUMN["changes"]] == pytest.approx(whole[:, COLUMN["changes"]])


def test_a_late_reading_teaches_nothing_and_is_not_judged(helios):
    profiles = new_profiles(5)
    judge(profiles, whole_trace(*helios))
    before = profiles.copy()

    late = readings([0], [1e9], capacity=[1.0], allocated=[0.001], queued=[0])

    assert judge(profiles, late) == [""]
    assert np.array_equal(profiles, before, equal_nan=True)


def test_a_drifting_value_behind_a_wrong_unit_stays_suspect():
    profiles = new_profiles(1)
    usual = [600.0 + (step % 7) * 3 for step in range(60)]
    ref, at = np.zeros(60, int), np.arange(60) * STEP_S + 1e9
    judge(profiles, readings(ref, at, capacity=[1000.0] * 60, allocated=usual, queued=[0] * 60))
    drift = [round(610 + 6 * step) / 1000 for step in range(40)]

    at = np.arange(60, 100) * STEP_S + 1e9
    found = judge(
        profiles,
        readings(np.zeros(40, int), at, capacity=[1000.0] * 40, allocated=drift, queued=[0] * 40),
    )

    assert "" not in found


def test_a_drop_that_refills_beyond_what_the_factor_allows_was_real():
    profiles = new_profiles(1)
    # lively enough for its unit never to be taken for granted, never by an eighth at once
    usual = [800.0 + (step % 2) * 0.5 for step in range(60)]
    ref, at = np.zeros(60, int), np.arange(60) * STEP_S + 1e9
    judge(profiles, readings(ref, at, capacity=[1000.0] * 60, allocated=usual, queued=[0] * 60))
    refill = [100.0, 110.0, 120.0, 140.5, 160.0]
    at = np.arange(60, 65) * STEP_S + 1e9

    found = judge(
        profiles,
        readings(np.zeros(5, int), at, capacity=[1000.0] * 5, allocated=refill, queued=[0] * 5),
    )

    assert found[0] == "unit-jump"
    # eight times 140 would be more than there is
    assert found[3:] == ["", ""]


def test_a_confirmed_level_is_taken():
    profiles = new_profiles(1)
    ref, at = np.zeros(60, int), np.arange(60) * STEP_S + 1e9
    steady = {"capacity": [800.0] * 60, "allocated": [400.0] * 60, "queued": [0.0] * 60}
    judge(profiles, readings(ref, at, **steady))
    smaller = {"capacity": [100.0], "allocated": [50.0], "queued": [0.0]}
    assert judge(profiles, readings([0], [at[-1] + 1], **smaller)) == ["unit-jump"]

    confirm(profiles, 0)

    assert judge(profiles, readings([0], [at[-1] + 2], **smaller)) == [""]


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_learning_never_breaks_on_any_values(values):
    profiles = new_profiles(1)
    size = len(values)

    learn(
        profiles,
        readings(np.zeros(size, int), np.arange(size) + 1.0, capacity=values, allocated=values),
    )

    assert np.isfinite(profiles[0, COLUMN["capacity_reach"]])
    assert profiles[0, COLUMN["capacity_level"]] == values[-1]
    assert profiles[0, COLUMN["seen"]] == size


@pytest.mark.parametrize(
    ("lags_s", "state"),
    [
        ([0.1] * 4, ClockState.UNKNOWN),
        ([0.1, 0.3, 59.0, 20.0, 0.2], ClockState.GOOD),
        ([-6.0, -5.5, 40.0, -6.0, -5.8], ClockState.AHEAD),
        ([7.0, 30.0, 61.0, 9.0, 8.0], ClockState.BEHIND_OR_LATE),
        # one strange request is no clock
        ([0.1] * 9 + [-300.0], ClockState.GOOD),
    ],
)
def test_a_clock_is_judged_by_its_small_lags(lags_s, state):
    assert estimate_skew(lags_s).state is state


def test_making_up_for_an_outage_says_nothing_of_a_clock():
    assert add_lags([0.1], [7200.0, 86_000.0, 0.2]) == [0.1, 0.2]
