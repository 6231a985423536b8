"""Reads telemetry as columns: what is newest of all pools, and a pool's samples as they came."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection

from monitoring.domain.samples import FIELD_NAMES, QUALITIES, RULES, FloatArray, IntArray
from monitoring.formats import pg_arrays

_NAMES_OF_QUALITY = np.array([quality.value for quality in QUALITIES], dtype=object)
_NAMES_OF_RULE = np.array([rule.value for rule in RULES], dtype=object)


@dataclass(frozen=True)
class SampleColumns:
    """Samples as columns of equal length n.

    Attributes:
        pool_id: (n,) int64.
        measured_us: (n,) int64, microseconds since 1970 UTC.
        values: field name to (n,) float64; NaN = not reported.
        quality: (n,) object, names.
        quality_rule: (n,) object, names; "" for a good one.
    """

    pool_id: IntArray
    measured_us: IntArray
    values: dict[str, FloatArray]
    quality: npt.NDArray[np.object_]
    quality_rule: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.pool_id)


def newest_columns(pool_ids: IntArray) -> SampleColumns:
    """Return the newest sample of each of some pools, in no certain order, silent ones left out.

    Args:
        pool_ids: (p,) int64.
    """
    row = _row(_NEWEST, {"pools": pg_arrays.pack_integers(pool_ids)})
    if row is None:
        return _nothing()
    pool_id, measured_us, quality, rule, *values = row
    names = (np.array(texts, dtype=object) for texts in (quality, rule))
    return SampleColumns(pool_id, measured_us, dict(zip(FIELD_NAMES, values, strict=True)), *names)


def sample_columns(
    pool_id: int, since: dt.datetime, until: dt.datetime, *, most: int
) -> SampleColumns:
    """Return a pool's stored samples of [since, until), oldest first.

    Args:
        pool_id: which pool.
        since: first moment, inclusive.
        until: end, exclusive.
        most: at most this many.
    """
    parameters = {"pool": pool_id, "since": since, "until": until, "most": most}
    row = _row(_SAMPLES, parameters)
    if row is None:
        return _nothing()
    measured_us, quality, rule, *values = row
    return SampleColumns(
        np.full(len(measured_us), pool_id, np.int64),
        measured_us,
        dict(zip(FIELD_NAMES, values, strict=True)),
        _NAMES_OF_QUALITY[quality],
        _NAMES_OF_RULE[rule],
    )


def _nothing() -> SampleColumns:
    none, names = np.zeros(0, np.int64), np.zeros(0, dtype=object)
    return SampleColumns(none, none, {name: np.zeros(0) for name in FIELD_NAMES}, names, names)


def _row(statement: str, parameters: dict[str, object]) -> tuple[np.ndarray, ...] | None:
    connection.ensure_connection()
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, binary=True)
        row = cursor.fetchone()
    return None if row is None or row[0] is None else row


_VALUES = ", ".join(f"array_agg(coalesce({name}, 'NaN'))" for name in FIELD_NAMES)
_NEWEST = f"""
SELECT array_agg(pool_id), array_agg(measured_at), array_agg(quality), array_agg(quality_rule),
       {_VALUES}
  FROM monitoring_poolstate WHERE pool_id = ANY(%(pools)s)
"""  # noqa: S608 (only the names of our own fields are put in)
_SAMPLES = f"""
SELECT array_agg(measured_at), array_agg(quality::int8), array_agg(quality_rule::int8), {_VALUES}
  FROM (SELECT * FROM monitoring_sample
         WHERE pool_id = %(pool)s AND measured_at >= %(since)s AND measured_at < %(until)s
         ORDER BY measured_at LIMIT %(most)s) AS s
"""  # noqa: S608 (only the names of our own fields are put in)
