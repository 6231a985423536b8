"""Alerts over time on the real database: silence, shortage, holds and missing data."""

import datetime as dt

import pytest
from django.db import IntegrityError, transaction

from controlplane.auth.authentication import actor_of
from monitoring import selectors, services
from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerts import AlertKind, AlertState, Finding, Severity
from monitoring.models import Alert
from tests.conftest import GRID_NOW
from tests.factories import make_pool, report, sample

pytestmark = pytest.mark.django_db
MINUTE = dt.timedelta(minutes=1)
RULES = {rule.name: rule for rule in DEFAULT_RULES}
FORECAST = RULES["FORECAST_SHORTAGE"]
SHORT = Finding("region:CN-BJ", Severity.WARNING, "CN-BJ", {"short_units": 7.0})


@pytest.fixture
def beijing():
    return make_pool("beijing-gpu", region="CN-BJ", provider="beiyun")


@pytest.fixture
def wuhan():
    return make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")


def tell(pool, at, **fields):
    report(pool.site.provider_id, [sample(pool.code, at, **fields)], now=at)


def states(kind):
    return list(Alert.objects.filter(kind=kind).order_by("pk").values_list("scope", "state"))


def test_a_provider_that_falls_silent_is_said_so_and_its_return_too(beijing, wuhan):
    for minute in range(0, 61, 5):
        now = GRID_NOW + minute * MINUTE
        tell(beijing, now)
        if minute == 0 or minute > 30:
            tell(wuhan, now)
        services.evaluate_alerts(now)
        if minute == 20:
            assert states(AlertKind.PROVIDER_SILENT) == [("provider:jingchu", AlertState.PENDING)]
        if minute == 30:
            assert states(AlertKind.PROVIDER_SILENT) == [("provider:jingchu", AlertState.FIRING)]

    alert = Alert.objects.get(kind=AlertKind.PROVIDER_SILENT)
    assert alert.state == AlertState.RESOLVED
    assert alert.fired_at == GRID_NOW + 25 * MINUTE
    assert alert.region_code == "CN-HB"
    assert alert.detail["pools"] == ["wuhan-gpu"]


def test_a_shortage_fires_when_it_lasts(beijing):
    for minute in range(0, 16, 5):
        now = GRID_NOW + minute * MINUTE
        tell(beijing, now, allocated=100.0, queued=30.0)
        services.evaluate_alerts(now)

    (alert,) = selectors.open_alerts(GRID_NOW + 15 * MINUTE)
    assert (alert.kind, alert.scope, alert.severity) == (
        "CAPACITY_SHORTAGE",
        "region:CN-BJ",
        "critical",
    )
    assert alert.detail["short_units"] == 30.0
    assert alert.fired_at == GRID_NOW + 15 * MINUTE


def test_silence_neither_ends_nor_fires_a_shortage(beijing):
    tell(beijing, GRID_NOW, allocated=100.0, queued=30.0)
    services.evaluate_alerts(GRID_NOW)

    services.evaluate_alerts(GRID_NOW + 120 * MINUTE)

    assert states(AlertKind.CAPACITY_SHORTAGE) == [("region:CN-BJ", AlertState.PENDING)]


def test_a_shortage_that_comes_and_goes_does_not_flap(beijing):
    fired = 0
    for minute in range(0, 180, 5):
        now = GRID_NOW + minute * MINUTE
        is_short = minute < 30 or minute % 20 == 0
        tell(beijing, now, allocated=100.0, queued=30.0 if is_short else 0.0)
        services.evaluate_alerts(now)
        fired += len(Alert.objects.filter(fired_at=now))

    assert fired == 1
    assert states(AlertKind.CAPACITY_SHORTAGE) == [("region:CN-BJ", AlertState.FIRING)]


def test_looking_twice_at_the_same_time_changes_nothing(beijing):
    tell(beijing, GRID_NOW, allocated=100.0, queued=30.0)
    services.evaluate_alerts(GRID_NOW)
    before = list(Alert.objects.values())

    services.evaluate_alerts(GRID_NOW)

    assert list(Alert.objects.values()) == before


