"""Reads a file of hourly demand that somebody brings, whatever its column of time is called."""

import datetime as dt
from dataclasses import dataclass

import pandas as pd

from forecasting.domain.frames import HOUR, MAX_UNITS, BadDemandFrame, DemandPanel, panel_of_frame

_TIME_COLUMNS = ("timestamp_utc", "timestamp_local", "hour")
_MONDAY = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Upload:
    """Demand that was brought.

    Attributes:
        panel: every series on one axis of hours.
        rows_skipped: reason -> how many rows were left out.
    """

    panel: DemandPanel
    rows_skipped: dict[str, int]


def read_upload(frame: pd.DataFrame) -> Upload:
    """Arrange rows of hourly demand as a panel.

    Args:
        frame: columns `cluster` (the series), `demand` (units, >= 0), a time (`timestamp_utc`,
            `timestamp_local` or only the integer `hour`) and, if known, `queued` and `capacity`.
            Local times count as they stand on the wall: the hour of the day is what matters.

    Returns:
        The panel, and what was left out: rows without a time, series or sound demand, and the
        second row of a series for an hour.

    Raises:
        BadDemandFrame: a column is missing, or no row is left.
    """
    missing = [name for name in ("cluster", "demand") if name not in frame]
    time_column = next((name for name in _TIME_COLUMNS if name in frame), None)
    if missing or time_column is None:
        wanted = missing or [" or ".join(_TIME_COLUMNS)]
        raise BadDemandFrame(f"Columns are missing: {', '.join(wanted)}.")
    rows = frame.reset_index(drop=True)
    rows = rows.assign(
        hour_at=_hours_of(rows[time_column], is_count=time_column == "hour"),
        demand=pd.to_numeric(rows["demand"], errors="coerce"),
    )
    skipped: dict[str, int] = {}
    for reason, is_bad in (
        ("no time", rows["hour_at"].isna()),
        ("no series", rows["cluster"].isna()),
        ("demand is no number >= 0", ~rows["demand"].between(0, MAX_UNITS)),
        ("second row of an hour", rows.duplicated(["cluster", "hour_at"])),
    ):
        bad = is_bad.reindex(rows.index)
        if bad.any():
            skipped[reason] = int(bad.sum())
        rows = rows[~bad]
    if rows.empty:
        raise BadDemandFrame("There is no row of demand in it.")
    end_at = rows["hour_at"].max().to_pydatetime() + HOUR
    return Upload(panel_of_frame(rows, key="cluster", issued_at=end_at), skipped)


def _hours_of(times: "pd.Series[pd.Timestamp]", *, is_count: bool) -> "pd.Series[pd.Timestamp]":
    if is_count:
        counts = pd.to_numeric(times, errors="coerce")
        return pd.Timestamp(_MONDAY) + pd.to_timedelta(counts, unit="h")
    return pd.to_datetime(times, errors="coerce", utc=True).dt.floor("h")
