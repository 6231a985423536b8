"""What a forecast run left out of the telemetry is said on the run and in the API."""

import datetime as dt

import pytest

from forecasting import services
from monitoring import selectors
from monitoring.domain.samples import RULES
from tests.factories import make_pool, report, sample

pytestmark = pytest.mark.django_db
ISSUED_AT = dt.datetime(2023, 5, 26, 0, tzinfo=dt.UTC)
NOW = ISSUED_AT + dt.timedelta(minutes=12)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def pools(db):
    """Two pools with 30 hours each; one is right, of the other three samples cannot be."""
    right = make_pool("haidian-gpu", region="CN-BJ", provider="beiyun")
    odd = make_pool("horinger-gpu", region="CN-NM", provider="huadong")
    for pool, wrong_hours in ((right, ()), (odd, (2, 3, 27))):
        rows = [
            sample(
                pool.code,
                ISSUED_AT - back * HOUR,
                capacity=100.0,
                allocated=150.0 if back in wrong_hours else 40.0 + back % 7,
            )
            for back in range(1, 31)
        ]
        report(pool.site.provider_id, rows, now=ISSUED_AT)
    return right, odd


def test_a_run_says_how_much_it_left_out_by_rule_and_pool(pools):
    run = services.refresh(NOW)

    said = run.set_aside
    assert (said["samples"], said["set_aside"], said["pools_total"]) == (48, 2, 1)
    assert said["by_quality"] == {"suspect": 2}
    assert said["by_rule"] == {"allocated-above-capacity": 2}
    assert said["pools"] == {
        "horinger-gpu": {
            "samples": 24,
            "set_aside": 2,
            "by_rule": {"allocated-above-capacity": 2},
        }
    }


def test_the_api_shows_it_with_the_run(pools, client_of, operator, grid_time):
    services.refresh(NOW)

    (run,) = client_of(operator).get("/api/v1/forecasts/runs").json()["runs"]

    assert run["set_aside"]["by_rule"] == {"allocated-above-capacity": 2}
    assert run["set_aside"]["until"] == ISSUED_AT.isoformat()


def test_where_all_is_good_no_single_sample_is_read(pools, django_assert_num_queries):
    with django_assert_num_queries(1):
        found = selectors.set_aside(ISSUED_AT - 20 * HOUR, ISSUED_AT - 10 * HOUR)

    assert (found.samples, found.pools) == (20, ())
    assert "allocated-above-capacity" in RULES
