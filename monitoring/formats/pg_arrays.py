"""Turns numpy columns into PostgreSQL's binary arrays and back, without an object per value."""

import datetime as dt
import struct
from dataclasses import dataclass

import numpy as np
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format

from monitoring.domain.samples import CodeArray, FloatArray, IntArray

PG_EPOCH_US = (
    dt.datetime(2000, 1, 1, tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
) // dt.timedelta(microseconds=1)
# dimensions, has nulls, element type; then length and lower bound of the only dimension
_HEADER = struct.Struct("!iiIii")


@dataclass(frozen=True)
class PackedArray:
    """One column, ready for the wire."""

    payload: bytes


class Float8Array(PackedArray):
    """A `float8[]`; NaN travels as NaN."""


class Int8Array(PackedArray):
    """An `int8[]`."""


class Int2Array(PackedArray):
    """An `int2[]`."""


class TimestampArray(PackedArray):
    """A `timestamptz[]`."""


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: PackedArray) -> bytes:
        return obj.payload


class _Float8Dumper(_PackedDumper):
    oid = 1022


class _Int8Dumper(_PackedDumper):
    oid = 1016


class _Int2Dumper(_PackedDumper):
    oid = 1005


class _TimestampDumper(_PackedDumper):
    oid = 1185


def pack_floats(column: FloatArray) -> Float8Array:
    """Return a float64 column as `float8[]`."""
    return Float8Array(_pack(column, ">f8", element_oid=701))


def pack_integers(column: IntArray) -> Int8Array:
    """Return an int64 column as `int8[]`."""
    return Int8Array(_pack(column, ">i8", element_oid=20))


def pack_codes(column: CodeArray) -> Int2Array:
    """Return an int16 column as `int2[]`."""
    return Int2Array(_pack(column, ">i2", element_oid=21))


def pack_times(column_us: IntArray) -> TimestampArray:
    """Return microseconds since 1970 UTC as `timestamptz[]`."""
    return TimestampArray(_pack(column_us - PG_EPOCH_US, ">i8", element_oid=1184))


def array_cursor(connection: psycopg.Connection) -> psycopg.Cursor:
    """Return a cursor that sends packed columns, and reads arrays as numpy columns.

    Parameters travel apart from the statement. What is read must hold no null; an empty array is
    an empty column.
    """
    cursor = psycopg.Cursor(connection)
    for kind, dumper in _DUMPERS:
        cursor.adapters.register_dumper(kind, dumper)
    for loader in (_Float8Loader, _Int8Loader, _TimestampLoader):
        cursor.adapters.register_loader(loader.oid, loader)
    return cursor


class _ColumnLoader(Loader):
    format = Format.BINARY
    oid: int
    element: str

    def load(self, data: Buffer) -> np.ndarray:
        layout = np.dtype([("length", ">i4"), ("value", self.element)])
        elements = np.frombuffer(data, layout, offset=min(_HEADER.size, len(data)))
        return elements["value"].astype(self.element.replace(">", "<"))


class _Float8Loader(_ColumnLoader):
    oid, element = 1022, ">f8"


class _Int8Loader(_ColumnLoader):
    oid, element = 1016, ">i8"


class _TimestampLoader(_ColumnLoader):
    oid, element = 1185, ">i8"

    def load(self, data: Buffer) -> np.ndarray:
        return super().load(data) + PG_EPOCH_US


_DUMPERS: tuple[tuple[type[PackedArray], type[_PackedDumper]], ...] = (
    (Float8Array, _Float8Dumper),
    (Int8Array, _Int8Dumper),
    (Int2Array, _Int2Dumper),
    (TimestampArray, _TimestampDumper),
)


def _pack(
    column: FloatArray | IntArray | CodeArray, element_type: str, *, element_oid: int
) -> bytes:
    # numpy lays the elements out as the wire wants them: length, then value, both big-endian
    elements = np.empty(len(column), dtype=[("length", ">i4"), ("value", element_type)])
    elements["length"] = np.dtype(element_type).itemsize
    elements["value"] = column
    return _HEADER.pack(1, 0, element_oid, len(column), 1) + elements.tobytes()
