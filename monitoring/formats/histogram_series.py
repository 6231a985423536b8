"""Names the series that a histogram makes: count, sum, and one for each bucket."""

from bisect import bisect_left
from collections.abc import Iterable
from functools import partial

import numpy as np

from monitoring.domain.points import NAME_LABEL, PointFault
from monitoring.formats.collector import STALE_NAN, Collector
from monitoring.formats.native_histograms import NativeHistogram, classic_buckets, fault_of

BUCKET_LABEL = "le"
_STALE_BITS = np.float64(STALE_NAN).tobytes()


class ClassicSeries:
    """Adds the histograms of one series of a request, and knows which bucket a value is in."""

    def __init__(self, collector: Collector, pairs: Iterable[tuple[str, str]]) -> None:
        self._collector = collector
        self._pairs = list(pairs)
        self._name = next((text for name, text in self._pairs if name == NAME_LABEL), "")
        self._others = [pair for pair in self._pairs if pair[0] != NAME_LABEL]
        self._count = self._series("_count")
        # finite bounds of the newest histogram, and all of its series
        self._bounds: list[float] = []
        self._buckets: list[int] = []

    def add(
        self,
        histogram: NativeHistogram,
        measured_us: int,
        *,
        fault: PointFault | None = None,
        origin: int | None = None,
        is_native: bool = False,
    ) -> None:
        """Add one histogram, which is one item of the sender's.

        Args:
            histogram: as it was read.
            measured_us: its time.
            fault: what is wrong with its series, if anything.
            origin: number of the sender's item; None = the next one.
            is_native: whether remote-write counts it as a histogram.
        """
        fault = fault or fault_of(histogram)
        add = partial(
            self._collector.add_point,
            origin=self._collector.next_origin() if origin is None else origin,
            fault=fault,
            is_histogram=is_native,
        )
        is_over = np.float64(histogram.total or 0.0).tobytes() == _STALE_BITS
        count = STALE_NAN if is_over else histogram.count
        add(self._count, measured_us, count)
        if fault is not None:
            return
        if histogram.total is not None:
            add(self._series("_sum"), measured_us, histogram.total)
        if is_over:
            return
        steps = classic_buckets(histogram)
        self._bounds = [bound for bound, _ in steps[:-1]]
        self._buckets = [
            self._series("_bucket", (BUCKET_LABEL, bound_text(bound))) for bound, _ in steps
        ]
        for series, (_, below) in zip(self._buckets, steps, strict=True):
            add(series, measured_us, below)

    def holding(self, value: float) -> int:
        """Return the series of the bucket that a value lies in; before any, that of the count."""
        if not self._buckets:
            return self._count
        return self._buckets[bisect_left(self._bounds, value)]

    def _series(self, ending: str, *more: tuple[str, str]) -> int:
        # without a name it is to be refused for that
        name = f"{self._name}{ending}" if self._name else ""
        return self._collector.add_series([(NAME_LABEL, name), *self._others, *more])


def bound_text(bound: float) -> str:
    """Return a bucket's upper bound as Prometheus spells it.

    >>> bound_text(1.0), bound_text(0.005), bound_text(float("inf"))
    ('1', '0.005', '+Inf')
    """
    return "+Inf" if bound == float("inf") else np.format_float_positional(bound, trim="-")
