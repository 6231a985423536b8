"""Packs the hours of days that are over, many pools in one row, and again when they changed."""

import datetime as dt
from collections.abc import Iterable

import numpy as np
from django.db import connection, transaction

from monitoring import selectors
from monitoring.domain.hour_matrix import (
    COLUMNS,
    DAY_US,
    SHELF_POOLS,
    HourMatrix,
    pack_day,
    shelf_of,
)
from monitoring.domain.samples import to_us
from monitoring.models import OutdatedDay, PackedDay

# bounds one turn of the loop; what is left is found again by the next
MOST_SHELVES = 200
_DAY = dt.timedelta(days=1)
# a provider that was cut off for an hour catches up in the hours, not in a day packed twice
_REST = dt.timedelta(hours=1)
Shelf = tuple[dt.datetime, int]


def pack_past_days(now: dt.datetime) -> int:
    """Pack the days that are over and not packed, or outdated since.

    Args:
        now: present grid time.

    Returns:
        How many shelves of days were packed.
    """
    # one after the other: what the first has packed is outdated no more
    return _pack_all(_shelves(_NEVER_PACKED, now)) + _pack_all(_shelves(_CHANGED, now))


def _pack_all(shelves: Iterable[Shelf]) -> int:
    packed = 0
    for day, shelf in shelves:
        _pack(day, shelf)
        packed += 1
    return packed


def _shelves(statement: str, now: dt.datetime) -> list[Shelf]:
    shelves = np.unique(shelf_of(selectors.places().pool_id)).tolist()
    parameters = {
        "until": now - _REST,
        "shelves": shelves,
        "pools": SHELF_POOLS,
        "most": MOST_SHELVES,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: list[Shelf] = cursor.fetchall()
    return found


@transaction.atomic
def _pack(day: dt.datetime, shelf: int) -> None:
    pool_ids = np.arange(shelf * SHELF_POOLS, (shelf + 1) * SHELF_POOLS)
    with connection.cursor() as cursor:
        # A moment without writers: what they had begun is committed and read below, and what they
        # begin after this marks the day as outdated.
        cursor.execute(_LOCK, {"first": int(pool_ids[0]), "last": int(pool_ids[-1])})
    start_us = to_us(day)
    matrix = HourMatrix.empty(pool_ids, start_us=start_us, end_us=start_us + DAY_US, names=COLUMNS)
    selectors.fill_from_hours(matrix, day, day + _DAY, pool_ids=pool_ids)
    has_hours = matrix.columns["samples"].any(axis=1)
    PackedDay.objects.update_or_create(
        day_at=day,
        shelf=shelf,
        defaults={
            "pools": pool_ids[has_hours].astype("<i8").tobytes(),
            **{name: pack_day(column[has_hours]) for name, column in matrix.columns.items()},
        },
    )
    OutdatedDay.objects.filter(
        day_at=day, pool_id__gte=int(pool_ids[0]), pool_id__lte=int(pool_ids[-1])
    ).delete()


_LOCK = """
SELECT FROM monitoring_poolshelf
 WHERE shelf IN (SELECT shelf_id FROM monitoring_poolslot
                  WHERE pool_id BETWEEN %(first)s AND %(last)s)
 ORDER BY shelf FOR NO KEY UPDATE
"""
_NEVER_PACKED = """
SELECT day, shelf
  FROM generate_series(
       (SELECT date_trunc('day', min(hour_at), 'UTC') FROM monitoring_hourshelf),
       date_trunc('day', %(until)s::timestamptz, 'UTC') - interval '1 day',
       interval '1 day') AS day
 CROSS JOIN unnest(%(shelves)s::bigint[]) AS shelf
 WHERE NOT EXISTS (
       SELECT FROM monitoring_packedday p WHERE p.day_at = day AND p.shelf = shelf.shelf)
 ORDER BY day, shelf LIMIT %(most)s
"""
_CHANGED = """
SELECT DISTINCT day_at, pool_id / %(pools)s
  FROM monitoring_outdatedday
 WHERE day_at < date_trunc('day', %(until)s::timestamptz, 'UTC')
 ORDER BY 1, 2 LIMIT %(most)s
"""
