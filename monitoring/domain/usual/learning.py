"""Learns from a pool's good readings what is usual for it: level, steps, whole numbers, rest.

Nothing here judges.
"""

import numpy as np

from monitoring.domain.samples import FloatArray, IntArray
from monitoring.domain.usual.profiles import (
    COLUMN,
    WATCHED,
    Profiles,
    Readings,
    is_whole,
    log_steps,
)
from monitoring.domain.usual.relation import learn_relation

HALF_LIFE_S = 30 * 86_400.0
_SPEED = 0.05


def learn(profiles: Profiles, readings: Readings) -> None:
    """Take good readings into the profiles, in place.

    Args:
        profiles: (k, len(NAMES)).
        readings: those that are older than a profile's newest reading change nothing in it.
    """
    newer = readings.at_s > profiles[readings.ref, COLUMN["last_s"]]
    if not newer.all():
        readings = readings.take(newer)
    if len(readings.ref) == 0:
        return
    is_first = np.ones(len(readings.ref), bool)
    is_first[1:] = readings.ref[1:] != readings.ref[:-1]
    starts = np.flatnonzero(is_first)
    pools = readings.ref[starts]
    ends = np.append(starts[1:], len(readings.ref)) - 1
    _learn_rest(profiles, readings, starts, ends)
    age_s = readings.at_s[ends] - profiles[pools, COLUMN["last_s"]]
    decay = np.exp2(-np.clip(age_s, 0.0, HALF_LIFE_S) / HALF_LIFE_S)
    for name in WATCHED:
        _learn_column(profiles, readings, name, starts, ends, decay)
    learn_relation(profiles, readings, starts, ends)
    profiles[pools, COLUMN["last_s"]] = readings.at_s[ends]
    profiles[pools, COLUMN["seen"]] += ends - starts + 1


def _learn_column(
    profiles: Profiles,
    readings: Readings,
    name: str,
    starts: IntArray,
    ends: IntArray,
    decay: FloatArray,
) -> None:
    pools, column = readings.ref[starts], readings.values[name]
    before = np.empty_like(column)
    before[1:] = column[:-1]
    before[starts] = profiles[pools, COLUMN[f"{name}_level"]]
    steps = np.abs(log_steps(before, column))
    np.nan_to_num(steps, copy=False, nan=0.0)
    largest = np.maximum.reduceat(steps, starts)
    reach = COLUMN[f"{name}_reach"]
    profiles[pools, reach] = np.maximum(profiles[pools, reach] * decay, largest)
    jumps = np.nan_to_num(np.abs(column - before), nan=0.0)
    jump = COLUMN[f"{name}_jump"]
    profiles[pools, jump] = np.maximum(
        profiles[pools, jump] * decay, np.maximum.reduceat(jumps, starts)
    )
    count = ends - starts + 1
    mean = np.add.reduceat(steps, starts) / count
    share = 1.0 - (1.0 - _SPEED) ** count
    typical = COLUMN[f"{name}_typical"]
    profiles[pools, typical] += share * (mean - profiles[pools, typical])
    moved = (column != before) & ~np.isnan(column) & ~np.isnan(before)
    profiles[pools, COLUMN[f"{name}_moves"]] += np.add.reduceat(moved.astype(float), starts)
    whole = COLUMN[f"{name}_whole"]
    profiles[pools, whole] = np.minimum(
        profiles[pools, whole], np.minimum.reduceat(is_whole(column).astype(float), starts)
    )
    last = column[ends]
    level = COLUMN[f"{name}_level"]
    profiles[pools, level] = np.where(np.isnan(last), profiles[pools, level], last)
    place = np.maximum.reduceat(np.where(column > 0, np.arange(len(column)), -1), starts)
    ground = COLUMN[f"{name}_ground"]
    profiles[pools, ground] = np.where(place >= 0, column[place], profiles[pools, ground])


def _learn_rest(profiles: Profiles, readings: Readings, starts: IntArray, ends: IntArray) -> None:
    pools = readings.ref[starts]
    moved = np.zeros(len(readings.ref), bool)
    for name in WATCHED:
        column = readings.values[name]
        before = np.empty_like(column)
        before[1:] = column[:-1]
        before[starts] = profiles[pools, COLUMN[f"{name}_level"]]
        moved |= (column != before) & ~np.isnan(column)
    # the rest before each move, measured from the move before it
    since = np.empty(len(readings.ref))
    since[1:] = readings.at_s[:-1]
    known_s = profiles[pools, COLUMN["changed_s"]]
    since[starts] = np.where(known_s > 0, known_s, readings.at_s[starts])
    rank = np.where(moved, np.arange(len(moved)), -1)
    rank = np.maximum.accumulate(rank)
    previous = np.append(-1, rank[:-1])
    start_of = np.repeat(starts, ends - starts + 1)
    has_move = previous >= start_of
    rest_from = np.where(has_move, readings.at_s[np.maximum(previous, 0)], since[start_of])
    rests = np.where(moved, readings.at_s - rest_from, 0.0)
    longest = COLUMN["longest_still_s"]
    profiles[pools, longest] = np.maximum(
        profiles[pools, longest], np.maximum.reduceat(rests, starts)
    )
    last_move = rank[ends]
    did_move = last_move >= starts
    changed = np.where(did_move, readings.at_s[np.maximum(last_move, 0)], since[starts])
    profiles[pools, COLUMN["changed_s"]] = changed
    profiles[pools, COLUMN["changes"]] += np.add.reduceat(moved.astype(float), starts)
