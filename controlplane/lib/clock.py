"""The one call to the system clock: grid time, which a demo may shift and speed up, and wall time.

Grid time rules everything that the grid observes, forecasts, plans and decides. Wall time rules
credentials and sessions only. Outside the demo the two are the same.
"""

import datetime as dt
import time
from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True)
class GridClock:
    """A straight line from wall time to grid time.

    Attributes:
        anchor_real_s: wall time of the anchor, seconds since the epoch.
        anchor_grid_s: grid time of the anchor, seconds since the epoch.
        rate: grid seconds that pass in one wall second, > 0.
    """

    anchor_real_s: float = 0.0
    anchor_grid_s: float = 0.0
    rate: float = 1.0

    def at(self, wall_s: float) -> dt.datetime:
        """Return the grid time that belongs to a wall time given in seconds since the epoch."""
        grid_s = self.anchor_grid_s + (wall_s - self.anchor_real_s) * self.rate
        return dt.datetime.fromtimestamp(grid_s, dt.UTC)

    @property
    def is_plain(self) -> bool:
        """Whether grid time is wall time."""
        return self.rate == 1.0 and self.anchor_grid_s == self.anchor_real_s


def grid_clock() -> GridClock:
    """Return the clock that this process was configured with."""
    clock: GridClock = settings.GRID_CLOCK
    return clock


def now() -> dt.datetime:
    """Return the present grid time, aware, UTC."""
    return grid_clock().at(time.time())


def wall_now() -> dt.datetime:
    """Return the present wall time, aware, UTC: for credentials and sessions only."""
    return dt.datetime.fromtimestamp(time.time(), dt.UTC)
