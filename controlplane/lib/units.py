"""Half-open hours and rounding rules that every part shares."""

import datetime as dt

HOUR = dt.timedelta(hours=1)


def floor_hour(moment: dt.datetime) -> dt.datetime:
    """Return the start of the hour that holds a moment.

    >>> floor_hour(dt.datetime(2023, 5, 26, 8, 59, tzinfo=dt.UTC)).minute
    0
    """
    return moment.replace(minute=0, second=0, microsecond=0)


def ceil_hour(moment: dt.datetime) -> dt.datetime:
    """Return the first full hour at or after a moment."""
    floor = floor_hour(moment)
    return floor if floor == moment else floor + HOUR
