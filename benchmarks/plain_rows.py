"""Stores samples as most would: a row for each in a plain table, by COPY or by a serializer."""

import datetime as dt
import importlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

PG_EPOCH_US = 946_684_800 * 1_000_000
# signature, flags, length of the header's extension
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
WEEK = dt.timedelta(days=7)
TABLE = """
CREATE TABLE plain_sample (
    pool_id bigint NOT NULL,
    measured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    capacity double precision NOT NULL CHECK (capacity >= 0 AND capacity <= 1e9),
    allocated double precision NOT NULL CHECK (allocated >= 0 AND allocated <= 1e9),
    queued double precision NOT NULL CHECK (queued >= 0 AND queued <= 1e9),
    unavailable double precision CHECK (unavailable >= 0 AND unavailable <= 1e9),
    power_kw double precision CHECK (power_kw >= 0 AND power_kw <= 1e9),
    price_per_unit_h double precision
        CHECK (price_per_unit_h >= -1e9 AND price_per_unit_h <= 1e9),
    carbon_g_per_kwh double precision CHECK (carbon_g_per_kwh >= 0 AND carbon_g_per_kwh <= 1e9),
    source smallint NOT NULL,
    quality smallint NOT NULL,
    quality_rule smallint NOT NULL,
    PRIMARY KEY (pool_id, measured_at)
) PARTITION BY RANGE (measured_at)
"""


def make_table(now: dt.datetime) -> None:
    """Make the table, with partitions of a week from two weeks ago on."""
    connection = importlib.import_module("django.db").connection
    monday = (now - now.weekday() * dt.timedelta(days=1)).date()
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
        for week in range(-2, 2):
            start = monday + week * WEEK
            cursor.execute(
                f"CREATE TABLE plain_sample_{start:%Y%m%d} PARTITION OF plain_sample"
                f" FOR VALUES FROM ('{start} 00:00+00') TO ('{start + WEEK} 00:00+00')"
            )


