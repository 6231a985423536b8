"""Reads remote-write 1.0 by what it has in common with the requests before it.

A sender repeats the labels of a series byte for byte, so they are looked up and not read again;
the one sample behind them has a fixed width. Whatever does not look like that is left to the
decoder that reads field by field: both take the same bodies for the same points.
"""

from collections.abc import Sequence
from itertools import repeat
from threading import Lock
from typing import overload

import numpy as np

from monitoring.domain.points import NO_FAULT, Labels, Points, label_fault
from monitoring.domain.samples import BoolArray, FloatArray, IntArray
from monitoring.formats.collector import clean_labels
from monitoring.formats.protobuf import BYTES, MalformedProtobuf, fields, text_at, varint
from monitoring.formats.rows import MAX_SAMPLES

# a sample with its value, and one whose value is zero and therefore not written
_LONG, _SHORT = 18, 9
_TIME_BYTES = 6
# tags: a series of the message, a sample of the series, value and time of the sample
_SERIES, _SAMPLE, _VALUE, _TIME = 0x0A, 0x12, 0x09, 0x10
_US_IN_MS = 1_000
# what a spelling costs beyond its bytes: the object, its place in the table and in the list
_OVERHEAD_BYTES = 160


class HeadMemory:
    """Numbers the label sets that one provider spells; for as long as the process lives."""

    def __init__(self) -> None:
        self._ordinal: dict[bytes, int] = {}
        self._heads: list[bytes] = []
        self._growing = Lock()
        self._noted: tuple[int, IntArray] = (-1, np.zeros(1024, np.int64))
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._heads)

    def find(self, heads: Sequence[bytes]) -> IntArray:
        """Return (k,) int64, the number of each spelling; -1 for one that is not known."""
        found = map(self._ordinal.get, heads, repeat(-1))
        return np.fromiter(found, np.int64, len(heads))

    def learn(self, head: bytes) -> int:
        """Return the number of a spelling; the caller has found that it is a faultless label set.

        Args:
            head: label fields of protobuf, nothing else.
        """
        with self._growing:
            known = self._ordinal.get(head)
            if known is not None:
                return known
            self._heads.append(head)
            self._ordinal[head] = len(self._heads) - 1
            self.size_bytes += len(head) + _OVERHEAD_BYTES
            return len(self._heads) - 1

    def labels(self, ordinal: int) -> Labels:
        """Return the label set with a number."""
        # it was read before it was learned
        return read_labels(self._heads[ordinal]) or ()

    def spelled_bytes(self, ordinals: IntArray) -> int:
        """Return how long some spellings are together; negative numbers are passed over."""
        return sum(len(self._heads[ordinal]) for ordinal in ordinals.tolist() if ordinal >= 0)

    def series_ids(self, ordinals: IntArray, epoch: int | None) -> IntArray:
        """Return (k,) int64, the keys noted in this epoch; 0 where none is."""
        noted_epoch, held = self._noted
        if epoch is None or epoch != noted_epoch:
            return np.zeros(len(ordinals), np.int64)
        is_held = (ordinals >= 0) & (ordinals < len(held))
        return np.where(is_held, held[np.where(is_held, ordinals, 0)], 0)

    def note(self, ordinals: IntArray, series_id: IntArray, epoch: int | None) -> None:
        """Keep the keys of series; call it once they are committed.

        Args:
            ordinals: (k,) numbers of spellings; negative ones are passed over.
            series_id: (k,) int64.
            epoch: what they hold for; one that is older than the noted one comes too late.
        """
        if epoch is None or len(ordinals) == 0:
            return
        with self._growing:
            noted_epoch, held = self._noted
            if epoch < noted_epoch:
                return
            if epoch > noted_epoch or len(held) < len(self._heads):
                grown = np.zeros(2 * len(self._heads) + 1024, np.int64)
                if epoch == noted_epoch:
                    grown[: len(held)] = held
                held = grown
            is_known = ordinals >= 0
            held[ordinals[is_known]] = series_id[is_known]
            self._noted = (epoch, held)


