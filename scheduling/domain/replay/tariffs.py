"""What a unit-hour costs in energy and carbon by the hour, and its integral over any run."""

from dataclasses import dataclass, field

import numpy as np

from scheduling.domain.replay.jobs import Floats, Ints

HOUR_S = 3600.0


@dataclass(frozen=True)
class HourlyRate:
    """A rate per hour and pool that begins anew when its table ends.

    Attributes:
        rates: (H, P) rate per unit-hour in each hour of the table.
        offset_s: second of the table at which the trace's second 0 lies.
        total: (H + 1, P) the integral at the begin of each hour.
    """

    rates: Floats
    offset_s: float
    total: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        hours, pools = self.rates.shape
        total = np.zeros((hours + 1, pools))
        np.cumsum(self.rates, axis=0, out=total[1:])
        object.__setattr__(self, "total", total)

    def hour_of(self, at_s: float) -> int:
        """Row of the table at a second of the trace."""
        return int((at_s + self.offset_s) // HOUR_S) % len(self.rates)

    def up_to(self, at_s: Floats, pool: Ints) -> Floats:
        """Integrate the rate from the table's begin.

        Args:
            at_s: (N,) seconds of the trace.
            pool: (N,) index of a pool each.

        Returns:
            (N,) the integral, in rate times hours; exact, as the rate is constant in each hour.
        """
        total = self.total
        hours = len(self.rates)
        turns, within = np.divmod((at_s + self.offset_s) / HOUR_S, hours)
        row = np.minimum(within.astype(np.int64), hours - 1)
        part = total[row, pool] + (within - row) * self.rates[row, pool]
        return np.asarray(turns * total[-1, pool] + part, dtype=np.float64)

    def between(self, start_s: Floats, end_s: Floats, pool: Ints) -> Floats:
        """(N,) integral of the rate from `start_s` to `end_s`, in rate times hours."""
        return self.up_to(end_s, pool) - self.up_to(start_s, pool)
