"""Promises of units: who is blocked begins when units come back, and who passes does no harm."""

from hypothesis import given
from hypothesis import strategies as st

from scheduling.domain.replay.policies.outlook import Ledger, Outlook
from scheduling.domain.replay.views import JobView


def view(index, units, allowed=(0, 1)):
    return JobView(index, 0, units, 0.0, None, "", allowed)


def ledger_of(*pools):
    """A ledger on which each pool holds jobs of (limit, units), all begun at second 0."""
    ledger = Ledger([[] for _ in pools])
    index = 100
    for pool, held in enumerate(pools):
        for limit_s, units in held:
            ledger.begin(view(index, units), pool, now_s=0.0, limit_s=limit_s)
            index += 1
    return ledger


def place(outlook, job, costs=(1.0, 1.0), limit_s=600.0):
    return outlook.place(job, costs, wait_usd=1.0, expected_s=limit_s, limit_s=limit_s)


def test_the_cheapest_free_pool_is_taken():
    found = place(Outlook(ledger_of([], []), [4, 4], 0.0), view(0, 2), costs=(2.0, 1.0))

    assert found.pool == 1


def test_a_wait_that_costs_less_than_the_other_pool_is_chosen():
    outlook = Outlook(ledger_of([(1800.0, 4)], []), [0, 4], 0.0)

    found = place(outlook, view(0, 2), costs=(1.0, 2.0))

    assert (found.pool, found.start_s) == (0, 1800.0)
    assert not outlook.starts_now(found)


def test_a_job_that_no_release_can_ever_hold_has_no_place():
    assert place(Outlook(ledger_of([(60.0, 1)], []), [0, 0], 0.0), view(0, 5)) is None


def test_units_promised_to_a_wide_job_are_not_given_to_a_long_one():
    outlook = Outlook(ledger_of([(3600.0, 3)]), [1], 0.0)
    wide = view(0, 4, allowed=(0,))
    outlook.promise(wide, place(outlook, wide, costs=(1.0,)), 600.0)

    long = place(outlook, view(1, 1, allowed=(0,)), costs=(1.0,), limit_s=7200.0)
    short = place(outlook, view(2, 1, allowed=(0,)), costs=(1.0,), limit_s=600.0)

    assert not outlook.starts_now(long)
    assert outlook.starts_now(short)


def test_a_job_whose_overrun_would_hold_up_many_units_does_not_pass():
    outlook = Outlook(ledger_of([(3600.0, 999)]), [1], 0.0)
    wide = view(0, 1000, allowed=(0,))
    outlook.promise(wide, place(outlook, wide, costs=(1.0,)), 600.0)

    short = place(outlook, view(1, 1, allowed=(0,)), costs=(1.0,), limit_s=600.0)

    assert not outlook.starts_now(short)


def test_what_is_overdue_is_expected_later():
    ledger = ledger_of([(600.0, 2)])

    ledger.renew(10_000.0)

    assert ledger.releases[0][0][0] == 15_000.0


@given(
    held=st.lists(st.tuples(st.integers(60, 9000), st.integers(1, 4)), max_size=8),
    free=st.integers(0, 6),
    wanted=st.lists(st.tuples(st.integers(1, 8), st.integers(60, 9000)), max_size=10),
)
def test_never_more_begins_than_is_free(held, free, wanted):
    outlook = Outlook(ledger_of([(float(s), u) for s, u in held]), [free], 0.0)
    begun = 0

    for index, (units, limit_s) in enumerate(wanted):
        job = view(index, units, allowed=(0,))
        found = place(outlook, job, costs=(1.0,), limit_s=float(limit_s))
        if found is not None and outlook.starts_now(found):
            outlook.take(job, found)
            begun += units
        elif found is not None:
            outlook.promise(job, found, float(limit_s))

    assert begun <= free
