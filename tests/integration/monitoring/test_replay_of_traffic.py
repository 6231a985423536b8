"""An hour's traffic, shuffled and cut anew, in every form of the API: always the same tables."""

import datetime as dt
import hashlib
import io
import json

import numpy as np
import pyarrow as pa
import pytest

from monitoring import ingest
from monitoring.domain.samples import Window
from monitoring.formats import arrow, rows
from monitoring.models import PoolHour, PoolState, ProviderTally, Sample
from tests.conftest import GRID_NOW
from tests.factories import PoolFactory, sample

pytestmark = pytest.mark.django_db
POOLS = 12
REPLAYS = 10


def an_hour_of_traffic():
    rng = np.random.default_rng(5)
    traffic = []
    for tick in range(60):
        for pool in range(POOLS):
            at = GRID_NOW - dt.timedelta(minutes=tick, seconds=int(rng.integers(0, 30)))
            values = {"allocated": float(rng.integers(0, 130)), "queued": float(rng.integers(0, 9))}
            values["power_kw"] = float(rng.integers(1, 90)) if tick % 3 else None
            traffic.append(sample(f"p{pool}-gpu", at, **values))
    # senders repeat themselves; some of it nobody can take
    return [*traffic, *traffic[::7], *[sample("nowhere-gpu", GRID_NOW)] * 5]


def as_rows(part):
    return rows.decode(json.dumps({"samples": part}).encode())


def as_columns(part):
    columns = {name: [row.get(name) for row in part] for name in (*part[0], "power_kw")}
    return rows.decode(json.dumps({"columns": columns}).encode())


def as_arrow(part):
    times = [dt.datetime.fromisoformat(row["measured_at"]) for row in part]
    table = pa.table(
        {
            "pool": [row["pool"] for row in part],
            "measured_at": pa.array(times, pa.timestamp("us", tz="UTC")),
            **{
                name: pa.array([row.get(name) for row in part], pa.float64())
                for name in ("capacity", "allocated", "queued", "power_kw")
            },
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return arrow.decode(sink.getvalue())


def hash_of_tables():
    found = hashlib.sha256()
    for model, order in (
        (Sample, ("pool__code", "measured_at")),
        (PoolState, ("pool__code",)),
        (PoolHour, ("pool__code", "hour_at")),
    ):
        skipped = {"id", "pool", "received_at", "pk"}
        names = [part.name for part in model._meta.concrete_fields if part.name not in skipped]
        for row in model.objects.order_by(*order).values_list("pool__code", *names):
            found.update(repr(row).encode())
    return found.hexdigest()


def push(parts, forms):
    for model in (Sample, PoolState, PoolHour, ProviderTally):
        model.objects.all().delete()
    window = Window(GRID_NOW - dt.timedelta(days=1), GRID_NOW)
    for number, part in enumerate(parts):
        batch = forms[number % len(forms)](part)
        ingest.ingest_batch(batch, provider_code="beiyun", now=GRID_NOW, window=window)
    tally = ProviderTally.objects.get()
    assert tally.received == tally.accepted + tally.duplicate + tally.conflict + tally.rejected
    counts = (tally.received, tally.accepted, tally.duplicate, tally.conflict, tally.rejected)
    return hash_of_tables(), counts


def test_ten_replays_shuffled_and_cut_anew_leave_identical_tables():
    for number in range(POOLS):
        PoolFactory(code=f"p{number}-gpu")
    traffic = an_hour_of_traffic()
    expected = push([traffic], [as_rows])
    rng = np.random.default_rng(6)

    outcomes = set()
    for _ in range(REPLAYS):
        order = rng.permutation(len(traffic))
        cuts = np.sort(rng.choice(len(traffic) - 1, int(rng.integers(1, 30)), replace=False) + 1)
        parts = [[traffic[at] for at in part] for part in np.split(order, cuts)]
        outcomes.add(push(parts, [as_rows, as_columns, as_arrow]))

    assert outcomes == {expected}
    assert expected[1] == (720 + 103 + 5, 720, 103, 0, 5)
