"""Services become hourly demand, and what is served away becomes whole replicas."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.serving import Replica, ServiceUsers, asked_units, layers, service_demand

START = dt.datetime(2023, 5, 26, 22, 30, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
USERS = ServiceUsers(
    key="north/chat/CN-BJ",
    pool="bj-gpu",
    region="CN-BJ",
    units_by_hour=tuple(float(hour) for hour in range(24)),
    latency_bound_ms=20.0,
    data_class="open",
)
UNITS = st.dictionaries(st.integers(0, 30), st.integers(0, 9), max_size=31)


def demand(*replicas, pools=("bj-gpu",), zones=("CN-BJ",), slots=4):
    return service_demand(
        [USERS],
        replicas,
        pool_index={code: place for place, code in enumerate(pools)},
        zone_index={code: place for place, code in enumerate(zones)},
        starts_at=START,
        slots=slots,
    )


def test_demand_follows_the_hours_of_the_utc_day_over_midnight():
    assert asked_units(USERS, START, 4).tolist() == [22.0, 23.0, 0.0, 1.0]


def test_what_a_replica_serves_is_not_asked_for_until_it_ends():
    [service] = demand(Replica(USERS.key, 20.0, START + 1.2 * HOUR))

    assert service.units.tolist() == [2.0, 3.0, 0.0, 1.0]


def test_a_replica_that_has_ended_serves_nobody():
    [service] = demand(Replica(USERS.key, 20.0, START - HOUR))

    assert service.units.tolist() == [22.0, 23.0, 0.0, 1.0]


def test_users_and_pools_that_nobody_knows_are_left_out():
    assert demand(pools=("other",)) == ()
    assert demand(zones=("CN-NM",)) == ()


@given(UNITS)
def test_blocks_add_up_to_the_units_of_every_slot(units):
    blocks = layers(units)

    held = {}
    for first, length, size in blocks:
        for slot in range(first, first + length):
            held[slot] = held.get(slot, 0) + size
    assert held == {slot: size for slot, size in units.items() if size}
    assert all(length > 0 and size > 0 for _, length, size in blocks)


@given(UNITS)
def test_there_are_no_more_blocks_than_rises(units):
    rises = sum(size > units.get(slot - 1, 0) for slot, size in units.items())
    falls = sum(units.get(slot + 1, 0) < size for slot, size in units.items())

    assert len(layers(units)) <= rises + falls
