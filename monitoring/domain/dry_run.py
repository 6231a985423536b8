"""Says of each sample or series what would become of it, without storing anything."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute

import numpy as np

from monitoring.domain.mapping import Basis, Rule, plan_mapping
from monitoring.domain.points import FAULTS, NAME_LABEL, PointFault, Points
from monitoring.domain.points import WORDS as POINT_WORDS
from monitoring.domain.reports import WORDS
from monitoring.domain.samples import (
    FAULT_FIELDS,
    NO_FAULT,
    QUALITIES,
    REASONS,
    RULES,
    Batch,
    CodeArray,
    Quality,
    Verdict,
)

MAX_LANDINGS = 200
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LARGEST_US = 2**57


@dataclass(frozen=True)
class Landed:
    """What would become of one sample, or of the newest point of one series.

    Attributes:
        index: position in the body.
        subject: pool, or metric name.
        outcome: `row`, `column` of a row, `series` kept as it is, or `refused`.
        pool: where it would land.
        field: the column, of a mapped series, or the one that is at fault.
        value: of a series, after its rule's factor.
        measured_at: its time; None where it has none.
        rule: the mapping rule, of a series; the quality rule, of a sample.
        quality: of a sample that would be taken.
        code: why it would be refused.
        reason: the same in words.
        labels: of a series.
    """

    index: int
    subject: str
    outcome: str
    pool: str = ""
    field: str = ""
    value: float | None = None
    measured_at: dt.datetime | None = None
    rule: str = ""
    quality: str = ""
    code: str = ""
    reason: str = ""
    labels: Mapping[str, str] = attribute(default_factory=dict)


@dataclass(frozen=True)
class DryRun:
    """What would become of a push.

    Attributes:
        received: samples or points.
        would_accept: those that would be stored, or are there already.
        suspect: samples among them that planning would set aside.
        rejected_by_reason: how many of the others for which reason.
        landings: the first 200.
        landings_total: how many there are.
    """

    received: int
    would_accept: int
    suspect: int
    rejected_by_reason: Mapping[str, int]
    landings: tuple[Landed, ...]
    landings_total: int


def run_samples(batch: Batch, verdict: Verdict) -> DryRun:
    """Return what would become of samples.

    Args:
        batch: n samples.
        verdict: how they were judged.
    """
    faults = verdict.fault[verdict.fault != NO_FAULT]
    place = {position: taken for taken, position in enumerate(verdict.index.tolist())}
    good = QUALITIES.index(Quality.GOOD)
    return DryRun(
        received=len(batch),
        would_accept=len(verdict.index),
        suspect=int((verdict.quality != good).sum()),
        rejected_by_reason=dict(Counter(REASONS[code].value for code in faults.tolist())),
        landings=tuple(
            _sample(batch, verdict, position, place.get(position))
            for position in range(min(len(batch), MAX_LANDINGS))
        ),
        landings_total=len(batch),
    )


def run_points(
    points: Points, fault: CodeArray, rules: Sequence[Rule], pools: Iterable[str]
) -> DryRun:
    """Return what would become of points, one landing for each series.

    Args:
        points: n points of k series.
        fault: (n,) what their labels and times are at fault, position in `FAULTS` or `NO_FAULT`.
        rules: the mapping, in its order.
        pools: codes of the sender's pools.
    """
    own, fault = frozenset(pools), fault.copy()
    order = np.argsort(points.series_of, kind="stable")
    bounds = np.searchsorted(points.series_of[order], np.arange(len(points.series) + 1))
    landings = []
    for series in range(len(points.series)):
        members = order[bounds[series] : bounds[series + 1]]
        if len(members) == 0:
            continue
        newest = int(members[points.measured_us[members].argmax()])
        landed = _series(points, series, newest, int(fault[newest]), rules, own)
        landings.append(landed)
        if landed.code == PointFault.UNKNOWN_POOL.value:
            taken = members[fault[members] == NO_FAULT]
            fault[taken] = FAULTS.index(PointFault.UNKNOWN_POOL)
    bad = fault[fault != NO_FAULT]
    return DryRun(
        received=len(points),
        would_accept=len(points) - len(bad),
        suspect=0,
        rejected_by_reason=dict(Counter(FAULTS[code].value for code in bad.tolist())),
        landings=tuple(landings[:MAX_LANDINGS]),
        landings_total=len(landings),
    )


def _sample(batch: Batch, verdict: Verdict, position: int, taken: int | None) -> Landed:
    ref = int(batch.pool_ref[position])
    pool = batch.pools[ref] if ref >= 0 else ""
    at = _moment(int(batch.measured_us[position]))
    if taken is None:
        reason = REASONS[int(verdict.fault[position])]
        name = FAULT_FIELDS[int(verdict.fault_field[position])]
        return Landed(
            position, pool[:120], "refused", field=name, measured_at=at,
            code=reason.value, reason=WORDS[reason],
        )  # fmt: skip
    quality = QUALITIES[int(verdict.quality[taken])]
    rule = RULES[int(verdict.rule[taken])]
    return Landed(
        position, pool, "row", pool=pool, measured_at=at, rule=rule.value, quality=quality.value
    )


def _series(
    points: Points, series: int, newest: int, code: int, rules: Sequence[Rule], own: frozenset[str]
) -> Landed:
    labels = dict(points.series[series])
    index, name = int(points.origin[newest]), labels.get(NAME_LABEL, "")
    at, value = _moment(int(points.measured_us[newest])), float(points.value[newest])
    landing = plan_mapping(points.series[series], rules)
    shown = {key: text[:80] for key, text in list(labels.items())[:12] if key != NAME_LABEL}
    rule = landing.rule
    if code == NO_FAULT and rule is not None and landing.pool not in own:
        code = FAULTS.index(PointFault.UNKNOWN_POOL)
    if code != NO_FAULT:
        fault = FAULTS[code]
        return Landed(
            index, name[:120], "refused", pool=landing.pool, measured_at=at,
            rule=rule.name if rule else "", code=fault.value, reason=POINT_WORDS[fault],
            labels=shown,
        )  # fmt: skip
    finite = value if np.isfinite(value) else None
    if rule is None:
        return Landed(index, name, "series", value=finite, measured_at=at, labels=shown)
    basis = "" if rule.basis is Basis.UNITS else f" ({rule.basis.value})"
    scaled = None if finite is None else finite * rule.factor
    return Landed(
        index, name, "column", pool=landing.pool, field=rule.field, value=scaled,
        measured_at=at, rule=f"{rule.name}{basis}", labels=shown,
    )  # fmt: skip


def _moment(measured_us: int) -> dt.datetime | None:
    if not 0 < measured_us < _LARGEST_US:
        return None
    return _EPOCH + dt.timedelta(microseconds=measured_us)
