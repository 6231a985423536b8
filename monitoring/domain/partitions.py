"""Decides which weekly partitions of telemetry there must be and which may go."""

import datetime as dt
from dataclasses import dataclass

WEEK = dt.timedelta(days=7)
SAMPLE_TABLE = "monitoring_sampleblock"
POINT_TABLE = "monitoring_pointblock"
# a Monday
_ORIGIN = dt.datetime(1970, 1, 5, tzinfo=dt.UTC)


@dataclass(frozen=True, order=True)
class Partition:
    """One week of telemetry, half-open: [start, end)."""

    start: dt.datetime

    @property
    def end(self) -> dt.datetime:
        """The first moment after it."""
        return self.start + WEEK

    @property
    def name(self) -> str:
        """Its table's name, of samples."""
        return self.name_in(SAMPLE_TABLE)

    def name_in(self, table: str) -> str:
        """Return the name of its part of a table."""
        return f"{table}_{self.start:%Y%m%d}"


def partitions_between(since: dt.datetime, until: dt.datetime) -> list[Partition]:
    """Return the weekly partitions that hold [since, until), oldest first.

    >>> monday = dt.datetime(2023, 5, 22, tzinfo=dt.UTC)
    >>> [part.name for part in partitions_between(monday, monday + WEEK)]
    ['monitoring_sampleblock_20230522']
    """
    start = _ORIGIN + (since - _ORIGIN) // WEEK * WEEK
    found = []
    while start < until:
        found.append(Partition(start))
        start += WEEK
    return found


def partition_of_name(name: str, *, table: str = SAMPLE_TABLE) -> Partition | None:
    """Return the partition that a name speaks of, or None for one that is none of the table's."""
    prefix, _, day = name.rpartition("_")
    if prefix != table or not (day.isascii() and day.isdigit() and len(day) == 8):
        return None
    return Partition(dt.datetime.strptime(day, "%Y%m%d").replace(tzinfo=dt.UTC))
