"""Reads the series of standard senders and their points."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

from monitoring.domain.exemplars import Entry, read_entry
from monitoring.domain.samples import to_us
from monitoring.formats.blocks import SHELF_SLOTS, PointColumns
from monitoring.models import ExemplarRing, Series
from monitoring.selectors.points import read_points

MAX_SERIES_LISTED = 500
# a day of one shelf with a point a second
MAX_BLOCKS_READ = 90_000


def find_series(
    provider_code: str | None, labels: Mapping[str, str], *, after: int = 0
) -> list[dict[str, Any]]:
    """Return series in the order of their keys, one more than are listed at most.

    Args:
        provider_code: whose; None = anybody's.
        labels: what they must have, the metric's name under `__name__`.
        after: key of the last one that was seen.
    """
    rows = Series.objects.filter(pk__gt=after, labels__contains=dict(labels))
    if provider_code is not None:
        rows = rows.filter(provider_id=provider_code)
    ordered = rows.select_related("pool").order_by("pk")[: MAX_SERIES_LISTED + 1]
    return [_shown(row) for row in ordered]


def series_of_id(series_id: int) -> dict[str, Any] | None:
    """Return one series, or None."""
    row = Series.objects.select_related("pool").filter(pk=series_id).first()
    return None if row is None else _shown(row)


def points_of(series_id: int, since: dt.datetime, until: dt.datetime) -> PointColumns | None:
    """Return a series' points in [since, until), oldest first.

    Args:
        series_id: key of the series.
        since: inclusive.
        until: exclusive.

    Returns:
        The points, or None when they are in more blocks than are read at once.
    """
    shelf = read_points(
        np.array([series_id // SHELF_SLOTS]),
        start_us=to_us(since),
        end_us=to_us(until),
        limit=MAX_BLOCKS_READ,
    )
    if shelf is None:
        return None
    chosen = np.flatnonzero(shelf.series_id == series_id)
    return shelf.take(chosen[np.argsort(shelf.measured_us[chosen])])


def exemplars_of(series_id: int, since: dt.datetime, until: dt.datetime) -> list[Entry]:
    """Return what is kept of a series' exemplars in [since, until), newest first.

    Args:
        series_id: key of the series.
        since: inclusive.
        until: exclusive.
    """
    row = ExemplarRing.objects.filter(pk=series_id).first()
    entries = [read_entry(entry) for entry in row.entries] if row else []
    return [entry for entry in entries if to_us(since) <= entry[0] < to_us(until)]


def _shown(row: Series) -> dict[str, Any]:
    return {
        "id": row.pk,
        "provider": row.provider_id,
        "labels": row.labels,
        "rule": row.rule,
        "pool": row.pool.code if row.pool else None,
    }
