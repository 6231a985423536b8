"""What guests are charged for the wait that they may cause at their host's."""

import pytest

from scheduling.domain.replay.policies.hindrance import Hindrance
from scheduling.domain.replay.views import JobView

HOUR_S = 3600.0
DAY_H = 24.0


def job(index, *, home, units, submit_s=0.0):
    return JobView(
        index=index,
        home=home,
        submit_s=submit_s,
        units=units,
        req_time_s=None,
        vc="",
        allowed=(0, 1),
    )


@pytest.fixture
def hindrance():
    return Hindrance([100, 10], [0.5, 0.5])


def price(hindrance, guest, *, hours=2.0):
    return hindrance.unit_usd(guest, hours**2, DAY_H * HOUR_S)


def test_nobody_is_charged_at_home(hindrance):
    guest = job(0, home=1, units=4)
    hindrance.arrived(guest)

    assert price(hindrance, guest)[1] == 0.0


def test_a_job_as_wide_as_the_pool_is_always_thought_possible(hindrance):
    guest = job(0, home=1, units=4)
    hindrance.arrived(guest)

    # 100 units that may come once a day and then wait one hour of two at 0.5, over four units
    assert price(hindrance, guest)[0] == pytest.approx(100 / DAY_H * 0.5 * 2.0 / 4)


def test_jobs_that_fit_beside_the_guest_cost_it_nothing(hindrance):
    guest = job(0, home=1, units=4)
    hindrance.arrived(guest)
    before = price(hindrance, guest)[0]

    hindrance.arrived(job(1, home=0, units=96))

    assert price(hindrance, guest)[0] == before


def test_jobs_that_do_not_fit_beside_it_do(hindrance):
    guest = job(0, home=1, units=4)
    hindrance.arrived(guest)
    before = price(hindrance, guest)[0]

    hindrance.arrived(job(1, home=0, units=97))

    assert price(hindrance, guest)[0] == pytest.approx(before * 1.97)


def test_harm_grows_with_the_square_of_the_stay_and_guests_share_it(hindrance):
    guest = job(0, home=1, units=4)
    hindrance.arrived(guest)
    short, long = (price(hindrance, guest, hours=hours)[0] for hours in (2.0, 6.0))

    hindrance.began(job(1, home=1, units=4), 0)
    shared = price(hindrance, guest)[0]
    hindrance.ended(job(1, home=1, units=4), 0)

    assert long == pytest.approx(9 * short)
    assert shared == pytest.approx(short / 2)
    assert price(hindrance, guest)[0] == pytest.approx(short)
