"""Learns how a pool's power goes with its allocation, and finds allocations that power contradicts.

Power is measured by other devices than the scheduler that counts what is allocated: when the one
says that nothing has changed and the other has changed by a factor of units, the count is wrong.
"""

import numpy as np
import numpy.typing as npt

from monitoring.domain.samples import BoolArray, FloatArray, IntArray
from monitoring.domain.usual.profiles import COLUMN, Profiles, Readings

# readings it takes to forget: two days of five minutes, so that nights and days are both in it
_SPEED = 0.002
LEAST_PAIRS = 100
_LEAST_CORRELATION = 0.8
# chosen on real traces (benchmarks/quality.py): spreads of the relation's own error
_FAR, _NEAR = 4.0, 2.5
# of the capacity: what power may be off without saying anything
_LEAST_SPREAD_SHARE = 0.005
_LEAST_CHANGE_SHARE = 0.03
_DOUBTS = 2


def learn_relation(
    profiles: Profiles, readings: Readings, starts: IntArray, ends: IntArray
) -> None:
    """Take pairs of allocation and power into the profiles, in place.

    Args:
        profiles: (k, len(NAMES)).
        readings: good ones in order of pool and time.
        starts: position of the first reading of each pool.
        ends: position of its last.
    """
    x, y = readings.values["allocated"], readings.values["power_kw"]
    is_pair = ~(np.isnan(x) | np.isnan(y))
    count = np.add.reduceat(is_pair.astype(float), starts)
    has_pairs = count > 0
    if not has_pairs.any():
        return
    pools, count = readings.ref[starts[has_pairs]], count[has_pairs]
    spread = np.repeat(np.arange(len(starts)), ends - starts + 1)
    x, y = np.where(is_pair, x, 0.0), np.where(is_pair, y, 0.0)
    x_mean, y_mean = (np.add.reduceat(v, starts)[has_pairs] / count for v in (x, y))
    dx = np.where(is_pair, x - _at(x_mean, has_pairs)[spread], 0.0)
    dy = np.where(is_pair, y - _at(y_mean, has_pairs)[spread], 0.0)
    pairs = profiles[pools, COLUMN["pairs"]] + count
    share = np.maximum(count / pairs, 1.0 - (1.0 - _SPEED) ** count)
    ahead_x = x_mean - profiles[pools, COLUMN["pair_x"]]
    ahead_y = y_mean - profiles[pools, COLUMN["pair_y"]]
    for name, products, ahead in (
        ("pair_xx", dx * dx, ahead_x * ahead_x),
        ("pair_xy", dx * dy, ahead_x * ahead_y),
        ("pair_yy", dy * dy, ahead_y * ahead_y),
    ):
        own = np.add.reduceat(products, starts)[has_pairs] / count
        before = profiles[pools, COLUMN[name]]
        profiles[pools, COLUMN[name]] = (1.0 - share) * (before + share * ahead) + share * own
    profiles[pools, COLUMN["pair_x"]] += share * ahead_x
    profiles[pools, COLUMN["pair_y"]] += share * ahead_y
    profiles[pools, COLUMN["pairs"]] = pairs


def is_contradicted(known: Profiles, readings: Readings, factors: FloatArray) -> BoolArray:
    """Whether power contradicts each allocation, and agrees with it in another unit.

    Args:
        known: (m, len(NAMES)) profiles, one for each reading.
        readings: m readings.
        factors: (f, m) by which each allocation may be off; infinite where one makes no sense.
    """
    allocated, power = readings.values["allocated"], readings.values["power_kw"]
    var_x, cov, var_y = (known[:, COLUMN[name]] for name in ("pair_xx", "pair_xy", "pair_yy"))
    capacity = known[:, COLUMN["capacity_level"]]
    with np.errstate(all="ignore"):
        correlation = cov / np.sqrt(var_x * var_y)
        slope = cov / var_x
        implied = known[:, COLUMN["pair_x"]] + (power - known[:, COLUMN["pair_y"]]) / slope
        error = np.sqrt(np.maximum(var_y - cov * slope, 0.0)) / slope
        error = np.maximum(error, _LEAST_SPREAD_SHARE * capacity)
        hidden = allocated / factors
        fits = np.abs(hidden - implied) < _NEAR * error
        fits &= np.abs(hidden - allocated) > _LEAST_CHANGE_SHARE * capacity
        fits &= hidden <= capacity * 1.05
        found: BoolArray = (np.abs(allocated - implied) > _FAR * error) & fits.any(axis=0)
        # what power alone would need is no allocation of this pool: it is power that is off
        found &= (implied > -_NEAR * error) & (implied < capacity + _NEAR * error)
        found &= (correlation > _LEAST_CORRELATION) & (slope > 0)
    found &= known[:, COLUMN["pairs"]] >= LEAST_PAIRS
    return found


def count_doubts(profiles: Profiles, ref: IntArray, doubted: BoolArray) -> BoolArray:
    """Count contradictions in a row, in place; return where there are enough of them.

    The two are not measured at the same moment: one contradiction is a change under way.
    """
    column = COLUMN["doubts"]
    doubts = np.where(doubted, profiles[ref, column] + 1.0, 0.0)
    profiles[ref, column] = doubts
    enough: BoolArray = doubts >= _DOUBTS
    return enough


def _at(values: FloatArray, has: npt.NDArray[np.bool_]) -> FloatArray:
    spread = np.zeros(len(has))
    spread[has] = values
    return spread
