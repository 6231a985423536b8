"""The rates that a policy may know at a moment: this hour's and the past's."""

from collections.abc import Sequence

import numpy as np

from scheduling.domain.replay.grid import ReplayGrid
from scheduling.domain.replay.jobs import Floats
from scheduling.domain.replay.tariffs import HourlyRate

_WEEK_H = 7 * 24


class KnownPrices:
    """Reads the tables of a grid, never beyond the hour that is asked for."""

    def __init__(self, grid: ReplayGrid) -> None:
        self._grid = grid
        self._usual_hour: int | None = None
        self._usual: Sequence[float] = ()

    def energy_usd(self, now_s: float) -> Sequence[float]:
        """(P,) energy and carbon of a unit-hour in the hour of `now_s`, USD."""
        return _now(self._grid.energy_usd, now_s)

    def power_usd(self, now_s: float) -> Sequence[float]:
        """(P,) energy of a unit-hour in the hour of `now_s`, USD."""
        return _now(self._grid.power_usd, now_s)

    def carbon_g(self, now_s: float) -> Sequence[float]:
        """(P,) carbon of a unit-hour in the hour of `now_s`, g."""
        return _now(self._grid.carbon_g, now_s)

    def usual_usd(self, now_s: float) -> Sequence[float]:
        """(P,) mean of energy and carbon of a unit-hour over the seven days before, USD."""
        rate = self._grid.energy_usd
        hour = rate.hour_of(now_s)
        if hour != self._usual_hour:
            self._usual_hour = hour
            self._usual = _mean_before(rate, hour).tolist()
        return self._usual


def _now(rate: HourlyRate, now_s: float) -> Sequence[float]:
    row: list[float] = rate.rates[rate.hour_of(now_s)].tolist()
    return row


def _mean_before(rate: HourlyRate, hour: int) -> Floats:
    # At the very begin of the table nothing lies before: this hour is all that is known.
    rows = rate.rates[max(0, hour - _WEEK_H) : hour + 1]
    return np.asarray(rows.mean(axis=0), dtype=np.float64)
