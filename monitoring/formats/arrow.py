"""Decodes telemetry as an Arrow stream: the columns of the JSON form, without a value parsed.

A stream is read batch by batch and only after its schema and each batch's header have been looked
at: types that could grow when read (nested, run-end, views) and compressed buffers are refused.
"""

import struct
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitoring.domain.samples import (
    FAULT_FIELDS,
    FIELD_NAMES,
    NO_FAULT,
    REASONS,
    Batch,
    CodeArray,
    FloatArray,
    IntArray,
    Reason,
)
from monitoring.formats.rows import (
    KNOWN_COLUMNS,
    MAX_SAMPLES,
    REQUIRED_COLUMNS,
    MalformedBatch,
    TooManySamples,
)

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
MAX_CODE_BYTES = 256
MAX_BATCHES = 10_000
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2
_UNREADABLE = (pa.ArrowException, ValueError, OSError, IndexError, struct.error, KeyError)


def decode(body: bytes) -> Batch:
    """Turn an Arrow IPC stream into a batch.

    Args:
        body: columns `pool` (text, plain or dictionary-encoded), `measured_at` (timestamp with a
            time zone, any resolution) and numeric fields of the wide row; null = not reported.

    Returns:
        The batch; a value that cannot be taken is a fault of its sample.

    Raises:
        MalformedBatch: the body is no such stream, or one that is compressed.
        TooManySamples: it holds more than 50,000 samples.
    """
    try:
        table = _read(body)
    except _UNREADABLE as error:
        raise MalformedBatch("The body is not an Arrow stream that can be read.") from error
    columns = {name: table.column(name) for name in table.column_names}
    fault = np.full(table.num_rows, NO_FAULT, np.int16)
    fault_field = np.zeros(table.num_rows, np.int16)
    notes = (fault, fault_field)
    pools, pool_ref = _pools(columns["pool"], notes)
    measured_us = _times(columns["measured_at"], notes)
    values = {name: _numbers(name, columns, table.num_rows, notes) for name in FIELD_NAMES}
    return Batch(pools, pool_ref, measured_us, values, fault, fault_field)


_Notes = tuple[CodeArray, CodeArray]


def _read(body: bytes) -> pa.Table:
    buffer = pa.py_buffer(body)
    for header in _headers(body):
        if header.is_compressed:
            raise MalformedBatch("Send the stream without compressed buffers.")
    with pa.ipc.open_stream(buffer) as reader:
        _check_schema(reader.schema)
        batches = []
        for batch in reader:
            batch.validate(full=True)
            batches.append(batch)
        return pa.Table.from_batches(batches, reader.schema)


def _check_schema(schema: pa.Schema) -> None:
    if len(set(schema.names)) != len(schema.names):
        raise MalformedBatch("A column comes twice.")
    for field in schema:
        if field.name not in KNOWN_COLUMNS:
            raise MalformedBatch("There is a column that is not known; see the API's columns.")
        if not _is_taken(field.name, field.type):
            raise MalformedBatch(f"The column {field.name} has a type that is not taken.")
    for name in REQUIRED_COLUMNS:
        if name not in schema.names:
            raise MalformedBatch(f"The column {name} is missing.")


def _is_taken(name: str, kind: pa.DataType) -> bool:
    if name == "pool":
        text = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(text) or pa.types.is_large_string(text))
    if name == "measured_at":
        return bool(pa.types.is_timestamp(kind) and kind.tz)
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


class _Header:
    """The part of an IPC message's header that says how it may grow when it is read."""

    def __init__(self, metadata: bytes) -> None:
        self._data = metadata
        root = self._u32(0)
        self.kind = self._byte(self._field(root, 1))
        table = self._field(root, 2)
        table = table and table + self._u32(table)
        if self.kind == _DICTIONARY_BATCH and table:
            inner = self._field(table, 1)
            table = inner and inner + self._u32(inner)
        is_data = self.kind in (_RECORD_BATCH, _DICTIONARY_BATCH) and table > 0
        self.is_compressed = is_data and self._field(table, 3) > 0
        length_at = self._field(table, 0) if is_data and self.kind == _RECORD_BATCH else 0
        self.rows = struct.unpack_from("<q", metadata, length_at)[0] if length_at else 0
        at = self._field(root, 3)
        self.body_bytes = struct.unpack_from("<q", metadata, at)[0] if at else 0

    def _u32(self, at: int) -> int:
        value: int = struct.unpack_from("<I", self._data, at)[0]
        return value

    def _byte(self, at: int) -> int:
        return self._data[at] if at else 0

    def _field(self, table: int, number: int) -> int:
        # where a table's field lies, or 0 when it is not there
        vtable = table - struct.unpack_from("<i", self._data, table)[0]
        if vtable < 0:
            raise ValueError("a table without a description")
        size: int = struct.unpack_from("<H", self._data, vtable)[0]
        slot = 4 + 2 * number
        if slot + 2 > size:
            return 0
        offset: int = struct.unpack_from("<H", self._data, vtable + slot)[0]
        return table + offset if offset else 0


