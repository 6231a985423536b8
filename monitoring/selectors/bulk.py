"""Reads telemetry as columns: what is newest of all pools, and a pool's samples as they came."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import connection

from monitoring.domain.sample_blocks import COLUMNS, fields_of, read_columns
from monitoring.domain.samples import FIELD_NAMES, QUALITIES, RULES, FloatArray, IntArray
from monitoring.formats import pg_arrays
from monitoring.selectors.shelves import newest_of

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
    """Return the newest sample of each of some pools, as they were asked for; silent ones left out.

    Args:
        pool_ids: (p,) int64.
    """
    records, has_reported = newest_of(pool_ids)
    return SampleColumns(
        pool_ids[has_reported],
        records["measured_us"].astype(np.int64),
        {name: records[name].astype(np.float64) for name in FIELD_NAMES},
        _NAMES_OF_QUALITY[records["quality"]],
        _NAMES_OF_RULE[records["rule"]],
    )


@dataclass(frozen=True)
class PoolSamples:
    """Some samples of one pool, oldest first, and where it stands."""

    site: str
    region: str
    provider: str
    samples: SampleColumns


def pool_samples(
    code: str, since: dt.datetime, until: dt.datetime, *, most: int
) -> PoolSamples | None:
    """Return a pool's stored samples of [since, until), oldest first, by one statement.

    Args:
        code: which pool.
        since: first moment, inclusive.
        until: end, exclusive.
        most: at most this many, in no certain choice.

    Returns:
        The samples, or None when there is no such pool.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection)
        found = cursor.execute(_SAMPLES, (since, until, most, code), binary=True).fetchall()
    if not found:
        return None
    pool_id, site, region, provider = found[0][:4]
    parts = [_read_cuts(kinds, sent) for *_, kinds, sent in found if kinds is not None]
    at, columns = _put_together(parts)
    samples = SampleColumns(
        np.full(len(at), pool_id, np.int64),
        at + pg_arrays.PG_EPOCH_US,
        {name: columns[name] for name in FIELD_NAMES},
        _NAMES_OF_QUALITY[columns["quality"].astype(np.int16)],
        _NAMES_OF_RULE[columns["rule"].astype(np.int16)],
    )
    return PoolSamples(site, region, provider, samples)


def _put_together(
    parts: Sequence[tuple[IntArray, dict[str, FloatArray]]],
) -> tuple[IntArray, dict[str, FloatArray]]:
    """Return the moments and the columns of all parts, oldest first."""
    at = np.concatenate([np.zeros(0, np.int64), *(moments for moments, _ in parts)])
    if len(parts) == 1 and (at[1:] >= at[:-1]).all():
        return at, parts[0][1]
    order = np.argsort(at)
    return at[order], {
        name: np.concatenate([np.zeros(0), *(part[name] for _, part in parts)])[order]
        for name in COLUMNS
    }


@lru_cache(maxsize=64)
def _layout(kinds: str) -> np.dtype[np.void]:
    return np.dtype([("measured_at", np.dtype(">i8")), *fields_of(kinds)])


def _read_cuts(kinds: str, sent: bytes) -> tuple[IntArray, dict[str, FloatArray]]:
    records = np.frombuffer(sent, _layout(kinds))
    return records["measured_at"].astype(np.int64), read_columns(kinds, records)


# Of each block the pool's record is cut out; what is of one kind is sent as one run of bytes.
_SAMPLES = """
SELECT p.id, p.site_id, s.region_id, s.provider_id, found.kinds, found.sent
  FROM monitoring_pool p
  JOIN monitoring_site s ON s.code = p.site_id
  JOIN monitoring_poolslot l ON l.pool_id = p.id
  LEFT JOIN LATERAL (
       SELECT cut.kinds, string_agg(timestamptz_send(cut.measured_at) || cut.record, '') AS sent
         FROM (SELECT b.kinds, b.measured_at, substring(
                      b."values" FROM 1 + width * bit_count(
                          (b.members & ((1::bigint << l.slot) - 1))::bit(64))::int
                      FOR width) AS record
                 FROM monitoring_sampleblock b
                CROSS JOIN LATERAL (
                      SELECT octet_length(b."values") / bit_count(b.members::bit(64))::int AS width
                      ) AS wide
                WHERE b.shelf = l.shelf_id AND b.measured_at >= %s AND b.measured_at < %s
                  AND (b.members >> l.slot) & 1 = 1
                LIMIT %s) AS cut
        GROUP BY cut.kinds) AS found ON true
 WHERE p.code = %s
"""
