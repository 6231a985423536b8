"""Workloads that are alike become one group; none is lost on the way."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.workloads import WaitingWorkload, group_workloads, worth_moving

POOLS = {"a": 0, "b": 1}
WAITING = st.lists(
    st.builds(
        WaitingWorkload,
        id=st.integers(1, 10_000),
        pool=st.sampled_from(["a", "b", "elsewhere"]),
        data_class=st.sampled_from(["open", "restricted"]),
        units=st.integers(1, 8),
        requested_duration_s=st.sampled_from([900.0, 3600.0, 86400.0]),
        hours_to_latest_start=st.floats(-50, 200),
        data_gb=st.floats(0, 500),
    ),
    unique_by=lambda workload: workload.id,
    max_size=30,
)


@given(WAITING)
def test_every_workload_of_a_known_pool_is_in_exactly_one_group(waiting):
    grouped = group_workloads(waiting, POOLS, 24)

    ids = [pk for members in grouped.members for pk in members]
    assert sorted(ids) == sorted(w.id for w in waiting if w.pool in POOLS)
    assert [group.jobs for group in grouped.groups] == [len(m) for m in grouped.members]


@given(WAITING)
def test_groups_are_well_formed_whatever_comes(waiting):
    for group in group_workloads(waiting, POOLS, 24).groups:
        assert 0 <= group.latest_start < 24
        assert group.duration_slots >= group.duration_h > 0
        assert group.jobs >= 1


@given(WAITING)
def test_members_keep_their_order_of_arrival(waiting):
    order = {workload.id: position for position, workload in enumerate(waiting)}

    for members in group_workloads(waiting, POOLS, 24).members:
        assert [order[pk] for pk in members] == sorted(order[pk] for pk in members)


def test_work_that_is_late_already_may_start_at_any_time():
    late = WaitingWorkload(1, "a", "open", 4, 3600.0, -3.0, 4.0)

    [group] = group_workloads([late], POOLS, 24).groups

    assert group.latest_start == 23


def test_half_an_hour_takes_one_slot_and_keeps_its_length():
    short = WaitingWorkload(1, "a", "open", 4, 1800.0, 30.0, 4.0)

    [group] = group_workloads([short], POOLS, 24).groups

    assert (group.duration_slots, group.duration_h) == (1, 0.5)


def test_running_work_is_a_group_of_its_own_that_moves_soon_or_not_at_all():
    waits = WaitingWorkload(1, "a", "open", 4, 7200.0, 30.0, 4.0)
    runs = replace(waits, id=2, is_running=True, lost_h=1.0)

    grouped = group_workloads([waits, runs], POOLS, 24)

    [running] = [group for group in grouped.groups if group.is_running]
    assert len(grouped.groups) == 2
    assert (running.latest_start, running.lost_h) == (2, 1.0)
    assert grouped.running_ids == {2}


def test_work_with_other_requirements_or_gang_sizes_is_not_alike():
    one = WaitingWorkload(1, "a", "open", 4, 7200.0, 30.0, 4.0)
    others = [replace(one, id=2, requirement="a100"), replace(one, id=3, members=4)]

    groups = group_workloads([one, *others], POOLS, 24).groups

    assert sorted((g.requirement, g.members, g.units) for g in groups) == [
        ("", 1, 4),
        ("", 4, 4),
        ("a100", 1, 4),
    ]


def test_only_running_work_with_two_hours_left_is_looked_at_the_largest_first():
    running = [
        WaitingWorkload(n, "a", "open", n, hours * 3600.0, 9.0, 1.0, is_running=True)
        for n, hours in ((1, 1.9), (2, 2.5), (3, 9.0))
    ]

    chosen = worth_moving(running)

    assert [(one.id, one.requested_duration_s) for one in chosen] == [(3, 32400.0), (2, 10800.0)]


def test_a_plan_looks_at_no_more_than_forty_running_workloads():
    running = [
        WaitingWorkload(n, "a", "open", 1, 36000.0, 9.0, 1.0, is_running=True) for n in range(200)
    ]

    assert len(worth_moving(running)) == 40