class _Spelled(Sequence[Labels]):
    """The label sets of a request, read when somebody asks."""

    def __init__(self, memory: HeadMemory, ordinals: IntArray) -> None:
        self._memory, self._ordinals = memory, ordinals

    def __len__(self) -> int:
        return len(self._ordinals)

    @overload
    def __getitem__(self, position: int) -> Labels: ...
    @overload
    def __getitem__(self, position: slice) -> list[Labels]: ...
    def __getitem__(self, position: int | slice) -> Labels | list[Labels]:
        """Return a label set, or several."""
        if isinstance(position, slice):
            return [self._memory.labels(ordinal) for ordinal in self._ordinals[position].tolist()]
        return self._memory.labels(int(self._ordinals[position]))


def read_labels(head: bytes) -> Labels | None:
    """Return the labels that a spelling stands for, or None when they are not faultless.

    Raises:
        MalformedProtobuf: it is no protobuf.
    """
    pairs: list[tuple[str, str]] = []
    for number, kind, start, end in fields(head, 0, len(head)):
        pair = _pair(head, start, end) if (number, kind) == (1, BYTES) else None
        if pair is None:
            return None
        pairs.append(pair)
    labels = clean_labels(pairs)
    return None if label_fault(labels) is not None else labels


def decode_known(body: bytes, memory: HeadMemory) -> Points | None:
    """Turn a WriteRequest into points, or return None for one that is not of the usual shape.

    Args:
        body: protobuf.
        memory: the spellings of the provider; it learns those that are new.
    """
    edges = _edges(body)
    if edges is None:
        return None
    start, end = edges
    tail = _read_tails(body, end)
    if tail is None:
        return None
    value, measured_us, width = tail
    cut = end - width
    if (cut < start).any():
        return None
    pieces = zip(start.tolist(), cut.tolist(), strict=True)
    heads = [body[a:b] for a, b in pieces]
    ordinals = memory.find(heads)
    unknown = np.flatnonzero(ordinals < 0)
    extra: dict[int, list[tuple[float, int]]] = {}
    for position in unknown.tolist():
        try:
            read = _read_head(heads[position], memory)
        except MalformedProtobuf:
            # what looked like a sample was the end of a label: not for here to say
            read = None
        if read is None:
            return None
        ordinals[position], samples = read
        if samples:
            extra[position] = samples
    return _points(memory, ordinals, value, measured_us, extra)


def _edges(body: bytes) -> tuple[IntArray, IntArray] | None:
    """Return where the content of each series starts and ends, or None for another shape."""
    return _edges_by_samples(body) or _edges_by_lengths(body)


def _edges_by_samples(body: bytes) -> tuple[IntArray, IntArray] | None:
    # A guess, then the proof: wherever something looks like a last sample a series may end, and
    # each series must begin where the one before it ends and be as long as it says.
    everything, last = np.frombuffer(body, np.uint8), len(body)
    if last < _LONG:
        return None
    found = np.flatnonzero(everything[: last - _SHORT + 1] == _SAMPLE)
    size = everything[found + 1]
    shorts = found[size == _SHORT - 2]
    longs = found[size == _LONG - 2]
    longs = longs[longs <= last - _LONG]
    shorts = shorts[everything[shorts + 2] == _TIME]
    longs = longs[(everything[longs + 2] == _VALUE) & (everything[longs + 11] == _TIME)]
    end = np.sort(np.concatenate((longs + _LONG, shorts + _SHORT)))
    if len(end) == 0 or len(end) > MAX_SAMPLES or end[-1] != last:
        return None
    start = np.concatenate(([0], end[:-1]))
    if (end - start).min() <= _SHORT:
        # two ends so close together: one of them is none
        return None
    one, two, three = (everything[start + place].astype(np.int64) for place in (1, 2, 3))
    is_one, is_two = one < 0x80, two < 0x80
    claimed = np.where(
        is_one,
        one + 2,
        np.where(
            is_two,
            (one & 0x7F) + (two << 7) + 3,
            (one & 0x7F) + ((two & 0x7F) << 7) + (three << 14) + 4,
        ),
    )
    is_series = (everything[start] == _SERIES) & (claimed == end - start)
    if not (is_series & (is_one | is_two | (three < 0x80))).all():
        return None
    return start + np.where(is_one, 2, np.where(is_two, 3, 4)), end


def _edges_by_lengths(body: bytes) -> tuple[IntArray, IntArray] | None:
    starts: list[int] = []
    ends: list[int] = []
    at, last = 0, len(body)
    while at < last:
        if body[at] != _SERIES or len(starts) >= MAX_SAMPLES:
            return None
        try:
            size, at = varint(body, at + 1, last)
        except MalformedProtobuf:
            return None
        starts.append(at)
        at += size
        ends.append(at)
    if at != last or not starts:
        return None
    return np.array(starts, np.int64), np.array(ends, np.int64)


