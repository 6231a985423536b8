"""Decodes telemetry as JSON: rows for reading and small posts, columns for bulk."""

import re
from typing import Any

from controlplane.lib.bodies import strict_json
from controlplane.lib.errors import ErrorKind, GridError
from monitoring.domain.columns import read_batch
from monitoring.domain.samples import FIELDS, Batch, Reason

MAX_SAMPLES = 50_000
REQUIRED_COLUMNS = ("pool", "measured_at", *(field.name for field in FIELDS if field.is_required))
KNOWN_COLUMNS = frozenset({"pool", "measured_at", *(field.name for field in FIELDS)})
_PRINTABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,39}", re.ASCII)


class MalformedBatch(GridError):
    """The body as a whole is not a batch of samples; nothing of it was looked at."""

    code = "malformed-batch"


class TooManySamples(GridError):
    """The batch holds more samples than one request may."""

    code = "too-many-samples"
    kind = ErrorKind.TOO_LARGE


def decode(body: bytes) -> Batch:
    """Turn a JSON body into a batch: `{"samples": [...]}` or `{"columns": {...}}`.

    A value that cannot be taken is a fault of its sample. Only what makes the whole body unclear
    is refused as a whole: broken JSON, a repeated key, columns of unequal length.

    Args:
        body: UTF-8 JSON.

    Returns:
        The batch, read strictly: no text, boolean or null is a number.

    Raises:
        MalformedBody: the body is not JSON, or an object in it has a key twice.
        MalformedBatch: the body is not a batch.
        TooManySamples: it holds more than 50,000 samples.
    """
    document = strict_json(body)
    if type(document) is not dict or len(document) != 1:
        raise MalformedBatch('The body must be {"samples": [...]} or {"columns": {...}}.')
    samples, columns = document.get("samples"), document.get("columns")
    if type(samples) is list:
        return _from_rows(samples)
    if type(columns) is dict:
        return _from_columns(columns)
    raise MalformedBatch('The body must be {"samples": [...]} or {"columns": {...}}.')


def _from_rows(rows: list[Any]) -> Batch:
    _check_size(len(rows))
    faults: dict[int, Reason] = {}
    for position, row in enumerate(rows):
        if type(row) is not dict:
            faults[position] = Reason.NOT_AN_OBJECT
        elif not row.keys() <= KNOWN_COLUMNS:
            faults[position] = Reason.UNKNOWN_FIELD
    if faults:
        rows = [{} if position in faults else row for position, row in enumerate(rows)]
    columns = {name: [row.get(name) for row in rows] for name in KNOWN_COLUMNS}
    return read_batch(columns, size=len(rows), row_faults=faults)


def _from_columns(columns: dict[str, Any]) -> Batch:
    for name, column in columns.items():
        if name not in KNOWN_COLUMNS:
            raise MalformedBatch(f"There is no column {_shown(name)}.")
        if type(column) is not list:
            raise MalformedBatch(f"The column {name} must be an array.")
    for name in REQUIRED_COLUMNS:
        if name not in columns:
            raise MalformedBatch(f"The column {name} is missing.")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise MalformedBatch("All columns must have the same length.")
    size = lengths.pop()
    _check_size(size)
    return read_batch(columns, size=size)


def _check_size(size: int) -> None:
    if size > MAX_SAMPLES:
        raise TooManySamples(
            f"A batch holds at most {MAX_SAMPLES} samples, not {size}; send several batches."
        )


def _shown(name: str) -> str:
    return name if _PRINTABLE_NAME.fullmatch(name) else "of that name"
