"""Maintenance windows and carbon caps become arrays."""

import datetime as dt

import numpy as np

from scheduling.domain.limits import Closure, carbon_room, closed_slots
from scheduling.domain.planner.problem import PoolFacts

START = dt.datetime(2023, 5, 26, 22, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
POOLS = (
    PoolFacts("bj-a", "bj", "CN-BJ", "CN"),
    PoolFacts("nm-a", "nm", "CN-NM", "CN"),
    PoolFacts("nm-b", "nm", "CN-NM", "CN"),
)


def closed(*closures):
    return closed_slots(closures, POOLS, starts_at=START, slots=4)


def test_without_a_window_nothing_is_closed():
    assert closed() is None
    assert closed(Closure(START - 3 * HOUR, START, pool="bj-a")) is None
    assert closed(Closure(START + 4 * HOUR, START + 9 * HOUR, pool="bj-a")) is None


def test_a_slot_that_a_window_touches_is_closed_whole():
    window = Closure(START + 1.5 * HOUR, START + 2.25 * HOUR, pool="nm-a")

    assert closed(window).tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_a_site_closes_with_all_its_pools_and_a_window_may_have_begun():
    window = Closure(START - HOUR, START + 2 * HOUR, site="nm")

    assert closed(window).tolist() == [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]


def room(most_kg, emitted_kg):
    busy = np.array([[10.0] * 4, [1.0] * 4, [2.0] * 4])
    return carbon_room(
        {"CN-NM": most_kg},
        pools=POOLS,
        emitted_kg={"CN-NM": emitted_kg},
        busy_units=busy,
        carbon_kg_per_unit_h=np.full((3, 4), 0.5),
        starts_at=START,
    )


def test_a_cap_leaves_what_neither_today_nor_running_work_has_used():
    today, tomorrow = room(100.0, 60.0)

    # slots 0 and 1 begin today (22:30, 23:30), two tomorrow; both pools of the region emit 1.5 kg
    assert (today.day, today.most_kg) == (START.date(), 100.0 - 60.0 - 3.0)
    assert (tomorrow.day, tomorrow.most_kg) == (START.date() + dt.timedelta(days=1), 97.0)


def test_a_cap_that_is_used_up_leaves_nothing():
    today, _ = room(50.0, 60.0)

    assert today.most_kg == 0.0
