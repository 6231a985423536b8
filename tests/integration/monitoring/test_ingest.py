"""Storing batches in the real database: idempotent, split-proof, fully accounted for."""

import datetime as dt
from itertools import pairwise

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitoring import ingest, selectors
from monitoring.domain.samples import live_window
from monitoring.formats.rows import decode
from monitoring.models import PoolHour, PoolState, ProviderTally, Sample
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, make_pool, report, sample

pytestmark = pytest.mark.django_db
TICK = dt.timedelta(minutes=5)


def stored_state():
    return (
        list(Sample.objects.order_by("pool_id", "measured_at").values()),
        list(PoolState.objects.order_by("pool_id").values()),
        list(PoolHour.objects.order_by("pool_id", "hour_at").values()),
    )


def test_a_first_batch_is_stored_with_state_hour_and_account():
    pool = PoolFactory()
    rows = [sample(pool.code, GRID_NOW - step * TICK, allocated=10.0 * step) for step in range(3)]

    outcome = report("beiyun", rows, now=GRID_NOW)

    assert (outcome.received, outcome.accepted, outcome.errors_total) == (3, 3, 0)
    assert pool.state.measured_at == GRID_NOW
    assert pool.state.allocated == 0.0
    hours = PoolHour.objects.order_by("hour_at").values_list("samples", "allocated_sum")
    assert list(hours) == [(3, 30.0)]
    tally = ProviderTally.objects.get(provider_id="beiyun")
    assert (tally.received, tally.accepted) == (3, 3)


def test_the_same_batch_again_changes_nothing_but_the_account():
    pool = PoolFactory()
    rows = [sample(pool.code, GRID_NOW - step * TICK, queued=float(step)) for step in range(20)]
    report("beiyun", rows, now=GRID_NOW)
    before = stored_state()

    outcome = report("beiyun", rows[::-1], now=GRID_NOW + TICK)

    assert (outcome.accepted, outcome.duplicate, outcome.conflict) == (0, 20, 0)
    assert outcome.is_clean
    assert stored_state() == before


def test_other_values_for_a_stored_time_are_a_conflict_and_the_first_stay():
    pool = PoolFactory()
    report("beiyun", [sample(pool.code, GRID_NOW, allocated=10.0)], now=GRID_NOW)
    before = stored_state()

    outcome = report(
        "beiyun",
        [
            sample(pool.code, GRID_NOW, allocated=11.0),
            sample(pool.code, GRID_NOW, allocated=10.0, power_kw=5.0),
            sample(pool.code, GRID_NOW, allocated=10.0),
        ],
        now=GRID_NOW,
    )

    assert (outcome.duplicate, outcome.conflict) == (1, 2)
    assert [(error.index, error.code) for error in outcome.errors] == [
        (0, "conflict"),
        (1, "conflict"),
    ]
    assert stored_state() == before


def test_inside_one_batch_the_first_sample_of_a_time_wins():
    pool = PoolFactory()
    rows = [
        sample(pool.code, GRID_NOW, allocated=10.0),
        sample(pool.code, GRID_NOW, allocated=20.0),
        sample(pool.code, GRID_NOW, allocated=10.0),
    ]

    outcome = report("beiyun", rows, now=GRID_NOW)

    assert (outcome.accepted, outcome.duplicate, outcome.conflict) == (1, 1, 1)
    assert Sample.objects.get().allocated == 10.0


def test_a_late_sample_corrects_its_hour_but_not_the_newest_state():
    pool = PoolFactory()
    report("beiyun", [sample(pool.code, GRID_NOW, allocated=40.0)], now=GRID_NOW)

    report("beiyun", [sample(pool.code, GRID_NOW - TICK, allocated=60.0)], now=GRID_NOW)

    assert PoolState.objects.get().allocated == 40.0
    assert PoolHour.objects.get().allocated_sum == 100.0


