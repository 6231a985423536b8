"""Accounts for every sample of a batch: accepted, duplicate, in conflict or rejected, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitoring.domain.samples import FAULT_FIELDS, NO_FAULT, REASONS, BoolArray, Reason, Verdict

MAX_ERRORS_LISTED = 100
CONFLICT = "conflict"

WORDS: Mapping[str, str] = {
    Reason.NOT_AN_OBJECT: "each sample must be a JSON object",
    Reason.UNKNOWN_FIELD: "the sample has a field that does not exist",
    Reason.MISSING: "the value is missing",
    Reason.NOT_A_NUMBER: "only a plain JSON number is taken, no text and no boolean",
    Reason.NOT_FINITE: "the number is beyond what can be stored",
    Reason.NEGATIVE: "the number must not be negative",
    Reason.TOO_LARGE: "the number must not be beyond 1e9",
    Reason.BAD_TIME: "only an RFC 3339 time with an offset is taken",
    Reason.TOO_OLD: "the time is before what is taken",
    Reason.IN_THE_FUTURE: "the time is after what is taken",
    Reason.UNKNOWN_POOL: "you have no pool of this name",
    CONFLICT: "other values are stored for this pool and time; the first ones stay",
}


@dataclass(frozen=True)
class SampleError:
    """Why one sample was not stored."""

    index: int
    field: str
    code: str
    reason: str


@dataclass(frozen=True)
class IngestReport:
    """What became of each sample: received = accepted + duplicate + conflict + rejected.

    `errors` lists the first 100 samples that were rejected or in conflict, by their index;
    `errors_total` counts them all.
    """

    received: int
    accepted: int
    duplicate: int
    conflict: int
    rejected: int
    errors_total: int
    errors: tuple[SampleError, ...] = ()
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether everything received is stored as it was received."""
        return self.errors_total == 0


def report_on(verdict: Verdict, *, accepted: BoolArray, conflict: BoolArray) -> IngestReport:
    """Return what became of each sample of a batch.

    Args:
        verdict: the judged batch: n samples, m of them taken.
        accepted: (m,) whether a taken sample was new.
        conflict: (m,) whether other values were there already.
    """
    received, taken = len(verdict.fault), len(verdict.index)
    faulty = np.flatnonzero(verdict.fault != NO_FAULT)
    disputed = verdict.index[conflict]
    reasons = Counter(REASONS[code].value for code in verdict.fault[faulty].tolist())
    listed = np.sort(np.concatenate([faulty, disputed]))[:MAX_ERRORS_LISTED]
    return IngestReport(
        received=received,
        accepted=int(accepted.sum()),
        duplicate=taken - int(accepted.sum()) - int(conflict.sum()),
        conflict=int(conflict.sum()),
        rejected=received - taken,
        errors_total=len(faulty) + len(disputed),
        errors=tuple(_error_at(verdict, int(position)) for position in listed),
        rejected_by_reason=dict(reasons),
    )


def add_reports(reports: Sequence[IngestReport]) -> IngestReport:
    """Return the account of several batches together; errors are not listed, only counted."""
    reasons: Counter[str] = Counter()
    for report in reports:
        reasons.update(report.rejected_by_reason)
    return IngestReport(
        received=sum(report.received for report in reports),
        accepted=sum(report.accepted for report in reports),
        duplicate=sum(report.duplicate for report in reports),
        conflict=sum(report.conflict for report in reports),
        rejected=sum(report.rejected for report in reports),
        errors_total=sum(report.errors_total for report in reports),
        rejected_by_reason=dict(reasons),
    )


def _error_at(verdict: Verdict, position: int) -> SampleError:
    code = int(verdict.fault[position])
    if code == NO_FAULT:
        return SampleError(position, "", CONFLICT, WORDS[CONFLICT])
    reason = REASONS[code]
    name = FAULT_FIELDS[int(verdict.fault_field[position])]
    return SampleError(position, name, reason.value, WORDS[reason])
