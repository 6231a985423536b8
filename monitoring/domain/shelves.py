"""Lays the newest states and the hours' sums of pools out on shelves: up to 48 pools in one row.

A pool stands on a shelf of its provider, in a slot that it never leaves and that no other pool gets
after it. What a shelf holds is a run of records of fixed width, one for each slot from the first
on; slots behind the last one in use are left out. Records are big-endian, as PostgreSQL sends
numbers, so that views in SQL read them too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitoring.domain.samples import FIELD_NAMES, BoolArray, IntArray
from monitoring.domain.sums import COUNT_NAMES, SUM_NAMES, HourSums, Rows

# two versions of such a row fit into one page: an update needs no other page and no index entry
SHELF_SLOTS = 48
# the time of a slot whose pool has never reported
NEVER_US = -(2**63)
STATE = np.dtype(
    [
        ("measured_us", ">i8"),
        ("received_us", ">i8"),
        *((name, ">f8") for name in FIELD_NAMES),
        ("quality", ">i2"),
        ("rule", ">i2"),
    ]
)
HOUR = np.dtype(
    [
        *((name, ">i4") for name in COUNT_NAMES),
        *((name, ">f8") for name in (*SUM_NAMES, "demand_max")),
    ]
)
Records = npt.NDArray[np.void]


@dataclass(frozen=True)
class Shelves:
    """The records of r shelves as one board; it is changed in place.

    Attributes:
        records: (r, SHELF_SLOTS), an empty one where nothing is stored.
        used: (r,) int64, slots that are stored.
    """

    records: Records
    used: IntArray

    def pack(self, row: int) -> bytes:
        """Return one shelf as it is stored."""
        return self.records[row, : self.used[row]].tobytes()


def read_shelves(stored: Sequence[bytes], layout: np.dtype[np.void]) -> Shelves:
    """Return stored shelves as a board.

    Args:
        stored: r runs of records.
        layout: `STATE` or `HOUR`.
    """
    records = empty_records((len(stored), SHELF_SLOTS), layout)
    used = np.array([len(run) // layout.itemsize for run in stored], np.int64)
    row, slot = _places(used)
    records[row, slot] = np.frombuffer(b"".join(stored), layout)
    return Shelves(records, used)


def read_records(
    stored: Sequence[bytes], layout: np.dtype[np.void]
) -> tuple[Records, IntArray, IntArray]:
    """Return the records of stored shelves one after the other.

    Args:
        stored: r runs of records.
        layout: `STATE` or `HOUR`.

    Returns:
        (n,) records, (n,) the run and (n,) the slot of each.
    """
    used = np.array([len(run) // layout.itemsize for run in stored], np.int64)
    return np.frombuffer(b"".join(stored), layout), *_places(used)


def put_newest(
    states: Shelves, row: IntArray, slot: IntArray, newest: Rows, *, now_us: int
) -> BoolArray:
    """Take samples as the newest states of their pools where they are newer.

    Args:
        states: changed in place.
        row: (k,) int64, the shelf of each pool.
        slot: (k,) int64.
        newest: k rows, each pool once.
        now_us: when they came, microseconds since 1970 UTC.

    Returns:
        (r,) which shelves have changed.
    """
    is_newer = newest.measured_us > states.records["measured_us"][row, slot]
    if not is_newer.all():
        row, slot, newest = row[is_newer], slot[is_newer], newest.where(is_newer)
    records = np.empty(len(newest), STATE)
    records["measured_us"], records["received_us"] = newest.measured_us, now_us
    for name in FIELD_NAMES:
        records[name] = newest.values[name]
    records["quality"], records["rule"] = newest.quality, newest.rule
    states.records[row, slot] = records
    return _mark(states, row, slot)


def add_hours(hours: Shelves, row: IntArray, slot: IntArray, more: HourSums) -> BoolArray:
    """Add sums to the hours of pools.

    Args:
        hours: changed in place; a shelf of one hour in each row.
        row: (h,) int64, the shelf and hour of each entry.
        slot: (h,) int64.
        more: h entries, each pool and hour once.

    Returns:
        (r,) which shelves have changed.
    """
    records = hours.records[row, slot]
    for name, count in more.counts.items():
        records[name] += count.astype(np.int32)
    for name in SUM_NAMES:
        records[name] += more.sums[name]
    records["demand_max"] = np.maximum(records["demand_max"], more.sums["demand_max"])
    hours.records[row, slot] = records
    return _mark(hours, row, slot)


def empty_records(shape: tuple[int, ...], layout: np.dtype[np.void]) -> Records:
    """Return records of pools of which nothing is known."""
    records = np.zeros(shape, layout)
    if layout is STATE:
        records["measured_us"] = NEVER_US
    return records


def _places(used: IntArray) -> tuple[IntArray, IntArray]:
    row = np.repeat(np.arange(len(used)), used)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(used) - used, used)


def _mark(shelves: Shelves, row: IntArray, slot: IntArray) -> BoolArray:
    np.maximum.at(shelves.used, row, slot + 1)
    is_changed = np.zeros(len(shelves.used), bool)
    is_changed[row] = True
    return is_changed
