"""Gathers series and their points while a body is read, up to the limit of points."""

from collections.abc import Iterable

import numpy as np

from monitoring.domain.points import (
    FAULTS,
    MAX_EXEMPLAR_CHARS,
    NO_FAULT,
    Exemplar,
    Labels,
    PointFault,
    Points,
    label_fault,
)
from monitoring.formats.rows import MAX_SAMPLES, TooManySamples

_LARGEST_US = 2**62
# one item of a sender may make several points: count, sum and buckets
MAX_POINTS = 4 * MAX_SAMPLES
# of one request; exemplars are examples, not data
MAX_EXEMPLARS = 5_000
STALE_NAN = float(np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0])


class Collector:
    """Grows one request's points."""

    def __init__(self) -> None:
        self._series: list[Labels] = []
        self._series_fault: list[int] = []
        self._known: dict[Labels, int] = {}
        self._series_of: list[int] = []
        self._measured_us: list[int] = []
        self._value: list[float] = []
        self._fault: list[int] = []
        self._origin: list[int] = []
        self._is_histogram: list[bool] = []
        self._origins = 0
        self._exemplars: list[Exemplar] = []

    def add_series(self, pairs: Iterable[tuple[str, str]]) -> int:
        """Return the position of a series, new or seen before; its labels need no order."""
        labels = clean_labels(pairs)
        position = self._known.get(labels)
        if position is None:
            fault = label_fault(labels)
            position = len(self._series)
            self._known[labels] = position
            self._series.append(labels if fault is None else _shown_part(labels))
            self._series_fault.append(NO_FAULT if fault is None else FAULTS.index(fault))
        return position

    def next_origin(self) -> int:
        """Return the number of the sender's next item.

        Raises:
            TooManySamples: the limit is passed.
        """
        if self._origins >= MAX_SAMPLES:
            raise TooManySamples(f"A request holds at most {MAX_SAMPLES} points; send several.")
        self._origins += 1
        return self._origins - 1

    def add_point(
        self,
        series: int,
        measured_us: int,
        value: float,
        *,
        origin: int | None = None,
        fault: PointFault | None = None,
        is_histogram: bool = False,
    ) -> None:
        """Add one point; the first fault of its series or its own is kept.

        Raises:
            TooManySamples: the limit is passed.
        """
        if len(self._series_of) >= MAX_POINTS:
            raise TooManySamples(f"A request makes at most {MAX_POINTS} points; send several.")
        found = self._series_fault[series]
        if found == NO_FAULT and fault is not None:
            found = FAULTS.index(fault)
        if abs(measured_us) > _LARGEST_US:
            measured_us = 0
            found = FAULTS.index(PointFault.BAD_TIME) if found == NO_FAULT else found
        self._series_of.append(series)
        self._measured_us.append(measured_us)
        self._value.append(value)
        self._fault.append(found)
        self._origin.append(self.next_origin() if origin is None else origin)
        self._is_histogram.append(is_histogram)

    def add_exemplar(
        self, series: int, measured_us: int, value: float, pairs: Iterable[tuple[str, str]] | None
    ) -> None:
        """Keep an exemplar, unless there are many already or its labels are too long or no text."""
        labels = None if pairs is None else clean_labels(pairs)
        if labels is None or not 0 < measured_us < _LARGEST_US or not _fits(labels):
            return
        if len(self._exemplars) < MAX_EXEMPLARS:
            self._exemplars.append(Exemplar(series, measured_us, value, labels))

    def finish(self) -> Points:
        """Return everything that was gathered."""
        return Points(
            series=tuple(self._series),
            series_of=np.array(self._series_of, np.int64),
            measured_us=np.array(self._measured_us, np.int64),
            value=np.array(self._value, np.float64),
            fault=np.array(self._fault, np.int16),
            origin=np.array(self._origin, np.int64),
            is_histogram=np.array(self._is_histogram, bool),
            exemplars=tuple(self._exemplars),
        )


def clean_labels(pairs: Iterable[tuple[str, str]]) -> Labels:
    """Return labels by name; an empty value means that the label is absent."""
    return tuple(sorted(pair for pair in pairs if pair[1] != "" or pair[0] == ""))


def _fits(labels: Labels) -> bool:
    text = "".join([part for pair in labels for part in pair])
    names = {name for name, _ in labels}
    is_text = "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)
    return len(text) <= MAX_EXEMPLAR_CHARS and len(names) == len(labels) and is_text


def _shown_part(labels: Labels) -> Labels:
    # of a series that is refused nothing but its name is of use
    return tuple(pair for pair in labels if pair[0] == "__name__")[:1]
