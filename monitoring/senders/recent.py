"""Remembers the newest points of a provider's mapped series, so that a tick is not read back.

They are complete from a moment on as long as nobody else has stored points of the provider: every
request adds to the provider's count of what it sent, in its own transaction, so a count that stands
where this process left it says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.domain.assembly import LOOKBACK_TICKS
from monitoring.domain.samples import FloatArray, IntArray

# of one provider; more are read from the database each time
MAX_POINTS = 500_000
_POINT_BYTES = 24
# the candidates of a request and the ticks around them, and one to spare
_TICKS_KEPT = 2 * LOOKBACK_TICKS + 2


@dataclass(frozen=True)
class MappedPoints:
    """n points of mapped series.

    Attributes:
        position: (n,) int64, of the series in the catalogue of the epoch.
        measured_us: (n,) int64, microseconds since 1970 UTC.
        value: (n,) float64.
    """

    position: IntArray
    measured_us: IntArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class RecentPoints:
    """All points of a provider's mapped series from a moment on.

    Attributes:
        epoch: what the positions hold for.
        received: what the provider had sent when these were all there was.
        start_us: from when on, microseconds since 1970 UTC.
        lots: the points, as requests brought them.
    """

    epoch: int | None
    received: int
    start_us: int
    lots: tuple[MappedPoints, ...]

    @property
    def size_bytes(self) -> int:
        """About how much memory they take."""
        return _POINT_BYTES * sum(map(len, self.lots))

    def is_all(self, epoch: int | None, received: int) -> bool:
        """Whether there is nothing else in this epoch when the provider has sent so much."""
        return epoch is not None and (self.epoch, self.received) == (epoch, received)

    def with_lot(self, lot: MappedPoints, *, tick_us: int, received: int) -> "RecentPoints | None":
        """Return these and what a request has brought, without what is long past.

        Args:
            lot: its new points.
            tick_us: length of a tick.
            received: what the provider has sent with it.

        Returns:
            None when they are too many.
        """
        lots, start_us = self.lots, self.start_us
        if len(lot):
            lots = (*lots, lot)
            newest_tick = int(lot.measured_us.max()) // tick_us
            start_us = max(start_us, (newest_tick - _TICKS_KEPT) * tick_us)
            lots = tuple(one for one in lots if int(one.measured_us.max()) >= start_us)
        if sum(map(len, lots)) > MAX_POINTS:
            return None
        return RecentPoints(self.epoch, received, start_us, lots)


def join_points(lots: Sequence[MappedPoints]) -> MappedPoints:
    """Return several lots as one."""
    none = np.zeros(0, np.int64)
    return MappedPoints(
        np.concatenate([none, *(lot.position for lot in lots)]),
        np.concatenate([none, *(lot.measured_us for lot in lots)]),
        np.concatenate([np.zeros(0), *(lot.value for lot in lots)]),
    )
