"""Lays points out in blocks: the values of up to 128 series at one moment, side by side.

A series' key says where its values stand: key // 128 is its shelf, key % 128 its slot on it. A
block's members are a mask of 128 bits, its values those of the members in the order of the slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from monitoring.domain.samples import BoolArray, FloatArray, IntArray

SHELF_SLOTS = 128
MASK_BYTES = SHELF_SLOTS // 8
_WIRE_FLOAT = ">f8"


@dataclass(frozen=True)
class PointColumns:
    """n points of any series.

    Attributes:
        series_id: (n,) int64.
        measured_us: (n,) int64, microseconds since 1970 UTC.
        value: (n,) float64.
    """

    series_id: IntArray
    measured_us: IntArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.series_id)

    def take(self, positions: IntArray | BoolArray) -> "PointColumns":
        """Return some of the points."""
        return PointColumns(
            self.series_id[positions], self.measured_us[positions], self.value[positions]
        )


@dataclass(frozen=True)
class Blocks:
    """b blocks as they are stored.

    Attributes:
        shelf: (b,) int64.
        measured_us: (b,) int64, microseconds since 1970 UTC.
        members: b masks of 16 bytes, bit n of the mask is slot n.
        values: b runs of 8 bytes for each member, big-endian.
    """

    shelf: IntArray
    measured_us: IntArray
    members: Sequence[bytes]
    values: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.shelf)


@dataclass(frozen=True)
class Settlement:
    """What becomes of points that meet stored ones.

    Attributes:
        is_new: (n,) whether a point is the first of its series and time.
        is_conflict: (n,) whether the first one has another value.
        merged: all different points, stored and new, sorted by time and series.
        gained: (m,) whether a point of `merged` is new.
    """

    is_new: BoolArray
    is_conflict: BoolArray
    merged: PointColumns
    gained: BoolArray


def settle(new: PointColumns, stored: PointColumns | None = None) -> Settlement:
    """Decide about each of n new points: the first value of a series and time stays.

    Args:
        new: as they came.
        stored: the points that were there before; those of other series and times do no harm.

    Returns:
        The decision; NaN equals NaN, whatever its bits.
    """
    before = 0 if stored is None else len(stored)
    every = new if stored is None else _join(stored, new)
    order = _order(every.series_id, every.measured_us)
    sorted_ones = every if order is None else every.take(order)
    is_first = np.ones(len(every), bool)
    is_first[1:] = (sorted_ones.series_id[1:] != sorted_ones.series_id[:-1]) | (
        sorted_ones.measured_us[1:] != sorted_ones.measured_us[:-1]
    )
    merged = sorted_ones if is_first.all() else sorted_ones.take(is_first)
    came_new = np.arange(len(every)) >= before if order is None else order >= before
    kept = merged.value if len(merged) == len(every) else merged.value[np.cumsum(is_first) - 1]
    value = sorted_ones.value
    differs = ~((kept == value) | (np.isnan(kept) & np.isnan(value)))
    is_new, is_conflict = np.zeros((2, len(every)), bool)
    place = np.arange(len(every)) if order is None else order
    is_new[place], is_conflict[place] = is_first & came_new, differs
    return Settlement(is_new[before:], is_conflict[before:], merged, came_new[is_first])


def to_blocks(points: PointColumns) -> tuple[Blocks, IntArray]:
    """Return points as blocks.

    Args:
        points: (n,) sorted by time and series, none twice.

    Returns:
        The blocks, and (n,) the block that each point is in.
    """
    shelf, slot = np.divmod(points.series_id, SHELF_SLOTS)
    starts = np.ones(len(points), bool)
    starts[1:] = (shelf[1:] != shelf[:-1]) | (points.measured_us[1:] != points.measured_us[:-1])
    first = np.flatnonzero(starts)
    block_of = np.cumsum(starts) - 1
    is_member = np.zeros((len(first), SHELF_SLOTS), bool)
    is_member[block_of, slot] = True
    masks = np.packbits(is_member, axis=1, bitorder="little").tobytes()
    wire = points.value.astype(_WIRE_FLOAT).tobytes()
    edges = (8 * np.append(first, len(points))).tolist()
    return (
        Blocks(
            shelf=shelf[first],
            measured_us=points.measured_us[first],
            members=[masks[at : at + MASK_BYTES] for at in range(0, len(masks), MASK_BYTES)],
            values=[wire[a:b] for a, b in pairwise(edges)],
        ),
        block_of,
    )


def from_blocks(
    shelf: IntArray, measured_us: IntArray, members: bytes, values: bytes
) -> PointColumns:
    """Return the points of blocks.

    Args:
        shelf: (b,) int64.
        measured_us: (b,) int64, microseconds since 1970 UTC.
        members: the b masks one after the other.
        values: the values of all blocks one after the other.
    """
    bits = np.frombuffer(members, np.uint8).reshape(-1, MASK_BYTES)
    block, slot = np.nonzero(np.unpackbits(bits, axis=1, bitorder="little"))
    return PointColumns(
        series_id=shelf[block] * SHELF_SLOTS + slot,
        measured_us=measured_us[block],
        value=np.frombuffer(values, _WIRE_FLOAT).astype(np.float64),
    )


def _join(one: PointColumns, other: PointColumns) -> PointColumns:
    return PointColumns(
        np.concatenate((one.series_id, other.series_id)),
        np.concatenate((one.measured_us, other.measured_us)),
        np.concatenate((one.value, other.value)),
    )


def _order(series_id: IntArray, measured_us: IntArray) -> IntArray | None:
    # senders mostly keep to an order, and looking is cheaper than sorting
    later = measured_us[1:] > measured_us[:-1]
    if (later | ((measured_us[1:] == measured_us[:-1]) & (series_id[1:] >= series_id[:-1]))).all():
        return None
    # stable: of equal ones the stored comes first, then the one that came first
    return np.lexsort((series_id, measured_us))