def _read_tails(body: bytes, end: IntArray) -> tuple[FloatArray, IntArray, IntArray] | None:
    if int(end[0]) < _LONG:
        return None
    everything = np.frombuffer(body, np.uint8)
    tail = np.lib.stride_tricks.sliding_window_view(everything, _LONG)[end - _LONG]
    time = np.ascontiguousarray(tail[:, -_TIME_BYTES:].T)
    # five bytes that go on and one that does not
    is_sample = (time[:-1] >= 0x80).all(axis=0) & (time[-1] < 0x80) & (tail[:, 11] == _TIME)
    # a value may by chance look like the start of a short sample; a long one is looked for first
    is_long = _begins(tail, (_SAMPLE, _LONG - 2, _VALUE))
    is_short = _begins(tail[:, _LONG - _SHORT :], (_SAMPLE, _SHORT - 2))
    if not (is_sample & (is_long | is_short)).all():
        return None
    value = np.ascontiguousarray(tail[:, 3:11]).view("<f8").ravel().astype(np.float64)
    value[~is_long] = 0.0
    measured_ms = np.zeros(len(end), np.int64)
    for place, byte in enumerate(time):
        measured_ms += (byte & np.uint8(0x7F)).astype(np.int64) << (7 * place)
    return value, measured_ms * _US_IN_MS, np.where(is_long, _LONG, _SHORT)


def _begins(rows: np.ndarray, pattern: tuple[int, ...]) -> BoolArray:
    is_it = np.ones(len(rows), bool)
    for column, byte in enumerate(pattern):
        is_it &= rows[:, column] == byte
    return is_it


def _read_head(head: bytes, memory: HeadMemory) -> tuple[int, list[tuple[float, int]]] | None:
    """Return the number of a spelling and the samples that stand between it and the last one."""
    cut = len(head)
    samples: list[tuple[float, int]] = []
    for number, kind, start, end in fields(head, 0, len(head)):
        if kind != BYTES or number not in (1, 2) or (number == 1 and samples):
            return None
        if number == 2:
            if not samples:
                # one byte of tag and, of so short a message, one of length
                cut = start - 2
            sample = _sample(head, start, end)
            if sample is None:
                return None
            samples.append(sample)
    spelled = head[:cut]
    if len(spelled) != cut or read_labels(spelled) is None:
        return None
    return memory.learn(spelled), samples


def _sample(body: bytes, start: int, end: int) -> tuple[float, int] | None:
    if end - start == _LONG - 2 and body[start] == 0x09 and body[start + 9] == 0x10:
        value = float(np.frombuffer(body, "<f8", 1, start + 1)[0])
        time = body[start + 10 : end]
    elif end - start == _SHORT - 2 and body[start] == 0x10:
        value, time = 0.0, body[start + 1 : end]
    else:
        return None
    if any(byte < 0x80 for byte in time[:-1]) or time[-1] > 0x7F:
        return None
    return value, sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(time)) * _US_IN_MS


def _pair(head: bytes, start: int, end: int) -> tuple[str, str] | None:
    said = {1: "", 2: ""}
    for number, kind, a, b in fields(head, start, end):
        if number not in said or kind != BYTES:
            return None
        said[number] = text_at(head, a, b)
    return said[1], said[2]


def _points(
    memory: HeadMemory,
    ordinals: IntArray,
    value: FloatArray,
    measured_us: IntArray,
    extra: dict[int, list[tuple[float, int]]],
) -> Points | None:
    series_of = np.arange(len(ordinals))
    if extra:
        places = np.array([place for place, found in extra.items() for _ in found], np.int64)
        more = [sample for found in extra.values() for sample in found]
        value = np.insert(value, places, [sample[0] for sample in more])
        measured_us = np.insert(measured_us, places, [sample[1] for sample in more])
        series_of = np.insert(series_of, places, places)
    count = len(value)
    if count > MAX_SAMPLES:
        return None
    return Points(
        series=_Spelled(memory, ordinals),
        series_of=series_of,
        measured_us=measured_us,
        value=value,
        fault=np.full(count, NO_FAULT, np.int16),
        origin=np.arange(count),
        is_histogram=np.zeros(count, bool),
        spelling=ordinals,
    )
