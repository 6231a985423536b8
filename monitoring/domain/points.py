"""Decides which points of standard senders are taken, and accounts for every one of them."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from itertools import accumulate
from typing import overload
from uuid import UUID

import numpy as np

from monitoring.domain.samples import BoolArray, CodeArray, FloatArray, IntArray, Window, to_us

Labels = tuple[tuple[str, str], ...]

NAME_LABEL = "__name__"
MAX_LABELS = 64
MAX_NAME_CHARS = 256
MAX_VALUE_CHARS = 4096
# as OpenMetrics has it
MAX_EXEMPLAR_CHARS = 128
MAX_ERRORS_LISTED = 100
NO_FAULT = -1


class PointFault(StrEnum):
    """Why a point was not stored."""

    NO_NAME = "no-metric-name"
    BAD_LABELS = "bad-labels"
    TOO_MANY_LABELS = "too-many-labels"
    MIXED_SERIES = "samples-and-histograms"
    HISTOGRAM = "unsupported-histogram"
    BAD_BUCKETS = "bad-buckets"
    BAD_TIME = "bad-time"
    NO_VALUE = "no-value"
    TOO_OLD = "too-old"
    IN_THE_FUTURE = "in-the-future"
    UNKNOWN_POOL = "unknown-pool"
    SERIES_LIMIT = "series-limit"
    CONFLICT = "conflict"


FAULTS = tuple(PointFault)
WORDS: Mapping[PointFault, str] = {
    PointFault.NO_NAME: "the series has no metric name",
    PointFault.BAD_LABELS: "a label is empty, repeated, too long or not clean text",
    PointFault.TOO_MANY_LABELS: f"a series has at most {MAX_LABELS} labels",
    PointFault.MIXED_SERIES: "one series holds samples or histograms, not both",
    PointFault.HISTOGRAM: "the scale of the histogram's buckets is none that is known here",
    PointFault.BAD_BUCKETS: "the buckets are too many, not in order, or do not add up to the count",
    PointFault.BAD_TIME: "the point has no time that can be read",
    PointFault.NO_VALUE: "the point has no value",
    PointFault.TOO_OLD: "the time is before what is taken",
    PointFault.IN_THE_FUTURE: "the time is after what is taken",
    PointFault.UNKNOWN_POOL: "the mapping rules lead to a pool that you do not have",
    PointFault.SERIES_LIMIT: "you have as many series as you may; ask for more, or send fewer",
    PointFault.CONFLICT: "another value is stored for this series and time; the first one stays",
}


@dataclass(frozen=True)
class Exemplar:
    """A value of a series, and what it was an example of: mostly a trace.

    Attributes:
        series: position in the series that came with it.
        measured_us: microseconds since 1970 UTC.
        value: any number.
        labels: sorted by name, `MAX_EXEMPLAR_CHARS` characters in all at most.
    """

    series: int
    measured_us: int
    value: float
    labels: Labels


@dataclass(frozen=True)
class Points:
    """What one request carries, read but not judged: n points of k series.

    Attributes:
        series: (k,) label sets, sorted by label name; an unusable one is empty.
        series_of: (n,) int64, position in `series`.
        measured_us: (n,) int64, microseconds since 1970 UTC.
        value: (n,) float64; NaN is a value, the stale marker one of a fixed bit pattern.
        fault: (n,) int16, position in `FAULTS`, or `NO_FAULT`.
        origin: (n,) int64, the sender's own item that a point came from: one OTLP histogram point
            makes two points here, a sample of remote-write one.
        is_histogram: (n,) bool, whether it was made of a native histogram.
        exemplars: those that came along and can be kept.
        spelling: (k,) int64, the number under which the decoder remembers the spelling of each
            series, -1 for none; None when nothing is remembered.
    """

    series: Sequence[Labels]
    series_of: IntArray
    measured_us: IntArray
    value: FloatArray
    fault: CodeArray
    origin: IntArray
    is_histogram: BoolArray
    exemplars: Sequence["Exemplar"] = ()
    spelling: IntArray | None = None

    def __len__(self) -> int:
        return len(self.series_of)


class ChainedSeries(Sequence[Labels]):
    """The label sets of several requests one after the other; none is read before it is asked."""

    def __init__(self, parts: Sequence[Sequence[Labels]]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, position: int) -> Labels: ...
    @overload
    def __getitem__(self, position: slice) -> list[Labels]: ...
    def __getitem__(self, position: int | slice) -> Labels | list[Labels]:
        """Return a label set, or several."""
        if isinstance(position, slice):
            return [self[at] for at in range(*position.indices(len(self)))]
        at = range(len(self))[position]
        part = bisect_right(self._starts, at) - 1
        return self._parts[part][at - self._starts[part]]


@dataclass(frozen=True)
class PointError:
    """Why one of the sender's items was not stored."""

    index: int
    series: str
    code: str
    reason: str


