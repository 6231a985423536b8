"""Decides which readings cannot be right beside a pool's own past: wrong unit, no count, frozen.

A unit that is off multiplies a value by a known factor. A reading is suspect when its step from the
pool's last good level is larger than any of the past and lies where such a factor would put it. It
stays suspect while it follows the level times that factor; it is good again once it is nearer to
the level itself, when the factor is refuted (the true value would not be whole, or would not fit
into the capacity), or when a person confirms the new level. A step of exactly a factor needs no
comparison with past ones, and power may contradict an allocation whatever its steps.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from monitoring.domain.samples import RULES, CodeArray, FloatArray, QualityRule
from monitoring.domain.usual.learning import learn
from monitoring.domain.usual.profiles import (
    COLUMN,
    COUNTED,
    WATCHED,
    Profiles,
    Readings,
    is_whole,
    log_steps,
)
from monitoring.domain.usual.relation import count_doubts, is_contradicted

# a prefix of 1000 or 1024, percent against fraction, nodes of eight against their parts
FACTORS = (8.0, 100.0, 1000.0, 1024.0)
WARM_UP = 36
FLAT_AFTER_S = 12 * 3600.0
FLAT_TIMES = 3.0
MANY_CHANGES = 50
MANY_MOVES = 12
_LEAST_STEP = float(np.log(2.5))
# beyond this a step larger than all of the past is a unit, whatever the factor
_HOPELESS = float(np.log(300.0))
# a share that differs less from its units is looked for where power can tell them apart only
_LEAST_AFTER_NONE = float(np.log(50.0))
_LEAST_SHARE, _SEEN_SHARE = float(np.log(4.0)), float(np.log(1.5))
_CALM = 0.85
# chosen on real traces (benchmarks/quality.py): how much of the largest past jump a step must
# exceed, and how close to a factor it must land, in the log, at a calm and at a lively pool
_JUMPS, _CLOSE, _LOOSE = 0.5, 0.06, 0.2
# of the capacity: an error smaller than this changes no plan
_MATTERS = 0.05
# real counts step by exactly a factor between one and eight only: one job comes, or goes
_EXACT, _LEAST_EXACT = 1e-9, 9.0
_BoolArray = npt.NDArray[np.bool_]


def weigh(profiles: Profiles, readings: Readings, judged: CodeArray) -> CodeArray:
    """Judge readings by their pools' past, and learn from the good ones, in place.

    Args:
        profiles: (k, len(NAMES)).
        readings: m readings in order of pool and time.
        judged: (m,) positions in `RULES` of what was found before; such a reading keeps its rule
            and nothing is learned from it.

    Returns:
        (m,) positions in `RULES`.
    """
    rule = judged.copy()
    is_late = readings.at_s <= profiles[readings.ref, COLUMN["last_s"]]
    is_open = (judged == _NONE) & ~is_late
    is_restless = np.zeros(len(profiles), bool)
    is_restless[readings.ref[is_open & ~_is_calm(profiles, readings)]] = True
    restless = is_restless[readings.ref]

    calm = np.flatnonzero(is_open & ~restless)
    frozen = _is_frozen(profiles, readings.take(calm))
    rule[calm[frozen]] = _FLAT
    learn(profiles, readings.take(calm))
    _weigh_one_by_one(profiles, readings, np.flatnonzero(is_open & restless), rule)
    return rule


def confirm(profiles: Profiles, ref: int) -> None:
    """Take the next reading of a pool as its level, whatever it is, in place."""
    for name in WATCHED:
        profiles[ref, COLUMN[f"{name}_level"]] = np.nan
        profiles[ref, COLUMN[f"{name}_factor"]] = 0.0
        profiles[ref, COLUMN[f"{name}_whole"]] = 0.0
    profiles[ref, COLUMN["changed_s"]] = 0.0
    profiles[ref, COLUMN["changes"]] = 0.0


def _is_calm(profiles: Profiles, readings: Readings) -> _BoolArray:
    known = profiles[readings.ref]
    calm = np.ones(len(readings.ref), bool)
    for name in WATCHED:
        column, level = readings.values[name], known[:, COLUMN[f"{name}_level"]]
        with np.errstate(all="ignore"):
            near = np.abs(np.log(column / level)) < _CALM
        calm &= near | np.isnan(column) | np.isnan(level) | (column == level)
        calm &= known[:, COLUMN[f"{name}_factor"]] == 0
        if name in COUNTED:
            calm &= (known[:, COLUMN[f"{name}_whole"]] == 0) | is_whole(column)
    calm &= (known[:, COLUMN["doubts"]] == 0) & ~_is_contradicted(known, readings)
    return calm


def _is_contradicted(known: Profiles, readings: Readings) -> _BoolArray:
    factors = np.exp(_log_factors(known, "allocated", least_share=_SEEN_SHARE))
    return is_contradicted(known, readings, factors)


def _is_frozen(profiles: Profiles, readings: Readings) -> _BoolArray:
    ref = readings.ref
    still_s = readings.at_s - profiles[ref, COLUMN["changed_s"]]
    allowed_s = np.maximum(FLAT_AFTER_S, FLAT_TIMES * profiles[ref, COLUMN["longest_still_s"]])
    frozen: _BoolArray = still_s > allowed_s
    frozen &= profiles[ref, COLUMN["changes"]] >= MANY_CHANGES
    if not frozen.any():
        return frozen
    for name in WATCHED:
        column = readings.values[name]
        frozen &= (column == profiles[ref, COLUMN[f"{name}_level"]]) | np.isnan(column)
    # an empty pool, and a full one, may rest as long as it likes
    allocated, queued = readings.values["allocated"], readings.values["queued"]
    idle = (allocated == 0) & (queued == 0)
    full = allocated >= readings.values["capacity"]
    found: _BoolArray = frozen & ~idle & ~full
    return found


def _weigh_one_by_one(
    profiles: Profiles, readings: Readings, chosen: npt.NDArray[np.int64], rule: CodeArray
) -> None:
    if len(chosen) == 0:
        return
    refs = readings.ref[chosen]
    is_first = np.ones(len(refs), bool)
    is_first[1:] = refs[1:] != refs[:-1]
    starts = np.flatnonzero(is_first)
    rank = np.arange(len(refs)) - np.repeat(starts, np.diff(np.append(starts, len(refs))))
    # one reading of each pool at a time: each must see what the one before it has taught
    order = np.argsort(rank, kind="stable")
    bounds = np.flatnonzero(np.diff(rank[order], prepend=-1, append=rank.max() + 1))
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        now = chosen[order[start:end]]
        part = readings.take(now)
        found = _weigh_once(profiles, part)
        rule[now] = found
        learn(profiles, part.take(found == _NONE))


def _weigh_once(profiles: Profiles, part: Readings) -> CodeArray:
    """Judge at most one reading of each pool."""
    rule = np.full(len(part.ref), _NONE, np.int16)
    rule[_is_frozen(profiles, part)] = _FLAT
    known = profiles[part.ref]
    is_warm = known[:, COLUMN["seen"]] >= WARM_UP
    for name in COUNTED:
        # a column that never moves was whole by chance
        has_moved = known[:, COLUMN[f"{name}_moves"]] >= MANY_MOVES
        was_whole = known[:, COLUMN[f"{name}_whole"]] == 1
        rule[has_moved & was_whole & ~is_whole(part.values[name])] = _NO_COUNT
    doubted = count_doubts(profiles, part.ref, _is_contradicted(known, part))
    rule[doubted & is_warm] = _UNIT
    for name in WATCHED:
        factor = _factor(known, part.values, name, is_warm=is_warm)
        if name != "capacity":
            _remember_swing(profiles, part, name, (known[:, COLUMN[f"{name}_factor"]], factor))
        profiles[part.ref, COLUMN[f"{name}_factor"]] = factor
        off = factor != 0
        rule[off] = _UNIT
        # the level moves along behind the factor, so that a drift does not hide it
        level = COLUMN[f"{name}_level"]
        with np.errstate(all="ignore"):
            hidden = part.values[name] / factor
        profiles[part.ref[off], level] = hidden[off]
    return rule


def _remember_swing(
    profiles: Profiles, part: Readings, name: str, factors: tuple[FloatArray, FloatArray]
) -> None:
    """What came back by itself was this pool's own way: the same again is not suspect."""
    before, after = factors
    over = (before != 0) & (after == 0)
    refs = part.ref[over]
    reach = COLUMN[f"{name}_reach"]
    profiles[refs, reach] = np.maximum(profiles[refs, reach], np.abs(np.log(before[over])))


