"""Stores points of any series: each series and time once, the first value stays."""

from typing import Any

import numpy as np
from django.db import connection

from monitoring.domain.samples import BoolArray, IntArray
from monitoring.formats import pg_arrays
from monitoring.formats.blocks import (
    Blocks,
    PointColumns,
    settle,
    to_blocks,
)
from monitoring.selectors.points import COLUMNS, fetch_points


def store_points(points: PointColumns) -> tuple[BoolArray, BoolArray]:
    """Store points; where no block of theirs is there yet this is one statement.

    Args:
        points: n points, in any order, repeated ones among them.

    Returns:
        (n,) whether a point was new, and (n,) whether another value was there already. NaN equals
        NaN, whatever its bits.
    """
    alone = settle(points)
    if len(points) == 0:
        return alone.is_new, alone.is_conflict
    blocks, _ = to_blocks(alone.merged)
    is_met = ~_insert(blocks)
    if not is_met.any():
        return alone.is_new, alone.is_conflict
    met = blocks.shelf[is_met], blocks.measured_us[is_met]
    against = settle(points, _lock_blocks(*met))
    _extend(against.merged, against.gained, set(zip(*map(_plain, met), strict=True)))
    return against.is_new, against.is_conflict


def _insert(blocks: Blocks) -> BoolArray:
    is_stored = np.ones(len(blocks), bool)
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(_INSERT, _parameters(blocks), binary=True)
        if cursor.rowcount < len(blocks):
            rows = cursor.fetchall()
            known = {(shelf, int.from_bytes(at, "big", signed=True)) for shelf, at in rows}
            at = (blocks.measured_us - pg_arrays.PG_EPOCH_US).tolist()
            keys = zip(blocks.shelf.tolist(), at, strict=True)
            is_stored[:] = [key in known for key in keys]
    return is_stored


def _lock_blocks(shelf: IntArray, measured_us: IntArray) -> PointColumns:
    return fetch_points(_LOCK, _keys(shelf, measured_us))[1]


def _extend(merged: PointColumns, gained: BoolArray, met: set[tuple[int, int]]) -> None:
    blocks, block_of = to_blocks(merged)
    is_changed = np.zeros(len(blocks), bool)
    is_changed[block_of[gained]] = True
    # the others were inserted as a whole
    keys = zip(_plain(blocks.shelf), _plain(blocks.measured_us), strict=True)
    is_changed &= np.fromiter((key in met for key in keys), bool, len(blocks))
    chosen = np.flatnonzero(is_changed).tolist()
    if not chosen:
        return
    changed = Blocks(
        shelf=blocks.shelf[chosen],
        measured_us=blocks.measured_us[chosen],
        members=[blocks.members[n] for n in chosen],
        values=[blocks.values[n] for n in chosen],
    )
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(_UPDATE, _parameters(changed), binary=True)


def _plain(column: IntArray) -> list[int]:
    numbers: list[int] = column.tolist()
    return numbers


def _keys(shelf: IntArray, measured_us: IntArray) -> dict[str, Any]:
    return {
        "shelf": pg_arrays.pack_integers(shelf),
        "measured_at": pg_arrays.pack_times(measured_us),
        # the planner leaves out the partitions outside these two
        "edges": pg_arrays.pack_times(np.array([measured_us.min(), measured_us.max()])),
    }


def _parameters(blocks: Blocks) -> dict[str, Any]:
    return {
        **_keys(blocks.shelf, blocks.measured_us),
        "members": list(blocks.members),
        "values": list(blocks.values),
    }


_INSERT = """
INSERT INTO monitoring_pointblock (shelf, measured_at, members, "values")
SELECT * FROM unnest(%(shelf)s::int8[], %(measured_at)s::timestamptz[],
                     %(members)b::bytea[], %(values)b::bytea[])
    ON CONFLICT (shelf, measured_at) DO NOTHING
RETURNING shelf, timestamptz_send(measured_at)
"""
_LOCK = f"""
{COLUMNS} FROM (
    SELECT p.shelf, p.measured_at, p.members, p."values"
      FROM unnest(%(shelf)s::int8[], %(measured_at)s::timestamptz[]) AS b (shelf, measured_at)
      JOIN monitoring_pointblock p ON p.shelf = b.shelf AND p.measured_at = b.measured_at
     WHERE p.measured_at >= (%(edges)s::timestamptz[])[1]
       AND p.measured_at <= (%(edges)s::timestamptz[])[2]
     ORDER BY p.measured_at, p.shelf
       FOR UPDATE OF p
) AS held
"""  # noqa: S608 (nothing from outside is put in)
_UPDATE = """
UPDATE monitoring_pointblock AS p SET members = b.members, "values" = b."values"
  FROM unnest(%(shelf)s::int8[], %(measured_at)s::timestamptz[],
              %(members)b::bytea[], %(values)b::bytea[])
       AS b (shelf, measured_at, members, "values")
 WHERE p.shelf = b.shelf AND p.measured_at = b.measured_at
   AND p.measured_at >= (%(edges)s::timestamptz[])[1]
   AND p.measured_at <= (%(edges)s::timestamptz[])[2]
"""
