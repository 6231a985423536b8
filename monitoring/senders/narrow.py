"""Stores points in the narrow table: each series and time once, the first value stays."""

import numpy as np
from django.db import connection

from monitoring.domain.samples import BoolArray, FloatArray, IntArray, first_of_each
from monitoring.formats import pg_arrays


def store_points(
    series_id: IntArray, measured_us: IntArray, value: FloatArray
) -> tuple[BoolArray, BoolArray]:
    """Store points in one statement.

    Args:
        series_id: (m,) int64.
        measured_us: (m,) int64, microseconds since 1970 UTC.
        value: (m,) float64.

    Returns:
        (m,) whether a point was new, and (m,) whether another value was there already. NaN equals
        NaN, whatever its bits.
    """
    is_new, is_conflict = np.zeros((2, len(series_id)), bool)
    if len(series_id) == 0:
        return is_new, is_conflict
    first, group = first_of_each(series_id, measured_us)
    was_stored = _insert(series_id[first], measured_us[first], value[first])
    is_new[first[was_stored]] = True
    if is_new.all():
        return is_new, is_conflict
    reference = value[first]
    known = ~was_stored
    if known.any():
        reference[known] = _stored(series_id[first[known]], measured_us[first[known]])
    kept = reference[group]
    is_same = (kept == value) | (np.isnan(kept) & np.isnan(value))
    return is_new, ~is_new & ~is_same


def _insert(series_id: IntArray, measured_us: IntArray, value: FloatArray) -> BoolArray:
    stored = np.zeros(len(series_id), bool)
    parameters = {
        "series_id": pg_arrays.pack_integers(series_id),
        "measured_at": pg_arrays.pack_times(measured_us),
        "value": pg_arrays.pack_floats(value),
    }
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(_INSERT, parameters, binary=True)
        positions = [position for (position,) in cursor.fetchall()]
    stored[np.asarray(positions, np.int64) - 1] = True
    return stored


def _stored(series_id: IntArray, measured_us: IntArray) -> FloatArray:
    parameters = {
        "series_id": pg_arrays.pack_integers(series_id),
        "measured_at": pg_arrays.pack_times(measured_us),
        # the planner leaves out the partitions outside these two
        "oldest": pg_arrays.pack_times(measured_us.min(keepdims=True)),
        "newest": pg_arrays.pack_times(measured_us.max(keepdims=True)),
    }
    values = np.full(len(series_id), np.nan)
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(_STORED, parameters, binary=True)
        for position, value in cursor.fetchall():
            values[position - 1] = value
    return values


_INSERT = """
WITH batch AS (
    SELECT b.series_id, b.measured_at, b.value, b.ord
      FROM unnest(%(series_id)s::int8[], %(measured_at)s::timestamptz[], %(value)s::float8[])
      WITH ORDINALITY AS b (series_id, measured_at, value, ord)
), stored AS (
    INSERT INTO monitoring_point (series_id, measured_at, value)
    SELECT series_id, measured_at, value FROM batch ORDER BY ord
        ON CONFLICT (series_id, measured_at) DO NOTHING
    RETURNING series_id, measured_at
)
SELECT batch.ord FROM batch JOIN stored USING (series_id, measured_at)
"""
_STORED = """
SELECT b.ord, p.value
  FROM unnest(%(series_id)s::int8[], %(measured_at)s::timestamptz[])
  WITH ORDINALITY AS b (series_id, measured_at, ord)
  JOIN monitoring_point p ON p.series_id = b.series_id AND p.measured_at = b.measured_at
 WHERE p.measured_at >= (%(oldest)s::timestamptz[])[1]
   AND p.measured_at <= (%(newest)s::timestamptz[])[1]
"""
