"""Writes judged samples, newest states and hourly sums; the first value of a pool and time stays.

Rows are sent as COPY, which is what PostgreSQL stores quickest, and which knows no ON CONFLICT:
what may be stored already is looked up first. Only rows at or before the newest of their pool can
be. Where another request stores the same rows meanwhile, the primary key refuses them and the
caller begins again.
"""

import datetime as dt

import numpy as np
import psycopg
from django.db import connection

from monitoring.domain.hour_matrix import DAY_US
from monitoring.domain.samples import (
    FIELD_NAMES,
    QUALITIES,
    RULES,
    SOURCES,
    BoolArray,
    FloatArray,
    Source,
    Verdict,
    first_of_each,
    same_values,
    to_us,
)
from monitoring.domain.sums import (
    COUNT_NAMES,
    SUM_NAMES,
    HourSums,
    Rows,
    hour_sums,
    newest_of_each_pool,
    rows_of,
)
from monitoring.formats import pg_arrays, pg_copy


def store(
    verdict: Verdict, source: Source, now: dt.datetime, *, looks_at_all: bool = False
) -> tuple[BoolArray, BoolArray]:
    """Store what is new of a judged batch, in the caller's transaction.

    Args:
        verdict: m samples that are taken, in any order, repeated ones among them.
        source: where they came from.
        now: when they came.
        looks_at_all: look up every row, not only those that the newest states say may be there.

    Returns:
        (m,) whether each was new, and (m,) whether other values were there already.

    Raises:
        IntegrityError: another transaction has stored one of the rows since it was looked up, or
            no partition takes its time.
    """
    count = len(verdict.index)
    accepted, conflict = np.zeros(count, bool), np.zeros(count, bool)
    if count == 0:
        return accepted, conflict
    first, group = first_of_each(verdict.pool_id, verdict.measured_us)
    rows = rows_of(verdict, first)
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        is_stored, stored = _look_up(cursor, rows, looks_at_all=looks_at_all)
        _write(cursor, rows.where(~is_stored) if is_stored.any() else rows, source, now)
    accepted[first[~is_stored]] = True
    if accepted.all():
        return accepted, conflict
    reference = {name: column[group] for name, column in stored.items()}
    return accepted, ~accepted & ~same_values(verdict.values, reference)


def _look_up(
    cursor: psycopg.Cursor, rows: Rows, *, looks_at_all: bool
) -> tuple[BoolArray, dict[str, FloatArray]]:
    """Return which rows are stored, and the values that count for each: the stored or its own."""
    is_stored = np.zeros(len(rows), bool)
    values = dict(rows.values)
    may_be_stored = np.ones(len(rows), bool) if looks_at_all else _not_newest(cursor, rows)
    if not may_be_stored.any():
        return is_stored, values
    chosen = np.flatnonzero(may_be_stored)
    times = rows.measured_us[chosen]
    parameters = {
        "pool_id": pg_arrays.pack_integers(rows.pool_id[chosen]),
        "measured_at": pg_arrays.pack_times(times),
        # the planner leaves out the partitions outside these two
        "oldest": pg_arrays.pack_times(times.min(keepdims=True)),
        "newest": pg_arrays.pack_times(times.max(keepdims=True)),
    }
    cursor.execute(_STORED, parameters, binary=True)
    found = cursor.fetchall()
    stored = np.array(found, dtype=np.float64).reshape(len(found), 1 + len(FIELD_NAMES))
    target = chosen[stored[:, 0].astype(np.int64) - 1]
    is_stored[target] = True
    for column, name in enumerate(FIELD_NAMES, start=1):
        values[name] = values[name].copy()
        values[name][target] = stored[:, column]
    return is_stored, values


def _not_newest(cursor: psycopg.Cursor, rows: Rows) -> BoolArray:
    is_first = np.ones(len(rows), bool)
    is_first[1:] = rows.pool_id[1:] != rows.pool_id[:-1]
    parameters = {
        "pool_id": pg_arrays.pack_integers(rows.pool_id[is_first]),
        "oldest": pg_arrays.pack_times(rows.measured_us[is_first]),
    }
    cursor.execute(_NOT_BEFORE, parameters, binary=True)
    found = cursor.fetchall()
    if not found:
        return np.zeros(len(rows), bool)
    pool_id, newest_us = np.array(found, np.int64).T
    order = np.argsort(pool_id)
    pool_id, newest_us = pool_id[order], newest_us[order]
    at = np.minimum(np.searchsorted(pool_id, rows.pool_id), len(pool_id) - 1)
    may_be: BoolArray = (pool_id[at] == rows.pool_id) & (rows.measured_us <= newest_us[at])
    return may_be


def _write(cursor: psycopg.Cursor, rows: Rows, source: Source, now: dt.datetime) -> None:
    # samples, then states, then hours, each in order of the key: no two requests wait for each
    # other in a circle
    if len(rows) == 0:
        return
    _copy(cursor, rows, source, now)
    newest, hours = newest_of_each_pool(rows), hour_sums(rows)
    cursor.execute(_NEWEST, _newest_parameters(newest, now))
    cursor.execute(_HOURS, _hour_parameters(hours))
    _outdate_days(cursor, hours, now)


def _outdate_days(cursor: psycopg.Cursor, hours: HourSums, now: dt.datetime) -> None:
    # After the hours: who packs a day holds up writers of hours, so either the day is seen here
    # or these hours are seen there.
    day_us = hours.hour_us // DAY_US * DAY_US
    is_past = day_us + DAY_US <= to_us(now)
    if not is_past.any():
        return
    pool_id, day_us = hours.pool_id[is_past], day_us[is_past]
    is_first = np.ones(len(pool_id), bool)
    is_first[1:] = (pool_id[1:] != pool_id[:-1]) | (day_us[1:] != day_us[:-1])
    parameters = {
        "pool_id": pg_arrays.pack_integers(pool_id[is_first]),
        "day_at": pg_arrays.pack_times(day_us[is_first]),
    }
    cursor.execute(_OUTDATED, parameters)


