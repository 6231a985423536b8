"""Reads the blocks in which wide samples are stored, as columns."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from django.db import connection

from monitoring.domain.sample_blocks import PlacedSamples, from_blocks, join_samples
from monitoring.domain.samples import IntArray
from monitoring.formats import pg_arrays


@dataclass(frozen=True)
class BlockKeys:
    """Which b blocks there are.

    Attributes:
        shelf: (b,) int64.
        measured_us: (b,) int64, microseconds since 1970 UTC.
        part: (b,) int64.
    """

    shelf: IntArray
    measured_us: IntArray
    part: IntArray

    def __len__(self) -> int:
        return len(self.shelf)


NO_BLOCKS = BlockKeys(*np.zeros((3, 0), np.int64))


def read_blocks(
    cursor: psycopg.Cursor, shelf: IntArray, measured_us: IntArray
) -> tuple[BlockKeys, PlacedSamples]:
    """Return what is stored of some shelves at some moments.

    Args:
        cursor: one that takes packed columns.
        shelf: (k,) int64.
        measured_us: (k,) int64, microseconds since 1970 UTC.

    Returns:
        The keys of the blocks, and what they hold.
    """
    parameters = {
        "shelf": pg_arrays.pack_integers(shelf),
        "measured_at": pg_arrays.pack_times(measured_us),
        # the planner leaves out the partitions outside these two
        "edges": pg_arrays.pack_times(np.array([measured_us.min(), measured_us.max()])),
    }
    return _read(cursor, _AT, parameters)


def samples_between(shelves: IntArray, since: dt.datetime, until: dt.datetime) -> PlacedSamples:
    """Return the samples of whole shelves in [since, until), in no certain order.

    Args:
        shelves: (s,) int64.
        since: first moment, inclusive.
        until: end, exclusive.
    """
    parameters = {"shelves": pg_arrays.pack_integers(shelves), "since": since, "until": until}
    connection.ensure_connection()
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        return _read(cursor, _BETWEEN, parameters)[1]


def _read(
    cursor: psycopg.Cursor, statement: str, parameters: dict[str, Any]
) -> tuple[BlockKeys, PlacedSamples]:
    cursor.execute(statement, parameters, binary=True)
    keys, lots = [NO_BLOCKS], []
    for kinds, part, members, values, *sent in cursor:
        shelf, at, masks = (np.frombuffer(run, ">i8").astype(np.int64) for run in (*sent, members))
        at += pg_arrays.PG_EPOCH_US
        keys.append(BlockKeys(shelf, at, np.frombuffer(part, ">i2").astype(np.int64)))
        lots.append(from_blocks(shelf, at, masks, kinds=kinds, values=values))
    columns = zip(*((key.shelf, key.measured_us, key.part) for key in keys), strict=True)
    return BlockKeys(*map(np.concatenate, columns)), join_samples(lots)


# what is of one kind is sent on as bytes: one object for a column, none for a block
_COLUMNS = """
SELECT b.kinds, string_agg(int2send(b.part), ''), string_agg(int8send(b.members), ''),
       string_agg(b."values", ''), string_agg(int8send(b.shelf), ''),
       string_agg(timestamptz_send(b.measured_at), '')
"""
_AT = f"""
{_COLUMNS}
  FROM unnest(%(shelf)s::int8[], %(measured_at)s::timestamptz[]) AS asked (shelf, measured_at)
  JOIN monitoring_sampleblock b ON b.shelf = asked.shelf AND b.measured_at = asked.measured_at
 WHERE b.measured_at >= (%(edges)s::timestamptz[])[1]
   AND b.measured_at <= (%(edges)s::timestamptz[])[2]
 GROUP BY b.kinds
"""
_BETWEEN = f"""
{_COLUMNS}
  FROM monitoring_sampleblock b
 WHERE b.shelf = ANY(%(shelves)s::int8[])
   AND b.measured_at >= %(since)s AND b.measured_at < %(until)s
 GROUP BY b.kinds
"""
