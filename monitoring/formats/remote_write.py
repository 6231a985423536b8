"""Decodes Prometheus remote-write, messages 1.0 and 2.0, into points.

Metadata says nothing that is stored and is passed over. A native histogram becomes the series that
a classic one has.
"""

from enum import StrEnum

from monitoring.domain.points import PointFault, Points
from monitoring.formats.collector import Collector
from monitoring.formats.exemplars import read_exemplar
from monitoring.formats.heads import HeadMemory, decode_known
from monitoring.formats.histogram_series import ClassicSeries
from monitoring.formats.native_histograms import read_histogram
from monitoring.formats.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    MalformedProtobuf,
    Patience,
    double_at,
    fields,
    require,
    signed,
    text_at,
    varint,
)

MAX_SERIES = 50_000
MAX_SYMBOLS = 500_000
# a series with more of them than this is no slip: the body is refused before it is read through
MAX_LABELS_READ = 1_000
_US_IN_MS = 1_000


class Message(StrEnum):
    """The two messages, by the name that a Content-Type gives them."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"


def decode(body: bytes, message: Message, memory: HeadMemory | None = None) -> Points:
    """Turn an unpacked body into points.

    Args:
        body: protobuf.
        message: which of the two messages it is.
        memory: what the provider has spelled before; it changes the time this takes, not what
            comes out.

    Returns:
        The points in their order; what is wrong with one series is a fault of its points only.

    Raises:
        MalformedProtobuf: the body as a whole is not this message.
        TooManySamples: it holds more than 50,000 points or series.
    """
    if message is Message.V2:
        return _decode_v2(body)
    known = None if memory is None else decode_known(body, memory)
    return _decode_v1(body) if known is None else known


def _decode_v1(body: bytes) -> Points:
    collector, patience = Collector(), Patience()
    series = 0
    for number, kind, start, end in fields(body, 0, len(body)):
        if number != 1:
            patience.skip()
            continue
        require(kind, BYTES)
        _check_count(series, MAX_SERIES, "series")
        series += 1
        pairs: list[tuple[str, str]] = []
        rest: list[tuple[int, int, int]] = []
        for part, part_kind, a, b in fields(body, start, end):
            if part == 1:
                require(part_kind, BYTES)
                _check_count(len(pairs), MAX_LABELS_READ, "labels")
                pairs.append(_label(body, a, b, patience))
            else:
                _keep(rest, part, part_kind, (a, b), patience)
        _add_series(body, collector, pairs, rest, patience, symbols=None)
    return collector.finish()


def _decode_v2(body: bytes) -> Points:
    collector, patience = Collector(), Patience()
    symbols: list[str] = []
    series: list[tuple[int, int]] = []
    for number, kind, start, end in fields(body, 0, len(body)):
        if number == 4:
            require(kind, BYTES)
            _check_count(len(symbols), MAX_SYMBOLS, "symbols")
            symbols.append(text_at(body, start, end))
        elif number == 5:
            require(kind, BYTES)
            _check_count(len(series), MAX_SERIES, "series")
            series.append((start, end))
        else:
            patience.skip()
    if series and (not symbols or symbols[0] != ""):
        raise MalformedProtobuf("The first symbol must be the empty text.")
    for start, end in series:
        _read_v2_series(body, (start, end), symbols, collector, patience)
    return collector.finish()


def _read_v2_series(
    body: bytes,
    where: tuple[int, int],
    symbols: list[str],
    collector: Collector,
    patience: Patience,
) -> None:
    refs: list[int] = []
    rest: list[tuple[int, int, int]] = []
    for part, kind, a, b in fields(body, *where):
        if part != 1:
            _keep(rest, part, kind, (a, b), patience)
        elif kind == VARINT:
            refs.append(a)
        else:
            require(kind, BYTES)
            while a < b:
                _check_count(len(refs), 2 * MAX_LABELS_READ, "labels")
                ref, a = varint(body, a, b)  # noqa: PLW2901 (walks through the packed numbers)
                refs.append(ref)
    if len(refs) % 2 or any(ref >= len(symbols) for ref in refs):
        # which series this was cannot be said, so it is one without labels
        refs = []
    names = [symbols[ref] for ref in refs]
    pairs = list(zip(names[::2], names[1::2], strict=True))
    _add_series(body, collector, pairs, rest, patience, symbols=symbols)


def _keep(
    rest: list[tuple[int, int, int]],
    part: int,
    kind: int,
    where: tuple[int, int],
    patience: Patience,
) -> None:
    if kind == BYTES and part in (2, 3, 4):
        rest.append((part, *where))
        _check_count(len(rest), 2 * MAX_SERIES, "points")
    else:
        patience.skip()


def _add_series(
    body: bytes,
    collector: Collector,
    pairs: list[tuple[str, str]],
    rest: list[tuple[int, int, int]],
    patience: Patience,
    *,
    symbols: list[str] | None,
) -> None:
    # 2.0 has its histograms before its exemplars
    exemplar, histogram = (3, 4) if symbols is None else (4, 3)
    parts = {part for part, _, _ in rest}
    mixed = PointFault.MIXED_SERIES if {2, histogram} <= parts else None
    buckets = ClassicSeries(collector, pairs) if histogram in parts else None
    position = collector.add_series(pairs) if buckets is None or mixed else -1
    # the buckets that exemplars belong to must be known before them
    for part, start, end in sorted(rest, key=lambda entry: entry[0] == exemplar):
        if part == exemplar:
            read = read_exemplar(body, start, end, symbols, patience)
            place = position if buckets is None else buckets.holding(read.value)
            measured_us = read.time_ms * _US_IN_MS
            collector.add_exemplar(place, measured_us, read.value, read.labels)
        elif part == histogram and buckets is not None:
            found, time_ms = read_histogram(body, start, end, patience)
            buckets.add(found, time_ms * _US_IN_MS, fault=mixed, is_native=True)
        else:
            value, time_ms = _sample(body, start, end, patience)
            collector.add_point(position, time_ms * _US_IN_MS, value, fault=mixed)


def _label(body: bytes, start: int, end: int, patience: Patience) -> tuple[str, str]:
    # what every encoder writes: name, then value, each shorter than 128 bytes
    if end - start >= 4 and body[start] == 0x0A and body[start + 1] < 0x80:
        cut = start + 2 + body[start + 1]
        if cut + 2 <= end and body[cut] == 0x12 and cut + 2 + body[cut + 1] == end:
            return text_at(body, start + 2, cut), text_at(body, cut + 2, end)
    name = value = ""
    for number, kind, a, b in fields(body, start, end):
        if number == 1:
            require(kind, BYTES)
            name = text_at(body, a, b)
        elif number == 2:
            require(kind, BYTES)
            value = text_at(body, a, b)
        else:
            patience.skip()
    return name, value


def _sample(body: bytes, start: int, end: int, patience: Patience) -> tuple[float, int]:
    value, time_ms = 0.0, 0
    for number, kind, a, _ in fields(body, start, end):
        if number == 1:
            require(kind, FIXED64)
            value = double_at(body, a)
        elif number == 2:
            require(kind, VARINT)
            time_ms = signed(a)
        else:
            patience.skip()
    return value, time_ms


def _check_count(count: int, limit: int, what: str) -> None:
    if count >= limit:
        raise MalformedProtobuf(f"The message has more than {limit} {what} in one place.")