def _copy(cursor: psycopg.Cursor, rows: Rows, source: Source, now: dt.datetime) -> None:
    size = len(rows)
    integers = {"pool_id": rows.pool_id}
    times_us = {
        "measured_at": rows.measured_us,
        "received_at": np.full(size, to_us(now), np.int64),
    }
    # what nobody reported need not travel
    floats = {name: column for name, column in rows.values.items() if not np.isnan(column).all()}
    codes = {
        "source": np.full(size, SOURCES.index(source), np.int16),
        "quality": rows.quality,
        "quality_rule": rows.rule,
    }
    names = pg_copy.column_names(integers, times_us, floats, codes)
    with cursor.copy(f"COPY monitoring_sample ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        for part in pg_copy.pack_rows(
            integers=integers, times_us=times_us, floats=floats, codes=codes
        ):
            copy.write(part)


def _newest_parameters(newest: Rows, now: dt.datetime) -> dict[str, object]:
    return {
        "pool_id": pg_arrays.pack_integers(newest.pool_id),
        "measured_at": pg_arrays.pack_times(newest.measured_us),
        "quality": pg_arrays.pack_codes(newest.quality + np.int16(1)),
        "rule": pg_arrays.pack_codes(newest.rule + np.int16(1)),
        "quality_names": [quality.value for quality in QUALITIES],
        "rule_names": [rule.value for rule in RULES],
        "received_at": now,
        **{name: pg_arrays.pack_floats(newest.values[name]) for name in FIELD_NAMES},
    }


def _hour_parameters(hours: HourSums) -> dict[str, object]:
    return {
        "pool_id": pg_arrays.pack_integers(hours.pool_id),
        "hour_at": pg_arrays.pack_times(hours.hour_us),
        **{name: pg_arrays.pack_integers(column) for name, column in hours.counts.items()},
        **{name: pg_arrays.pack_floats(column) for name, column in hours.sums.items()},
    }


_VALUES = ", ".join(FIELD_NAMES)
_NOT_BEFORE = """
SELECT s.pool_id, (extract(epoch FROM s.measured_at) * 1000000)::int8
  FROM unnest(%(pool_id)s::int8[], %(oldest)s::timestamptz[]) AS b (pool_id, oldest)
  JOIN monitoring_poolstate s ON s.pool_id = b.pool_id
 WHERE s.measured_at >= b.oldest
"""
_STORED = f"""
SELECT b.ord, {", ".join(f"s.{name}" for name in FIELD_NAMES)}
  FROM unnest(%(pool_id)s::int8[], %(measured_at)s::timestamptz[])
  WITH ORDINALITY AS b (pool_id, measured_at, ord)
  JOIN monitoring_sample s ON s.pool_id = b.pool_id AND s.measured_at = b.measured_at
 WHERE s.measured_at >= (%(oldest)s::timestamptz[])[1]
   AND s.measured_at <= (%(newest)s::timestamptz[])[1]
"""  # noqa: S608 (only the names of our own fields are put in)
_NEWEST = f"""
INSERT INTO monitoring_poolstate AS s
       (pool_id, measured_at, received_at, {_VALUES}, quality, quality_rule)
SELECT b.pool_id, b.measured_at, %(received_at)s::timestamptz,
       {", ".join(f"NULLIF(b.{name}, 'NaN')" for name in FIELD_NAMES)},
       (%(quality_names)s::text[])[b.quality], (%(rule_names)s::text[])[b.rule]
  FROM unnest(%(pool_id)s::int8[], %(measured_at)s::timestamptz[], %(quality)s::int2[],
              %(rule)s::int2[], {", ".join(f"%({name})s::float8[]" for name in FIELD_NAMES)})
       AS b (pool_id, measured_at, quality, rule, {_VALUES})
    ON CONFLICT (pool_id) DO UPDATE SET
       (measured_at, received_at, {_VALUES}, quality, quality_rule)
       = (excluded.measured_at, excluded.received_at,
          {", ".join(f"excluded.{name}" for name in FIELD_NAMES)},
          excluded.quality, excluded.quality_rule)
 WHERE excluded.measured_at > s.measured_at
"""  # noqa: S608 (only the names of our own fields are put in)
_OUTDATED = """
INSERT INTO monitoring_outdatedday (pool_id, day_at)
SELECT * FROM unnest(%(pool_id)s::int8[], %(day_at)s::timestamptz[])
    ON CONFLICT (day_at, pool_id) DO NOTHING
"""
_ADDED = (*COUNT_NAMES, *SUM_NAMES)
_HOURS = f"""
INSERT INTO monitoring_poolhour AS h (pool_id, hour_at, {", ".join(_ADDED)}, demand_max)
SELECT * FROM unnest(
       %(pool_id)s::int8[], %(hour_at)s::timestamptz[],
       {", ".join(f"%({name})s::int8[]" for name in COUNT_NAMES)},
       {", ".join(f"%({name})s::float8[]" for name in SUM_NAMES)}, %(demand_max)s::float8[])
    ON CONFLICT (pool_id, hour_at) DO UPDATE SET
       {", ".join(f"{name} = h.{name} + excluded.{name}" for name in _ADDED)},
       demand_max = greatest(h.demand_max, excluded.demand_max)
"""  # noqa: S608 (only the names of our own fields are put in)