def _factor(
    known: Profiles, values: Mapping[str, FloatArray], name: str, *, is_warm: _BoolArray
) -> FloatArray:
    column, level = values[name], known[:, COLUMN[f"{name}_level"]]
    before = known[:, COLUMN[f"{name}_factor"]]
    was_zero = level == 0
    level = np.where(was_zero, known[:, COLUMN[f"{name}_ground"]], level)
    step = log_steps(level, column)
    # what was none may come back at another size: only what no prefix could be mistaken for counts
    step[was_zero & ~(np.abs(step) > _LEAST_AFTER_NONE)] = np.nan
    size = np.abs(step)
    with np.errstate(all="ignore"):
        goes_on = (before > 0) & (np.abs(step - np.log(before)) < size)
    new = _nearest_factor(known, step, name)
    unusual = size > np.maximum(_LEAST_STEP, 1.2 * known[:, COLUMN[f"{name}_reach"]])
    unusual &= np.abs(column - level) > _JUMPS * known[:, COLUMN[f"{name}_jump"]]
    # what no prefix could be mistaken for needs no comparison with past jumps
    unusual |= size > np.maximum(_HOPELESS, 1.2 * known[:, COLUMN[f"{name}_reach"]])
    if name in ("allocated", "queued"):
        unusual &= np.abs(column - level) > _MATTERS * known[:, COLUMN["capacity_level"]]
    unusual |= _is_exact(level, column, new)
    starts = is_warm & (before == 0) & unusual & (new > 0)
    factor = np.where(goes_on, before, np.where(starts, new, 0.0))
    return np.where(_is_refuted(known, column, factor, name), 0.0, factor)


