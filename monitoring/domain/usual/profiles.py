"""Says what a profile of a pool holds: a row of numbers, so that many are learned from at once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitoring.domain.samples import FloatArray, IntArray

# columns whose unit can be mistaken; the first three count units of the pool
COUNTED = ("capacity", "allocated", "queued")
WATCHED = (*COUNTED, "power_kw")
PARTS = ("level", "ground", "reach", "jump", "typical", "whole", "moves", "factor")
EXTRA = ("last_s", "seen", "changed_s", "longest_still_s", "changes")
# how power goes with allocation: pairs seen, means, (co)variances, contradictions in a row
PAIRED = ("pairs", "pair_x", "pair_y", "pair_xx", "pair_xy", "pair_yy", "doubts")
NAMES = (*(f"{name}_{part}" for name in WATCHED for part in PARTS), *EXTRA, *PAIRED)
COLUMN = {name: position for position, name in enumerate(NAMES)}

Profiles = npt.NDArray[np.float64]


def new_profiles(count: int) -> Profiles:
    """Return profiles of pools of which nothing is known.

    Args:
        count: k pools.

    Returns:
        (k, len(NAMES)) float64. For each watched column its level (last good value), ground (the
        last one above zero), reach (largest |log step|, halved in 30 days), jump (the same of
        |step| itself), typical |log step|, whether all values were whole (1 or 0), how often it
        changed, and the factor by which it is suspected to be off (0 = none); then `last_s` (time
        of the newest good reading, seconds since 1970), `seen`, `changed_s` (when anything last
        changed), `longest_still_s` (longest rest of the past), `changes`; then how power goes with
        allocation (`PAIRED`).
    """
    fresh = np.zeros((count, len(NAMES)))
    for name in WATCHED:
        fresh[:, COLUMN[f"{name}_level"]] = np.nan
        fresh[:, COLUMN[f"{name}_whole"]] = 1.0
    return fresh


@dataclass(frozen=True)
class Readings:
    """Good readings in order of pool and time.

    Attributes:
        ref: (m,) int64, position of the pool's profile, in order.
        at_s: (m,) float64, seconds since 1970 UTC, in order within a pool.
        values: watched column to (m,) float64; NaN = not reported.
    """

    ref: IntArray
    at_s: FloatArray
    values: Mapping[str, FloatArray]

    def take(self, where: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Readings":
        """Return some of the readings."""
        values = {name: column[where] for name, column in self.values.items()}
        return Readings(self.ref[where], self.at_s[where], values)


def log_steps(before: FloatArray, after: FloatArray) -> FloatArray:
    """Return log(after / before); NaN where either is unknown or not above zero."""
    usable = (before > 0) & (after > 0)
    steps = np.full(len(after), np.nan)
    steps[usable] = np.log(after[usable]) - np.log(before[usable])
    return steps


def is_whole(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether each value is a whole number; unknown ones are."""
    with np.errstate(invalid="ignore"):
        return ~(np.abs(values - np.round(values)) >= 1e-6)
