"""Reads the shelves on which newest states and hourly sums stand, as records."""

import datetime as dt
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from monitoring.domain.samples import BoolArray, IntArray, moment_of
from monitoring.domain.shelves import HOUR, NEVER_US, SHELF_SLOTS, STATE, Records, read_records
from monitoring.formats import pg_arrays


@dataclass(frozen=True)
class Stands:
    """Where some pools stand.

    Attributes:
        place: (p,) int64, ascending: shelf * SHELF_SLOTS + slot.
        pool_id: (p,) int64.
    """

    place: IntArray
    pool_id: IntArray

    @property
    def shelves(self) -> IntArray:
        """(s,) int64, the shelves they stand on, each once."""
        return np.unique(self.place // SHELF_SLOTS)

    def pool_at(self, place: IntArray) -> IntArray:
        """Return (n,) int64, which of the pools stands at each place; 0 for none of them."""
        if len(self.place) == 0:
            return np.zeros(len(place), np.int64)
        at = np.minimum(np.searchsorted(self.place, place), len(self.place) - 1)
        return np.where(self.place[at] == place, self.pool_id[at], 0)


def places_of(pool_ids: IntArray) -> Stands:
    """Return where some pools stand; those that do not exist stand nowhere.

    A pool never changes its place and no other pool gets it, so what was read once is remembered.

    Args:
        pool_ids: (p,) int64, in any order.
    """
    known = _STANDS.known(pool_ids)
    order = np.argsort(known.place)
    return Stands(known.place[order], known.pool_id[order])


class _StandMemory:
    """Places that this process has read, by pool."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool_id, self._place = np.zeros((2, 0), np.int64)

    def known(self, pool_ids: IntArray) -> Stands:
        """Return the places of pools, in order of their keys; what is missing is read."""
        pool_id, place = self._all_with(pool_ids)
        asked = np.isin(pool_id, pool_ids)
        return Stands(place[asked], pool_id[asked])

    def places(self, pool_ids: IntArray) -> IntArray:
        """Return the place of each pool as they were asked for; -1 where there is no such pool."""
        pool_id, place = self._all_with(pool_ids)
        at, is_known = _find(pool_id, pool_ids)
        return np.where(is_known, place[at], -1) if len(place) else np.full(len(pool_ids), -1)

    def _all_with(self, pool_ids: IntArray) -> tuple[IntArray, IntArray]:
        with self._lock:
            pool_id, place = self._pool_id, self._place
        _, is_known = _find(pool_id, pool_ids)
        if is_known.all():
            return pool_id, place
        missing = np.unique(pool_ids[~is_known])
        rows = _rows(_SLOTS, {"pools": pg_arrays.pack_integers(missing)})
        found = np.array(rows, np.int64).reshape(len(rows), 3)
        pool_id = np.append(pool_id, found[:, 0])
        place = np.append(place, found[:, 1] * SHELF_SLOTS + found[:, 2])
        order = np.argsort(pool_id)
        pool_id, place = pool_id[order], place[order]
        with self._lock:
            if len(pool_id) > len(self._pool_id):
                self._pool_id, self._place = pool_id, place
        return pool_id, place


def _find(known: IntArray, asked: IntArray) -> tuple[IntArray, BoolArray]:
    """Return where each asked key is among known ones in order, and whether it is."""
    if len(known) == 0:
        return np.zeros(len(asked), np.int64), np.zeros(len(asked), bool)
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return at, known[at] == asked


_STANDS = _StandMemory()


def newest_records(shelves: IntArray) -> tuple[Records, IntArray]:
    """Return the newest states of all pools of some shelves that have reported.

    Args:
        shelves: (s,) int64, each once.

    Returns:
        (n,) records as `STATE` says, and (n,) the place of each: shelf * SHELF_SLOTS + slot.
    """
    rows = _rows(_STATES, {"shelves": pg_arrays.pack_integers(shelves)})
    records, row, slot = read_records([states for _, states in rows], STATE)
    shelf = np.array([shelf for shelf, _ in rows], np.int64)
    place = shelf[row] * SHELF_SLOTS + slot
    has_reported = records["measured_us"] != NEVER_US
    return records[has_reported], place[has_reported]


def newest_of(pool_ids: IntArray) -> tuple[Records, BoolArray]:
    """Return the newest states of pools as they were asked for.

    Args:
        pool_ids: (p,) int64.

    Returns:
        (n,) records as `STATE` says, and (p,) whether the pool has one, which n do.
    """
    place = _STANDS.places(pool_ids)
    shelf, slot = place // SHELF_SLOTS, place % SHELF_SLOTS
    rows = _rows(_STATES, {"shelves": pg_arrays.pack_integers(np.unique(shelf))})
    rows.sort()
    row, has_state = _find(np.array([each for each, _ in rows], np.int64), shelf)
    used = np.array([len(states) // STATE.itemsize for _, states in rows], np.int64)
    records = np.frombuffer(b"".join([states for _, states in rows]), STATE)
    if len(records) == 0:
        return records, np.zeros(len(pool_ids), bool)
    has_state &= slot < used[row]
    records = records[(np.cumsum(used) - used)[row[has_state]] + slot[has_state]]
    has_reported = records["measured_us"] != NEVER_US
    has_state[has_state] = has_reported
    return records[has_reported], has_state


def hour_records(
    shelves: IntArray, since: dt.datetime, until: dt.datetime
) -> tuple[Records, IntArray, IntArray]:
    """Return the sums of the pools of some shelves in the hours of [since, until).

    Args:
        shelves: (s,) int64, each once.
        since: first hour, inclusive.
        until: end, exclusive.

    Returns:
        (n,) records as `HOUR` says, (n,) the place of each, and (n,) the hour, microseconds since
        1970 UTC.
    """
    parameters = {"shelves": pg_arrays.pack_integers(shelves), "since": since, "until": until}
    rows = _rows(_HOURS, parameters)
    records, row, slot = read_records([hours for _, _, hours in rows], HOUR)
    shelf = np.array([shelf for shelf, _, _ in rows], np.int64)
    hour_us = np.array([hour for _, hour, _ in rows], np.int64)
    has_samples = records["samples"] > 0
    row, slot = row[has_samples], slot[has_samples]
    return records[has_samples], shelf[row] * SHELF_SLOTS + slot, hour_us[row]


def first_hour() -> dt.datetime | None:
    """Return the first hour of which there are sums."""
    rows = _rows(_FIRST, {})
    return None if rows[0][0] is None else moment_of(rows[0][0])


def _rows(statement: str, parameters: dict[str, Any]) -> list[Any]:
    connection.ensure_connection()
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, binary=True)
        return cursor.fetchall()


_SLOTS = """
SELECT pool_id, shelf_id, slot FROM monitoring_poolslot WHERE pool_id = ANY(%(pools)s::int8[])
"""
_US = "(extract(epoch FROM {}) * 1000000)::int8"
_STATES = """
SELECT shelf, states FROM monitoring_poolshelf WHERE shelf = ANY(%(shelves)s::int8[])
"""
_HOURS = f"""
SELECT shelf, {_US.format("hour_at")}, hours FROM monitoring_hourshelf
 WHERE shelf = ANY(%(shelves)s::int8[]) AND hour_at >= %(since)s AND hour_at < %(until)s
"""  # noqa: S608 (nothing from outside is put in)
_FIRST = f"SELECT {_US.format('min(hour_at)')} FROM monitoring_hourshelf"  # noqa: S608 (as above)
