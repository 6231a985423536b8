"""Reads hourly sums of many pools as matrices: past days packed, the rest hour by hour."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection

from monitoring.domain.hour_matrix import DAY_US, SHELF_POOLS, HourMatrix, shelf_of
from monitoring.domain.samples import BoolArray, IntArray, moment_of, to_us
from monitoring.formats import pg_arrays
from monitoring.models import Pool

_DAY = dt.timedelta(days=1)
# a day of which less is packed is read hour by hour as a whole
_MOSTLY = 0.8
# a few pools' hours are read as quickly as whole shelves of days
FEW_POOLS = 8


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
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM monitoring_inventoryversion")
        return int(cursor.fetchone()[0])


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
    names = list(matrix.columns)
    statement = f"""
        SELECT array_agg(pool_id), array_agg(hour_at),
               {", ".join(f"array_agg({name}::float8)" for name in names)}
          FROM monitoring_poolhour
         WHERE hour_at >= %(since)s AND hour_at < %(until)s AND pool_id = ANY(%(pools)s)
    """  # noqa: S608 (only the names of our own columns are put in)
    found = _one_row(statement, since=since, until=until, pools=pool_ids)
    if found is not None:
        pool_id, hour_us, *columns = found
        matrix.put_hours(pool_id, hour_us, dict(zip(names, columns, strict=True)))


def _fill_from_days(matrix: HourMatrix, days: int) -> BoolArray:
    """Fill in what is packed and up to date; return for which pools and days that was."""
    is_packed = np.zeros((len(matrix.pool_id), days), bool)
    if len(matrix.pool_id) <= FEW_POOLS:
        return is_packed
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


def _one_row(statement: str, *, pools: IntArray | None = None, **parameters: object) -> Any:
    if pools is not None:
        parameters["pools"] = pg_arrays.pack_integers(pools)
    with connection.wrap_database_errors, pg_arrays.array_cursor(_raw()) as cursor:
        cursor.execute(statement, parameters, binary=True)
        row = cursor.fetchone()
    return None if row is None or row[0] is None else row


def _raw() -> Any:
    connection.ensure_connection()
    return connection.connection
