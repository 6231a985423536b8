"""Grid time for a process outside the grid, from the anchor its environment names."""

import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class GridClock:
    """Grid time that runs `rate` times as fast as real time from one anchor on."""

    anchor_real_s: float
    anchor_grid_s: float
    rate: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "GridClock":
        """Return the clock of the environment; without an anchor grid time is real time.

        Raises:
            ValueError: A value is no number, or the rate is not positive.
        """
        if "TIAODU_CLOCK_ANCHOR_REAL" not in environment:
            return cls(0.0, 0.0, 1.0)
        clock = cls(
            anchor_real_s=float(environment["TIAODU_CLOCK_ANCHOR_REAL"]),
            anchor_grid_s=float(environment["TIAODU_CLOCK_ANCHOR_GRID"]),
            rate=float(environment.get("TIAODU_CLOCK_RATE", "60")),
        )
        if clock.rate <= 0:
            msg = "TIAODU_CLOCK_RATE must be positive"
            raise ValueError(msg)
        return clock

    def now(self) -> int:
        """Return the grid time, whole epoch seconds."""
        return int(self.grid_at(time.time()))

    def grid_at(self, real_s: float) -> float:
        """Return the grid time at a moment of real time, both in epoch seconds."""
        return self.anchor_grid_s + (real_s - self.anchor_real_s) * self.rate

    def real_wait_s(self, grid_s: int) -> float:
        """Return how many real seconds remain until a moment of grid time; 0 when it is past."""
        return max(0.0, (grid_s - self.grid_at(time.time())) / self.rate)
