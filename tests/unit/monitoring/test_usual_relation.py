"""Wrong units that a pool's steps hide: exact factors, and allocations that power contradicts."""

import numpy as np
import pytest

from monitoring.domain.samples import RULES
from monitoring.domain.usual.plausibility import confirm, weigh
from monitoring.domain.usual.profiles import COLUMN, WATCHED, Readings, new_profiles

STEP_S = 300.0
CAPACITY = 400.0
STEPS = 600


def judge(profiles, start, **values):
    size = len(next(iter(values.values())))
    columns = {name: np.full(size, np.nan) for name in WATCHED}
    columns |= {"capacity": np.full(size, CAPACITY), "queued": np.zeros(size)}
    columns |= {name: np.asarray(column, float) for name, column in values.items()}
    at_s = 1e9 + (start + np.arange(size)) * STEP_S
    part = Readings(np.zeros(size, np.int64), at_s, columns)
    return [RULES[code].value for code in weigh(profiles, part, np.zeros(size, np.int16))]


@pytest.fixture
def lively():
    """A pool that swings by more than eightfold, with its power; returns its last allocation."""
    random = np.random.default_rng(5)
    allocated = np.round(CAPACITY * (0.5 + 0.45 * np.sin(np.arange(STEPS) / 25)))
    allocated[::97] = 8
    profiles = new_profiles(1)
    found = judge(profiles, 0, allocated=allocated, power_kw=power_of(allocated, random))
    assert found.count("") > STEPS - 10
    return profiles


def power_of(allocated, random):
    return 60 + 0.4 * np.asarray(allocated) * (1 + 0.05 * random.standard_normal(len(allocated)))


def test_power_that_has_not_moved_contradicts_an_allocation_in_the_second_reading(lively):
    true = np.array([240.0, 248.0, 256.0])
    random = np.random.default_rng(6)
    settled = judge(lively, STEPS, allocated=[200.0, 216.0, 232.0],
                    power_kw=power_of([200.0, 216.0, 232.0], random))  # fmt: skip

    found = judge(lively, STEPS + 3, allocated=true / 8, power_kw=power_of(true, random))

    assert settled == ["", "", ""]
    assert found[1:] == ["unit-jump", "unit-jump"]


def test_a_real_fall_that_power_shows_too_is_good(lively):
    random = np.random.default_rng(6)
    judge(lively, STEPS, allocated=[240.0] * 3, power_kw=power_of([240.0] * 3, random))

    fallen = [31.0, 33.0, 29.0]
    found = judge(lively, STEPS + 3, allocated=fallen, power_kw=power_of(fallen, random))

    assert found == ["", "", ""]


def test_power_that_follows_one_reading_later_is_no_contradiction(lively):
    random = np.random.default_rng(6)
    judge(lively, STEPS, allocated=[240.0] * 3, power_kw=power_of([240.0] * 3, random))

    late = power_of([240.0, 31.0, 33.0], random)
    found = judge(lively, STEPS + 3, allocated=[31.0, 33.0, 29.0], power_kw=late)

    assert found == ["", "", ""]


def test_a_pool_whose_power_says_nothing_of_its_allocation_is_left_alone():
    random = np.random.default_rng(7)
    profiles = new_profiles(1)
    allocated = np.round(random.uniform(20, 380, STEPS))
    power = random.uniform(100, 200, STEPS)
    judge(profiles, 0, allocated=allocated, power_kw=power)

    assert profiles[0, COLUMN["pairs"]] >= 100
    assert judge(profiles, STEPS, allocated=[30.0] * 3, power_kw=[200.0] * 3) == ["", "", ""]


@pytest.mark.parametrize("factor", [8.0, 0.125, 100.0, 1000.0, 1 / 1024])
def test_a_step_of_exactly_a_factor_is_caught_however_lively_the_pool_was(factor):
    profiles = new_profiles(1)
    # it has swung by far more than any of the factors, between one and hundreds
    calm = [float(1 if step % 40 == 0 else 352) for step in range(120)]
    usual = [*calm, *[352.0] * 8]
    judge(profiles, 0, allocated=usual)

    found = judge(profiles, len(usual), allocated=[352.0 * factor] * 3)

    assert set(found) <= {"unit-jump", "not-a-count"}
    assert "" not in found


def test_eight_and_one_are_jobs_of_a_node_and_a_person_may_confirm_any_level():
    profiles = new_profiles(1)
    judge(profiles, 0, allocated=[float(1 + 7 * (step % 2)) for step in range(80)])

    to_and_fro = judge(profiles, 80, allocated=[8.0, 1.0, 8.0, 1.0])
    judge(profiles, 84, allocated=[64.0] * 2)
    confirm(profiles, 0)

    assert to_and_fro == [""] * 4
    assert judge(profiles, 86, allocated=[64.0] * 2) == ["", ""]


def test_what_comes_back_from_none_a_thousandfold_is_suspect():
    profiles = new_profiles(1)
    queued = [float(24 if step % 10 == 0 else 0) for step in range(80)]
    judge(profiles, 0, allocated=[200.0 + step % 7 for step in range(80)], queued=queued)

    found = judge(profiles, 80, allocated=[203.0] * 2, queued=[24_000.0] * 2)
    again = judge(profiles, 82, allocated=[203.0] * 2, queued=[0.0, 64.0])

    assert found == ["unit-jump"] * 2
    assert again == ["", ""]
