"""Turns native and exponential histograms into what Prometheus keeps of a classic one.

Their buckets are not listed but computed: bounds grow by a constant factor. Here they become
cumulative buckets with a label `le`, beside count and sum, so that every histogram is asked for in
one way, whoever sent it. A histogram with more buckets than are kept is merged two by two, which
its bounds allow without error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitoring.domain.points import PointFault
from monitoring.domain.samples import FloatArray, IntArray
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
    varint,
)

MAX_KEPT_BUCKETS = 160
# of one histogram so many numbers are read at most: more than any encoder writes
MAX_READ = 4_096
CUSTOM_SCHEMA = -53
SCHEMAS = range(-4, 9)
# OTLP's scales beyond the schemas are merged down, or have one bucket for everything
SCALES = range(-10, 21)


@dataclass(frozen=True)
class Side:
    """The populated buckets of positive, or of negative, values.

    Attributes:
        index: (b,) int64, ascending; bucket i reaches from base^(i-1), exclusive, to base^i.
        count: (b,) float64, how many values lie in each.
    """

    index: IntArray
    count: FloatArray

    @classmethod
    def none(cls) -> "Side":
        """Return a side without values."""
        return cls(np.zeros(0, np.int64), np.zeros(0))

    def halved(self) -> "Side":
        """Return the same values in buckets of the square of the base."""
        # ceil(i / 2): buckets 2k - 1 and 2k reach up to base^2k together
        index, place = np.unique(-(-self.index // 2), return_inverse=True)
        return Side(
            index.astype(np.int64), np.bincount(place, self.count, len(index)).astype(float)
        )

    def with_neighbours(self, side: int) -> "Side":
        """Return the same with an empty bucket beside each, where none is: it says where one ends.

        Args:
            side: -1 for the bucket before, 1 for the one behind.
        """
        index = np.union1d(self.index, self.index + side)
        count = np.zeros(len(index))
        count[np.searchsorted(index, self.index)] = self.count
        return Side(index, count)


@dataclass(frozen=True)
class NativeHistogram:
    """One native histogram.

    Attributes:
        count: of all values.
        total: sum of all values; the stale marker says that the series has ended. None = not said.
        schema: the base is 2^(2^-schema); `CUSTOM_SCHEMA` means that `bounds` are listed.
        zero_threshold: values not further from zero are in the zero bucket.
        zero_count: how many those are.
        negative: buckets of values below zero.
        positive: buckets of values above zero; with custom bounds bucket i ends at `bounds[i]`.
        bounds: upper bounds of custom buckets, all but the last.
    """

    count: float
    total: float | None
    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    negative: Side = field(default_factory=Side.none)
    positive: Side = field(default_factory=Side.none)
    bounds: tuple[float, ...] = ()


def fault_of(histogram: NativeHistogram) -> PointFault | None:
    """Return why a histogram cannot be kept, or None."""
    is_custom = histogram.schema == CUSTOM_SCHEMA
    if not is_custom and histogram.schema not in SCALES:
        return PointFault.HISTOGRAM
    counts = np.concatenate((histogram.negative.count, histogram.positive.count))
    if not np.isfinite(histogram.count) or histogram.count < 0 or histogram.zero_count < 0:
        return PointFault.BAD_BUCKETS
    if (counts < 0).any() or not np.isfinite(counts).all():
        return PointFault.BAD_BUCKETS
    if is_custom and not _is_custom_sound(histogram):
        return PointFault.BAD_BUCKETS
    # values that are no number are in the count, and in no bucket
    inside = counts.sum() + histogram.zero_count
    is_fitting = inside <= histogram.count * (1 + 1e-9) + 1e-9
    return None if is_fitting else PointFault.BAD_BUCKETS


def classic_buckets(histogram: NativeHistogram) -> list[tuple[float, float]]:
    """Return upper bounds and how many values lie at or below each, ascending, infinity last.

    Args:
        histogram: one without a fault. A bucket of values below zero includes its lower bound
            and not its upper one: a value on the very bound is counted one bucket too high.
    """
    if histogram.schema == CUSTOM_SCHEMA:
        return _custom_buckets(histogram)
    negative, positive, schema = histogram.negative, histogram.positive, histogram.schema
    while True:
        above, below = positive.with_neighbours(-1), negative.with_neighbours(1)
        if len(above.index) + len(below.index) <= MAX_KEPT_BUCKETS and schema <= SCHEMAS[-1]:
            break
        negative, positive, schema = negative.halved(), positive.halved(), schema - 1
    growth = 2.0**-schema
    with np.errstate(over="ignore"):
        lows = -np.exp2((below.index[::-1] - 1) * growth)
        highs = np.exp2(above.index * growth)
    steps = [*zip(lows.tolist(), below.count[::-1].tolist(), strict=True)]
    if histogram.zero_count or histogram.zero_threshold:
        steps.append((histogram.zero_threshold, histogram.zero_count))
    steps += zip(highs.tolist(), above.count.tolist(), strict=True)
    return _summed(sorted(steps), histogram.count)


def _custom_buckets(histogram: NativeHistogram) -> list[tuple[float, float]]:
    known = dict(zip(histogram.positive.index.tolist(), histogram.positive.count, strict=True))
    steps = [(bound, known.get(place, 0.0)) for place, bound in enumerate(histogram.bounds)]
    return _summed(steps, histogram.count)


def _summed(steps: Sequence[tuple[float, float]], count: float) -> list[tuple[float, float]]:
    summed, total = {}, 0.0
    for bound, own in steps:
        total += own
        # two buckets may end beyond the largest double
        summed[bound] = total
    summed.pop(float("inf"), None)
    return [*summed.items(), (float("inf"), count)]


def _is_custom_sound(histogram: NativeHistogram) -> bool:
    bounds = np.array(histogram.bounds)
    index = histogram.positive.index
    return (
        len(bounds) <= MAX_KEPT_BUCKETS
        and bool(np.isfinite(bounds).all())
        and bool((bounds[1:] > bounds[:-1]).all())
        and (len(index) == 0 or (index[0] >= 0 and index[-1] <= len(bounds)))
        and len(histogram.negative.index) == 0
    )


def read_histogram(
    body: bytes, start: int, end: int, patience: Patience
) -> tuple[NativeHistogram, int]:
    """Return a histogram of remote-write, 1.0 and 2.0 alike, and its time.

    Args:
        body: protobuf.
        start: where the message begins.
        end: where it ends.
        patience: ends a walk through what nobody asked for.

    Returns:
        The histogram and milliseconds since 1970 UTC; spans that do not fit to their counts make
        one that has a fault.

    Raises:
        MalformedProtobuf: it is no such message.
    """
    said: dict[int, Any] = {}
    lists: dict[int, list[Any]] = {number: [] for number in (8, 9, 10, 11, 12, 13, 16)}
    for number, kind, a, b in fields(body, start, end):
        if number in (8, 11):
            require(kind, BYTES)
            lists[number].append(_span(body, a, b, patience))
        elif number in lists:
            lists[number] += _numbers(body, kind, (a, b), is_delta=number in (9, 12))
        elif kind == VARINT and number in (1, 4, 6, 15):
            said[number] = a
        elif kind == FIXED64 and number in (2, 3, 5, 7):
            said[number] = double_at(body, a)
        else:
            patience.skip()
        if any(len(found) > MAX_READ for found in lists.values()):
            raise MalformedProtobuf("A histogram has too many buckets.")
    histogram = NativeHistogram(
        count=said.get(2, float(said.get(1, 0))),
        total=said.get(3, 0.0),
        schema=_zigzag(said.get(4, 0)),
        zero_threshold=said.get(5, 0.0),
        zero_count=said.get(7, float(said.get(6, 0))),
        negative=_side(lists[8], lists[9], lists[10]),
        positive=_side(lists[11], lists[12], lists[13]),
        bounds=tuple(lists[16]),
    )
    return histogram, signed(said.get(15, 0))


def _side(spans: list[tuple[int, int]], deltas: list[int], counts: list[float]) -> Side:
    absolute = np.array(counts) if counts else np.cumsum(np.array(deltas, np.float64))
    length = sum(size for _, size in spans)
    if length != len(absolute):
        # a count below zero is what no histogram has
        return Side(np.zeros(1, np.int64), np.full(1, -1.0))
    index, at = np.empty(length, np.int64), 0
    place = 0
    for offset, size in spans:
        at += offset
        index[place : place + size] = np.arange(at, at + size)
        at, place = at + size, place + size
    if len(index) and np.abs(index).max() >= 1 << 31:
        return Side(np.zeros(1, np.int64), np.full(1, -1.0))
    is_populated = absolute != 0
    return Side(index[is_populated], absolute[is_populated])


def _span(body: bytes, start: int, end: int, patience: Patience) -> tuple[int, int]:
    offset = length = 0
    for number, kind, value, _ in fields(body, start, end):
        if number == 1 and kind == VARINT:
            offset = _zigzag(value)
        elif number == 2 and kind == VARINT:
            length = value
        else:
            patience.skip()
    if length > MAX_READ:
        raise MalformedProtobuf("A histogram has too many buckets.")
    return offset, length


def _numbers(
    body: bytes, kind: int, where: tuple[int, int], *, is_delta: bool
) -> Iterator[int | float]:
    start, end = where
    if is_delta and kind == VARINT:
        yield _zigzag(start)
    elif is_delta:
        require(kind, BYTES)
        while start < end:
            value, start = varint(body, start, end)
            yield _zigzag(value)
    elif kind == FIXED64:
        yield double_at(body, start)
    else:
        require(kind, BYTES)
        if (end - start) % 8 or end - start > 8 * MAX_READ:
            raise MalformedProtobuf("The numbers of a histogram are not 8 bytes each.")
        yield from np.frombuffer(body[start:end], "<f8").tolist()


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