def pool_ids(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the keys of the pools that a feed's ordinals stand for."""
    models = importlib.import_module("monitoring.models")
    ids = dict(models.Pool.objects.values_list("code", "pk"))
    return np.array([ids[f"p{ordinal}-gpu"] for ordinal in columns["pool"].tolist()], np.int64)


def row_copy(columns: Mapping[str, np.ndarray], fields: Sequence[str]) -> tuple[str, bytes]:
    """Return a COPY statement and its body: the rows in order of pool and time."""
    pool_id = pool_ids(columns)
    order = np.lexsort((columns["us"], pool_id))
    at = columns["us"][order] - PG_EPOCH_US
    parts: dict[str, tuple[np.ndarray, str]] = {"pool_id": (pool_id[order], ">i8")}
    parts |= dict.fromkeys(("measured_at", "received_at"), (at, ">i8"))
    parts |= {name: (columns[name][order].astype(float), ">f8") for name in fields}
    none = np.zeros(len(order), np.int16)
    parts |= dict.fromkeys(("source", "quality", "quality_rule"), (none, ">i2"))
    return f"COPY plain_sample ({', '.join(parts)}) FROM STDIN (FORMAT BINARY)", packed(parts)


def packed(parts: Mapping[str, tuple[np.ndarray, str]]) -> bytes:
    """Return columns of fixed width as PostgreSQL's binary COPY wants them."""
    layout = [("fields", ">i2")]
    for name, (_, kind) in parts.items():
        layout += [(f"length of {name}", ">i4"), (name, kind)]
    records = np.empty(len(next(iter(parts.values()))[0]), np.dtype(layout))
    records["fields"] = len(parts)
    for name, (column, kind) in parts.items():
        records[f"length of {name}"], records[name] = np.dtype(kind).itemsize, column
    return HEADER + records.tobytes() + TRAILER


def block_copy(columns: Mapping[str, np.ndarray], fields: Sequence[str]) -> tuple[str, bytes]:
    """Return a COPY statement and its body: the same rows in blocks as ours stores them."""
    sums = importlib.import_module("monitoring.domain.sums")
    blocks = importlib.import_module("monitoring.domain.sample_blocks")
    selectors = importlib.import_module("monitoring.selectors")
    pool_id = pool_ids(columns)
    stands = selectors.places_of(np.unique(pool_id))
    by_pool = np.argsort(stands.pool_id)
    place = stands.place[by_pool][np.searchsorted(stands.pool_id[by_pool], pool_id)]
    none = np.zeros(len(pool_id), np.int16)
    values = {name: columns[name].astype(float) for name in fields}
    rows = sums.Rows(pool_id, columns["us"], values, none, none)
    made = blocks.to_blocks(rows, place)
    kinds, body = made.kinds.encode(), [HEADER]
    numbers = zip(
        made.shelf.tolist(), made.measured_us.tolist(), made.members.tolist(), strict=True
    )
    for (shelf, us, members), run in zip(numbers, made.values, strict=True):
        at = us - PG_EPOCH_US
        cells = [struct.pack("!q", number) for number in (shelf, at, at, members)]
        cells += [struct.pack("!h", 0), struct.pack("!h", 0), kinds, run]
        body.append(struct.pack("!h", len(cells)))
        body += [struct.pack("!i", len(cell)) + cell for cell in cells]
    names = 'shelf, measured_at, received_at, members, part, source, kinds, "values"'
    statement = f"COPY monitoring_sampleblock ({names}) FROM STDIN (FORMAT BINARY)"
    return statement, b"".join([*body, TRAILER])


def store_with_serializer(body: bytes, fields: Sequence[str]) -> int:
    """Store a body of rows by a REST framework serializer; return how many there were."""
    serializers = importlib.import_module("rest_framework.serializers")
    transaction = importlib.import_module("django.db").transaction
    models = importlib.import_module("monitoring.models")
    numbers = {name: serializers.FloatField(min_value=0, max_value=1e9) for name in fields}
    kinds = {"pool": serializers.CharField(), "measured_at": serializers.DateTimeField(), **numbers}
    rows = type("SampleIn", (serializers.Serializer,), kinds)(
        data=json.loads(body)["samples"], many=True
    )
    rows.is_valid(raise_exception=True)
    plain = plain_model()
    with transaction.atomic():
        ids = dict(models.Pool.objects.values_list("code", "pk"))
        plain.objects.bulk_create(
            [
                plain(
                    pool_id=ids[row.pop("pool")],
                    received_at=row["measured_at"],
                    **dict.fromkeys(("source", "quality", "quality_rule"), 0),
                    **row,
                )
                for row in rows.validated_data
            ],
            ignore_conflicts=True,
        )
    return len(rows.validated_data)


def plain_model() -> Any:
    """Return a model of the plain table."""
    models = importlib.import_module("django.db").models
    apps = importlib.import_module("django.apps").apps
    if "plainsample" in apps.all_models["monitoring"]:
        return apps.all_models["monitoring"]["plainsample"]
    names = ("capacity", "allocated", "queued", "unavailable", "power_kw")
    fields: dict[str, Any] = {
        "pk": models.CompositePrimaryKey("pool_id", "measured_at"),
        "pool_id": models.BigIntegerField(),
        "measured_at": models.DateTimeField(),
        "received_at": models.DateTimeField(),
        **{name: models.FloatField(null=True) for name in names},
        **{name: models.FloatField(null=True) for name in ("price_per_unit_h", "carbon_g_per_kwh")},
        **{name: models.SmallIntegerField() for name in ("source", "quality", "quality_rule")},
    }
    meta = type(
        "Meta", (), {"managed": False, "db_table": "plain_sample", "app_label": "monitoring"}
    )
    return type("PlainSample", (models.Model,), {**fields, "Meta": meta, "__module__": __name__})