def test_a_suspect_sample_is_stored_but_counts_in_no_sum():
    pool = PoolFactory(contract=100.0)
    rows = [
        sample(pool.code, GRID_NOW, capacity=120.0),
        sample(pool.code, GRID_NOW - TICK, allocated=101.0),
        sample(pool.code, GRID_NOW - 2 * TICK, allocated=30.0),
    ]

    outcome = report("beiyun", rows, now=GRID_NOW)

    assert outcome.accepted == 3
    rules = Sample.objects.order_by("-measured_at").values_list("quality", "quality_rule")
    assert list(rules) == [
        ("suspect", "over-claim"),
        ("suspect", "allocated-above-capacity"),
        ("good", ""),
    ]
    hour = PoolHour.objects.get()
    assert (hour.samples, hour.good_samples, hour.allocated_sum) == (3, 1, 30.0)


def test_anothers_pool_is_as_unknown_as_one_that_does_not_exist():
    own = PoolFactory()
    other = make_pool("wuhan-gpu", region="CN-HB", provider="jingchu")
    rows = [sample(code, GRID_NOW) for code in (own.code, other.code, "nowhere-gpu")]

    outcome = report("beiyun", rows, now=GRID_NOW)

    assert outcome.accepted == 1
    assert [(error.index, error.field, error.code) for error in outcome.errors] == [
        (1, "pool", "unknown-pool"),
        (2, "pool", "unknown-pool"),
    ]
    assert not PoolState.objects.filter(pool=other).exists()


