"""Keeps the newest exemplars of each series, in the transaction of the points they came with."""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Sequence

from django.db import connection

from monitoring.domain.exemplars import Entry, count_kept, merge_ring, read_entry, write_entry
from monitoring.domain.points import Points
from monitoring.domain.samples import IntArray, Window, to_us
from monitoring.models import ExemplarRing

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def keep_exemplars(
    requests: Sequence[tuple[Points, Window]], series_id: Sequence[IntArray]
) -> list[int]:
    """Keep what exemplars came with requests; the caller holds the sender's lock.

    Args:
        requests: points and what times are taken, of each.
        series_id: keys of the series of each request; 0 where one is not registered.

    Returns:
        How many exemplars of each request are kept. One that came again is; one of a series
        without a stored point, of another time, or older than the newest few is not.
    """
    if not any(points.exemplars for points, _ in requests):
        return [0] * len(requests)
    wanted = [
        _wanted(points, window, keys)
        for (points, window), keys in zip(requests, series_id, strict=True)
    ]
    new: defaultdict[int, list[Entry]] = defaultdict(list)
    for found in wanted:
        for series, entries in found.items():
            new[series] += entries
    stored = dict(
        ExemplarRing.objects.select_for_update()
        .filter(series_id__in=list(new))
        .values_list("series_id", "entries")
    )
    rings = {
        series: merge_ring([read_entry(entry) for entry in stored.get(series, [])], entries)
        for series, entries in new.items()
    }
    _save(rings)
    return [
        sum(count_kept(rings[series], entries) for series, entries in found.items())
        for found in wanted
    ]


def _wanted(points: Points, window: Window, series_id: IntArray) -> dict[int, list[Entry]]:
    oldest, newest = to_us(window.oldest), to_us(window.newest)
    found: defaultdict[int, list[Entry]] = defaultdict(list)
    for one in points.exemplars:
        series = int(series_id[one.series])
        if series > 0 and oldest <= one.measured_us <= newest:
            found[series].append((one.measured_us, one.value, one.labels))
    return found


def _save(rings: dict[int, list[Entry]]) -> None:
    if not rings:
        return
    newest = [_EPOCH + dt.timedelta(microseconds=ring[0][0]) for ring in rings.values()]
    entries = [json.dumps([write_entry(entry) for entry in ring]) for ring in rings.values()]
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, {"series": list(rings), "newest": newest, "entries": entries})


_SAVE = """
INSERT INTO monitoring_exemplarring (series_id, newest_at, entries)
SELECT n.* FROM unnest(%(series)s::int8[], %(newest)s::timestamptz[], %(entries)s::jsonb[])
                AS n (series_id, newest_at, entries)
 ORDER BY n.series_id
    ON CONFLICT (series_id) DO UPDATE
       SET newest_at = excluded.newest_at, entries = excluded.entries
"""
