"""Puts mapped points together to wide rows: one per pool and tick, once the tick is complete.

Senders cut what one scrape has brought into several requests, so a row is not made from a request
but from what is stored. A row that was made stays as it is.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitoring.domain.mapping import Basis, Combine, Rule
from monitoring.domain.samples import FIELDS, QualityRule

# a tick is looked at again while this many later ones come
LOOKBACK_TICKS = 3
REQUIRED = tuple(field.name for field in FIELDS if field.is_required)

PoolTick = tuple[int, int]


@dataclass(frozen=True)
class Reading:
    """One stored point of a mapped series.

    Attributes:
        pool_id: key of the pool.
        series_id: key of the series.
        rule: what says where the series goes.
        tick: number of the tick that its time lies in.
        measured_us: its time, microseconds since 1970 UTC.
        value: as sent; NaN says that the series has ended or has no value.
    """

    pool_id: int
    series_id: int
    rule: Rule
    tick: int
    measured_us: int
    value: float


@dataclass(frozen=True)
class KnownValues:
    """A pool's newest good row, from which required values may be carried forward.

    Attributes:
        tick: its tick.
        last_tick: the last one that it still speaks for.
        values: its required columns.
    """

    tick: int
    last_tick: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class WideRow:
    """A row that was put together."""

    pool_id: int
    tick: int
    values: Mapping[str, float]
    rule: QualityRule


def touched_ranges(touched: Iterable[PoolTick]) -> list[tuple[int, int, int]]:
    """Return what must be read to judge the ticks that a request touches.

    Args:
        touched: pools and ticks that points were stored for.

    Returns:
        (pool, first tick, last tick) with both ends included; ranges of a pool do not overlap.
    """
    ranges: list[tuple[int, int, int]] = []
    for pool_id, tick in sorted(set(touched)):
        start, end = tick - 2 * LOOKBACK_TICKS, tick + LOOKBACK_TICKS
        if ranges and ranges[-1][0] == pool_id and start <= ranges[-1][2] + 1:
            ranges[-1] = (pool_id, ranges[-1][1], end)
        else:
            ranges.append((pool_id, start, end))
    return ranges


def assemble(
    readings: Iterable[Reading],
    *,
    touched: Iterable[PoolTick],
    formed: Iterable[PoolTick],
    known: Mapping[int, KnownValues],
) -> list[WideRow]:
    """Return the rows that can be made now, oldest first within a pool.

    A tick is complete when every series that reported in the three ticks before it, and has not
    ended since, reports in it too and the required columns are there. One that never gets there is
    closed once points exist two ticks later: it becomes a row that says what it lacks
    (`partial-tick`, or `carried-forward` where a required column is the pool's last known one), or
    no row at all.

    Args:
        readings: stored points in `touched_ranges` of what was touched.
        touched: pools and ticks that points were stored for.
        formed: pools and ticks that have a row.
        known: per pool its newest good row.
    """
    by_pool: defaultdict[int, _Ticks] = defaultdict(dict)
    for reading in readings:
        of_tick = by_pool[reading.pool_id].setdefault(reading.tick, {})
        held = of_tick.get(reading.series_id)
        if held is None or held.measured_us <= reading.measured_us:
            of_tick[reading.series_id] = reading
    done = set(formed)
    rows = []
    for pool_id, tick in _candidates(touched):
        ticks = by_pool.get(pool_id, {})
        if tick in ticks and (pool_id, tick) not in done:
            row = _row_of(pool_id, tick, ticks, known.get(pool_id))
            rows += [row] if row else []
    return rows


_Ticks = dict[int, dict[int, Reading]]


def _candidates(touched: Iterable[PoolTick]) -> list[PoolTick]:
    return sorted(
        {(pool_id, tick - back) for pool_id, tick in touched for back in range(LOOKBACK_TICKS + 1)}
    )


def _row_of(pool_id: int, tick: int, ticks: _Ticks, known: KnownValues | None) -> WideRow | None:
    present = ticks[tick]
    values = _combine(present.values())
    missing = [name for name in REQUIRED if name not in values]
    before: dict[int, Reading] = {}
    for back in range(LOOKBACK_TICKS, 0, -1):
        before |= ticks.get(tick - back, {})
    expected = {key for key, reading in before.items() if not math.isnan(reading.value)}
    is_whole = expected <= present.keys()
    if not missing and is_whole and (before or _stands_alone(present.values())):
        return WideRow(pool_id, tick, values, QualityRule.NONE)
    is_closed = any(later in ticks for later in range(tick + 2, tick + LOOKBACK_TICKS + 1))
    if not is_closed or len(missing) == len(REQUIRED):
        return None
    if not missing:
        rule = QualityRule.NONE if is_whole else QualityRule.PARTIAL_TICK
        return WideRow(pool_id, tick, values, rule)
    if known is None or not known.tick < tick <= known.last_tick:
        return None
    carried = {name: known.values[name] for name in missing}
    return WideRow(pool_id, tick, {**values, **carried}, QualityRule.CARRIED_FORWARD)


def _stands_alone(readings: Iterable[Reading]) -> bool:
    # a column that only one series feeds cannot be a part of a sum that is still to come
    return all(
        reading.rule.combine is Combine.ONLY
        for reading in readings
        if reading.rule.field in REQUIRED
    )


def _combine(readings: Iterable[Reading]) -> dict[str, float]:
    columns: defaultdict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        if math.isfinite(reading.value):
            columns[reading.rule.field].append(reading)
    values = {
        name: _as_one(column)
        for name, column in columns.items()
        if column[0].rule.basis is Basis.UNITS
    }
    capacity = values.get("capacity")
    for name, column in columns.items():
        if name not in values and capacity is not None:
            values[name] = _as_one(column) * capacity
    return values


def _as_one(column: list[Reading]) -> float:
    numbers = [reading.value * reading.rule.factor for reading in column]
    combine = column[0].rule.combine
    if combine is Combine.SUM:
        # exact, so that the order in which series came makes no difference
        return math.fsum(numbers)
    if combine is Combine.MAX:
        return max(numbers)
    if combine is Combine.MEAN:
        return math.fsum(numbers) / len(numbers)
    return max(column, key=lambda reading: reading.series_id).value * column[0].rule.factor
