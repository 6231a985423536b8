"""Reads columns of JSON values strictly: plain numbers, RFC 3339 times, nothing guessed."""

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

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
    to_us,
)

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_PLAIN_NUMBERS = frozenset({int, float})
_LONGEST_TIME = 40


def read_batch(
    columns: Mapping[str, Sequence[object]],
    *,
    size: int,
    row_faults: Mapping[int, Reason] | None = None,
) -> Batch:
    """Turn columns of JSON values into arrays and note the first fault of each sample.

    Args:
        columns: `pool`, `measured_at` and numeric fields, each with `size` values; a field that is
            absent was reported by nobody.
        size: number of samples, n.
        row_faults: samples that were found faulty before their fields were looked at.

    Returns:
        The batch; nothing is raised for a bad value.
    """
    fault = np.full(size, NO_FAULT, np.int16)
    fault_field = np.zeros(size, np.int16)
    for position, reason in (row_faults or {}).items():
        fault[position] = REASONS.index(reason)
    notes = _Notes(fault, fault_field)
    pools, pool_ref = _read_pools(columns["pool"], notes)
    measured_us = _read_times(columns["measured_at"], notes)
    values = {name: _read_numbers(name, columns.get(name), size, notes) for name in FIELD_NAMES}
    return Batch(pools, pool_ref, measured_us, values, fault, fault_field)


class _Notes:
    """Keeps the first fault of each sample."""

    def __init__(self, fault: CodeArray, fault_field: CodeArray) -> None:
        self.fault = fault
        self.fault_field = fault_field

    def add(self, position: int, reason: Reason, field: str) -> None:
        if self.fault[position] == NO_FAULT:
            self.fault[position] = REASONS.index(reason)
            self.fault_field[position] = FAULT_FIELDS.index(field)


def _read_pools(column: Sequence[object], notes: _Notes) -> tuple[tuple[str, ...], IntArray]:
    if set(map(type, column)) <= {str} and "" not in column:
        ordinals = {code: ordinal for ordinal, code in enumerate(dict.fromkeys(column))}
        refs = map(ordinals.__getitem__, column)
        return tuple(ordinals), np.fromiter(refs, np.int64, len(column))  # type: ignore[arg-type]
    known: dict[str, int] = {}
    pool_ref = np.full(len(column), -1, np.int64)
    for position, value in enumerate(column):
        if type(value) is str and value:
            pool_ref[position] = known.setdefault(value, len(known))
        else:
            is_absent = value is None or value == ""
            notes.add(position, Reason.MISSING if is_absent else Reason.UNKNOWN_POOL, "pool")
    return tuple(known), pool_ref


def _read_times(column: Sequence[object], notes: _Notes) -> IntArray:
    # ticks come many times: each text is read once
    known = {
        value: None if (parsed := parse_time(value)) is None else to_us(parsed)
        for value in {value for value in column if type(value) is str}
    }
    moments = [known.get(value) if type(value) is str else None for value in column]
    if None not in moments:
        return np.array(moments, np.int64)
    times = np.zeros(len(column), np.int64)
    for position, (value, moment) in enumerate(zip(column, moments, strict=True)):
        if moment is None:
            notes.add(position, Reason.MISSING if value is None else Reason.BAD_TIME, "measured_at")
        else:
            times[position] = moment
    return times


def parse_time(text: str) -> dt.datetime | None:
    """Return the moment that an RFC 3339 time with an offset names, in UTC, or None.

    Digits beyond the microsecond are cut off. A leap second, a day that no month has, a time
    without an offset and a bare number of seconds are not times.

    >>> parse_time("1970-01-01T08:00:01+08:00").isoformat()
    '1970-01-01T00:00:01+00:00'
    >>> parse_time("1970-01-01T00:00:01") is None
    True
    """
    if len(text) > _LONGEST_TIME or not _RFC3339.fullmatch(text):
        return None
    try:
        return dt.datetime.fromisoformat(text.upper()).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _read_numbers(
    name: str, column: Sequence[object] | None, size: int, notes: _Notes
) -> FloatArray:
    if column is None:
        return np.full(size, np.nan)
    if _PLAIN_NUMBERS.issuperset(map(type, column)):
        try:
            numbers = np.asarray(column, dtype=np.float64)
        except OverflowError:  # an integer beyond the largest float
            numbers = None
        if numbers is not None and np.isfinite(numbers).all():
            return numbers + 0.0  # turns -0.0 into 0.0
    numbers = np.full(size, np.nan)
    for position, value in enumerate(column):
        if value is None:
            continue
        # by type, not isinstance: True is an int to Python, but not to a person
        if type(value) not in _PLAIN_NUMBERS:
            notes.add(position, Reason.NOT_A_NUMBER, name)
            continue
        number = _as_float(value)
        if math.isfinite(number):
            numbers[position] = number + 0.0
        else:
            notes.add(position, Reason.NOT_FINITE, name)
    return numbers


def _as_float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf
