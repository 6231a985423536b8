"""Makes the wide rows that stored points allow, and stores them."""

import datetime as dt
import logging
from dataclasses import dataclass, replace

import numpy as np
from prometheus_client import Counter

from monitoring import ingest, selectors
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
from monitoring.domain.hour_matrix import DAY_US
from monitoring.domain.samples import (
    FIELD_NAMES,
    NO_FAULT,
    QUALITIES,
    Batch,
    BoolArray,
    IntArray,
    Quality,
    Window,
    first_of_each,
    moment_of,
)
from monitoring.formats.blocks import SHELF_SLOTS, PointColumns
from monitoring.models import Pool
from monitoring.selectors.points import read_points
from monitoring.senders.catalogue import Catalogue
from monitoring.senders.formed import FormedTicks
from monitoring.senders.recent import MappedPoints, RecentPoints, join_points

logger = logging.getLogger(__name__)

# blocks that one request may have read for its rows: some 60 MB at most
MAX_BLOCKS = 60_000
ROWS = Counter("tiaodu_assembled_rows_total", "Wide rows made from points", ["provider", "quality"])
_US_IN_S = 1_000_000
_NEVER_US = 2**62
_GOOD = QUALITIES.index(Quality.GOOD)


class RowsTooWide(Exception):
    """The points around the new ones are more than should be read in one go."""


@dataclass(frozen=True)
class Formed:
    """What a request has made: rows of n pools and ticks, and what is known of recent points."""

    pool_id: IntArray
    tick: IntArray
    recent: RecentPoints | None = None


NO_ROWS = Formed(np.zeros(0, np.int64), np.zeros(0, np.int64))


def form_rows(
    touched: PointColumns,
    catalogue: Catalogue,
    formed: FormedTicks,
    *,
    recent: RecentPoints | None,
    now: dt.datetime,
    window: Window,
    looks_at_all: bool = False,
) -> Formed:
    """Store the rows that can be made after points of some pools have been stored.

    Args:
        touched: the new points of mapped series.
        catalogue: the provider's rules, pools and mapped series.
        formed: what is remembered of rows that were made before.
        recent: all points before these from a moment on; None = they are read.
        now: present grid time.
        window: times that are taken.
        looks_at_all: look up every row, as one was there unknown to the newest states.

    Returns:
        What has a row now, and all points of before; to be remembered once it is committed.

    Raises:
        RowsTooWide: the points lie in too wide a stretch; nothing of it was stored.
    """
    tick_us = catalogue.tick_us
    at = catalogue.find(touched.series_id)
    touched_pool, touched_tick = catalogue.pool_id[at], touched.measured_us // tick_us
    pool_id, tick = candidates(touched_pool, touched_tick)
    is_open = ~formed.has(pool_id, tick, catalogue.epoch)
    pool_id, tick = pool_id[is_open], tick[is_open]
    if len(tick) == 0:
        return replace(NO_ROWS, recent=recent)
    sources, place = catalogue.sources_of(np.unique(pool_id))
    start_us = (int(tick.min()) - LOOKBACK_TICKS) * tick_us
    if recent is not None and recent.start_us <= start_us:
        lot = MappedPoints(at, touched.measured_us, touched.value)
        points = join_points([*recent.lots, lot])
    else:
        end_us = (int(tick.max()) + LOOKBACK_TICKS + 1) * tick_us
        points, recent = _read_points(catalogue, sources, touched, (start_us, end_us))
    readings = _readings(points, place, tick_us)
    whole, lacking = assemble(readings, sources, pool_id=pool_id, tick=tick)
    if len(lacking):
        known = _known(lacking, int(touched_tick.max()), tick_us)
        whole = join_rows([whole, carry_forward(lacking, known)])
    batch, provider_code = _batch_of(whole, catalogue, tick_us), catalogue.mapping.provider
    if len(whole) and not _store(
        batch, provider_code, now=now, window=window, looks_at_all=looks_at_all
    ):
        # what was refused is looked at again when more of its tick comes
        return replace(NO_ROWS, recent=recent)
    return Formed(whole.pool_id, whole.tick, recent)


