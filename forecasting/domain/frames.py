"""Turns hourly rows of demand into aligned arrays, and cuts them at the moment of issue.

A panel holds one row of hours per series. Hours that nobody reported are NaN: unknown is never
zero. Series are kept in the order of their codes, so that the order of the input cannot matter.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from controlplane.lib.errors import GridError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HOUR = dt.timedelta(hours=1)
MIN_GOOD_SHARE = 0.5
MAX_HOURS = 24 * 366 * 3
MAX_UNITS = 1e15
"""More of anything is an error of measurement, and would swamp every sum."""


class BadDemandFrame(GridError):
    """The rows cannot be read as hourly demand."""

    code = "bad-demand-frame"


@dataclass(frozen=True)
class DemandPanel:
    """Hourly demand of several series on one axis of hours.

    Attributes:
        codes: names of the series, ascending; P of them.
        start_at: beginning of the first hour, UTC.
        demand: (P, T) float64, units, >= 0; NaN where unknown.
        queued: (P, T) float64, units; the part of the demand that waits; NaN where unknown.
        capacity: (P, T) float64, units; NaN where unknown.
    """

    codes: tuple[str, ...]
    start_at: dt.datetime
    demand: Floats
    queued: Floats
    capacity: Floats

    @property
    def hours(self) -> int:
        """Number of hours T."""
        return int(self.demand.shape[1])

    @property
    def end_at(self) -> dt.datetime:
        """End of the last hour: the moment at which a forecast from this panel is issued."""
        return self.start_at + self.hours * HOUR

    def head(self, hours: int) -> "DemandPanel":
        """Return the panel of the first hours only: what was known at an earlier origin."""
        return self._sliced(slice(0, hours), self.start_at)

    def tail(self, hours: int) -> "DemandPanel":
        """Return the panel of the last hours only."""
        first = max(0, self.hours - hours)
        return self._sliced(slice(first, None), self.start_at + first * HOUR)

    def select(self, codes: Sequence[str]) -> "DemandPanel":
        """Return the panel of some of the series, in the panel's own order."""
        wanted = set(codes)
        return self.rows(
            np.array([row for row, code in enumerate(self.codes) if code in wanted], dtype=np.intp)
        )

    def rows(self, chosen: "slice | npt.NDArray[np.intp]") -> "DemandPanel":
        """Return the panel of the series at some places."""
        places = np.arange(len(self.codes))[chosen]
        return replace(
            self,
            codes=tuple(self.codes[place] for place in places),
            demand=self.demand[places],
            queued=self.queued[places],
            capacity=self.capacity[places],
        )

    def _sliced(self, hours: slice, start_at: dt.datetime) -> "DemandPanel":
        return replace(
            self,
            start_at=start_at,
            demand=self.demand[:, hours],
            queued=self.queued[:, hours],
            capacity=self.capacity[:, hours],
        )


def panel_of_frame(frame: pd.DataFrame, *, key: str, issued_at: dt.datetime) -> DemandPanel:
    """Arrange rows of hourly demand as a panel of everything that was known at the issue.

    Rows whose hour has not ended by `issued_at` are left out before anything else is looked at.

    Args:
        frame: columns `key`, `hour_at` (beginning of the hour, aware), `demand` and, if known,
            `queued`, `capacity` (units) and `good_share` (0 to 1); a series has at most one row
            per hour. Hours of which less than half was measured well count as unknown.
        key: name of the column that tells the series apart.
        issued_at: aware, a full hour; the panel ends there.

    Returns:
        The panel from the first known hour to `issued_at`; without a row it has no series.

    Raises:
        BadDemandFrame: a column is missing, a series has two rows for an hour, an hour is no
            full hour, or the rows span more than three years.
    """
    _require_columns(frame, key)
    ended = frame[frame["hour_at"] + HOUR <= pd.Timestamp(issued_at)]
    if ended.empty:
        nothing = np.empty((0, 0))
        return DemandPanel((), issued_at, nothing, nothing, nothing)
    start_at = ended["hour_at"].min()
    codes, row = np.unique(ended[key].to_numpy(dtype=str), return_inverse=True)
    column = _hours_between(start_at, ended["hour_at"])
    hours = int((pd.Timestamp(issued_at) - start_at) / HOUR)
    if hours > MAX_HOURS:
        raise BadDemandFrame(f"The rows span {hours} hours; at most {MAX_HOURS} are taken.")
    if len(np.unique(row * hours + column)) < len(ended):
        raise BadDemandFrame("A series has two rows for the same hour.")
    good = ended["good_share"].to_numpy(float) >= MIN_GOOD_SHARE if "good_share" in ended else None
    spread = _Spread((len(codes), hours), row, column, good)
    return DemandPanel(
        codes=tuple(str(code) for code in codes),
        start_at=start_at.to_pydatetime().astimezone(dt.UTC),
        demand=spread.of(ended, "demand"),
        queued=spread.of(ended, "queued"),
        capacity=spread.of(ended, "capacity"),
    )


