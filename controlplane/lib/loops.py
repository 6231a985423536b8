"""Lets one instance of a loop run at a time, on any number of workers."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

# the first of two lock numbers keeps loops apart from every other use of advisory locks
_LOOPS = 0x71A0


@contextmanager
def one_at_a_time(name: str) -> Iterator[bool]:
    """Hold a loop's lock for as long as the block runs.

    The lock belongs to the database session: a worker that dies gives it back.

    Args:
        name: the loop's name.

    Yields:
        Whether this instance may go on; False while another one runs.
    """
    key = zlib.crc32(name.encode()) - 2**31
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOOPS, key])
        is_mine = bool(cursor.fetchone()[0])
    try:
        yield is_mine
    finally:
        if is_mine and connection.connection is not None and connection.is_usable():
            _release(key)


def _release(key: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOOPS, key])
