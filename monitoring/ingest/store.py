"""Writes judged samples, newest states and hourly sums; the first value of a pool and time stays.

The lock of the pools' shelves keeps all others out who could store the same. Under it, what comes
after everything that a shelf has is new; only of the rest what is stored is looked up.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from django.db import connection

from monitoring.domain.hour_matrix import DAY_US
from monitoring.domain.sample_blocks import (
    PlacedSamples,
    SampleBlocks,
    join_samples,
    to_blocks,
)
from monitoring.domain.samples import (
    FIELD_NAMES,
    SOURCES,
    BoolArray,
    CodeArray,
    FloatArray,
    IntArray,
    Source,
    Verdict,
    first_of_each,
    same_values,
    to_us,
)
from monitoring.domain.shelves import SHELF_SLOTS
from monitoring.domain.sums import HourSums, Rows, hour_sums, newest_of_each_pool, rows_of
from monitoring.formats import pg_arrays
from monitoring.ingest.shelves import LockedShelves
from monitoring.ingest.terms import Terms
from monitoring.selectors.blocks import NO_BLOCKS, BlockKeys, read_blocks


def store(
    verdict: Verdict,
    source: Source,
    now: dt.datetime,
    *,
    terms: Terms,
    looks_at_all: bool = False,
) -> tuple[BoolArray, BoolArray]:
    """Store what is new of a judged batch, in the caller's transaction.

    Args:
        verdict: m samples that are taken, in any order, repeated ones among them.
        source: where they came from.
        now: when they came.
        terms: what the samples were judged by.
        looks_at_all: look up every row, not only those that the newest states say may be there.

    Returns:
        (m,) whether each was new, and (m,) whether other values were there already.

    Raises:
        IntegrityError: a row is stored that is newer than its pool's newest state says, or no
            partition takes its time.
    """
    count = len(verdict.index)
    accepted, conflict = np.zeros(count, bool), np.zeros(count, bool)
    if count == 0:
        return accepted, conflict
    first, group = first_of_each(verdict.pool_id, verdict.measured_us)
    rows = rows_of(verdict, first)
    place = terms.place_of(rows.pool_id)
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        shelves = LockedShelves(cursor, place, rows.measured_us)
        may_be_stored = rows.measured_us <= shelves.latest_us(place)
        if looks_at_all:
            may_be_stored[:] = True
        known = _Known.read(cursor, place, rows, may_be_stored)
        is_stored, stored = known.compare(place, rows)
        new = np.flatnonzero(~is_stored)
        if len(new):
            chosen, at = (rows, place) if len(new) == len(rows) else (rows.where(new), place[new])
            blocks, hours = to_blocks(chosen, at), hour_sums(chosen)
            parameters = _blocks(blocks, known.part_of(blocks))
            parameters |= _states(shelves, newest_of_each_pool(chosen), terms, now)
            parameters |= _hours(shelves, hours, terms) | _past_days(hours, now)
            parameters |= {"received_at": now, "source": SOURCES.index(source)}
            cursor.execute(_WRITE, parameters)
    accepted[first[~is_stored]] = True
    if accepted.all():
        return accepted, conflict
    reference = {name: column[group] for name, column in stored.items()}
    return accepted, ~accepted & ~same_values(verdict.values, reference)


@dataclass(frozen=True)
class _Known:
    """What is stored of the shelves and moments that a batch may meet.

    Attributes:
        keys: of the blocks.
        samples: what the blocks hold.
    """

    keys: BlockKeys
    samples: PlacedSamples

    @classmethod
    def read(
        cls, cursor: psycopg.Cursor, place: IntArray, rows: Rows, may_be_stored: BoolArray
    ) -> "_Known":
        """Read the blocks of the rows that may be stored."""
        if not may_be_stored.any():
            return cls(NO_BLOCKS, join_samples([]))
        shelf, measured_us = place[may_be_stored] // SHELF_SLOTS, rows.measured_us[may_be_stored]
        first, _ = first_of_each(shelf, measured_us)
        return cls(*read_blocks(cursor, shelf[first], measured_us[first]))

    def compare(self, place: IntArray, rows: Rows) -> tuple[BoolArray, dict[str, FloatArray]]:
        """Return which rows are stored, and the values that count: the stored or their own."""
        values = dict(rows.values)
        before = len(self.samples)
        if before == 0:
            return np.zeros(len(rows), bool), values
        first, group = first_of_each(
            np.concatenate((self.samples.place, place)),
            np.concatenate((self.samples.measured_us, rows.measured_us)),
        )
        at = first[group[before:]]
        is_stored = at < before
        for name in FIELD_NAMES:
            values[name] = values[name].copy()
            values[name][is_stored] = self.samples.values[name][at[is_stored]]
        return is_stored, values

    def part_of(self, blocks: SampleBlocks) -> CodeArray:
        """Return (b,) the next free part of each shelf and moment."""
        parts, before = np.zeros(len(blocks), np.int64), len(self.keys)
        if before:
            _, group = first_of_each(
                np.concatenate((self.keys.shelf, blocks.shelf)),
                np.concatenate((self.keys.measured_us, blocks.measured_us)),
            )
            following = np.zeros(group.max() + 1, np.int64)
            np.maximum.at(following, group[:before], self.keys.part + 1)
            parts = following[group[before:]]
        return parts.astype(np.int16)


def _blocks(blocks: SampleBlocks, part: CodeArray) -> dict[str, Any]:
    return {
        "block_shelf": pg_arrays.pack_integers(blocks.shelf),
        "measured_at": pg_arrays.pack_times(blocks.measured_us),
        "members": pg_arrays.pack_integers(blocks.members),
        "part": pg_arrays.pack_codes(part),
        "kinds": blocks.kinds,
        "values": list(blocks.values),
    }


def _states(shelves: LockedShelves, newest: Rows, terms: Terms, now: dt.datetime) -> dict[str, Any]:
    shelf, states = shelves.put_newest(terms.place_of(newest.pool_id), newest, now)
    return {"state_shelf": pg_arrays.pack_integers(shelf), "states": states}


def _hours(shelves: LockedShelves, hours: HourSums, terms: Terms) -> dict[str, Any]:
    shelf, hour_us, sums = shelves.add_hours(terms.place_of(hours.pool_id), hours)
    return {
        "hour_shelf": pg_arrays.pack_integers(shelf),
        "hour_at": pg_arrays.pack_times(hour_us),
        "hours": sums,
    }


def _past_days(hours: HourSums, now: dt.datetime) -> dict[str, Any]:
    # Under the lock of the shelf: who packs a day takes it too, so either the day is seen here or
    # these hours are seen there.
    day_us = hours.hour_us // DAY_US * DAY_US
    is_past = day_us + DAY_US <= to_us(now)
    pool_id, day_us = hours.pool_id[is_past], day_us[is_past]
    is_first = np.ones(len(pool_id), bool)
    is_first[1:] = (pool_id[1:] != pool_id[:-1]) | (day_us[1:] != day_us[:-1])
    return {
        "day_pool": pg_arrays.pack_integers(pool_id[is_first]),
        "day_at": pg_arrays.pack_times(day_us[is_first]),
    }


# one statement for all: each costs a way to the server and back
_WRITE = """
WITH blocks AS (
    INSERT INTO monitoring_sampleblock
           (shelf, measured_at, members, part, "values", received_at, source, kinds)
    SELECT b.*, %(received_at)s::timestamptz, %(source)s::int2, %(kinds)s::text
      FROM unnest(%(block_shelf)s::int8[], %(measured_at)s::timestamptz[], %(members)s::int8[],
                  %(part)s::int2[], %(values)b::bytea[]) AS b),
states AS (
    UPDATE monitoring_poolshelf AS s SET states = b.states
      FROM unnest(%(state_shelf)s::int8[], %(states)b::bytea[]) AS b (shelf, states)
     WHERE s.shelf = b.shelf),
days AS (
    INSERT INTO monitoring_outdatedday (pool_id, day_at)
    SELECT * FROM unnest(%(day_pool)s::int8[], %(day_at)s::timestamptz[])
        ON CONFLICT (day_at, pool_id) DO NOTHING)
INSERT INTO monitoring_hourshelf (shelf, hour_at, hours)
SELECT * FROM unnest(%(hour_shelf)s::int8[], %(hour_at)s::timestamptz[], %(hours)b::bytea[])
    ON CONFLICT (shelf, hour_at) DO UPDATE SET hours = excluded.hours
"""