def with_sums(panel: DemandPanel, members: Mapping[str, Sequence[str]]) -> DemandPanel:
    """Add series that are the sums of others, such as a region's over its pools.

    A sum is unknown in every hour in which a member is unknown; before a member's first known
    hour it did not exist and adds nothing.

    Args:
        panel: the members.
        members: code of each sum -> codes of its members; members without any row are ignored.

    Returns:
        A panel of the old series and the sums.
    """
    position = {code: row for row, code in enumerate(panel.codes)}
    groups = {
        code: rows
        for code, names in members.items()
        if (rows := [position[name] for name in names if name in position])
    }
    codes = np.array([*panel.codes, *groups], dtype=object)
    order = np.argsort(codes.astype(str), kind="stable")
    demand, queued, capacity = (
        np.vstack([values, *(_sum(values[rows])[None] for rows in groups.values())])[order]
        for values in (panel.demand, panel.queued, panel.capacity)
    )
    return replace(
        panel,
        codes=tuple(str(code) for code in codes[order]),
        demand=demand,
        queued=queued,
        capacity=capacity,
    )


def carried_forward(values: Floats, limit_h: int | None = None) -> Floats:
    """Fill unknown hours with the last known value before them; uses the past only.

    Args:
        values: (P, T), NaN where unknown.
        limit_h: longest age of a value that is carried; None for any age.

    Returns:
        (P, T); hours before the first known one stay NaN.
    """
    hours = np.arange(values.shape[1])
    newest = np.maximum.accumulate(np.where(np.isnan(values), -1, hours), axis=1)
    filled = np.take_along_axis(values, np.maximum(newest, 0), axis=1)
    too_old = newest < 0 if limit_h is None else (newest < 0) | (hours - newest > limit_h)
    return np.where(too_old, np.nan, filled)


@dataclass(frozen=True)
class _Spread:
    shape: tuple[int, int]
    row: npt.NDArray[np.intp]
    column: npt.NDArray[np.intp]
    good: Bools | None

    def of(self, frame: pd.DataFrame, name: str) -> Floats:
        out = np.full(self.shape, np.nan)
        if name in frame:
            values = frame[name].to_numpy(dtype=float, na_value=np.nan)
            sound = (values >= 0) & (values <= MAX_UNITS)
            if self.good is not None:
                sound &= self.good
            out[self.row, self.column] = np.where(sound, values, np.nan)
        return out


def _require_columns(frame: pd.DataFrame, key: str) -> None:
    missing = [name for name in (key, "hour_at", "demand") if name not in frame]
    if missing:
        raise BadDemandFrame(f"Columns are missing: {', '.join(missing)}.")
    if not isinstance(frame["hour_at"].dtype, pd.DatetimeTZDtype):
        raise BadDemandFrame("hour_at: times must carry a time zone.")


def _hours_between(
    start_at: pd.Timestamp, hour_at: "pd.Series[pd.Timestamp]"
) -> npt.NDArray[np.intp]:
    away = ((hour_at - start_at) / HOUR).to_numpy(dtype=float)
    if not np.all(away == np.floor(away)) or start_at.minute or start_at.second:
        raise BadDemandFrame("hour_at: every time must be the beginning of an hour.")
    return away.astype(np.intp)


def _sum(members: Floats) -> Floats:
    seen = np.maximum.accumulate(~np.isnan(members), axis=1)
    total = np.where(seen, members, 0.0).sum(axis=0)
    # a sum over nobody would read as zero demand
    return np.where(seen.any(axis=0), total, np.nan)