def test_kinds_do_not_touch_each_other():
    services.sync_alerts(FORECAST, [SHORT], GRID_NOW)

    open_after = services.sync_alerts(RULES["CAPACITY_SHORTAGE"], [], GRID_NOW)

    assert open_after == 0
    assert states(AlertKind.FORECAST_SHORTAGE) == [("region:CN-BJ", AlertState.FIRING)]


def test_a_finding_that_goes_away_resolves_after_its_quiet_time():
    services.sync_alerts(FORECAST, [SHORT], GRID_NOW)

    first = services.sync_alerts(FORECAST, [], GRID_NOW + 5 * MINUTE)
    unseen = services.sync_alerts(
        FORECAST, [], GRID_NOW + 60 * MINUTE, unknown_scopes={"region:CN-BJ"}
    )
    services.sync_alerts(FORECAST, [], GRID_NOW + 65 * MINUTE)
    last = services.sync_alerts(FORECAST, [], GRID_NOW + 125 * MINUTE)

    assert (first, unseen, last) == (1, 1, 0)
    assert selectors.open_alerts(GRID_NOW + 125 * MINUTE) == []


def test_a_new_spell_is_a_new_alert():
    services.sync_alerts(FORECAST, [SHORT], GRID_NOW)
    services.sync_alerts(FORECAST, [], GRID_NOW + 1 * MINUTE)
    services.sync_alerts(FORECAST, [], GRID_NOW + 61 * MINUTE)

    services.sync_alerts(FORECAST, [SHORT], GRID_NOW + 90 * MINUTE)

    assert [state for _, state in states(AlertKind.FORECAST_SHORTAGE)] == [
        AlertState.RESOLVED,
        AlertState.FIRING,
    ]


def test_old_alerts_are_forgotten_and_what_never_fired_sooner(beijing, settings):
    settings.RETENTION_DAYS = 30.0
    day = dt.timedelta(days=1)
    tell(beijing, GRID_NOW, allocated=100.0, queued=30.0)
    services.evaluate_alerts(GRID_NOW)
    tell(beijing, GRID_NOW + MINUTE)
    services.evaluate_alerts(GRID_NOW + MINUTE)
    services.sync_alerts(FORECAST, [SHORT], GRID_NOW)
    services.sync_alerts(FORECAST, [], GRID_NOW)
    services.sync_alerts(FORECAST, [], GRID_NOW + 61 * MINUTE)
    left = []
    for days in (0.5, 1.5, 29.0, 31.0):
        services.forget_alerts(GRID_NOW + days * day)
        left.append(sorted(Alert.objects.values_list("kind", flat=True)))

    assert left == [
        ["CAPACITY_SHORTAGE", "FORECAST_SHORTAGE"],
        ["FORECAST_SHORTAGE"],
        ["FORECAST_SHORTAGE"],
        [],
    ]


def test_the_database_refuses_two_open_alerts_of_one_scope():
    services.sync_alerts(FORECAST, [SHORT], GRID_NOW)
    twin = Alert.objects.get()
    twin.pk = None

    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save(force_insert=True)


def test_only_an_operator_acknowledges(auditor):
    services.sync_alerts(FORECAST, [SHORT], GRID_NOW)

    with pytest.raises(services.MayNotAcknowledge):
        services.acknowledge_alert(
            actor_of(auditor), Alert.objects.get().pk, comment="", now=GRID_NOW
        )


def test_an_alert_that_is_over_cannot_be_acknowledged(operator):
    services.sync_alerts(FORECAST, [SHORT], GRID_NOW)
    services.sync_alerts(FORECAST, [], GRID_NOW)
    services.sync_alerts(FORECAST, [], GRID_NOW + 60 * MINUTE)

    with pytest.raises(services.AlertNotAcknowledgeable):
        services.acknowledge_alert(
            actor_of(operator), Alert.objects.get().pk, comment="", now=GRID_NOW
        )
