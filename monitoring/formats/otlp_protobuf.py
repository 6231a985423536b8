"""Reads OTLP's protobuf messages and writes the two that answer them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from monitoring.domain.points import Points
from monitoring.formats.collector import Collector
from monitoring.formats.otlp import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    DataPoint,
    Metric,
    OtlpExemplar,
    add_data_point,
    attribute_text,
)
from monitoring.formats.otlp_exponential import EXPONENTIAL_FIELDS, ExponentialReader
from monitoring.formats.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    MalformedProtobuf,
    Patience,
    double_at,
    fields,
    fixed_at,
    require,
    signed,
    text_at,
)

# what surrounds the points, and what is passed over
MAX_FIELDS = 500_000
_NUMBER_KINDS = frozenset({5, 7})
_DISTRIBUTION_KINDS = frozenset({9, 10, 11})
_HISTOGRAM, _EXPONENTIAL = 9, 10
# of a histogram so many are read at most: more than are taken
_MAX_NUMBERS = 1_024
# of each kind of metric, the number of its points' exemplars
_EXEMPLARS = {5: 5, 7: 5, 9: 8, 10: 11}
MAX_EXEMPLARS_READ = 32
# of each kind of metric, the numbers of its points' attributes and flags
_LAYOUT = {5: (7, 8), 7: (7, 8), 9: (9, 10), 10: (1, 10), 11: (7, 8)}


def decode(body: bytes) -> Points:
    """Turn an ExportMetricsServiceRequest into points.

    Raises:
        MalformedProtobuf: the body is not this message.
        TooManySamples: it holds more than 50,000 data points.
    """
    collector, patience = Collector(), Patience(MAX_FIELDS)
    for start, end in _children(body, (0, len(body)), 1, patience):
        resource: dict[str, str] = {}
        scopes: list[tuple[int, int]] = []
        for number, kind, a, b in fields(body, start, end):
            if number == 1:
                require(kind, BYTES)
                resource = dict(_attributes(body, (a, b), 1, patience))
            elif number == 2:
                require(kind, BYTES)
                patience.skip()
                scopes.append((a, b))
            else:
                patience.skip()
        for scope in scopes:
            for metric in _children(body, scope, 2, patience):
                _read_metric(body, metric, resource, collector, patience)
    return collector.finish()


def encode_partial_success(rejected: int, message: str) -> bytes:
    """Return an ExportMetricsServiceResponse; with nothing to say it is empty."""
    inner = (b"\x08" + _encode_varint(rejected) if rejected else b"") + _encode_text(2, message)
    return _encode_bytes(1, inner) if inner else b""


def encode_status(message: str) -> bytes:
    """Return a google.rpc.Status with a message for a person."""
    return _encode_text(2, message)


def _read_metric(
    body: bytes,
    where: tuple[int, int],
    resource: dict[str, str],
    collector: Collector,
    patience: Patience,
) -> None:
    name, holders = "", []
    for number, kind, a, b in fields(body, *where):
        patience.skip()
        if number == 1:
            require(kind, BYTES)
            name = text_at(body, a, b)
        elif number in _LAYOUT:
            require(kind, BYTES)
            holders.append((number, a, b))
    for shape, a, b in holders:
        points, temporality = [], 0
        for number, kind, c, d in fields(body, a, b):
            if number == 1:
                require(kind, BYTES)
                patience.skip()
                points.append((c, d))
            elif number == 2 and kind == VARINT and shape != 5:
                temporality = c
            else:
                patience.skip()
        metric = Metric(name, shape in _DISTRIBUTION_KINDS, temporality, shape == _EXPONENTIAL)
        for point in points:
            read = _read_point(body, point, shape, patience)
            add_data_point(collector, resource, metric, read)


def _read_point(body: bytes, where: tuple[int, int], shape: int, patience: Patience) -> DataPoint:
    attribute_number, flags_number = _LAYOUT[shape]
    said: dict[str, Any] = {}
    pairs: list[tuple[str, str]] = []
    buckets: list[int] = []
    bounds: list[float] = []
    exemplars: list[OtlpExemplar] = []
    exponential = ExponentialReader(patience)
    for number, kind, a, b in fields(body, *where):
        if number == attribute_number and kind == BYTES:
            _check_attributes(pairs)
            pairs.append(_key_value(body, (a, b), patience))
        elif number == flags_number and kind == VARINT:
            said["flags"] = a
        elif shape in _EXEMPLARS and number == _EXEMPLARS[shape] and kind == BYTES:
            patience.skip()
            if len(exemplars) < MAX_EXEMPLARS_READ:
                exemplars.append(_exemplar(body, (a, b), patience))
        elif shape == _EXPONENTIAL and number in EXPONENTIAL_FIELDS:
            exponential.read(body, number, kind, (a, b))
        elif shape == _HISTOGRAM and number in (6, 7):
            patience.skip()
            numbers = buckets if number == 6 else bounds
            if len(numbers) <= _MAX_NUMBERS:
                numbers += _numbers(body, kind, (a, b), whole=number == 6)
        elif kind == FIXED64 and number in (3, 4, 5, 6):
            said |= _figure(body, number, a, shape)
        else:
            patience.skip()
    return DataPoint(
        tuple(pairs),
        said.pop("time_ns", None),
        bounds=tuple(bounds),
        buckets=tuple(buckets),
        native=exponential.finish(said) if shape == _EXPONENTIAL else None,
        exemplars=tuple(exemplars),
        **said,
    )


def _exemplar(body: bytes, where: tuple[int, int], patience: Patience) -> OtlpExemplar:
    pairs: list[tuple[str, str]] = []
    value, time_ns = None, None
    for number, kind, a, b in fields(body, *where):
        if number == 7 and kind == BYTES:
            _check_attributes(pairs)
            pairs.append(_key_value(body, (a, b), patience))
        elif number in (4, 5) and kind == BYTES:
            pairs.append(("span_id" if number == 4 else "trace_id", body[a:b].hex()))
        elif kind == FIXED64 and number == 2:
            time_ns = fixed_at(body, a)
        elif kind == FIXED64 and number in (3, 6):
            value = double_at(body, a) if number == 3 else float(fixed_at(body, a, is_signed=True))
        else:
            patience.skip()
    return OtlpExemplar(value, time_ns, tuple(pairs))


def _figure(body: bytes, number: int, at: int, shape: int) -> dict[str, Any]:
    if number == 3:
        return {"time_ns": fixed_at(body, at)}
    if shape in _NUMBER_KINDS:
        if number == 4:
            return {"value": double_at(body, at)}
        return {"value": float(fixed_at(body, at, is_signed=True))} if number == 6 else {}
    if number == 4:
        return {"count": fixed_at(body, at)}
    return {"total": double_at(body, at)} if number == 5 else {}


def _numbers(body: bytes, kind: int, where: tuple[int, int], *, whole: bool) -> list[Any]:
    """Return what stands in a repeated field of 8 bytes each, packed or one by one."""
    start, end = (where[0], where[0] + 8) if kind == FIXED64 else where
    if kind not in (FIXED64, BYTES) or (end - start) % 8:
        raise MalformedProtobuf("The numbers of a histogram are not 8 bytes each.")
    end = min(end, start + 8 * _MAX_NUMBERS)
    numbers: list[Any] = np.frombuffer(body[start:end], "<u8" if whole else "<f8").tolist()
    return numbers


def _attributes(
    body: bytes, where: tuple[int, int], number: int, patience: Patience
) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for child in _children(body, where, number, patience):
        _check_attributes(pairs)
        pairs.append(_key_value(body, child, patience))
    return pairs


def _check_attributes(pairs: list[tuple[str, str]]) -> None:
    if len(pairs) >= MAX_ATTRIBUTES:
        raise MalformedProtobuf(f"There are more than {MAX_ATTRIBUTES} attributes in one place.")


def _key_value(body: bytes, where: tuple[int, int], patience: Patience) -> tuple[str, str]:
    name, text = "", ""
    for number, kind, a, b in fields(body, *where):
        if number == 1 and kind == BYTES:
            name = text_at(body, a, b)
        elif number == 2 and kind == BYTES:
            text = attribute_text(_any_value(body, (a, b), patience, depth=1))
        else:
            patience.skip()
    return name, text


def _any_value(body: bytes, where: tuple[int, int], patience: Patience, *, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise MalformedProtobuf("An attribute is nested too deeply.")
    value: Any = None
    for number, kind, a, b in fields(body, *where):
        if kind == BYTES and number in (5, 6):
            value = _collection(body, (a, b), patience, is_map=number == 6, depth=depth)
        elif kind == BYTES and number == 1:
            value = text_at(body, a, b)
        elif kind == BYTES and number == 7:
            value = body[a:b].hex()
        elif kind == VARINT and number in (2, 3):
            value = bool(a) if number == 2 else signed(a)
        elif kind == FIXED64 and number == 4:
            value = double_at(body, a)
        else:
            patience.skip()
    return value


def _collection(
    body: bytes, where: tuple[int, int], patience: Patience, *, is_map: bool, depth: int
) -> Any:
    found: list[tuple[str, Any]] = []
    for a, b in _children(body, where, 1, patience):
        if not is_map:
            found.append(("", _any_value(body, (a, b), patience, depth=depth + 1)))
            continue
        name, value = "", None
        for number, kind, c, d in fields(body, a, b):
            if kind == BYTES and number == 1:
                name = text_at(body, c, d)
            elif kind == BYTES and number == 2:
                value = _any_value(body, (c, d), patience, depth=depth + 1)
            else:
                patience.skip()
        found.append((name, value))
    return dict(found) if is_map else [value for _, value in found]


def _children(
    body: bytes, where: tuple[int, int], wanted: int, patience: Patience
) -> Iterator[tuple[int, int]]:
    for number, kind, start, end in fields(body, *where):
        patience.skip()
        if number == wanted:
            require(kind, BYTES)
            yield start, end


def _encode_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _encode_bytes(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | BYTES]) + _encode_varint(len(content)) + content


def _encode_text(number: int, text: str) -> bytes:
    return _encode_bytes(number, text.encode()) if text else b""
