"""Alerts about a provider's clock and its readings, and that the provider sees its own."""

import datetime as dt

import pytest
from django.core.cache import cache

from controlplane.auth.key_cache import known_keys
from monitoring import services
from monitoring.domain.alerts import AlertKind, AlertState
from monitoring.models import Alert
from tests.factories import PoolFactory, make_pool, sample

pytestmark = pytest.mark.django_db
STATUS = "/api/v1/provider/status"


@pytest.fixture(autouse=True)
def _stand_still(grid_time):
    """The grid clock stands still; two providers have a pool each."""
    cache.clear()
    known_keys.forget()
    PoolFactory()
    make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")


def push(client, *samples):
    return client.post("/api/v1/telemetry", {"samples": list(samples)}, format="json")


def send_for(minutes, client, pool, grid_time, *, ahead_s=0.0, **values):
    """Push a sample each minute, and look at the alerts as often."""
    for minute in range(minutes):
        now = grid_time.advance(seconds=60)
        fresh = {"queued": float(minute % 5), **values}
        push(client, sample(pool, now + dt.timedelta(seconds=ahead_s), **fresh))
        services.evaluate_alerts(now)


def test_a_clock_that_stays_off_fires_and_its_own_provider_alone_sees_it(
    provider_client, grid_time
):
    skewed, honest = provider_client("jingchu"), provider_client("beiyun")

    send_for(5, skewed, "wuhan-gpu", grid_time, ahead_s=8)
    at_first = Alert.objects.filter(kind=AlertKind.PROVIDER_CLOCK_OFF).count()
    send_for(16, skewed, "wuhan-gpu", grid_time, ahead_s=8)

    alert = Alert.objects.get(kind=AlertKind.PROVIDER_CLOCK_OFF)
    assert (at_first, alert.state) == (1, AlertState.FIRING)
    assert (alert.scope, alert.detail["skew_s"]) == ("provider:jingchu", 8.0)
    (seen,) = skewed.get(STATUS).json()["alerts"]
    assert (seen["kind"], seen["state"], seen["severity"]) == (
        "PROVIDER_CLOCK_OFF", "FIRING", "warning"
    )  # fmt: skip
    assert "is 8 s off" in seen["summary_en"]
    assert "时钟偏差 8 秒" in seen["summary_zh"]
    # silent all the while
    assert [one["kind"] for one in honest.get(STATUS).json()["alerts"]] == ["PROVIDER_SILENT"]


def test_a_clock_that_was_set_right_ends_the_alert(provider_client, grid_time):
    client = provider_client("jingchu")
    send_for(20, client, "wuhan-gpu", grid_time, ahead_s=90)
    severity = Alert.objects.get(kind=AlertKind.PROVIDER_CLOCK_OFF).severity

    # 30 requests are looked at, and quiet must last a quarter of an hour
    send_for(50, client, "wuhan-gpu", grid_time)

    assert severity == "critical"
    assert Alert.objects.get(kind=AlertKind.PROVIDER_CLOCK_OFF).state == AlertState.RESOLVED


def test_suspect_readings_fire_after_half_an_hour_and_not_for_one(provider_client, grid_time):
    client = provider_client("beiyun")
    # more allocated than there is, once
    send_for(1, client, "beijing-gpu", grid_time, allocated=999.0)
    send_for(3, client, "beijing-gpu", grid_time)
    after_one = list(Alert.objects.filter(kind=AlertKind.READINGS_SUSPECT).values_list("state"))

    send_for(32, client, "beijing-gpu", grid_time, allocated=999.0)

    assert after_one == [(AlertState.RESOLVED,)]
    firing = Alert.objects.get(kind=AlertKind.READINGS_SUSPECT, state=AlertState.FIRING)
    assert (firing.scope, firing.severity) == ("provider:beiyun", "critical")


def test_what_is_only_sent_again_says_nothing_about_a_clock(provider_client, grid_time):
    client = provider_client("beiyun")
    send_for(6, client, "beijing-gpu", grid_time)
    again = [sample("beijing-gpu", grid_time.now, queued=0.0)]
    push(client, *again)
    grid_time.advance(seconds=50)

    for _ in range(30):
        push(client, *again)

    assert client.get(STATUS).json()["clock"]["state"] == "good"
    assert client.get(STATUS).json()["tally"]["duplicate"] >= 30
