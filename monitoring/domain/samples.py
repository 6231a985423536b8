"""Decides which samples of a batch are taken, with which quality, and why the others are not."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

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


class Source(StrEnum):
    """Where a sample came from."""

    PROVIDER = "provider"
    HISTORY = "history"
    SENDER = "sender"


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
    UNIT_JUMP = "unit-jump"
    NOT_A_COUNT = "not-a-count"
    FLAT_LINE = "flat-line"


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
# Stored samples hold positions in these three: what is new goes to the end.
SOURCES = tuple(Source)
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
        pools: the pool codes that the batch names, each once.
        pool_ref: (n,) int64, position in `pools`; -1 where unreadable.
        measured_us: (n,) int64, microseconds since 1970 UTC; 0 where unreadable.
        values: field name to (n,) float64; NaN = not reported.
        fault: (n,) int16, position in `REASONS`, or `NO_FAULT`.
        fault_field: (n,) int16, position in `FAULT_FIELDS`.
        rule: (n,) int16, position in `RULES`, for samples that were put together from parts;
            None = as the provider sent them.
    """

    pools: tuple[str, ...]
    pool_ref: IntArray
    measured_us: IntArray
    values: Mapping[str, FloatArray]
    fault: CodeArray
    fault_field: CodeArray
    rule: CodeArray | None = None

    def __len__(self) -> int:
        return len(self.pool_ref)


@dataclass(frozen=True)
class PoolTerms:
    """What judging a sample needs to know of its pool: its key and its contract (units)."""

    pool_id: int
    contract: float


class PoolTable(dict[str, PoolTerms]):
    """Terms of pools by their codes, which is not changed; a sender names the same ones each time.

    What was looked up for a list of codes is kept for the last few lists.
    """

    _MOST_LISTS = 8

    def __init__(self, terms: Mapping[str, PoolTerms]) -> None:
        super().__init__(terms)
        self._known: dict[tuple[str, ...], tuple[IntArray, FloatArray]] = {}

    def columns_of(self, codes: tuple[str, ...]) -> tuple[IntArray, FloatArray]:
        """Return the keys and the contracts of pools, and behind them those of nobody's."""
        found = self._known.get(codes)
        if found is None:
            terms = [*(self.get(code, _NOBODYS) for code in codes), _NOBODYS]
            pool_id = np.fromiter((term.pool_id for term in terms), np.int64, len(terms))
            contract = np.fromiter((term.contract for term in terms), np.float64, len(terms))
            found = pool_id, contract
            known = dict(list(self._known.items())[1 - self._MOST_LISTS :])
            self._known = {**known, codes: found}
        return found


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
    table = pools if isinstance(pools, PoolTable) else PoolTable(pools)
    # the last entry is for the unreadable (-1)
    key_of, contract = table.columns_of(batch.pools)
    pool_id = key_of[batch.pool_ref]
    is_unknown = pool_id == _NOBODYS.pool_id
    _blame(fault, fault_field, is_unknown, Reason.UNKNOWN_POOL, "pool")
    too_old = batch.measured_us < to_us(window.oldest)
    too_new = batch.measured_us > to_us(window.newest)
    _blame(fault, fault_field, too_old, Reason.TOO_OLD, "measured_at")
    _blame(fault, fault_field, too_new, Reason.IN_THE_FUTURE, "measured_at")
    for field in FIELDS:
        column = batch.values[field.name]
        # almost always every value is there and fine, and one look says so
        lowest = -LARGEST if field.may_be_negative else 0.0
        if ((column >= lowest) & (column <= LARGEST)).all():
            continue
        if field.is_required:
            _blame(fault, fault_field, np.isnan(column), Reason.MISSING, field.name)
        if not field.may_be_negative:
            _blame(fault, fault_field, column < 0, Reason.NEGATIVE, field.name)
        _blame(fault, fault_field, np.abs(column) > LARGEST, Reason.TOO_LARGE, field.name)

    index = np.flatnonzero(fault == NO_FAULT)
    # almost always everything is taken, and then nothing has to be copied
    chosen = slice(None) if len(index) == len(fault) else index
    values = {name: column[chosen] for name, column in batch.values.items()}
    rule = _quality_rule(values, contract[batch.pool_ref[chosen]])
    if batch.rule is not None:
        is_plausible = rule == RULES.index(QualityRule.NONE)
        rule[is_plausible] = batch.rule[chosen][is_plausible]
    return Verdict(
        index=index,
        pool_id=pool_id[chosen],
        measured_us=batch.measured_us[chosen],
        values=values,
        quality=QUALITY_OF_RULE[rule],
        rule=rule,
        fault=fault,
        fault_field=fault_field,
    )


