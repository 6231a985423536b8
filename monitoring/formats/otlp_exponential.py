"""Reads the buckets of OTLP's exponential histograms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from monitoring.formats.native_histograms import MAX_READ, NativeHistogram, Side
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
    varint,
)

# numbers of scale, count of zeros, positive and negative buckets, zero threshold
EXPONENTIAL_FIELDS = frozenset({6, 7, 8, 9, 14})
_FAR = 1 << 31


class ExponentialReader:
    """Gathers the fields of one exponential histogram's data point."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._scale = 0
        self._zeros = 0.0
        self._threshold = 0.0
        self._sides = {8: Side.none(), 9: Side.none()}

    def read(self, body: bytes, number: int, kind: int, where: tuple[int, int]) -> None:
        """Take one field.

        Raises:
            MalformedProtobuf: it is of another kind than it should be.
        """
        self._patience.skip()
        if number == 6:
            require(kind, VARINT)
            self._scale = _zigzag(where[0])
        elif number in (7, 14):
            require(kind, FIXED64)
            if number == 7:
                self._zeros = float(fixed_at(body, where[0]))
            else:
                self._threshold = double_at(body, where[0])
        else:
            require(kind, BYTES)
            self._sides[number] = self._side(body, where)

    def finish(self, said: Mapping[str, Any]) -> NativeHistogram:
        """Return the histogram, with the count and sum that were read elsewhere."""
        return NativeHistogram(
            count=float(said.get("count") or 0),
            total=said.get("total"),
            schema=self._scale,
            zero_threshold=self._threshold,
            zero_count=self._zeros,
            positive=self._sides[8],
            negative=self._sides[9],
        )

    def _side(self, body: bytes, where: tuple[int, int]) -> Side:
        offset, counts = 0, []
        for number, kind, a, b in fields(body, *where):
            if number == 1 and kind == VARINT:
                offset = _zigzag(a)
            elif number == 2 and kind == VARINT:
                counts.append(a)
            elif number == 2:
                require(kind, BYTES)
                at = a
                while at < b:
                    count, at = varint(body, at, b)
                    counts.append(count)
                    if len(counts) > MAX_READ:
                        raise MalformedProtobuf("A histogram has too many buckets.")
            else:
                self._patience.skip()
        return side_of(offset, counts)


def side_of(offset: int, counts: Sequence[int]) -> Side:
    """Return one side's buckets.

    Args:
        offset: of the first; OTLP's bucket i reaches from base^i to base^(i+1).
        counts: of neighbouring buckets.

    Raises:
        MalformedProtobuf: there are more buckets, or they lie further off, than any encoder writes.
    """
    if len(counts) > MAX_READ or abs(offset) > _FAR:
        raise MalformedProtobuf("A histogram has too many buckets.")
    count = np.array(counts, np.float64)
    index = offset + 1 + np.arange(len(count), dtype=np.int64)
    return Side(index[count != 0], count[count != 0])


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
