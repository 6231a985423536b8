"""The cycle keeps running: each hour's forecast is one run, on time, whatever fails in between."""

import datetime as dt

import numpy as np
import pytest
from django.db import OperationalError

from forecasting import services
from forecasting.models import ForecastRun
from forecasting.services import issuing
from tests.factories import make_pool, report, sample

pytestmark = pytest.mark.django_db
START = dt.datetime(2023, 5, 26, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
# the loop looks this often; a run may come a fifth of an hour after its time
LOOK_EVERY = dt.timedelta(minutes=6)
EPSILON = HOUR / 5


@pytest.fixture
def grid(monkeypatch):
    pool = make_pool("haidian-gpu", region="CN-BJ", provider="beiyun")
    rows = [sample(pool.code, START - back * HOUR, allocated=40.0 + back % 9) for back in range(60)]
    report("beiyun", rows, now=START)
    # what a run is made with is not what is looked at here
    monkeypatch.setattr(issuing, "train", lambda *_, **__: None)


def outages(seed, hours):
    """Stretches in which nothing works: [(begin, end)], of minutes up to hours."""
    chance = np.random.default_rng(seed)
    found, at = [], START
    while at < START + hours * HOUR:
        begin = at + dt.timedelta(minutes=int(chance.integers(30, 240)))
        at = begin + dt.timedelta(minutes=int(chance.choice([4, 20, 50, 90, 150])))
        found.append((begin, at))
    return found


def live_through(hours, down, monkeypatch):
    real = issuing.read_history
    now = START
    while now < START + hours * HOUR:
        is_down = any(begin <= now < end for begin, end in down)

        def read(*args, is_down=is_down, **terms):
            if is_down:
                raise OperationalError("connection refused")
            return real(*args, **terms)

        monkeypatch.setattr(issuing, "read_history", read)
        try:
            # the loop may run twice at once, or again at once
            services.refresh_if_due(now)
            services.refresh_if_due(now)
        except OperationalError:
            pass
        now += LOOK_EVERY


@pytest.mark.parametrize("seed", [1])
def test_every_hour_has_one_run_on_time_and_missed_ones_stay_missed(grid, monkeypatch, seed):
    hours = 14
    down = outages(seed, hours)

    live_through(hours, down, monkeypatch)

    runs = {run.issued_at: run.created_at for run in ForecastRun.objects.all()}
    assert len(runs) == ForecastRun.objects.count()
    for step in range(hours):
        target = START + step * HOUR
        looks = [target + n * LOOK_EVERY for n in range(10)]
        up = [look for look in looks if not any(begin <= look < end for begin, end in down)]
        # one run as soon as anything works, none for an hour that was lost as a whole
        assert runs.get(target) == (up[0] if up else None)
        if up[:1] == looks[:1]:
            assert runs[target] - target <= EPSILON
    assert any(START + step * HOUR not in runs for step in range(hours))


def test_after_an_outage_the_next_run_comes_within_an_interval(grid, monkeypatch):
    down = [(START + 2 * HOUR, START + 5 * HOUR + 17 * LOOK_EVERY / 2)]

    live_through(9, down, monkeypatch)

    later = ForecastRun.objects.filter(created_at__gte=down[0][1]).order_by("created_at")
    assert later.first().created_at - down[0][1] <= HOUR
    # the hours of the outage are not made up for in a burst
    assert [run.issued_at for run in later] == [START + step * HOUR for step in (5, 6, 7, 8)]
