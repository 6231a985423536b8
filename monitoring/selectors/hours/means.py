"""Reads hourly means of many pools; what was made of a packed day is kept while it is as it was.

The database says with each question which packed days are still the ones that were read: a day
that was packed anew has another version, and one with late samples is not read from its pack.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import psycopg
from django.db import connection

from controlplane.lib.recent import Recent
from monitoring.domain.hour_matrix import (
    DAY_HOURS,
    DAY_US,
    SHELF_POOLS,
    GroupTotals,
    columns_of,
    day_means,
    group_totals,
    means,
    shelf_of,
)
from monitoring.domain.samples import FloatArray, IntArray, moment_of, to_us
from monitoring.domain.sums import HOUR_US
from monitoring.formats import pg_arrays
from monitoring.selectors.hours.matrices import hour_matrix

MOST_BYTES = 64 * 1024 * 1024
_days: Recent["_Day"] = Recent(most_bytes=MOST_BYTES)
_totals: Recent[GroupTotals] = Recent(most_bytes=MOST_BYTES // 4)


@dataclass(frozen=True)
class _Day:
    """Hourly means of one measure of the pools of one shelf: (k,) int64 and (k, 24) float64."""

    pool_id: IntArray
    means: FloatArray


@dataclass(frozen=True)
class _Mark:
    """A packed day of a shelf that is up to date, and the version of its row."""

    day_us: int
    shelf: int
    version: int


@dataclass(frozen=True)
class _Span:
    """Days that hold the hours that are asked for; microseconds since 1970 UTC."""

    start_us: int
    end_us: int

    @classmethod
    def around(cls, since: dt.datetime, until: dt.datetime) -> "_Span":
        return cls(to_us(since) // DAY_US * DAY_US, -(-to_us(until) // DAY_US) * DAY_US)

    def hour_of(self, moment_us: int) -> int:
        return (moment_us - self.start_us) // HOUR_US

    def hours(self, since: dt.datetime, until: dt.datetime) -> slice:
        return slice(self.hour_of(to_us(since)), self.hour_of(to_us(until)))


def hour_means(
    pool_ids: IntArray, since: dt.datetime, until: dt.datetime, *, measure: str
) -> FloatArray:
    """Return a measure's hourly means of pools.

    Args:
        pool_ids: (p,) int64, in any order, each once.
        since: first hour, inclusive; a full hour.
        until: end, exclusive; a full hour.
        measure: one of `MEASURES`.

    Returns:
        (p, T) float64, pools as they were asked for; NaN where nothing was reported.
    """
    span, shelves = _Span.around(since, until), shelf_of(pool_ids)
    found: FloatArray = np.full((len(pool_ids), span.hour_of(span.end_us)), np.nan)
    marks = _marks(span, shelves)
    rows_of = {int(shelf): np.flatnonzero(shelves == shelf) for shelf in np.unique(shelves)}
    for mark, day in _packed(marks, measure):
        rows = rows_of[mark.shelf]
        at, is_here = _positions(day.pool_id, pool_ids[rows])
        start = span.hour_of(mark.day_us)
        found[rows[is_here], start : start + DAY_HOURS] = day.means[at[is_here]]
    for begin_us, end_us in _open_runs(span, marks):
        start = span.hour_of(begin_us)
        found[:, start : start + (end_us - begin_us) // HOUR_US] = _read_hours(
            pool_ids, begin_us, end_us, measure
        )
    return np.ascontiguousarray(found[:, span.hours(since, until)])


def hour_group_means(
    pool_ids: IntArray,
    group: IntArray,
    since: dt.datetime,
    until: dt.datetime,
    *,
    measure: str,
    groups: int,
    adds_up: bool,
) -> FloatArray:
    """Return the sum or the mean of the hourly means of each group of pools.

    Args:
        pool_ids: (p,) int64, in any order, each once.
        group: (p,) int64, the group of each pool.
        since: first hour, inclusive; a full hour.
        until: end, exclusive; a full hour.
        measure: one of `MEASURES`.
        groups: how many groups there are, g.
        adds_up: sum, else mean.

    Returns:
        (g, T) float64; NaN where no pool of the group is known.
    """
    span, shelves = _Span.around(since, until), shelf_of(pool_ids)
    found = GroupTotals.empty(groups, span.hour_of(span.end_us))
    marks = _marks(span, shelves)
    grouping = blake2b(pool_ids.tobytes() + group.tobytes(), digest_size=16).digest()
    missing = []
    for mark in marks:
        key = (mark.day_us, mark.shelf, measure, groups, grouping)
        totals = _totals.get(key, version=mark.version)
        if totals is None:
            missing.append(mark)
        else:
            found.add(totals, span.hour_of(mark.day_us))
    for mark, day in _packed(missing, measure):
        rows = np.flatnonzero(shelves == mark.shelf)
        at, is_here = _positions(day.pool_id, pool_ids[rows])
        totals = group_totals(day.means[at[is_here]], group[rows[is_here]], groups)
        found.add(totals, span.hour_of(mark.day_us))
        key = (mark.day_us, mark.shelf, measure, groups, grouping)
        size_bytes = 2 * totals.totals.nbytes
        _totals.put(key, totals, version=mark.version, size_bytes=size_bytes)
    for begin_us, end_us in _open_runs(span, marks):
        values = _read_hours(pool_ids, begin_us, end_us, measure)
        found.add(group_totals(values, group, groups), span.hour_of(begin_us))
    return np.ascontiguousarray(found.finish(adds_up=adds_up)[:, span.hours(since, until)])


def _positions(known: IntArray, asked: IntArray) -> tuple[IntArray, np.ndarray]:
    at = np.minimum(np.searchsorted(known, asked), max(0, len(known) - 1))
    is_here = known[at] == asked if len(known) else np.zeros(len(asked), bool)
    return at, is_here


def _open_runs(span: _Span, marks: Sequence[_Mark]) -> Iterator[tuple[int, int]]:
    """Yield the runs of days that are not packed throughout, as a rule the present day."""
    packed = {mark.day_us for mark in marks}
    begin_us: int | None = None
    for day_us in range(span.start_us, span.end_us, DAY_US):
        if day_us in packed and begin_us is not None:
            yield begin_us, day_us
            begin_us = None
        elif day_us not in packed and begin_us is None:
            begin_us = day_us
    if begin_us is not None:
        yield begin_us, span.end_us


def _read_hours(pool_ids: IntArray, begin_us: int, end_us: int, measure: str) -> FloatArray:
    names = columns_of([measure])
    matrix = hour_matrix(pool_ids, moment_of(begin_us), moment_of(end_us), names=names)
    found: FloatArray = means(matrix, measure)[np.searchsorted(matrix.pool_id, pool_ids)]
    return found


def _marks(span: _Span, shelves: IntArray) -> list[_Mark]:
    """Return the days that are packed and up to date on all of the shelves."""
    asked = np.unique(shelves)
    if len(asked) == 0 or span.end_us <= span.start_us:
        return []
    parameters = {
        "edges": pg_arrays.pack_times(np.array([span.start_us, span.end_us])),
        "shelves": pg_arrays.pack_integers(asked),
        "pools": SHELF_POOLS,
    }
    with connection.wrap_database_errors, _cursor() as cursor:
        row = cursor.execute(_MARKS, parameters, binary=True).fetchone()
    if row is None or row[0] is None:
        return []
    day_us, shelf, version = row
    days, count = np.unique(day_us, return_counts=True)
    is_whole = np.isin(day_us, days[count == len(asked)])
    columns = (column[is_whole].tolist() for column in (day_us, shelf, version))
    return [_Mark(*mark) for mark in zip(*columns, strict=True)]


def _packed(marks: Sequence[_Mark], measure: str) -> Iterator[tuple[_Mark, _Day]]:
    missing: list[_Mark] = []
    for mark in marks:
        day = _days.get((mark.day_us, mark.shelf, measure), version=mark.version)
        if day is None:
            missing.append(mark)
        else:
            yield mark, day
    if missing:
        yield from _read_days(missing, measure)


def _read_days(missing: Sequence[_Mark], measure: str) -> Iterator[tuple[_Mark, _Day]]:
    names = columns_of([measure])
    statement = _DAYS.format(columns=", ".join(f'p."{name}"' for name in names))
    parameters = {
        "days": pg_arrays.pack_times(np.array([mark.day_us for mark in missing])),
        "shelves": pg_arrays.pack_integers(np.array([mark.shelf for mark in missing])),
    }
    with connection.wrap_database_errors, _cursor() as cursor:
        cursor.execute(statement, parameters, binary=True)
        for day_at, shelf, version, pools, *columns in cursor:
            packed = dict(zip(names, columns, strict=True))
            day = _Day(np.frombuffer(pools, "<i8"), day_means(packed, measure))
            mark = _Mark(to_us(day_at), shelf, version)
            size_bytes = day.pool_id.nbytes + day.means.nbytes
            key = (mark.day_us, mark.shelf, measure)
            _days.put(key, day, version=version, size_bytes=size_bytes)
            yield mark, day


def _cursor() -> psycopg.Cursor:
    connection.ensure_connection()
    return pg_arrays.array_cursor(connection.connection)


# the version of a row is the transaction that wrote it
_MARKS = """
SELECT array_agg(p.day_at), array_agg(p.shelf::int8), array_agg(p.xmin::text::int8)
  FROM monitoring_packedday p
 WHERE p.day_at >= (%(edges)s::timestamptz[])[1] AND p.day_at < (%(edges)s::timestamptz[])[2]
   AND p.shelf = ANY(%(shelves)s::int8[])
   AND NOT EXISTS (
       SELECT FROM monitoring_outdatedday o
        WHERE o.day_at = p.day_at
          AND o.pool_id >= p.shelf * %(pools)s AND o.pool_id < (p.shelf + 1) * %(pools)s)
"""
_DAYS = """
SELECT p.day_at, p.shelf, p.xmin::text::int8, p.pools, {columns}
  FROM unnest(%(days)s::timestamptz[], %(shelves)s::int8[]) AS m (day_at, shelf)
  JOIN monitoring_packedday p USING (day_at, shelf)
"""
