"""The rule of assembly read by read, as the referee of the one that works on columns."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from monitoring.domain import assembly
from monitoring.domain.assembly import LOOKBACK_TICKS, REQUIRED, KnownValues
from monitoring.domain.mapping import Basis, Combine, Rule
from monitoring.domain.samples import FIELD_NAMES, RULES, QualityRule

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
class WideRow:
    """A row that was put together."""

    pool_id: int
    tick: int
    values: Mapping[str, float]
    rule: QualityRule


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


def assemble_columns(
    readings: Iterable[Reading],
    *,
    touched: Iterable[PoolTick],
    formed: Iterable[PoolTick],
    known: Mapping[int, KnownValues],
) -> list[WideRow]:
    """Ask the product's own assembly in the referee's words."""
    readings = list(readings)
    rule_of = {(one.pool_id, one.series_id): one.rule for one in readings}
    keys = sorted(rule_of)
    rules = list(dict.fromkeys(rule_of.values()))
    sources = assembly.Sources(
        series_id=np.array([series_id for _, series_id in keys], np.int64),
        pool_id=np.array([pool_id for pool_id, _ in keys], np.int64),
        rule=np.array([rules.index(rule_of[key]) for key in keys], np.int64),
        rules=rules,
    )
    columns = assembly.Readings(
        source=np.array([keys.index((one.pool_id, one.series_id)) for one in readings], np.int64),
        tick=np.array([one.tick for one in readings], np.int64),
        measured_us=np.array([one.measured_us for one in readings], np.int64),
        value=np.array([one.value for one in readings], np.float64),
    )
    cells = np.array(sorted(set(touched)), np.int64).reshape(-1, 2)
    done = set(formed)
    pool_id, tick = assembly.candidates(cells[:, 0], cells[:, 1])
    is_open = [key not in done for key in zip(pool_id.tolist(), tick.tolist(), strict=True)]
    whole, lacking = assembly.assemble(
        columns, sources, pool_id=pool_id[is_open], tick=tick[is_open]
    )
    rows = assembly.join_rows([whole, assembly.carry_forward(lacking, known)])
    order = np.lexsort((rows.tick, rows.pool_id))
    return [
        WideRow(
            int(rows.pool_id[row]),
            int(rows.tick[row]),
            {
                name: value
                for name, value in zip(FIELD_NAMES, rows.values[row].tolist(), strict=True)
                if not math.isnan(value)
            },
            RULES[rows.rule[row]],
        )
        for row in order.tolist()
    ]
