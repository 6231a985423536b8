"""Makes the wide rows that stored points allow, and stores them."""

import datetime as dt
import logging
from dataclasses import dataclass

import numpy as np
from django.db import connection
from prometheus_client import Counter

from monitoring import ingest
from monitoring.domain.assembly import (
    LOOKBACK_TICKS,
    REQUIRED,
    KnownValues,
    Readings,
    Sources,
    WideRows,
    assemble,
    candidates,
    carry_forward,
    join_rows,
)
from monitoring.domain.samples import (
    FIELD_NAMES,
    NO_FAULT,
    QUALITIES,
    Batch,
    IntArray,
    Quality,
    Window,
)
from monitoring.formats import pg_arrays
from monitoring.formats.blocks import SHELF_SLOTS, PointColumns
from monitoring.selectors.points import read_points
from monitoring.senders.catalogue import Catalogue
from monitoring.senders.formed import FormedTicks

logger = logging.getLogger(__name__)

# blocks that one request may have read for its rows: some 60 MB at most
MAX_BLOCKS = 60_000
ROWS = Counter("tiaodu_assembled_rows_total", "Wide rows made from points", ["provider", "quality"])
_US_IN_S = 1_000_000


class RowsTooWide(Exception):
    """The points around the new ones are more than should be read in one go."""


@dataclass(frozen=True)
class Formed:
    """The rows that a request has made: n pools and ticks."""

    pool_id: IntArray
    tick: IntArray


NO_ROWS = Formed(np.zeros(0, np.int64), np.zeros(0, np.int64))


def form_rows(
    touched: PointColumns,
    catalogue: Catalogue,
    formed: FormedTicks,
    *,
    now: dt.datetime,
    window: Window,
) -> Formed:
    """Store the rows that can be made after points of some pools have been stored.

    Args:
        touched: the new points of mapped series.
        catalogue: the provider's rules, pools and mapped series.
        formed: what is remembered of rows that were made before.
        now: present grid time.
        window: times that are taken.

    Returns:
        What has a row now; to be remembered once it is committed.

    Raises:
        RowsTooWide: the points lie in too wide a stretch; nothing of it was stored.
    """
    tick_us = round(catalogue.mapping.tick_s * _US_IN_S)
    at = catalogue.find(touched.series_id)
    touched_pool, touched_tick = catalogue.pool_id[at], touched.measured_us // tick_us
    pool_id, tick = candidates(touched_pool, touched_tick)
    is_open = ~formed.has(pool_id, tick, catalogue.epoch)
    pool_id, tick = pool_id[is_open], tick[is_open]
    if len(tick) == 0:
        return NO_ROWS
    sources, place = catalogue.sources_of(np.unique(pool_id))
    readings = _readings(catalogue, sources, place, tick, tick_us)
    whole, lacking = assemble(readings, sources, pool_id=pool_id, tick=tick)
    if len(lacking):
        known = _known(lacking, int(touched_tick.max()), tick_us)
        whole = join_rows([whole, carry_forward(lacking, known)])
    if len(whole) and not _store(whole, catalogue, tick_us, now=now, window=window):
        # what was refused is looked at again when more of its tick comes
        return NO_ROWS
    return Formed(whole.pool_id, whole.tick)


def _readings(
    catalogue: Catalogue, sources: Sources, place: IntArray, tick: IntArray, tick_us: int
) -> Readings:
    points = read_points(
        np.unique(sources.series_id // SHELF_SLOTS),
        start_us=(int(tick.min()) - LOOKBACK_TICKS) * tick_us,
        end_us=(int(tick.max()) + LOOKBACK_TICKS + 1) * tick_us,
        limit=MAX_BLOCKS,
    )
    if points is None:
        raise RowsTooWide
    at = catalogue.find(points.series_id)
    source = np.where(at >= 0, place[at], -1)
    chosen = np.flatnonzero(source >= 0)
    measured_us = points.measured_us[chosen]
    return Readings(source[chosen], measured_us // tick_us, measured_us, points.value[chosen])


def _known(rows: WideRows, newest_tick: int, tick_us: int) -> dict[int, KnownValues]:
    parameters = {
        "pools": pg_arrays.pack_integers(np.unique(rows.pool_id)),
        "newest": pg_arrays.pack_times(np.array([(newest_tick + 1) * tick_us])),
        "good": QUALITIES.index(Quality.GOOD),
    }
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(_KNOWN, parameters, binary=True)
        return {
            pool_id: KnownValues(
                tick=us // tick_us,
                last_tick=(us + round(stale_after_s * _US_IN_S)) // tick_us,
                values=dict(zip(REQUIRED, values, strict=True)),
            )
            for pool_id, us, stale_after_s, *values in cursor
        }


def _store(
    rows: WideRows,
    catalogue: Catalogue,
    tick_us: int,
    *,
    now: dt.datetime,
    window: Window,
) -> bool:
    """Store rows and return whether all of them are there now."""
    provider_code = catalogue.mapping.provider
    codes, keys = catalogue.pool_codes
    at = np.minimum(np.searchsorted(keys, rows.pool_id), max(0, len(keys) - 1))
    is_theirs = keys[at] == rows.pool_id if len(keys) else np.zeros(len(rows), bool)
    batch = Batch(
        pools=codes,
        pool_ref=np.where(is_theirs, at, -1),
        measured_us=rows.tick * tick_us,
        # no figure is minus zero
        values={name: rows.values[:, at] + 0.0 for at, name in enumerate(FIELD_NAMES)},
        fault=np.full(len(rows), NO_FAULT, np.int16),
        fault_field=np.zeros(len(rows), np.int16),
        rule=rows.rule,
    )
    report = ingest.store_assembled(batch, provider_code=provider_code, now=now, window=window)
    ROWS.labels(provider_code, "stored").inc(report.accepted)
    ROWS.labels(provider_code, "refused").inc(report.rejected)
    if report.rejected:
        facts = {"provider": provider_code, "reasons": dict(report.rejected_by_reason)}
        logger.warning("rows.refused", extra=facts)
    return not report.rejected


_KNOWN = f"""
SELECT p.id, (extract(epoch FROM s.measured_at) * 1000000)::int8, p.stale_after_s,
       {", ".join(f"s.{name}" for name in REQUIRED)}
  FROM monitoring_pool p
 CROSS JOIN LATERAL (
       SELECT * FROM monitoring_sample
        WHERE pool_id = p.id AND quality = %(good)s
          AND measured_at <= (%(newest)s::timestamptz[])[1]
          AND measured_at > (%(newest)s::timestamptz[])[1] - interval '1 day'
        ORDER BY measured_at DESC LIMIT 1) s
 WHERE p.id = ANY(%(pools)s::int8[])
"""  # noqa: S608 (only the names of our own fields are put in)
