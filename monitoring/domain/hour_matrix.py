"""Holds hourly sums of many pools as matrices, packs whole days, and makes means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.domain.samples import FloatArray, IntArray
from monitoring.domain.sums import COUNT_NAMES, HOUR_US, SUM_NAMES

DAY_HOURS = 24
DAY_US = DAY_HOURS * HOUR_US
# pools with neighbouring keys, whose days are packed together
SHELF_POOLS = 512
COLUMNS = (*COUNT_NAMES, *SUM_NAMES, "demand_max")
# what can be asked for: the sums that make it, and the count that divides them
MEASURES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "demand": (("allocated_sum", "queued_sum"), "good_samples"),
    "allocated": (("allocated_sum",), "good_samples"),
    "queued": (("queued_sum",), "good_samples"),
    "capacity": (("capacity_sum",), "good_samples"),
    "power_kw": (("power_kw_sum",), "power_samples"),
    "price_per_unit_h": (("price_sum",), "price_samples"),
    "carbon_g_per_kwh": (("carbon_sum",), "carbon_samples"),
}


@dataclass(frozen=True)
class HourMatrix:
    """Hourly sums of p pools over T hours; an hour without samples holds zeros.

    Attributes:
        pool_id: (p,) int64, ascending.
        start_us: first hour, microseconds since 1970 UTC.
        columns: name of a column of the hours' table to (p, T) float64.
    """

    pool_id: IntArray
    start_us: int
    columns: Mapping[str, FloatArray]

    @classmethod
    def empty(
        cls, pool_id: IntArray, *, start_us: int, end_us: int, names: Sequence[str]
    ) -> "HourMatrix":
        """Return a matrix of zeros for [start, end)."""
        shape = (len(pool_id), max(0, (end_us - start_us) // HOUR_US))
        return cls(pool_id, start_us, {name: np.zeros(shape) for name in names})

    def put_day(self, pool_id: IntArray, day_us: int, days: Mapping[str, bytes]) -> None:
        """Fill in one day of k pools; those that the matrix does not have are left out.

        Args:
            pool_id: (k,) int64, ascending.
            day_us: midnight, microseconds since 1970 UTC; the matrix must start at one.
            days: name of a column to its values, packed as `pack_day` does.
        """
        rows = np.searchsorted(self.pool_id, pool_id)
        is_here = self.pool_id[np.minimum(rows, len(self.pool_id) - 1)] == pool_id
        rows = rows[is_here]
        begin = (day_us - self.start_us) // HOUR_US
        for name, packed in days.items():
            values = np.frombuffer(packed, "<f8").reshape(-1, DAY_HOURS)
            self.columns[name][rows, begin : begin + DAY_HOURS] = values[is_here]

    def put_hours(
        self, pool_id: IntArray, hour_us: IntArray, columns: Mapping[str, FloatArray]
    ) -> None:
        """Fill in single hours, k of them."""
        rows = np.searchsorted(self.pool_id, pool_id)
        places = (hour_us - self.start_us) // HOUR_US
        for name, values in columns.items():
            self.columns[name][rows, places] = values

    def between(self, start_us: int, end_us: int) -> "HourMatrix":
        """Return the hours of [start, end), which must be inside."""
        chosen = slice((start_us - self.start_us) // HOUR_US, (end_us - self.start_us) // HOUR_US)
        columns = {name: column[:, chosen] for name, column in self.columns.items()}
        return HourMatrix(self.pool_id, start_us, columns)

    def by_day(self) -> "HourMatrix":
        """Return sums of whole days: as many columns as days; it must hold whole days."""
        columns = {
            name: column.reshape(len(column), -1, DAY_HOURS).sum(axis=2)
            for name, column in self.columns.items()
        }
        return HourMatrix(self.pool_id, self.start_us, columns)


def pack_day(column: FloatArray) -> bytes:
    """Return (k, 24) float64 packed: little-endian doubles, pool after pool."""
    return np.ascontiguousarray(column, "<f8").tobytes()


def shelf_of(pool_id: IntArray) -> IntArray:
    """Return the shelf on which each pool's days are packed."""
    return pool_id // SHELF_POOLS


def columns_of(measures: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that measures are made of, each once."""
    names = [name for measure in measures for name in (*MEASURES[measure][0], MEASURES[measure][1])]
    return tuple(dict.fromkeys(names))


def means(matrix: HourMatrix, measure: str) -> FloatArray:
    """Return a measure's mean over the good samples of each step.

    Args:
        matrix: with the columns that `columns_of` names for it.
        measure: one of `MEASURES`.

    Returns:
        (p, T) float64; NaN where nothing was reported.
    """
    sums, count_name = MEASURES[measure]
    total = matrix.columns[sums[0]]
    for name in sums[1:]:
        total = total + matrix.columns[name]
    count = matrix.columns[count_name]
    found: FloatArray = np.full(total.shape, np.nan)
    np.divide(total, count, out=found, where=count > 0)
    return found


def day_means(packed: Mapping[str, bytes], measure: str) -> FloatArray:
    """Return a measure's hourly means of one day of k pools.

    Args:
        packed: name of a column to its values, as `pack_day` packs them.
        measure: one of `MEASURES`.

    Returns:
        (k, 24) float64; NaN where nothing was reported.
    """
    columns = {
        name: np.frombuffer(values, "<f8").reshape(-1, DAY_HOURS) for name, values in packed.items()
    }
    return means(HourMatrix(np.zeros(0, np.int64), 0, columns), measure)


@dataclass(frozen=True)
class GroupTotals:
    """Means of pools added up by group: (g, T) float64 totals, and how many went into each."""

    totals: FloatArray
    known: FloatArray

    @classmethod
    def empty(cls, groups: int, steps: int) -> "GroupTotals":
        """Return totals of nothing."""
        return cls(np.zeros((groups, steps)), np.zeros((groups, steps)))

    def add(self, more: "GroupTotals", start: int) -> None:
        """Add the totals of some steps, from `start` on."""
        steps = slice(start, start + more.totals.shape[1])
        self.totals[:, steps] += more.totals
        self.known[:, steps] += more.known

    def finish(self, *, adds_up: bool) -> FloatArray:
        """Return the sum or the mean of each group: (g, T); NaN where no row is known."""
        found: FloatArray = np.full(self.totals.shape, np.nan)
        divisor = np.ones_like(self.known) if adds_up else self.known
        np.divide(self.totals, divisor, out=found, where=self.known > 0)
        return found


def group_totals(values: FloatArray, group: IntArray, groups: int) -> GroupTotals:
    """Return the known values of each group's rows added up.

    Args:
        values: (p, T) float64; NaN = unknown.
        group: (p,) int64, the group of each row.
        groups: how many groups there are, g.
    """
    found = GroupTotals.empty(groups, values.shape[1])
    for number in np.unique(group).tolist():
        rows = values[group == number]
        is_known = ~np.isnan(rows)
        found.known[number] = is_known.sum(axis=0)
        found.totals[number] = np.where(is_known, rows, 0.0).sum(axis=0)
    return found


def over_groups(values: FloatArray, group: IntArray, *, groups: int, adds_up: bool) -> FloatArray:
    """Return the sum or the mean of the known values of each group's rows.

    Args:
        values: (p, T) float64; NaN = unknown.
        group: (p,) int64, the group of each row.
        groups: how many groups there are, g.
        adds_up: sum, else mean.

    Returns:
        (g, T) float64; NaN where no row of the group is known.
    """
    return group_totals(values, group, groups).finish(adds_up=adds_up)