def test_the_number_of_statements_does_not_grow_with_the_batch(monkeypatch):
    pool = PoolFactory()
    report("beiyun", [sample(pool.code, GRID_NOW)], now=GRID_NOW)
    executed = []
    execute = psycopg.Cursor.execute

    def counting(self, *args, **kwargs):
        executed.append(args[0])
        return execute(self, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    counts = []
    for size in (1, 10, 250):
        rows = [sample(pool.code, GRID_NOW - step * TICK) for step in range(size)]
        executed.clear()
        report("beiyun", rows, now=GRID_NOW)
        counts.append(len([text for text in executed if "SAVEPOINT" not in str(text)]))

    # version of the inventory, shelves as they are, blocks that are there; blocks, states and hours
    # as they will be; account
    assert counts == [4, 5, 5]


@pytest.mark.parametrize("other", [10.0, 11.0], ids=["same", "different"])
def test_rows_that_the_newest_states_know_nothing_of_are_looked_up_again(other):
    pool = PoolFactory()
    report("beiyun", [sample(pool.code, GRID_NOW, allocated=10.0)], now=GRID_NOW)
    # as if a row had been put into the table behind the states' back
    PoolState.objects.filter(pool=pool).delete()
    rows = [
        sample(pool.code, GRID_NOW - TICK, allocated=20.0),
        sample(pool.code, GRID_NOW, allocated=other),
    ]

    outcome = report("beiyun", rows, now=GRID_NOW)

    is_same = other == 10.0
    assert (outcome.accepted, outcome.duplicate, outcome.conflict) == (1, is_same, not is_same)
    assert Sample.objects.get(measured_at=GRID_NOW).allocated == 10.0
    hours = PoolHour.objects.order_by("hour_at").values_list("samples", "allocated_sum")
    assert list(hours) == [(2, 30.0)]


def test_a_pools_new_contract_holds_for_the_next_batch():
    pool = PoolFactory(contract=100.0)
    report("beiyun", [sample(pool.code, GRID_NOW - TICK, capacity=120.0)], now=GRID_NOW)
    pool.contract = 130.0
    pool.save()

    report("beiyun", [sample(pool.code, GRID_NOW, capacity=120.0)], now=GRID_NOW)

    rules = Sample.objects.order_by("measured_at").values_list("quality_rule", flat=True)
    assert list(rules) == ["over-claim", ""]


def test_a_sample_that_no_partition_takes_makes_its_partition():
    pool = PoolFactory()
    far = GRID_NOW + dt.timedelta(days=400)

    outcome = report("beiyun", [sample(pool.code, far)], now=far)

    assert outcome.accepted == 1


def test_history_is_loaded_once_and_twice_with_the_same_result():
    pool = PoolFactory()
    times = pd.date_range("2023-05-20", "2023-05-22", freq="5min", tz="UTC")
    frame = pd.DataFrame({"pool": pool.code, "measured_at": times})
    frame = frame.assign(capacity=100.0, allocated=30.0, queued=1.0, power_kw=float("nan"))

    first = ingest.load_history(frame, now=GRID_NOW)
    before = stored_state()
    second = ingest.load_history(frame, now=GRID_NOW)

    assert (first.accepted, second.duplicate) == (len(times), len(times))
    assert stored_state() == before
    assert set(Sample.objects.values_list("power_kw", "source")) == {(None, "history")}
    hours = selectors.demand_frame(
        dt.datetime(2023, 5, 20, tzinfo=dt.UTC), dt.datetime(2023, 5, 22, tzinfo=dt.UTC)
    )
    assert len(hours) == 48
    assert set(hours["demand"]) == {31.0}


def test_history_never_reaches_into_what_a_provider_reported():
    pool = PoolFactory()
    report("beiyun", [sample(pool.code, GRID_NOW - TICK)], now=GRID_NOW)
    frame = pd.DataFrame(
        {"pool": [pool.code], "measured_at": pd.to_datetime([GRID_NOW]), "capacity": [1.0]}
    ).assign(allocated=0.0, queued=0.0)

    with pytest.raises(ingest.HistoryOverlaps):
        ingest.load_history(frame, now=GRID_NOW)


def test_a_live_window_refuses_each_sample_outside_it_and_no_other():
    pool = PoolFactory()
    moments = [GRID_NOW - dt.timedelta(hours=25), GRID_NOW, GRID_NOW + dt.timedelta(minutes=3)]
    body = pd.io.json.ujson_dumps({"samples": [sample(pool.code, at) for at in moments]})

    outcome = ingest.ingest_batch(
        decode(body.encode()),
        provider_code="beiyun",
        now=GRID_NOW,
        window=live_window(GRID_NOW),
    )

    assert outcome.accepted == 1
    assert outcome.rejected_by_reason == {"too-old": 1, "in-the-future": 1}


MOMENTS = [GRID_NOW - step * dt.timedelta(minutes=25) for step in range(8)]
SAMPLES = st.lists(
    st.tuples(
        st.sampled_from(["beijing-gpu", "second-gpu", "nowhere-gpu"]),
        st.sampled_from(MOMENTS),
        st.integers(-5, 130).map(float),
    ),
    min_size=1,
    max_size=25,
)


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=SAMPLES, cuts=st.lists(st.integers(0, 25), max_size=3))
def test_any_split_of_a_batch_leaves_the_same_state_and_account(rows, cuts):
    batch = [sample(code, at, allocated=units) for code, at, units in rows]
    bounds = sorted({0, *[min(cut, len(batch)) for cut in cuts], len(batch)})
    parts = [batch[start:end] for start, end in pairwise(bounds)]

    whole, state_of_whole = _store_afresh([batch])
    split, state_of_split = _store_afresh(parts)

    assert state_of_split == state_of_whole
    assert split == whole
    assert whole["received"] == len(batch)
    assert whole["received"] == (
        whole["accepted"] + whole["duplicate"] + whole["conflict"] + whole["rejected"]
    )


def _store_afresh(parts):
    for model in (Sample, PoolState, PoolHour, ProviderTally):
        model.objects.all().delete()
    PoolFactory()
    PoolFactory(code="second-gpu")
    for part in parts:
        report("beiyun", part, now=GRID_NOW)
    return ProviderTally.objects.values().get(), stored_state()
