"""Decides which samples of a batch are taken, with which quality, and why the others are not."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
CodeArray = npt.NDArray[np.int16]

LARGEST = 1e9
MAX_AGE = dt.timedelta(hours=24)
MAX_AHEAD = dt.timedelta(seconds=120)
MAX_AGE_WALL = dt.timedelta(hours=1)
MAX_AHEAD_WALL = dt.timedelta(seconds=5)
# a sum of parts may miss its whole by rounding alone
ROUNDING = 1e-9


class Quality(StrEnum):
    """How far a stored value can be relied on."""

    GOOD = "good"
    STALE = "stale"
    SUSPECT = "suspect"
    SUBSTITUTED = "substituted"
    INVALID = "invalid"


class Reason(StrEnum):
    """Why a sample was not taken."""

    NOT_AN_OBJECT = "not-an-object"
    UNKNOWN_FIELD = "unknown-field"
    MISSING = "missing"
    NOT_A_NUMBER = "not-a-number"
    NOT_FINITE = "not-finite"
    NEGATIVE = "negative"
    TOO_LARGE = "too-large"
    BAD_TIME = "bad-time"
    TOO_OLD = "too-old"
    IN_THE_FUTURE = "in-the-future"
    UNKNOWN_POOL = "unknown-pool"


class QualityRule(StrEnum):
    """The rule that made a sample less than good; empty for a good one."""

    NONE = ""
    ALLOCATED_ABOVE_CAPACITY = "allocated-above-capacity"
    OVER_CLAIM = "over-claim"
    PARTIAL_TICK = "partial-tick"
    CARRIED_FORWARD = "carried-forward"


@dataclass(frozen=True)
class Field:
    """One numeric field of the wide row.

    Attributes:
        name: as on the wire and in the table.
        is_required: whether a sample without it is refused.
        may_be_negative: true of prices, as on real markets.
    """

    name: str
    is_required: bool = False
    may_be_negative: bool = False


FIELDS = (
    Field("capacity", is_required=True),
    Field("allocated", is_required=True),
    Field("queued", is_required=True),
    Field("unavailable"),
    Field("power_kw"),
    Field("price_per_unit_h", may_be_negative=True),
    Field("carbon_g_per_kwh"),
)
FIELD_NAMES = tuple(field.name for field in FIELDS)
# what a refusal can name, in the order in which a sample's first fault is found
FAULT_FIELDS = ("", "pool", "measured_at", *FIELD_NAMES)
REASONS = tuple(Reason)
QUALITIES = tuple(Quality)
RULES = tuple(QualityRule)
NO_FAULT = -1


@dataclass(frozen=True)
class Window:
    """The times that a batch may speak of, both ends included."""

    oldest: dt.datetime
    newest: dt.datetime


@dataclass(frozen=True)
class Batch:
    """Samples as columns of equal length n, read but not yet judged.

    Attributes:
        pool: (n,) object, pool codes; an unreadable one is "".
        measured_us: (n,) int64, microseconds since 1970 UTC; 0 where unreadable.
        values: field name to (n,) float64; NaN = not reported.
        fault: (n,) int16, position in `REASONS`, or `NO_FAULT`.
        fault_field: (n,) int16, position in `FAULT_FIELDS`.
        rule: (n,) int16, position in `RULES`, for samples that were put together from parts;
            None = as the provider sent them.
    """

    pool: npt.NDArray[np.object_]
    measured_us: IntArray
    values: Mapping[str, FloatArray]
    fault: CodeArray
    fault_field: CodeArray
    rule: CodeArray | None = None

    def __len__(self) -> int:
        return len(self.pool)


@dataclass(frozen=True)
class PoolTerms:
    """What judging a sample needs to know of its pool: its key and its contract (units)."""

    pool_id: int
    contract: float


@dataclass(frozen=True)
class Verdict:
    """A judged batch of n samples, m of which are taken.

    Attributes:
        index: (m,) int64, positions of the taken samples in the batch.
        pool_id: (m,) int64.
        measured_us: (m,) int64.
        values: field name to (m,) float64; NaN = not reported.
        quality: (m,) int16, position in `QUALITIES`.
        rule: (m,) int16, position in `RULES`.
        fault: (n,) int16, position in `REASONS`, or `NO_FAULT`.
        fault_field: (n,) int16, position in `FAULT_FIELDS`.
    """

    index: IntArray
    pool_id: IntArray
    measured_us: IntArray
    values: Mapping[str, FloatArray]
    quality: CodeArray
    rule: CodeArray
    fault: CodeArray
    fault_field: CodeArray


def live_window(now: dt.datetime, *, rate: float = 1.0) -> Window:
    """Return the times that a live batch may speak of.

    A day back and two minutes ahead, in grid time. Where grid time runs faster than wall time,
    never less than one wall hour back and five wall seconds ahead: an outage and the skew of a
    clock last as long in wall time however fast the grid's clock runs.

    Args:
        now: present grid time.
        rate: grid seconds that pass in one wall second.
    """
    return Window(
        oldest=now - max(MAX_AGE, MAX_AGE_WALL * rate),
        newest=now + max(MAX_AHEAD, MAX_AHEAD_WALL * rate),
    )


def judge(batch: Batch, *, pools: Mapping[str, PoolTerms], window: Window) -> Verdict:
    """Decide about each sample of a batch by itself: a bad one never blocks a good one.

    Args:
        batch: n samples.
        pools: the pools that the sender may speak for; any other is an unknown pool, whether it
            exists or not.
        window: times that are taken.

    Returns:
        The samples taken, with their quality, and the first fault of each of the others.
    """
    fault, fault_field = batch.fault.copy(), batch.fault_field.copy()
    terms = [pools.get(code) for code in batch.pool.tolist()]
    is_unknown = np.fromiter((term is None for term in terms), bool, len(terms))
    _blame(fault, fault_field, is_unknown, Reason.UNKNOWN_POOL, "pool")
    too_old = batch.measured_us < to_us(window.oldest)
    too_new = batch.measured_us > to_us(window.newest)
    _blame(fault, fault_field, too_old, Reason.TOO_OLD, "measured_at")
    _blame(fault, fault_field, too_new, Reason.IN_THE_FUTURE, "measured_at")
    for field in FIELDS:
        column = batch.values[field.name]
        if field.is_required:
            _blame(fault, fault_field, np.isnan(column), Reason.MISSING, field.name)
        if not field.may_be_negative:
            _blame(fault, fault_field, column < 0, Reason.NEGATIVE, field.name)
        _blame(fault, fault_field, np.abs(column) > LARGEST, Reason.TOO_LARGE, field.name)

    index = np.flatnonzero(fault == NO_FAULT)
    kept = [term for position in index.tolist() if (term := terms[position]) is not None]
    values = {name: column[index] for name, column in batch.values.items()}
    contract = np.fromiter((term.contract for term in kept), np.float64, len(kept))
    rule = _quality_rule(values, contract)
    if batch.rule is not None:
        is_plausible = rule == RULES.index(QualityRule.NONE)
        rule[is_plausible] = batch.rule[index][is_plausible]
    return Verdict(
        index=index,
        pool_id=np.fromiter((term.pool_id for term in kept), np.int64, len(kept)),
        measured_us=batch.measured_us[index],
        values=values,
        quality=_QUALITY_OF_RULE[rule],
        rule=rule,
        fault=fault,
        fault_field=fault_field,
    )


def first_of_each(pool_id: IntArray, measured_us: IntArray) -> tuple[IntArray, IntArray]:
    """Find which samples repeat an earlier one's pool and time.

    Args:
        pool_id: (m,) int64.
        measured_us: (m,) int64.

    Returns:
        (k,) positions of the first sample of each key, sorted by pool and time, and
        (m,) for each sample the position in that list of the first one with its key.
    """
    order = np.lexsort((np.arange(len(pool_id)), measured_us, pool_id))
    pool_sorted, time_sorted = pool_id[order], measured_us[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (pool_sorted[1:] != pool_sorted[:-1]) | (time_sorted[1:] != time_sorted[:-1])
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(is_first) - 1
    return order[is_first], group


def same_values(one: Mapping[str, FloatArray], other: Mapping[str, FloatArray]) -> BoolArray:
    """Return where two sets of columns agree in every field; not reported equals not reported."""
    agrees = np.ones(len(one[FIELD_NAMES[0]]), bool)
    for name in FIELD_NAMES:
        agrees &= (one[name] == other[name]) | (np.isnan(one[name]) & np.isnan(other[name]))
    return agrees


def to_us(moment: dt.datetime) -> int:
    """Return microseconds since 1970 UTC, exactly."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


_QUALITY_NAMES = {
    QualityRule.NONE: Quality.GOOD,
    QualityRule.CARRIED_FORWARD: Quality.SUBSTITUTED,
}
_QUALITY_OF_RULE = np.array(
    [QUALITIES.index(_QUALITY_NAMES.get(rule, Quality.SUSPECT)) for rule in RULES], np.int16
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _blame(
    fault: CodeArray, fault_field: CodeArray, where: BoolArray, reason: Reason, field: str
) -> None:
    first = where & (fault == NO_FAULT)
    fault[first] = REASONS.index(reason)
    fault_field[first] = FAULT_FIELDS.index(field)


def _quality_rule(values: Mapping[str, FloatArray], contract: FloatArray) -> CodeArray:
    rule = np.full(len(contract), RULES.index(QualityRule.NONE), np.int16)
    over_claim = values["capacity"] > contract * (1 + ROUNDING)
    rule[over_claim] = RULES.index(QualityRule.OVER_CLAIM)
    overfull = values["allocated"] > values["capacity"] * (1 + ROUNDING)
    rule[overfull] = RULES.index(QualityRule.ALLOCATED_ABOVE_CAPACITY)
    return rule
