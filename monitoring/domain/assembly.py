"""Puts mapped points together to wide rows: one per pool and tick, once the tick is complete.

Senders cut what one scrape has brought into several requests, so a row is not made from a request
but from what is stored. A row that was made stays as it is. Everything is done on whole columns: a
grid of series by ticks, in which each candidate has the ticks around it beside it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.domain.mapping import Basis, Combine, Rule
from monitoring.domain.samples import (
    FIELD_NAMES,
    FIELDS,
    RULES,
    BoolArray,
    CodeArray,
    FloatArray,
    IntArray,
    QualityRule,
)

# a tick is looked at again while this many later ones come
LOOKBACK_TICKS = 3
REQUIRED = tuple(field.name for field in FIELDS if field.is_required)
# series times ticks that are looked at in one go
MAX_CELLS = 2_000_000
_REQUIRED_AT = np.array([FIELD_NAMES.index(name) for name in REQUIRED])
_COMBINES = tuple(Combine)
_ONLY, _SUM, _MAX, _MEAN = (
    _COMBINES.index(one) for one in (Combine.ONLY, Combine.SUM, Combine.MAX, Combine.MEAN)
)
_WHOLE, _PARTIAL, _CARRIED = (
    RULES.index(rule)
    for rule in (QualityRule.NONE, QualityRule.PARTIAL_TICK, QualityRule.CARRIED_FORWARD)
)
# below this, whole numbers are added exactly in any order
_EXACT = 2.0**53


@dataclass(frozen=True)
class Sources:
    """The mapped series that may feed the rows: s series, by pool and then by key.

    Attributes:
        series_id: (s,) int64.
        pool_id: (s,) int64, ascending.
        rule: (s,) int64, position in `rules`.
        rules: what says where series go.
    """

    series_id: IntArray
    pool_id: IntArray
    rule: IntArray
    rules: Sequence[Rule]


@dataclass(frozen=True)
class Readings:
    """n stored points of mapped series.

    Attributes:
        source: (n,) int64, position in `Sources`.
        tick: (n,) int64, number of the tick that its time lies in.
        measured_us: (n,) int64, microseconds since 1970 UTC.
        value: (n,) float64, as sent; NaN says that the series has ended or has no value.
    """

    source: IntArray
    tick: IntArray
    measured_us: IntArray
    value: FloatArray


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
class WideRows:
    """r rows that were put together, by pool and then by tick.

    Attributes:
        pool_id: (r,) int64.
        tick: (r,) int64.
        values: (r, fields) float64, columns as in `FIELD_NAMES`; NaN = not reported.
        rule: (r,) int16, position in `RULES`.
    """

    pool_id: IntArray
    tick: IntArray
    values: FloatArray
    rule: CodeArray

    def __len__(self) -> int:
        return len(self.pool_id)

    def take(self, chosen: BoolArray | IntArray) -> "WideRows":
        """Return some of the rows."""
        return WideRows(
            self.pool_id[chosen], self.tick[chosen], self.values[chosen], self.rule[chosen]
        )


def candidates(pool_id: IntArray, tick: IntArray) -> tuple[IntArray, IntArray]:
    """Return the pools and ticks that a request may complete or close.

    Args:
        pool_id: (n,) int64, of each point that was stored now.
        tick: (n,) int64.

    Returns:
        Each pool and tick once, sorted: the ticks themselves and the three before each.
    """
    if len(tick) == 0:
        return pool_id, tick
    start = int(tick.min()) - LOOKBACK_TICKS
    width = int(tick.max()) - start + 1
    lowest = int(pool_id.min())
    height = int(pool_id.max()) - lowest + 1
    if height * width > MAX_CELLS:
        pools, place = np.unique(pool_id, return_inverse=True)
        touched = np.unique(place * width + (tick - start))
        cells = np.unique(touched[:, None] - np.arange(LOOKBACK_TICKS + 1))
        return pools[cells // width], cells % width + start
    # a board of pools by ticks is quicker than sorting, as long as it is small
    is_candidate = np.zeros((height, width), bool)
    is_candidate[pool_id - lowest, tick - start] = True
    later = is_candidate.copy()
    for back in range(1, LOOKBACK_TICKS + 1):
        is_candidate[:, :-back] |= later[:, back:]
    row, column = np.nonzero(is_candidate)
    return row + lowest, column + start


def assemble(
    readings: Readings, sources: Sources, *, pool_id: IntArray, tick: IntArray
) -> tuple[WideRows, WideRows]:
    """Return the rows that can be made now.

    A tick is complete when every series that reported in the three ticks before it, and has not
    ended since, reports in it too and the required columns are there. One that never gets there is
    closed once points exist two ticks later: it becomes a row that says what it lacks
    (`partial-tick`, or `carried-forward` where a required column is the pool's last known one), or
    no row at all.

    Args:
        readings: stored points from three ticks before the first candidate to three after the last.
        sources: all mapped series of the candidates' pools.
        pool_id: (c,) int64, of the candidates, sorted.
        tick: (c,) int64, sorted within a pool.

    Returns:
        The rows, and those that lack a required column for which the last known one may stand.
    """
    if len(pool_id) == 0:
        nothing = WideRows(pool_id, tick, np.zeros((0, len(FIELD_NAMES))), np.zeros(0, np.int16))
        return nothing, nothing
    columns = np.unique(tick[:, None] + np.arange(-LOOKBACK_TICKS, LOOKBACK_TICKS + 1))
    first = int(np.searchsorted(sources.pool_id, pool_id[0], "left"))
    last = int(np.searchsorted(sources.pool_id, pool_id[-1], "right"))
    # halves end at one candidate: its pool's series times the seven ticks around it
    if len(pool_id) > 1 and (last - first) * len(columns) > MAX_CELLS:
        half = len(pool_id) // 2
        parts = [
            assemble(readings, sources, pool_id=pool_id[part], tick=tick[part])
            for part in (slice(half), slice(half, None))
        ]
        whole, lacking = zip(*parts, strict=True)
        return join_rows(whole), join_rows(lacking)
    mine, heard = _cut(sources, readings, first, last)
    with np.errstate(over="ignore", invalid="ignore"):
        # a figure too large for a row is refused with the row
        return _judge(_lay_out(heard, mine, columns), mine, pool_id, tick, columns)


def carry_forward(rows: WideRows, known: Mapping[int, KnownValues]) -> WideRows:
    """Return the rows whose missing required columns are still known, with them filled in.

    Args:
        rows: the second result of `assemble`.
        known: per pool its newest good row.
    """
    values, kept = rows.values.copy(), []
    for row, (pool_id, tick) in enumerate(
        zip(rows.pool_id.tolist(), rows.tick.tolist(), strict=True)
    ):
        last = known.get(pool_id)
        if last is None or not last.tick < tick <= last.last_tick:
            continue
        for name, column in zip(REQUIRED, _REQUIRED_AT.tolist(), strict=True):
            if math.isnan(values[row, column]):
                values[row, column] = last.values[name]
        kept.append(row)
    filled = WideRows(rows.pool_id, rows.tick, values, np.full(len(rows), _CARRIED, np.int16))
    return filled.take(np.array(kept, np.int64))


@dataclass(frozen=True)
class _Grid:
    """The newest value of each series in each tick.

    Tick after tick, so that what is looked at together, all series of one tick, lies together.

    Attributes:
        is_there: (w, s) whether the series has a point in the tick.
        value: (w, s) float64.
        pools: (p,) the pools of the series.
        edges: (p,) where each pool's series begin.
    """

    is_there: BoolArray
    value: FloatArray
    pools: IntArray
    edges: IntArray

    def any_of_pool(self, cells: BoolArray) -> BoolArray:
        """Return (w, p) whether any series of a pool has the mark."""
        found: BoolArray = np.logical_or.reduceat(cells, self.edges, axis=1)
        return found


def _cut(sources: Sources, readings: Readings, first: int, last: int) -> tuple[Sources, Readings]:
    if last - first == len(sources.series_id):
        return sources, readings
    part = slice(first, last)
    mine = Sources(
        sources.series_id[part], sources.pool_id[part], sources.rule[part], sources.rules
    )
    is_mine = (readings.source >= first) & (readings.source < last)
    return mine, Readings(
        readings.source[is_mine] - first,
        readings.tick[is_mine],
        readings.measured_us[is_mine],
        readings.value[is_mine],
    )


def _lay_out(readings: Readings, sources: Sources, columns: IntArray) -> _Grid:
    shape = (len(columns), len(sources.series_id))
    at = np.searchsorted(columns, readings.tick)
    is_seen = at < len(columns)
    is_seen[is_seen] = columns[at[is_seen]] == readings.tick[is_seen]
    chosen = np.flatnonzero(is_seen)
    is_there, value = np.zeros(shape, bool), np.full(shape, np.nan)
    cell = at[chosen] * shape[1] + readings.source[chosen]
    is_there.ravel()[cell] = True
    if np.count_nonzero(is_there) < len(cell):
        # of several points in one tick the newest one is written last
        order = np.argsort(readings.measured_us[chosen], kind="stable")
        chosen, cell = chosen[order], cell[order]
    value.ravel()[cell] = readings.value[chosen]
    is_edge = np.ones(len(sources.pool_id), bool)
    is_edge[1:] = sources.pool_id[1:] != sources.pool_id[:-1]
    return _Grid(is_there, value, sources.pool_id[is_edge], np.flatnonzero(is_edge))


def _judge(
    grid: _Grid, sources: Sources, pool_id: IntArray, tick: IntArray, columns: IntArray
) -> tuple[WideRows, WideRows]:
    place = np.searchsorted(grid.pools, pool_id)
    at = np.searchsorted(columns, tick)
    asked, asked_at = np.unique(at, return_inverse=True)
    values = _combine(grid, sources, asked)[place, asked_at]
    lacks = np.isnan(values[:, _REQUIRED_AT])
    reports = grid.any_of_pool(grid.is_there)
    before = grid.any_of_pool(_shifted_or(grid.is_there, (1, 2, 3)))
    misses = grid.any_of_pool(_is_expected(grid) & ~grid.is_there)[at, place]
    shared = _is_shared(sources) & grid.is_there
    may_stand = (before | ~grid.any_of_pool(shared))[at, place]
    is_closed = _shifted_or(reports, (-2, -3))[at, place]

    is_candidate = reports[at, place]
    is_full = is_candidate & ~lacks.any(axis=1)
    is_whole = is_full & ~misses & may_stand
    is_late = is_full & ~is_whole & is_closed
    is_open = is_candidate & ~is_full & is_closed & ~lacks.all(axis=1)
    rule = np.where(is_late & misses, _PARTIAL, _WHOLE).astype(np.int16)
    rows = WideRows(pool_id, tick, values, rule)
    return rows.take(is_whole | is_late), rows.take(is_open)


def _shifted_or(cells: BoolArray, shifts: tuple[int, ...]) -> BoolArray:
    """Return (w, …) whether any of the cells some ticks before (or after, if negative) is set."""
    found = np.zeros_like(cells)
    for shift in shifts:
        if shift > 0:
            found[shift:] |= cells[:-shift]
        else:
            found[:shift] |= cells[-shift:]
    return found


def _is_expected(grid: _Grid) -> BoolArray:
    """Return (w, s) whether a series has reported in the three ticks before and not ended since."""
    alive, found = grid.is_there & ~np.isnan(grid.value), np.zeros_like(grid.is_there)
    for shift in range(LOOKBACK_TICKS, 0, -1):
        earlier, its_alive = grid.is_there[:-shift], alive[:-shift]
        # where it reported later, that counts
        found[shift:] = (found[shift:] & ~earlier) | its_alive
    return found


def _is_shared(sources: Sources) -> BoolArray:
    # a column that only one series feeds cannot be a part of a sum that is still to come
    of_rule = [
        rule.field in REQUIRED and rule.combine is not Combine.ONLY for rule in sources.rules
    ]
    return np.array(of_rule, bool)[sources.rule]


def _combine(grid: _Grid, sources: Sources, asked: IntArray) -> FloatArray:
    """Return (p, a, fields): what the series of each pool say together in each asked column."""
    field = np.array([FIELD_NAMES.index(rule.field) for rule in sources.rules], np.int64)
    combine = np.array([_COMBINES.index(rule.combine) for rule in sources.rules], np.int64)
    factor = np.array([rule.factor for rule in sources.rules], np.float64)
    is_part = np.array([rule.basis is not Basis.UNITS for rule in sources.rules], bool)
    pool = np.searchsorted(grid.pools, sources.pool_id)
    shape = (len(grid.pools), len(asked), len(FIELD_NAMES))
    values, fraction = np.full(shape, np.nan), np.zeros(shape, bool)
    number = np.ascontiguousarray(grid.value[asked].T)
    number[~np.isfinite(number)] = np.nan

    # by pool and column, within it by key: the first that says something decides how
    target = pool * len(FIELD_NAMES) + field[sources.rule]
    order = np.argsort(target, kind="stable")
    groups, edges = np.unique(target[order], return_index=True)
    sizes = np.diff(np.append(edges, len(order)))
    for size in np.unique(sizes).tolist():
        mine = np.flatnonzero(sizes == size)
        members = order[edges[mine][:, None] + np.arange(size)]
        rules = sources.rule[members]
        at_pool, at_field = np.divmod(groups[mine], len(FIELD_NAMES))
        found, leader = _combine_groups(number[members], factor[rules], combine[rules])
        values[at_pool, :, at_field] = found
        fraction[at_pool, :, at_field] = np.take_along_axis(is_part[rules], leader, axis=1)
    capacity = values[:, :, FIELD_NAMES.index("capacity")][:, :, None]
    return np.where(fraction, values * capacity, values)


def _combine_groups(
    number: FloatArray, factor: FloatArray, combine: IntArray
) -> tuple[FloatArray, IntArray]:
    """Combine g groups of m series over w ticks.

    Args:
        number: (g, m, w) float64, by key; NaN = says nothing.
        factor: (g, m) float64.
        combine: (g, m) int64, position in `_COMBINES`.

    Returns:
        (g, w) float64, NaN where none says anything; and (g, w) the first that says something.
    """
    says = ~np.isnan(number)
    leader = says.argmax(axis=1)
    count = says.sum(axis=1)
    scaled = number * factor[:, :, None]
    if number.shape[1] == 1:
        return scaled[:, 0], leader
    how = np.take_along_axis(combine, leader, axis=1)
    found = np.full(how.shape, np.nan)
    for kind in np.unique(how[count > 0]).tolist():
        group, at = np.nonzero((how == kind) & (count > 0))
        cells, first = scaled[group, :, at], leader[group, at]
        if kind == _MAX:
            found[group, at] = np.nanmax(cells, axis=1)
        elif kind == _ONLY:
            # the newest series speaks, by the rule of the first
            newest = number.shape[1] - 1 - says[group, ::-1, at].argmax(axis=1)
            found[group, at] = number[group, newest, at] * factor[group, first]
        else:
            total = _add_up(cells)
            found[group, at] = total / count[group, at] if kind == _MEAN else total
    return found, leader


def _add_up(cells: FloatArray) -> FloatArray:
    """Add (k, m) numbers exactly, so that the order in which series came makes no difference."""
    plain = np.where(np.isnan(cells), 0.0, cells)
    total: FloatArray = plain.sum(axis=1)
    is_exact = (plain == np.rint(plain)).all(axis=1) & (np.abs(plain).sum(axis=1) < _EXACT)
    for row in np.flatnonzero(~is_exact).tolist():
        total[row] = _add_exactly(plain[row].tolist())
    return total


def _add_exactly(numbers: list[float]) -> float:
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        # such figures are refused with the row
        return sum(numbers)


def join_rows(parts: Sequence[WideRows]) -> WideRows:
    """Return rows one after the other."""
    return WideRows(
        np.concatenate([part.pool_id for part in parts]),
        np.concatenate([part.tick for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.rule for part in parts]),
    )
