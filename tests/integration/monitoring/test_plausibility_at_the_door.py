"""What cannot be right by a pool's own past is suspect when stored, and none plans on it."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from controlplane.auth.models import AuditEntry
from monitoring import ingest, selectors
from monitoring.models import PoolHour, PoolProfile, PoolState, Sample
from monitoring.watch import profiles
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, sample

pytestmark = pytest.mark.django_db
STEP = dt.timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _fresh(grid_time):
    profiles.cache.forget()
    yield
    profiles.cache.forget()


@pytest.fixture
def push(provider_client, grid_time, django_capture_on_commit_callbacks):
    PoolFactory()
    client = provider_client("beiyun")

    def send(**fields):
        now = grid_time.advance(minutes=5)
        row = sample("beijing-gpu", now, **fields)
        with django_capture_on_commit_callbacks(execute=True):
            answer = client.post("/api/v1/telemetry", {"samples": [row]}, format="json")
        assert answer.json()["accepted"] == 1
        return Sample.objects.get(measured_at=now)

    return send


@pytest.fixture
def usual(push):
    """Sixty ordinary readings, each with another allocation."""
    random = np.random.default_rng(3)
    for _ in range(60):
        push(allocated=float(random.integers(40, 60)), power_kw=30.0)
    assert not Sample.objects.exclude(quality="good").exists()
    return push


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"capacity": 12.0, "allocated": 6.0}, "unit-jump"),
        ({"capacity": 0.1, "allocated": 0.05}, "unit-jump"),
        ({"allocated": 51.5}, "not-a-count"),
        ({"allocated": 50_000.0}, "allocated-above-capacity"),
        ({"capacity": 800.0, "allocated": 400.0}, "over-claim"),
        ({"power_kw": 30_000.0}, "unit-jump"),
    ],
)
def test_a_wrong_unit_is_suspect_at_once_and_left_out_of_the_hours(usual, fields, rule):
    good_before = sum(PoolHour.objects.values_list("good_samples", flat=True))

    stored = usual(**{"power_kw": 30.0, **fields})

    assert (stored.quality, stored.quality_rule) == ("suspect", rule)
    assert PoolState.objects.get().quality == "suspect"
    assert sum(PoolHour.objects.values_list("good_samples", flat=True)) == good_before


def test_the_right_unit_is_good_again_at_once(usual):
    usual(capacity=12.5, allocated=6.0)

    assert usual().quality == "good"


def test_a_level_that_a_person_confirms_is_good(usual, client_of, operator):
    assert usual(capacity=12.0, allocated=6.0).quality == "suspect"

    answer = client_of(operator).post(
        "/api/v1/pools/beijing-gpu/confirm-level", {"reason": "seven racks went"}, format="json"
    )

    assert answer.status_code == 204
    profiles.cache.forget()
    assert usual(capacity=12.0, allocated=6.0).quality == "good"
    assert AuditEntry.objects.get(action="confirm-level").payload == {"reason": "seven racks went"}


@pytest.mark.parametrize("person", ["auditor", "provider", "outsider"])
def test_nobody_else_confirms_a_level(request, client_of, usual, person):
    client = client_of(request.getfixturevalue(person))

    answer = client.post(
        "/api/v1/pools/beijing-gpu/confirm-level", {"reason": "because"}, format="json"
    )

    assert answer.status_code == 403


def test_what_was_learned_survives_the_process(usual):
    profiles.cache.flush()
    row = PoolProfile.objects.get()

    profiles.cache.forget()

    assert row.last_at == Sample.objects.latest("measured_at").measured_at
    assert usual(capacity=12.0, allocated=6.0).quality == "suspect"


def test_planning_and_forecasts_say_what_they_set_aside(usual, grid_time):
    usual(capacity=12.0, allocated=6.0)

    (standing,) = selectors.provider_standings(grid_time.now)

    assert standing.set_aside.set_aside == 1
    assert (standing.set_aside.pools, standing.set_aside.capacity) == (1, 12.0)
    assert dict(standing.rules) == {"unit-jump": 1}


def test_a_value_that_stands_still_far_longer_than_ever_is_suspect(push, grid_time):
    random = np.random.default_rng(4)
    for _ in range(80):
        push(allocated=float(random.integers(40, 60)), power_kw=float(random.integers(20, 30)))
    last = push(allocated=51.0, power_kw=25.5)
    for _ in range(13 * 12):
        last = push(allocated=51.0, power_kw=25.5)

    assert (last.quality, last.quality_rule) == ("suspect", "flat-line")
    assert Sample.objects.filter(quality="good").count() > 140
    assert push(allocated=44.0, power_kw=25.0).quality == "good"


def test_history_teaches_without_being_judged(grid_time, django_capture_on_commit_callbacks):
    PoolFactory()
    random = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "pool": "beijing-gpu",
            "measured_at": pd.date_range(GRID_NOW - 100 * STEP, periods=100, freq=STEP),
            "capacity": 100.0,
            "allocated": random.integers(40, 60, 100).astype(float),
            "queued": 0.0,
        }
    )

    with django_capture_on_commit_callbacks(execute=True):
        report = ingest.load_history(frame, now=GRID_NOW)

    assert report.accepted == 100
    assert PoolProfile.objects.get().last_at == GRID_NOW - STEP
