"""Reads exemplars of remote-write: a value of a series, and what it was an example of."""

from dataclasses import dataclass

from monitoring.domain.points import Labels
from monitoring.formats.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    Patience,
    double_at,
    fields,
    require,
    signed,
    varint,
)

MAX_REFS = 64


@dataclass(frozen=True)
class ReadExemplar:
    """An exemplar as it was read.

    Attributes:
        labels: names and values; None when they cannot be read.
        value: of the series at that moment.
        time_ms: milliseconds since 1970 UTC.
    """

    labels: Labels | None
    value: float
    time_ms: int


def read_exemplar(
    body: bytes, start: int, end: int, symbols: list[str] | None, patience: Patience
) -> ReadExemplar:
    """Return an exemplar of remote-write.

    Args:
        body: protobuf.
        start: where the message begins.
        end: where it ends.
        symbols: what references of 2.0 stand for; None for 1.0, whose labels are spelled out.
        patience: ends a walk through what nobody asked for.

    Raises:
        MalformedProtobuf: it is no such message.
    """
    value, time_ms = 0.0, 0
    refs: list[int] = []
    texts: list[tuple[int, int]] = []
    for number, kind, a, b in fields(body, start, end):
        if number == 1 and kind == VARINT:
            refs.append(a)
        elif number == 1:
            require(kind, BYTES)
            texts.append((a, b))
        elif number == 2 and kind == FIXED64:
            value = double_at(body, a)
        elif number == 3 and kind == VARINT:
            time_ms = signed(a)
        else:
            patience.skip()
    if symbols is None:
        labels = _spelled(body, texts, patience)
    else:
        labels = _referred(body, refs, texts, symbols)
    return ReadExemplar(labels, value, time_ms)


def _spelled(body: bytes, texts: list[tuple[int, int]], patience: Patience) -> Labels | None:
    pairs = []
    for start, end in texts[: MAX_REFS + 1]:
        said = {1: b"", 2: b""}
        for number, kind, a, b in fields(body, start, end):
            if number in said and kind == BYTES:
                said[number] = body[a:b]
            else:
                patience.skip()
        try:
            pairs.append((said[1].decode(), said[2].decode()))
        except UnicodeDecodeError:
            return None
    return tuple(pairs) if len(texts) <= MAX_REFS else None


def _referred(
    body: bytes, refs: list[int], packed: list[tuple[int, int]], symbols: list[str]
) -> Labels | None:
    for start, end in packed:
        at = start
        while at < end and len(refs) <= 2 * MAX_REFS:
            ref, at = varint(body, at, end)
            refs.append(ref)
    if len(refs) % 2 or len(refs) > 2 * MAX_REFS or any(ref >= len(symbols) for ref in refs):
        return None
    names = [symbols[ref] for ref in refs]
    return tuple(zip(names[::2], names[1::2], strict=True))
