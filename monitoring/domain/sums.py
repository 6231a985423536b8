"""Adds new samples up to what they change: each pool's newest state, its hours' sums."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitoring.domain.samples import (
    QUALITIES,
    BoolArray,
    CodeArray,
    FloatArray,
    IntArray,
    Quality,
    Verdict,
)

HOUR_US = 3_600_000_000
_GOOD = QUALITIES.index(Quality.GOOD)


@dataclass(frozen=True)
class Rows:
    """Judged samples as columns of equal length k, each pool and time once, in their order.

    Attributes:
        pool_id: (k,) int64, ascending.
        measured_us: (k,) int64, ascending inside a pool.
        values: field name to (k,) float64; NaN = not reported.
        quality: (k,) int16, position in `QUALITIES`.
        rule: (k,) int16, position in `RULES`.
    """

    pool_id: IntArray
    measured_us: IntArray
    values: Mapping[str, FloatArray]
    quality: CodeArray
    rule: CodeArray

    def __len__(self) -> int:
        return len(self.pool_id)

    def where(self, chosen: BoolArray | IntArray) -> "Rows":
        """Return some of the rows, in the same order."""
        return Rows(
            self.pool_id[chosen],
            self.measured_us[chosen],
            {name: column[chosen] for name, column in self.values.items()},
            self.quality[chosen],
            self.rule[chosen],
        )


@dataclass(frozen=True)
class HourSums:
    """What rows add to hours, as columns of length h in order of pool and hour.

    Attributes:
        pool_id: (h,) int64.
        hour_us: (h,) int64, start of the hour.
        counts: name to (h,) int64: `samples` of any quality, `good_samples` and how many good ones
            reported `power`, `price` and `carbon`.
        sums: name to (h,) float64, over good samples; `demand_max` is their maximum, 0 of none.
    """

    pool_id: IntArray
    hour_us: IntArray
    counts: Mapping[str, IntArray]
    sums: Mapping[str, FloatArray]


COUNT_NAMES = ("samples", "good_samples", "power_samples", "price_samples", "carbon_samples")
SUM_NAMES = (
    *("capacity_sum", "allocated_sum", "queued_sum"),
    *("power_kw_sum", "price_sum", "carbon_sum"),
)
# always reported; then: reported by some, with the name of its count
_SUMMED = {"capacity_sum": "capacity", "allocated_sum": "allocated", "queued_sum": "queued"}
_COUNTED = {
    "power_kw_sum": ("power_kw", "power_samples"),
    "price_sum": ("price_per_unit_h", "price_samples"),
    "carbon_sum": ("carbon_g_per_kwh", "carbon_samples"),
}


def rows_of(verdict: Verdict, first: IntArray) -> Rows:
    """Return the samples at some positions of a verdict, which give the order."""
    if len(first) == len(verdict.index) and bool((np.diff(first) == 1).all()):
        first = slice(None)  # type: ignore[assignment]  # a view is enough
    return Rows(
        verdict.pool_id[first],
        verdict.measured_us[first],
        {name: column[first] for name, column in verdict.values.items()},
        verdict.quality[first],
        verdict.rule[first],
    )


def newest_of_each_pool(rows: Rows) -> Rows:
    """Return each pool's newest row."""
    is_last = np.ones(len(rows), bool)
    is_last[:-1] = rows.pool_id[1:] != rows.pool_id[:-1]
    return rows.where(is_last)


def hour_sums(rows: Rows) -> HourSums:
    """Return what rows add to the hours that they are in.

    Args:
        rows: k rows that were not counted before.

    Returns:
        One entry for each pool and hour. Only good samples are added up, as nothing that is
        planned may rest on the others.
    """
    hour_us = rows.measured_us // HOUR_US * HOUR_US
    is_start = np.ones(len(rows), bool)
    is_start[1:] = (rows.pool_id[1:] != rows.pool_id[:-1]) | (hour_us[1:] != hour_us[:-1])
    starts = np.flatnonzero(is_start)
    is_good = rows.quality == _GOOD
    demand = np.where(is_good, rows.values["allocated"] + rows.values["queued"], 0.0)
    counts = {
        "samples": np.diff(starts, append=len(rows)),
        "good_samples": _add_up(is_good.astype(np.int64), starts),
    }
    sums = {"demand_max": np.maximum.reduceat(demand, starts) if len(starts) else demand}
    for total, name in _SUMMED.items():
        sums[total] = _add_up(np.where(is_good, rows.values[name], 0.0), starts)
    for total, (name, count) in _COUNTED.items():
        column = rows.values[name]
        is_counted = is_good & ~np.isnan(column)
        counts[count] = _add_up(is_counted.astype(np.int64), starts)
        sums[total] = _add_up(np.where(is_counted, column, 0.0), starts)
    return HourSums(rows.pool_id[starts], hour_us[starts], counts, sums)


def _add_up(column: np.ndarray, starts: IntArray) -> np.ndarray:
    # reduceat takes no empty list of starts
    return np.add.reduceat(column, starts) if len(starts) else column[:0]
