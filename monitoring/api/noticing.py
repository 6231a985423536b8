"""Takes down, once a push is stored, how it arrived and examples of what was refused."""

import datetime as dt
from typing import Any

import numpy as np

from monitoring.domain.points import FAULTS, PointFault, PointReport, Points
from monitoring.domain.reports import IngestReport
from monitoring.domain.samples import REASONS, Batch, IntArray, Reason
from monitoring.watch import health

MAX_EXAMPLES = 3


def notice_batch(provider_code: str, batch: Batch, report: IngestReport, now: dt.datetime) -> None:
    """Take down a push in the grid's own formats.

    Args:
        provider_code: the sender.
        batch: what it sent.
        report: what became of it.
        now: grid time at which it arrived.
    """
    readable = batch.measured_us[batch.fault != REASONS.index(Reason.BAD_TIME)]
    examples = [
        _example(now, error.code, error.field, _pool_at(batch, error.index), _time_at(batch, error))
        for error in report.errors[:MAX_EXAMPLES]
    ]
    health.note_request(provider_code, lag_s=_lag_s(readable, report, now), refusals=examples)


def notice_points(
    provider_code: str, points: Points, report: PointReport, now: dt.datetime
) -> None:
    """Take down a push of a standard sender.

    Args:
        provider_code: the sender.
        points: what it sent.
        report: what became of it.
        now: grid time at which it arrived.
    """
    readable = points.measured_us[points.fault != FAULTS.index(PointFault.BAD_TIME)]
    examples = [
        _example(now, error.code, "", error.series, None) for error in report.errors[:MAX_EXAMPLES]
    ]
    health.note_request(provider_code, lag_s=_lag_s(readable, report, now), refusals=examples)


def _lag_s(
    measured_us: IntArray, report: IngestReport | PointReport, now: dt.datetime
) -> float | None:
    known = measured_us[measured_us > 0]
    # what is only sent again was measured long ago, by whatever clock
    if len(known) == 0 or report.duplicate == report.received:
        return None
    # what no clock could show says nothing about a clock
    newest_us = int(min(known.max(), np.int64(_LATEST_US)))
    return health.wall_lag_s(now, _EPOCH + dt.timedelta(microseconds=newest_us))


def _example(
    now: dt.datetime, code: str, field: str, subject: str, measured_at: str | None
) -> dict[str, Any]:
    example = {"at": now.isoformat(), "code": code, "subject": subject[:120]}
    if field:
        example["field"] = field
    if measured_at:
        example["measured_at"] = measured_at
    return example


def _pool_at(batch: Batch, position: int) -> str:
    ref = int(batch.pool_ref[position])
    return batch.pools[ref] if ref >= 0 else ""


def _time_at(batch: Batch, error: Any) -> str | None:
    measured_us = int(batch.measured_us[error.index])
    if not 0 < measured_us < _LATEST_US:
        return None
    return (_EPOCH + dt.timedelta(microseconds=measured_us)).isoformat()


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST_US = int(dt.datetime(9000, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000
