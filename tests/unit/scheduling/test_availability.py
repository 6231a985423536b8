"""What a pool has left, for guests and for its own queue."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.availability import (
    PoolLoad,
    left_for_guests,
    left_for_locals,
    profile,
    room_now,
)

SIZES = st.floats(0, 500)
HOLDS = st.lists(st.tuples(st.floats(1, 32), st.floats(0.1, 30)), max_size=4).map(tuple)
LOADS = st.builds(
    PoolLoad,
    capacity=SIZES,
    contract=SIZES,
    reserve=st.floats(0, 20),
    allocated=SIZES,
    queued=SIZES,
    running=HOLDS,
    waiting_units=SIZES,
    promised=HOLDS,
)


def test_a_guest_finds_what_forecast_reserve_and_promises_leave():
    load = PoolLoad(
        capacity=100,
        contract=90,
        reserve=5,
        allocated=40,
        queued=0,
        promised=((8, 2.5),),
    )

    left = left_for_guests(load, np.array([50.0, 50.0, 60.0, 95.0]))

    assert left.tolist() == [27.0, 27.0, 17.0, 0.0]


def test_work_that_the_plan_itself_places_is_not_counted_twice():
    load = PoolLoad(
        capacity=100, contract=100, reserve=0, allocated=60, queued=30, waiting_units=30
    )

    assert left_for_guests(load, np.array([90.0])).tolist() == [40.0]


def test_the_own_queue_waits_for_running_work_to_end_but_not_for_later_arrivals():
    load = PoolLoad(
        capacity=16,
        contract=16,
        reserve=0,
        allocated=16,
        queued=8,
        waiting_units=8,
        running=((8, 1.0), (8, 3.0)),
    )

    assert left_for_locals(load, 4).tolist() == [0.0, 8.0, 8.0, 16.0]


def test_room_counts_promises_that_telemetry_does_not_show_yet():
    load = PoolLoad(
        capacity=64, contract=64, reserve=4, allocated=40, queued=2, promised=((8, 1.0), (8, 9.0))
    )

    assert room_now(load) == 2


@given(LOADS, st.lists(st.floats(0, 600), min_size=1, max_size=6))
def test_what_is_left_is_never_negative_nor_more_than_is_usable(load, forecast):
    for left in (left_for_guests(load, np.array(forecast)), left_for_locals(load, len(forecast))):
        assert np.all(left >= 0)
        assert np.all(left <= min(load.capacity, load.contract) + 1e-9)


@given(LOADS, st.lists(st.floats(0, 600), min_size=1, max_size=6), st.floats(0, 100))
def test_higher_demand_never_leaves_more(load, forecast, extra):
    lower = left_for_guests(load, np.array(forecast))
    higher = left_for_guests(load, np.array(forecast) + extra)

    assert np.all(higher <= lower + 1e-9)


@given(HOLDS)
def test_a_profile_never_rises_over_time(holds):
    assert np.all(np.diff(profile(holds, 12)) <= 1e-9)


def test_users_of_services_come_before_what_waits():
    load = PoolLoad(
        capacity=64, contract=64, reserve=0, allocated=60, queued=100, services=(6.0, 9.0)
    )

    assert left_for_locals(load, 2).tolist() == [6.0, 9.0]


def test_what_serves_users_is_not_in_the_way_of_itself():
    alone = PoolLoad(capacity=64, contract=64, reserve=0, allocated=20, queued=0)
    serving = PoolLoad(
        capacity=64, contract=64, reserve=0, allocated=20, queued=0, services=(8.0, 8.0)
    )

    assert (left_for_locals(serving, 2) - left_for_locals(alone, 2)).tolist() == [8.0, 8.0]