def _is_exact(level: FloatArray, column: FloatArray, factor: FloatArray) -> _BoolArray:
    """Whether a value is its level times a factor, to the last digit; small counts say nothing."""
    with np.errstate(all="ignore"):
        exact: _BoolArray = np.abs(column - level * factor) <= _EXACT * column
        exact &= np.maximum(level, column) >= _LEAST_EXACT
    return exact & (factor > 0)


def _nearest_factor(known: Profiles, step: FloatArray, name: str) -> FloatArray:
    """Return the factor that explains each step, or 0."""
    table = _log_factors(known, name)
    distance = np.abs(table - step)
    np.nan_to_num(distance, copy=False, nan=np.inf)
    best = distance.argmin(axis=0)
    pick = np.arange(len(step))
    tolerance = np.clip(3 * known[:, COLUMN[f"{name}_typical"]], _CLOSE, _LOOSE)
    explained = (distance[best, pick] <= tolerance) | (np.abs(step) > _HOPELESS)
    return np.where(explained, np.exp(table[best, pick]), 0.0)


def _log_factors(known: Profiles, name: str, *, least_share: float = _LEAST_SHARE) -> FloatArray:
    """Return the logs of all factors by which a column may be off: (f, m)."""
    logs = [np.full(len(known), sign * np.log(f)) for f in FACTORS for sign in (1, -1)]
    if name in ("allocated", "queued"):
        # a share of the capacity instead of units, as a fraction or in percent
        with np.errstate(all="ignore"):
            capacity = np.log(known[:, COLUMN["capacity_level"]])
        shares = [-capacity, np.log(100.0) - capacity]
        logs += [np.where(np.abs(s) > least_share, s, np.inf) for s in shares]
    return np.stack(logs)


def _is_refuted(known: Profiles, column: FloatArray, factor: FloatArray, name: str) -> _BoolArray:
    with np.errstate(all="ignore"):
        hidden = column / factor
    refuted: _BoolArray = np.zeros(len(column), bool)
    if name in COUNTED:
        was_whole = known[:, COLUMN[f"{name}_whole"]] == 1
        small = (factor > 1) & (factor < 50)
        refuted |= small & was_whole & is_whole(column) & ~is_whole(hidden)
    if name == "allocated":
        refuted |= (factor < 1) & (hidden > known[:, COLUMN["capacity_level"]] * 1.05)
    refuted &= factor != 0
    return refuted


_NONE = RULES.index(QualityRule.NONE)
_UNIT = RULES.index(QualityRule.UNIT_JUMP)
_NO_COUNT = RULES.index(QualityRule.NOT_A_COUNT)
_FLAT = RULES.index(QualityRule.FLAT_LINE)