def join_verdicts(parts: Sequence[Verdict]) -> Verdict:
    """Return the verdicts of several batches as the one of all of them, one after the other.

    Args:
        parts: at least one; `index` and `fault` of the result count through all batches.
    """
    if len(parts) == 1:
        return parts[0]
    shifts = accumulate((len(part.fault) for part in parts), initial=0)
    return Verdict(
        index=np.concatenate(
            [part.index + shift for part, shift in zip(parts, shifts, strict=False)]
        ),
        pool_id=np.concatenate([part.pool_id for part in parts]),
        measured_us=np.concatenate([part.measured_us for part in parts]),
        values={
            name: np.concatenate([part.values[name] for part in parts]) for name in FIELD_NAMES
        },
        quality=np.concatenate([part.quality for part in parts]),
        rule=np.concatenate([part.rule for part in parts]),
        fault=np.concatenate([part.fault for part in parts]),
        fault_field=np.concatenate([part.fault_field for part in parts]),
    )


def take_verdict(verdict: Verdict, chosen: IntArray) -> Verdict:
    """Return what was decided about some of the samples that are taken.

    Args:
        verdict: m samples are taken.
        chosen: (c,) int64, positions among these.
    """
    return Verdict(
        index=verdict.index[chosen],
        pool_id=verdict.pool_id[chosen],
        measured_us=verdict.measured_us[chosen],
        values={name: column[chosen] for name, column in verdict.values.items()},
        quality=verdict.quality[chosen],
        rule=verdict.rule[chosen],
        fault=verdict.fault,
        fault_field=verdict.fault_field,
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
    order = order_of(pool_id, measured_us)
    pool_sorted, time_sorted = pool_id[order], measured_us[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (pool_sorted[1:] != pool_sorted[:-1]) | (time_sorted[1:] != time_sorted[:-1])
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(is_first) - 1
    return order[is_first], group


def order_of(major: IntArray, minor: IntArray) -> IntArray:
    """Return the positions of n pairs in their order; equal ones stay as they are.

    Args:
        major: (n,) int64, what is looked at first.
        minor: (n,) int64.
    """
    if len(major) == 0:
        return np.zeros(0, np.int64)
    lowest, least = int(major.min()), int(minor.min())
    span = int(minor.max()) - least + 1
    if (int(major.max()) - lowest + 1) * span >= _LARGEST_KEY:
        return np.lexsort((minor, major))
    # one key sorts several times as fast as two
    return np.argsort((major - lowest) * span + (minor - least), kind="stable")


def same_values(one: Mapping[str, FloatArray], other: Mapping[str, FloatArray]) -> BoolArray:
    """Return where two sets of columns agree in every field; not reported equals not reported."""
    agrees = np.ones(len(one[FIELD_NAMES[0]]), bool)
    for name in FIELD_NAMES:
        agrees &= (one[name] == other[name]) | (np.isnan(one[name]) & np.isnan(other[name]))
    return agrees


def to_us(moment: dt.datetime) -> int:
    """Return microseconds since 1970 UTC, exactly."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def moment_of(us: int) -> dt.datetime:
    """Return the moment so many microseconds after 1970 UTC, exactly."""
    return _EPOCH + dt.timedelta(microseconds=us)


_QUALITY_NAMES = {
    QualityRule.NONE: Quality.GOOD,
    QualityRule.CARRIED_FORWARD: Quality.SUBSTITUTED,
}
QUALITY_OF_RULE = np.array(
    [QUALITIES.index(_QUALITY_NAMES.get(rule, Quality.SUSPECT)) for rule in RULES], np.int16
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NOBODYS = PoolTerms(pool_id=-1, contract=0.0)
_LARGEST_KEY = 2**62


def _blame(
    fault: CodeArray, fault_field: CodeArray, where: BoolArray, reason: Reason, field: str
) -> None:
    if where.any():
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
