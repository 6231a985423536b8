"""Reads blocks of points from the database, as columns."""

from typing import Any

import numpy as np
from django.db import connection

from monitoring.domain.samples import IntArray
from monitoring.formats import pg_arrays
from monitoring.formats.blocks import PointColumns, from_blocks

# each value is sent on as bytes: one object for a column, none for a block
COLUMNS = """
SELECT count(*), string_agg(int8send(shelf), ''), string_agg(timestamptz_send(measured_at), ''),
       string_agg(members, ''), string_agg("values", '')
"""


def read_points(
    shelves: IntArray, *, start_us: int, end_us: int, limit: int
) -> PointColumns | None:
    """Return the points of whole shelves in [start, end), in no order.

    Args:
        shelves: (m,) int64.
        start_us: microseconds since 1970 UTC.
        end_us: the first moment after them.
        limit: blocks that are read at most.

    Returns:
        The points, or None when they are in more blocks.
    """
    edges = np.array([start_us, end_us], np.int64)
    found = fetch_points(
        _READ,
        {
            "shelves": pg_arrays.pack_integers(np.asarray(shelves, np.int64)),
            "edges": pg_arrays.pack_times(edges),
            "limit": pg_arrays.pack_integers(np.array([limit + 1], np.int64)),
        },
    )
    return None if found[0] > limit else found[1]


def fetch_points(statement: str, parameters: dict[str, Any]) -> tuple[int, PointColumns]:
    """Return how many blocks a statement that selects `COLUMNS` has found, and their points."""
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, binary=True)
        row = cursor.fetchone()
    count, shelf, at, members, values = row if row is not None else (0, b"", b"", b"", b"")
    return count, from_blocks(
        np.frombuffer(shelf or b"", ">i8").astype(np.int64),
        np.frombuffer(at or b"", ">i8").astype(np.int64) + pg_arrays.PG_EPOCH_US,
        members or b"",
        values or b"",
    )


_READ = f"""
{COLUMNS} FROM (
    SELECT shelf, measured_at, members, "values" FROM monitoring_pointblock
     WHERE shelf = ANY(%(shelves)s::int8[])
       AND measured_at >= (%(edges)s::timestamptz[])[1]
       AND measured_at < (%(edges)s::timestamptz[])[2]
     LIMIT (%(limit)s::int8[])[1]
) AS found
"""  # noqa: S608 (nothing from outside is put in)
