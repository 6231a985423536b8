"""Keeps the newest states and the hours' sums of pools, a shelf at a time.

Whoever stores samples of a pool locks its shelf first, and holds it until the commit. Under that
lock what is stored of the pool stands still, and the hours of the shelf need no lock of their own.
"""

import datetime as dt

import numpy as np
import psycopg

from monitoring.domain.samples import IntArray, to_us
from monitoring.domain.shelves import (
    HOUR,
    SHELF_SLOTS,
    STATE,
    Shelves,
    add_hours,
    put_newest,
    read_shelves,
)
from monitoring.domain.sums import HOUR_US, HourSums, Rows
from monitoring.formats import pg_arrays

# two thousand years of them: shelf and hour make one key
_HOURS_EVER = 2**24


class LockedShelves:
    """The shelves that a batch touches, locked until the end of the transaction."""

    def __init__(self, cursor: psycopg.Cursor, place: IntArray, measured_us: IntArray) -> None:
        """Lock shelves and read them and the hours that the batch may change.

        Args:
            cursor: one that takes packed columns.
            place: (k,) int64, where the pools of the samples stand.
            measured_us: (k,) int64, microseconds since 1970 UTC.
        """
        shelf = place // SHELF_SLOTS
        self._keys = _distinct(shelf * _HOURS_EVER + measured_us // HOUR_US)
        self._shelf = _distinct(self._keys // _HOURS_EVER)
        parameters = {
            "shelves": pg_arrays.pack_integers(self._shelf),
            "shelf": pg_arrays.pack_integers(self._keys // _HOURS_EVER),
            "hour_at": pg_arrays.pack_times(self._keys % _HOURS_EVER * HOUR_US),
        }
        cursor.execute(_LOCK, parameters, binary=True)
        stored: list[bytes] = [b""] * (len(self._shelf) + len(self._keys))
        for position, run in cursor:
            stored[position] = run
        self._states = read_shelves(stored[: len(self._shelf)], STATE)
        self._hours = read_shelves(stored[len(self._shelf) :], HOUR)

    def latest_us(self, place: IntArray) -> IntArray:
        """Return (k,) int64, the newest time that the shelf of each place has; or long ago."""
        row, _ = self._where(place)
        latest = self._states.records["measured_us"].max(axis=1).astype(np.int64)
        found: IntArray = latest[row]
        return found

    def put_newest(
        self, place: IntArray, newest: Rows, now: dt.datetime
    ) -> tuple[IntArray, list[bytes]]:
        """Take samples that are newer than the states of their pools; each pool once.

        Returns:
            The shelves that have changed, and what is to be stored of them.
        """
        row, slot = self._where(place)
        rows = np.flatnonzero(put_newest(self._states, row, slot, newest, now_us=to_us(now)))
        return self._shelf[rows], _packed(self._states, rows)

    def add_hours(self, place: IntArray, more: HourSums) -> tuple[IntArray, IntArray, list[bytes]]:
        """Add sums to hours.

        Returns:
            The shelves and the hours that have changed, and what is to be stored of them.
        """
        shelf, slot = np.divmod(place, SHELF_SLOTS)
        row = np.searchsorted(self._keys, shelf * _HOURS_EVER + more.hour_us // HOUR_US)
        rows = np.flatnonzero(add_hours(self._hours, row, slot, more))
        keys = self._keys[rows]
        return (
            keys // _HOURS_EVER,
            keys % _HOURS_EVER * HOUR_US,
            _packed(self._hours, rows),
        )

    def _where(self, place: IntArray) -> tuple[IntArray, IntArray]:
        shelf, slot = np.divmod(place, SHELF_SLOTS)
        return np.searchsorted(self._shelf, shelf), slot


def _distinct(keys: IntArray) -> IntArray:
    # what stands in order mostly, or repeats itself, is thinned out before it is sorted
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    return np.unique(keys[is_first])


def _packed(shelves: Shelves, rows: IntArray) -> list[bytes]:
    return [shelves.pack(row) for row in rows.tolist()]


_LOCK = """
SELECT place, run FROM monitoring_lock_shelves(
    %(shelves)s::int8[], %(shelf)s::int8[], %(hour_at)s::timestamptz[])
"""
