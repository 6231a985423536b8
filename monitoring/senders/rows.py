"""Makes the wide rows that stored points allow, and stores them."""

import datetime as dt
import logging
from collections.abc import Iterable, Sequence

import numpy as np
from django.db import connection
from prometheus_client import Counter

from monitoring import ingest
from monitoring.domain.assembly import (
    REQUIRED,
    KnownValues,
    PoolTick,
    Reading,
    WideRow,
    assemble,
    touched_ranges,
)
from monitoring.domain.samples import FIELD_NAMES, NO_FAULT, RULES, Batch, Window
from monitoring.senders.rules import MappingView, pools_of

logger = logging.getLogger(__name__)

MAX_READINGS = 300_000
ROWS = Counter("tiaodu_assembled_rows_total", "Wide rows made from points", ["provider", "quality"])
_US_IN_S = 1_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def form_rows(
    touched: Sequence[tuple[int, int]],
    mapping: MappingView,
    *,
    now: dt.datetime,
    window: Window,
) -> None:
    """Store the rows that can be made after points of some pools have been stored.

    Args:
        touched: pool and time (microseconds since 1970 UTC) of each new point of a mapped series.
        mapping: the provider's rules and tick.
        now: present grid time.
        window: times that are taken.
    """
    if not touched:
        return
    tick_us = round(mapping.tick_s * _US_IN_S)
    ticks = sorted({(pool_id, measured_us // tick_us) for pool_id, measured_us in touched})
    readings = _readings(ticks, mapping, tick_us)
    if len(readings) > MAX_READINGS:
        # what is stored stays stored; rows of so wide a stretch are not worth the memory
        logger.warning("rows.not_made", extra={"provider": mapping.provider, "ticks": len(ticks)})
        return
    rows = assemble(
        readings,
        touched=ticks,
        formed=_formed(readings, tick_us),
        known=_known({pool_id for pool_id, _ in ticks}, ticks, tick_us),
    )
    if rows:
        _store(rows, mapping, tick_us, now=now, window=window)


def _readings(ticks: Sequence[PoolTick], mapping: MappingView, tick_us: int) -> list[Reading]:
    ranges = touched_ranges(ticks)
    rules = {rule.name: rule for rule in mapping.rules}
    starts = [_at(first * tick_us) for _, first, _ in ranges]
    ends = [_at((last + 1) * tick_us) for _, _, last in ranges]
    with connection.cursor() as cursor:
        cursor.execute(
            _READINGS,
            {
                "pool": [pool_id for pool_id, _, _ in ranges],
                "start": starts,
                "end": ends,
                "oldest": min(starts),
                "newest": max(ends),
                "limit": MAX_READINGS + 1,
            },
        )
        return [
            Reading(pool_id, series_id, rules[rule], us // tick_us, us, value)
            for pool_id, series_id, rule, us, value in cursor
            if rule in rules
        ]


def _formed(readings: Iterable[Reading], tick_us: int) -> set[PoolTick]:
    wanted = sorted({(reading.pool_id, reading.tick) for reading in readings})
    if not wanted:
        return set()
    times = [_at(tick * tick_us) for _, tick in wanted]
    with connection.cursor() as cursor:
        cursor.execute(
            _FORMED,
            {
                "pool": [pool_id for pool_id, _ in wanted],
                "at": times,
                "oldest": min(times),
                "newest": max(times),
            },
        )
        return {(pool_id, us // tick_us) for pool_id, us in cursor}


def _known(pool_ids: set[int], ticks: Sequence[PoolTick], tick_us: int) -> dict[int, KnownValues]:
    newest_us = (max(tick for _, tick in ticks) + 1) * tick_us
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, {"pools": sorted(pool_ids), "newest": _at(newest_us)})
        return {
            pool_id: KnownValues(
                tick=us // tick_us,
                last_tick=(us + round(stale_after_s * _US_IN_S)) // tick_us,
                values=dict(zip(REQUIRED, values, strict=True)),
            )
            for pool_id, us, stale_after_s, *values in cursor
        }


def _store(
    rows: Sequence[WideRow],
    mapping: MappingView,
    tick_us: int,
    *,
    now: dt.datetime,
    window: Window,
) -> None:
    code_of = {pool_id: code for code, pool_id in pools_of(mapping.provider).items()}
    pool = np.empty(len(rows), dtype=object)
    pool[:] = [code_of.get(row.pool_id, "") for row in rows]
    batch = Batch(
        pool=pool,
        measured_us=np.array([row.tick * tick_us for row in rows], np.int64),
        values={
            name: np.array([row.values.get(name, np.nan) for row in rows], np.float64) + 0.0
            for name in FIELD_NAMES
        },
        fault=np.full(len(rows), NO_FAULT, np.int16),
        fault_field=np.zeros(len(rows), np.int16),
        rule=np.array([RULES.index(row.rule) for row in rows], np.int16),
    )
    report = ingest.store_assembled(batch, provider_code=mapping.provider, now=now, window=window)
    ROWS.labels(mapping.provider, "stored").inc(report.accepted)
    ROWS.labels(mapping.provider, "refused").inc(report.rejected)
    if report.rejected:
        facts = {"provider": mapping.provider, "reasons": dict(report.rejected_by_reason)}
        logger.warning("rows.refused", extra=facts)


def _at(us: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=us)


_READINGS = """
SELECT s.pool_id, s.id, s.rule, (extract(epoch FROM p.measured_at) * 1000000)::int8, p.value
  FROM unnest(%(pool)s::int8[], %(start)s::timestamptz[], %(end)s::timestamptz[])
       AS r (pool_id, start_at, end_at)
  JOIN monitoring_series s ON s.pool_id = r.pool_id
  JOIN monitoring_point p
    ON p.series_id = s.id AND p.measured_at >= r.start_at AND p.measured_at < r.end_at
 WHERE p.measured_at >= %(oldest)s AND p.measured_at < %(newest)s
 LIMIT %(limit)s
"""
_FORMED = """
SELECT s.pool_id, (extract(epoch FROM s.measured_at) * 1000000)::int8
  FROM unnest(%(pool)s::int8[], %(at)s::timestamptz[]) AS w (pool_id, measured_at)
  JOIN monitoring_sample s ON s.pool_id = w.pool_id AND s.measured_at = w.measured_at
 WHERE s.measured_at >= %(oldest)s AND s.measured_at <= %(newest)s
"""
_KNOWN = f"""
SELECT p.id, (extract(epoch FROM s.measured_at) * 1000000)::int8, p.stale_after_s,
       {", ".join(f"s.{name}" for name in REQUIRED)}
  FROM monitoring_pool p
 CROSS JOIN LATERAL (
       SELECT * FROM monitoring_sample
        WHERE pool_id = p.id AND quality = 'good' AND measured_at <= %(newest)s
          AND measured_at > %(newest)s - interval '1 day'
        ORDER BY measured_at DESC LIMIT 1) s
 WHERE p.id = ANY(%(pools)s::int8[])
"""  # noqa: S608 (only the names of our own fields are put in)