def _headers(body: bytes) -> Iterator[_Header]:
    at = rows = 0
    for _ in range(MAX_BATCHES):
        if at + 8 > len(body):
            return
        marker, size = struct.unpack_from("<II", body, at)
        if marker != 0xFFFFFFFF:
            raise MalformedBatch("Only the stream format of Arrow 0.15 and later is read.")
        if size == 0:
            return
        header = _Header(body[at + 8 : at + 8 + size])
        if header.body_bytes < 0 or header.rows < 0:
            raise MalformedBatch("A part of the stream has a negative size.")
        rows += header.rows
        if rows > MAX_SAMPLES:
            raise TooManySamples(f"A batch holds at most {MAX_SAMPLES} samples; send several.")
        yield header
        at += 8 + size + header.body_bytes
    raise MalformedBatch(f"The stream has more than {MAX_BATCHES} parts.")


def _pools(column: pa.ChunkedArray, notes: _Notes) -> tuple[tuple[str, ...], IntArray]:
    is_encoded = pa.types.is_dictionary(column.type)
    texts = [chunk.dictionary for chunk in column.chunks] if is_encoded else column.chunks
    longest = max((pc.max(pc.binary_length(text)).as_py() or 0 for text in texts), default=0)
    if longest > MAX_CODE_BYTES:
        raise MalformedBatch(f"A pool code has at most {MAX_CODE_BYTES} bytes.")
    encoded = column if is_encoded else column.dictionary_encode()
    known: dict[str, int] = {}
    parts = [np.zeros(0, np.int64)]
    for chunk in encoded.chunks:
        # only the dictionary's own texts become Python's, once each; a null points past them
        names = [*chunk.dictionary.to_pylist(), None]
        refs = [known.setdefault(name, len(known)) if name else -1 for name in names]
        indices = pc.fill_null(chunk.indices.cast(pa.int64()), len(names) - 1).to_numpy()
        parts.append(np.array(refs, np.int64)[indices])
    pool_ref = np.concatenate(parts)
    _blame(notes, pool_ref < 0, Reason.MISSING, "pool")
    return tuple(known), pool_ref


def _times(column: pa.ChunkedArray, notes: _Notes) -> IntArray:
    is_absent = column.is_null().to_numpy()
    _blame(notes, is_absent, Reason.MISSING, "measured_at")
    unit = column.type.unit
    raw = pc.fill_null(column.cast(pa.int64()), 0).to_numpy().astype(np.int64)
    if unit == "ns":
        return np.asarray(raw // 1000, np.int64)
    scale = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    is_far = np.abs(raw) > np.iinfo(np.int64).max // scale
    _blame(notes, is_far, Reason.BAD_TIME, "measured_at")
    return np.where(is_far, 0, raw) * scale


def _numbers(
    name: str, columns: Mapping[str, pa.ChunkedArray], size: int, notes: _Notes
) -> FloatArray:
    column = columns.get(name)
    if column is None:
        return np.full(size, np.nan)
    # integers beyond 2^53 lose digits; they are beyond what is taken anyway
    cast = column if column.type == pa.float64() else column.cast(pa.float64(), safe=False)
    if column.null_count == 0:
        numbers = cast.to_numpy()
        if np.isfinite(numbers).all():
            return np.asarray(numbers + 0.0, np.float64)
    is_absent = column.is_null().to_numpy()
    numbers = pc.fill_null(cast, 0.0).to_numpy().copy()
    _blame(notes, ~is_absent & ~np.isfinite(numbers), Reason.NOT_FINITE, name)
    numbers[is_absent | ~np.isfinite(numbers)] = np.nan
    return np.asarray(numbers + 0.0, np.float64)


def _blame(notes: _Notes, where: np.ndarray, reason: Reason, field: str) -> None:
    if where.any():
        fault, fault_field = notes
        first = where & (fault == NO_FAULT)
        fault[first] = REASONS.index(reason)
        fault_field[first] = FAULT_FIELDS.index(field)
