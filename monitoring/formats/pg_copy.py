"""Packs numpy columns into PostgreSQL's binary COPY format, without a Python object per value."""

import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from monitoring.domain.samples import BoolArray, CodeArray, FloatArray, IntArray
from monitoring.formats.pg_arrays import PG_EPOCH_US

# signature, flags, length of the header's extension
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
# The server stores the first rows while the next ones are packed.
CHUNK_ROWS = 4_096
_ABSENT = -1
Column = IntArray | FloatArray | CodeArray


def pack_rows(
    *,
    integers: Mapping[str, IntArray],
    times_us: Mapping[str, IntArray],
    floats: Mapping[str, FloatArray],
    codes: Mapping[str, CodeArray],
) -> Iterator[bytes]:
    """Yield the rows as the wire wants them, in parts, header and trailer included.

    The columns come in the order of the arguments: `column_names` gives it for the statement.

    Args:
        integers: name to (n,) int64, for bigint columns.
        times_us: name to (n,) int64, microseconds since 1970 UTC, for timestamptz columns.
        floats: name to (n,) float64, for double precision columns; NaN = null.
        codes: name to (n,) int16, for smallint columns.
    """
    columns: tuple[tuple[Column, str], ...] = (
        *((column, ">i8") for column in integers.values()),
        *((column - PG_EPOCH_US, ">i8") for column in times_us.values()),
        *((column, ">f8") for column in floats.values()),
        *((column, ">i2") for column in codes.values()),
    )
    nullable = range(len(integers) + len(times_us), len(integers) + len(times_us) + len(floats))
    size = len(columns[0][0])
    layout = _layout([kind for _, kind in columns])
    yield HEADER
    for start in range(0, size, CHUNK_ROWS):
        chunk = slice(start, min(start + CHUNK_ROWS, size))
        records = np.empty(chunk.stop - start, layout)
        records["fields"] = len(columns)
        for number, (column, kind) in enumerate(columns):
            records[f"length{number}"] = np.dtype(kind).itemsize
            records[f"value{number}"] = column[chunk]
        nulls = {number: np.isnan(columns[number][0][chunk]) for number in nullable}
        yield _without_nulls(records, {at: where for at, where in nulls.items() if where.any()})
    yield TRAILER


def column_names(*groups: Sequence[str] | Mapping[str, object]) -> str:
    """Return names for a statement's list of columns."""
    return ", ".join(name for group in groups for name in group)


def _layout(kinds: Sequence[str]) -> np.dtype[np.void]:
    fields = [("fields", ">i2")]
    for number, kind in enumerate(kinds):
        fields += [(f"length{number}", ">i4"), (f"value{number}", kind)]
    return np.dtype(fields)


def _without_nulls(records: np.ndarray, nulls: Mapping[int, BoolArray]) -> bytes:
    if not nulls:
        return records.tobytes()
    # a null is a length of -1 and no value: the value's bytes are taken out
    layout = records.dtype
    is_kept = np.ones((len(records), layout.itemsize), bool)
    for number, where in nulls.items():
        records[f"length{number}"][where] = _ABSENT
        kind, start = layout.fields[f"value{number}"][:2]  # type: ignore[index]
        is_kept[where, start : start + kind.itemsize] = False
    return records.view(np.uint8).reshape(is_kept.shape)[is_kept].tobytes()
