"""Reads hourly sums of many pools as matrices: past days packed, the rest hour by hour."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import connection

from monitoring.domain.hour_matrix import DAY_US, SHELF_POOLS, HourMatrix, shelf_of
from monitoring.domain.samples import BoolArray, IntArray, moment_of, to_us
from monitoring.formats import pg_arrays
from monitoring.models import Pool
from monitoring.selectors.shelves import hour_records, places_of

_DAY = dt.timedelta(days=1)
# a day of which less is packed is read hour by hour as a whole
_MOSTLY = 0.8


@dataclass(frozen=True)
class Places:
    """Where pools stand, as columns in order of the pools' codes; codes as objects."""

    pool_id: IntArray
    pool: npt.NDArray[np.object_]
    site: npt.NDArray[np.object_]
    region: npt.NDArray[np.object_]
    provider: npt.NDArray[np.object_]

    def where(self, chosen: BoolArray) -> "Places":
        """Return some of them."""
        return Places(*(getattr(self, part.name)[chosen] for part in fields(self)))


def inventory_version() -> int:
    """Return a number that changes with every change of a pool or a site, and never comes again."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection)
        row = cursor.execute("SELECT version FROM monitoring_inventoryversion").fetchone()
    return int(row[0]) if row else 0


def places() -> Places:
    """Return where all pools stand."""
    return _places_at(inventory_version())


@lru_cache(maxsize=4)
def _places_at(version: int) -> Places:  # noqa: ARG001
    columns = ("pk", "code", "site_id", "site__region_id", "site__provider_id")
    rows = sorted(Pool.objects.values_list(*columns), key=lambda row: row[1])
    texts = (np.array([row[part] for row in rows], dtype=object) for part in range(1, 5))
    return Places(np.array([row[0] for row in rows], np.int64), *texts)


def hour_matrix(
    pool_ids: IntArray, since: dt.datetime, until: dt.datetime, *, names: Sequence[str]
) -> HourMatrix:
    """Return hourly sums of pools.

    Args:
        pool_ids: (p,) int64, in any order.
        since: first hour, inclusive; a full hour.
        until: end, exclusive; a full hour.
        names: columns of the hours' table.
    """
    ordered = np.sort(pool_ids)
    first_us, end_us = to_us(since) // DAY_US * DAY_US, -(-to_us(until) // DAY_US) * DAY_US
    matrix = HourMatrix.empty(ordered, start_us=first_us, end_us=end_us, names=names)
    days = max(0, (end_us - first_us) // DAY_US)
    if days and len(ordered):
        is_packed = _fill_from_days(matrix, days)
        _fill_the_rest(matrix, is_packed, since, until)
    return matrix.between(to_us(since), max(to_us(since), to_us(until)))


def fill_from_hours(
    matrix: HourMatrix, since: dt.datetime, until: dt.datetime, *, pool_ids: IntArray
) -> None:
    """Fill in the stored hours of [since, until) of some of the matrix's pools."""
    stands = places_of(pool_ids)
    records, place, hour_us = hour_records(stands.shelves, since, until)
    pool_id = stands.pool_at(place)
    is_asked = pool_id > 0
    columns = {name: records[name][is_asked].astype(np.float64) for name in matrix.columns}
    matrix.put_hours(pool_id[is_asked], hour_us[is_asked], columns)


def _fill_from_days(matrix: HourMatrix, days: int) -> BoolArray:
    """Fill in what is packed and up to date; return for which pools and days that was."""
    is_packed = np.zeros((len(matrix.pool_id), days), bool)
    names = list(matrix.columns)
    shelves = shelf_of(matrix.pool_id)
    parameters = {
        "since": moment_of(matrix.start_us),
        "until": moment_of(matrix.start_us + days * DAY_US),
        "shelves": np.unique(shelves).tolist(),
        "pools": SHELF_POOLS,
    }
    # one statement, one snapshot: a day cannot be packed anew between its values and its marks
    statement = f"""
        SELECT p.day_at, p.shelf, p.pools, {", ".join(f"p.{name}" for name in names)},
               ARRAY(SELECT o.pool_id FROM monitoring_outdatedday o
                      WHERE o.day_at = p.day_at AND o.pool_id / %(pools)s = p.shelf)
          FROM monitoring_packedday p
         WHERE p.day_at >= %(since)s AND p.day_at < %(until)s AND p.shelf = ANY(%(shelves)s)
    """  # noqa: S608 (only the names of our own columns are put in)
    with connection.wrap_database_errors, pg_arrays.array_cursor(_raw()) as cursor:
        cursor.execute(statement, parameters, binary=True)
        for day_at, shelf, pools, *columns, outdated in cursor:
            day_us = to_us(day_at)
            matrix.put_day(
                np.frombuffer(pools, "<i8"), day_us, dict(zip(names, columns, strict=True))
            )
            is_packed[shelves == shelf, (day_us - matrix.start_us) // DAY_US] = True
            if len(outdated):
                is_changed = np.isin(matrix.pool_id, outdated)
                is_packed[is_changed, (day_us - matrix.start_us) // DAY_US] = False
    return is_packed


def _fill_the_rest(
    matrix: HourMatrix, is_packed: BoolArray, since: dt.datetime, until: dt.datetime
) -> None:
    first = moment_of(matrix.start_us)
    is_open = is_packed.mean(axis=0) < _MOSTLY
    # runs of days that are read whole: as a rule one, the present day
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_open, [False]]).astype(np.int8)))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        begin = max(since, first + start * _DAY)
        fill_from_hours(matrix, begin, min(until, first + end * _DAY), pool_ids=matrix.pool_id)
    for day in np.flatnonzero(~is_open & ~is_packed.all(axis=0)).tolist():
        begin, end = max(since, first + day * _DAY), min(until, first + (day + 1) * _DAY)
        fill_from_hours(matrix, begin, end, pool_ids=matrix.pool_id[~is_packed[:, day]])


def _raw() -> Any:
    connection.ensure_connection()
    return connection.connection