def _read_points(
    catalogue: Catalogue, sources: Sources, touched: PointColumns, span_us: tuple[int, int]
) -> tuple[MappedPoints, RecentPoints | None]:
    """Return the points of a stretch; and all there were from its start on, if all were read."""
    shelves = np.unique(sources.series_id // SHELF_SLOTS)
    is_whole = len(shelves) == len(catalogue.shelves)
    start_us, end_us = span_us[0], _NEVER_US if is_whole else span_us[1]
    found = read_points(shelves, start_us=start_us, end_us=end_us, limit=MAX_BLOCKS)
    if found is None:
        raise RowsTooWide
    at = catalogue.find(found.series_id)
    chosen = np.flatnonzero(at >= 0)
    points = MappedPoints(at[chosen], found.measured_us[chosen], found.value[chosen])
    if not is_whole:
        return points, None
    # the request's own points are there already, and are put in again when it is committed
    is_old = ~_are_among(points, catalogue.find(touched.series_id), touched.measured_us)
    before = MappedPoints(points.position[is_old], points.measured_us[is_old], points.value[is_old])
    return points, RecentPoints(catalogue.epoch, -1, start_us, (before,) if len(before) else ())


def _are_among(points: MappedPoints, position: IntArray, measured_us: IntArray) -> BoolArray:
    first, group = first_of_each(
        np.concatenate((position, points.position)),
        np.concatenate((measured_us, points.measured_us)),
    )
    found: BoolArray = first[group[len(position) :]] < len(position)
    return found


def _readings(points: MappedPoints, place: IntArray, tick_us: int) -> Readings:
    source, measured_us, value = place[points.position], points.measured_us, points.value
    is_asked = source >= 0
    if not is_asked.all():
        source, measured_us, value = source[is_asked], measured_us[is_asked], value[is_asked]
    return Readings(source, measured_us // tick_us, measured_us, value)


def _known(rows: WideRows, newest_tick: int, tick_us: int) -> dict[int, KnownValues]:
    pools = Pool.objects.filter(pk__in=np.unique(rows.pool_id).tolist())
    stale_after_s: dict[int, float] = dict(pools.values_list("pk", "stale_after_s"))
    if not stale_after_s:
        return {}
    # what is older than that speaks for none of the rows
    longest_us = min(round(max(stale_after_s.values()) * _US_IN_S), DAY_US)
    since = moment_of(int(rows.tick.min()) * tick_us - longest_us - tick_us)
    stands = selectors.places_of(np.array(list(stale_after_s), np.int64))
    stored = selectors.samples_between(
        stands.shelves, since, moment_of((newest_tick + 1) * tick_us + 1)
    )
    pool_id = stands.pool_at(stored.place)
    chosen = np.flatnonzero((pool_id > 0) & (stored.quality == _GOOD))
    # of each pool the newest is put in last
    chosen = chosen[np.argsort(stored.measured_us[chosen], kind="stable")]
    newest = dict(zip(pool_id[chosen].tolist(), chosen.tolist(), strict=True))
    return {
        pool: KnownValues(
            tick=(us := int(stored.measured_us[at])) // tick_us,
            last_tick=(us + round(stale_after_s[pool] * _US_IN_S)) // tick_us,
            values={name: float(stored.values[name][at]) for name in REQUIRED},
        )
        for pool, at in newest.items()
    }


def _batch_of(rows: WideRows, catalogue: Catalogue, tick_us: int) -> Batch:
    codes, keys = catalogue.pool_codes
    at = np.minimum(np.searchsorted(keys, rows.pool_id), max(0, len(keys) - 1))
    is_theirs = keys[at] == rows.pool_id if len(keys) else np.zeros(len(rows), bool)
    return Batch(
        pools=codes,
        pool_ref=np.where(is_theirs, at, -1),
        measured_us=rows.tick * tick_us,
        # no figure is minus zero
        values={name: rows.values[:, at] + 0.0 for at, name in enumerate(FIELD_NAMES)},
        fault=np.full(len(rows), NO_FAULT, np.int16),
        fault_field=np.zeros(len(rows), np.int16),
        rule=rows.rule,
    )


def _store(
    batch: Batch, provider_code: str, *, now: dt.datetime, window: Window, looks_at_all: bool
) -> bool:
    """Store rows and return whether all of them are there now."""
    report = ingest.store_assembled(
        batch, provider_code=provider_code, now=now, window=window, looks_at_all=looks_at_all
    )
    ROWS.labels(provider_code, "stored").inc(report.accepted)
    ROWS.labels(provider_code, "refused").inc(report.rejected)
    if report.rejected:
        facts = {"provider": provider_code, "reasons": dict(report.rejected_by_reason)}
        logger.warning("rows.refused", extra=facts)
    return not report.rejected
