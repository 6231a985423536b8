"""Shortages to come: one alert each, settled by calm, untouched where nothing is known."""

import datetime as dt

import pytest

from controlplane.lib.units import HOUR
from forecasting import services
from monitoring.models import Alert
from tests.factories import report_hours
from tests.integration.forecasting.grids import (
    ISSUED_AT,
    NOW,
    daily_wave,
    make_grid,
    stored_pools,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def stored_waves(module_db):
    with module_db():
        make_grid(daily_wave)


@pytest.fixture
def wavy_grid(stored_waves, db):
    """The pools of a small grid whose demand follows the hour of the day."""
    return stored_pools()


def test_a_shortage_to_come_raises_one_alert_and_calm_settles_it(wavy_grid):
    # two pools that together peak above 90 units may be planned on for 76
    for pool in wavy_grid[:2]:
        pool.contract = 38.0
        pool.save()
    at = ISSUED_AT - HOUR + dt.timedelta(minutes=10)
    quiet = [30.0] * 3

    services.refresh(at)

    alert = Alert.objects.get(kind="FORECAST_SHORTAGE", region_code="CN-BJ")
    assert alert.scope == "region:CN-BJ"
    assert alert.detail["usable_units"] == 76.0
    assert alert.detail["lead_h"] >= 0
    assert alert.detail["short_units"] > 0
    assert 0.05 <= alert.detail["probability"] <= 0.95
    assert dt.datetime.fromisoformat(alert.detail["from_at"]) > at - HOUR
    for pool in wavy_grid[:2]:
        pool.contract = 1000.0
        pool.save()
        report_hours(pool, ISSUED_AT, quiet, capacity=1000.0)
    services.refresh(NOW + HOUR)
    services.refresh(NOW + 2 * HOUR)
    alert.refresh_from_db()
    assert alert.state == "RESOLVED"


def test_a_region_with_an_unknown_pool_keeps_its_alerts_as_they_are(wavy_grid):
    for pool in wavy_grid[:2]:
        pool.contract = 38.0
        pool.save()
    services.refresh(ISSUED_AT - HOUR + dt.timedelta(minutes=10))
    before = Alert.objects.get(kind="FORECAST_SHORTAGE", region_code="CN-BJ")

    services.refresh(NOW + 5 * HOUR)

    after = Alert.objects.get(pk=before.pk)
    assert (after.state, after.detail) == (before.state, before.detail)


def test_a_region_that_is_short_already_gets_no_alert_of_things_to_come(wavy_grid):
    for pool in wavy_grid[:2]:
        pool.contract = 20.0
        pool.save()

    services.refresh(ISSUED_AT - HOUR + dt.timedelta(minutes=10))

    assert not Alert.objects.filter(kind="FORECAST_SHORTAGE").exists()
