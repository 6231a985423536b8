"""Packs wide samples in blocks: those of the pools of one shelf at one moment, record after record.

The columns of a block have a kind each, two characters: what is stored (`n` nothing and not
reported, `z` nothing and zero, `b h i` a whole number of 1, 2 or 4 bytes, `d` a double), and the
power of ten that divides a whole number. A kind is chosen only where every value comes back bit for
bit. The smallest whole number of a width stands for "not reported".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from controlplane.lib.errors import GridError
from monitoring.domain.samples import (
    FIELD_NAMES,
    FIELDS,
    LARGEST,
    CodeArray,
    FloatArray,
    IntArray,
    order_of,
)
from monitoring.domain.shelves import SHELF_SLOTS
from monitoring.domain.sums import Rows

COLUMNS = (*FIELD_NAMES, "quality", "rule")
_NOTHING, _ZERO, _DOUBLE = "n0", "z0", "d0"
_WHOLE: dict[str, np.dtype[Any]] = {
    "b": np.dtype(">i1"),
    "h": np.dtype(">i2"),
    "i": np.dtype(">i4"),
}
# decimals that are tried, most likely ones first
_SCALES = (0, 1, 2, 3, 4, 5, 6)
# as many values as say at once that a scale will not do
_FIRST_LOOK = 32


class UnstorableSamples(GridError):
    """Samples were to be stored that no judge can have let through."""

    code = "unstorable-samples"


@dataclass(frozen=True)
class SampleBlocks:
    """b blocks of one kind of columns, as they are stored.

    Attributes:
        shelf: (b,) int64.
        measured_us: (b,) int64, microseconds since 1970 UTC.
        members: (b,) int64, bit n is slot n.
        kinds: of the columns, as `COLUMNS` names them.
        values: b runs of records, those of the members in the order of the slots.
    """

    shelf: IntArray
    measured_us: IntArray
    members: IntArray
    kinds: str
    values: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.shelf)


@dataclass(frozen=True)
class PlacedSamples:
    """n stored samples.

    Attributes:
        place: (n,) int64, shelf * SHELF_SLOTS + slot.
        measured_us: (n,) int64, microseconds since 1970 UTC.
        values: field name to (n,) float64; NaN = not reported.
        quality: (n,) int16, position in `QUALITIES`.
        rule: (n,) int16, position in `RULES`.
    """

    place: IntArray
    measured_us: IntArray
    values: Mapping[str, FloatArray]
    quality: CodeArray
    rule: CodeArray

    def __len__(self) -> int:
        return len(self.place)


def to_blocks(rows: Rows, place: IntArray) -> SampleBlocks:
    """Return rows as blocks.

    Args:
        rows: k rows, each pool and time once.
        place: (k,) int64, where their pools stand.

    Raises:
        UnstorableSamples: a value is out of the bounds of its field.
    """
    _check_bounds(rows.values)
    order = order_of(rows.measured_us, place)
    rows, place = rows.where(order), place[order]
    shelf, slot = np.divmod(place, SHELF_SLOTS)
    is_start = np.ones(len(rows), bool)
    is_start[1:] = (rows.measured_us[1:] != rows.measured_us[:-1]) | (shelf[1:] != shelf[:-1])
    starts = np.flatnonzero(is_start)
    columns = [*(rows.values[name] for name in FIELD_NAMES), rows.quality, rows.rule]
    packed = [_pack(np.asarray(column, np.float64)) for column in columns]
    kinds = "".join(kind for kind, _ in packed)
    records = np.empty(len(rows), layout_of(kinds))
    for name, (_, stored) in zip(COLUMNS, packed, strict=True):
        if stored is not None:
            records[name] = stored
    run, width = records.tobytes(), records.dtype.itemsize
    edges = (width * np.append(starts, len(rows))).tolist()
    return SampleBlocks(
        shelf=shelf[starts],
        measured_us=rows.measured_us[starts],
        members=np.add.reduceat(np.left_shift(1, slot), starts),
        kinds=kinds,
        values=[run[a:b] for a, b in pairwise(edges)],
    )


def from_blocks(
    shelf: IntArray, measured_us: IntArray, members: IntArray, *, kinds: str, values: bytes
) -> PlacedSamples:
    """Return the samples of blocks of one kind.

    Args:
        shelf: (b,) int64.
        measured_us: (b,) int64, microseconds since 1970 UTC.
        members: (b,) int64.
        kinds: of the columns.
        values: the records of all blocks one after the other.
    """
    block, slot = np.nonzero((members[:, None] >> np.arange(SHELF_SLOTS)) & 1)
    layout = layout_of(kinds)
    # a record may have no width
    records = np.frombuffer(values, layout) if layout.itemsize else np.zeros(len(block), layout)
    columns = read_columns(kinds, records)
    return PlacedSamples(
        place=shelf[block] * SHELF_SLOTS + slot,
        measured_us=measured_us[block],
        values={name: columns[name] for name in FIELD_NAMES},
        quality=columns["quality"].astype(np.int16),
        rule=columns["rule"].astype(np.int16),
    )


def join_samples(parts: Sequence[PlacedSamples]) -> PlacedSamples:
    """Return several lots of samples as one."""
    if len(parts) == 1:
        return parts[0]
    none, no_code = np.zeros(0, np.int64), np.zeros(0, np.int16)
    return PlacedSamples(
        np.concatenate([none, *(part.place for part in parts)]),
        np.concatenate([none, *(part.measured_us for part in parts)]),
        {
            name: np.concatenate([np.zeros(0), *(part.values[name] for part in parts)])
            for name in FIELD_NAMES
        },
        np.concatenate([no_code, *(part.quality for part in parts)]),
        np.concatenate([no_code, *(part.rule for part in parts)]),
    )


def read_columns(kinds: str, records: npt.NDArray[np.void]) -> dict[str, FloatArray]:
    """Return the columns of records of one kind.

    Args:
        kinds: of the columns.
        records: (n,) laid out as `layout_of` says, with or without more fields.

    Returns:
        Name to (n,) float64; NaN = not reported.
    """
    columns = {}
    for name, kind in zip(COLUMNS, _each(kinds), strict=True):
        if kind in (_NOTHING, _ZERO):
            columns[name] = np.full(len(records), np.nan if kind == _NOTHING else 0.0)
        else:
            columns[name] = _unpack(kind, records[name])
    return columns


def layout_of(kinds: str) -> np.dtype[np.void]:
    """Return how a record is laid out."""
    return np.dtype(fields_of(kinds))


def fields_of(kinds: str) -> list[tuple[str, np.dtype[Any]]]:
    """Return the fields of a record: the columns of which something is stored."""
    widths: dict[str, np.dtype[Any]] = {**_WHOLE, "d": np.dtype(">f8")}
    pairs = zip(COLUMNS, _each(kinds), strict=True)
    return [(name, widths[kind[0]]) for name, kind in pairs if kind[0] in widths]


def _check_bounds(values: Mapping[str, FloatArray]) -> None:
    # the last look before bytes that no constraint of the database reads
    for field in FIELDS:
        column = values[field.name]
        lowest = -LARGEST if field.may_be_negative else 0.0
        is_fine = (column >= lowest) & (column <= LARGEST)
        if not field.is_required:
            is_fine |= np.isnan(column)
        if not is_fine.all():
            raise UnstorableSamples(f"{field.name} is out of its bounds.")


def _each(kinds: str) -> list[str]:
    return [kinds[at : at + 2] for at in range(0, len(kinds), 2)]


def _pack(column: FloatArray) -> tuple[str, FloatArray | None]:
    """Return the narrowest kind that keeps every bit, and what is stored of each value."""
    is_absent = np.isnan(column)
    if is_absent.all():
        return _NOTHING, None
    # minus zero is not zero
    if not column.view(np.int64).any():
        return _ZERO, None
    known = column[~is_absent] if is_absent.any() else column
    for scale in _SCALES:
        if not _is_kept(known[:_FIRST_LOOK], scale) or not _is_kept(known, scale):
            continue
        whole = np.rint(column * 10.0**scale)
        letter = _letter_of(float(np.nanmax(np.abs(whole))))
        if letter is None:
            break
        lowest = np.iinfo(_WHOLE[letter]).min
        return f"{letter}{scale}", np.where(is_absent, lowest, whole)
    return _DOUBLE, column


def _is_kept(known: FloatArray, scale: int) -> bool:
    # adding nothing makes minus zero plain zero, which is then not what there was
    back = (np.rint(known * 10.0**scale) + 0.0) / 10.0**scale
    return bool((back.view(np.int64) == known.view(np.int64)).all())


def _letter_of(largest: float) -> str | None:
    fitting = (letter for letter, kind in _WHOLE.items() if largest <= np.iinfo(kind).max)
    return next(fitting, None)


def _unpack(kind: str, stored: np.ndarray) -> FloatArray:
    column: FloatArray = stored.astype(np.float64)
    if kind == _DOUBLE:
        return column
    column[stored == np.iinfo(stored.dtype).min] = np.nan
    if kind[1] != "0":
        column /= 10.0 ** int(kind[1])
    return column