@dataclass(frozen=True)
class PointReport:
    """What became of each item: received = accepted + duplicate + conflict + rejected."""

    received: int
    accepted: int
    duplicate: int
    conflict: int
    rejected: int
    samples_written: int
    errors_total: int
    histograms_written: int = 0
    exemplars_written: int = 0
    errors: tuple[PointError, ...] = ()
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether everything received is stored as it was received."""
        return self.errors_total == 0

    @property
    def first_reason(self) -> str:
        """The first refusal, for a person; empty when there was none."""
        return f"{self.errors[0].series}: {self.errors[0].reason}" if self.errors else ""


def label_fault(pairs: Sequence[tuple[str, str]]) -> PointFault | None:
    """Return what is wrong with a label set, or None.

    Args:
        pairs: names and values, sorted by name, those with an empty value left out.
    """
    if len(pairs) > MAX_LABELS:
        return PointFault.TOO_MANY_LABELS
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names) or not _is_clean(pairs):
        return PointFault.BAD_LABELS
    return None if NAME_LABEL in names else PointFault.NO_NAME


def series_key(labels: Labels) -> UUID:
    """Return the identity of a faultless label set: 128 bits of a hash over its spelling."""
    # no label holds a zero byte, so the spelling is unambiguous
    spelling = "\0".join([part for pair in labels for part in pair])
    return UUID(bytes=blake2b(spelling.encode(), digest_size=16).digest())


def judge_times(points: Points, window: Window) -> CodeArray:
    """Return the points' faults with those added whose time lies outside the window."""
    fault = points.fault.copy()
    is_fine = fault == NO_FAULT
    fault[is_fine & (points.measured_us < to_us(window.oldest))] = FAULTS.index(PointFault.TOO_OLD)
    fault[is_fine & (points.measured_us > to_us(window.newest))] = FAULTS.index(
        PointFault.IN_THE_FUTURE
    )
    return fault


def report_on(points: Points, fault: CodeArray, accepted: BoolArray) -> PointReport:
    """Account for every item of a request.

    Args:
        points: n points.
        fault: (n,) position in `FAULTS`, or `NO_FAULT`.
        accepted: (n,) whether a faultless point was new; one that was not is a duplicate.

    Returns:
        Counts of the sender's items: an item with a faulty point is faulty, one with a new point
        is new.
    """
    items, first, item_of = _items(points.origin)
    worst = np.full(len(items), NO_FAULT, np.int64)
    # the first fault of an item speaks for it
    faulty = np.flatnonzero(fault != NO_FAULT)[::-1]
    worst[item_of[faulty]] = fault[faulty]
    is_new = np.zeros(len(items), bool)
    is_new[item_of[accepted]] = True
    is_new &= worst == NO_FAULT
    bad = np.flatnonzero(worst != NO_FAULT)
    counts = Counter(FAULTS[code] for code in worst[bad].tolist())
    conflict = counts.pop(PointFault.CONFLICT, 0)
    return PointReport(
        received=len(items),
        accepted=int(is_new.sum()),
        duplicate=len(items) - int(is_new.sum()) - len(bad),
        conflict=conflict,
        rejected=len(bad) - conflict,
        samples_written=int(((fault == NO_FAULT) & ~points.is_histogram).sum()),
        histograms_written=int((points.is_histogram[first] & (worst == NO_FAULT)).sum()),
        errors_total=len(bad),
        errors=tuple(
            _error(points, int(items[item]), int(first[item]), FAULTS[int(worst[item])])
            for item in bad[:MAX_ERRORS_LISTED].tolist()
        ),
        rejected_by_reason={reason.value: count for reason, count in counts.items()},
    )


def _items(origin: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    if (origin[1:] > origin[:-1]).all():
        each = np.arange(len(origin))
        return origin, each, each
    items, first = np.unique(origin, return_index=True)
    return items, first, np.searchsorted(items, origin)


def _error(points: Points, item: int, position: int, fault: PointFault) -> PointError:
    labels = points.series[int(points.series_of[position])]
    name = dict(labels).get(NAME_LABEL, "")
    shown = name[:80] if name.isprintable() else ""
    return PointError(item, shown, fault.value, WORDS[fault])


def _is_clean(pairs: Sequence[tuple[str, str]]) -> bool:
    for name, value in pairs:
        if not name or len(name) > MAX_NAME_CHARS or len(value) > MAX_VALUE_CHARS:
            return False
    text = "".join([part for pair in pairs for part in pair])
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can name, is no text
        return False
    return "\0" not in text
