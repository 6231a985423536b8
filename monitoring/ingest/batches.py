"""Takes a batch from judging to its commit: once, or again when another request was quicker."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TypeVar

import pandas as pd
from django.db import IntegrityError, OperationalError, transaction
from prometheus_client import Histogram
from psycopg.errors import CheckViolation, DeadlockDetected, UniqueViolation

from controlplane.lib import events
from controlplane.lib.errors import ErrorKind, GridError
from monitoring import services
from monitoring.domain.reports import IngestReport, add_reports, report_on
from monitoring.domain.samples import (
    QUALITY_OF_RULE,
    Batch,
    Source,
    Verdict,
    Window,
    first_of_each,
    join_verdicts,
    judge,
    take_verdict,
)
from monitoring.formats import frames
from monitoring.ingest.accounts import account_for, count_outcomes
from monitoring.ingest.store import store
from monitoring.ingest.terms import terms_of
from monitoring.ingest.together import Together
from monitoring.models import SampleBlock
from monitoring.watch import profiles

HISTORY_CHUNK = 50_000
TURNS = 3
_ROW_BYTES = 128

SECONDS = Histogram("tiaodu_ingest_seconds", "Time to judge and store one batch")
Result = TypeVar("Result")


class HistoryOverlaps(GridError):
    """A history load would reach into what providers have reported themselves."""

    code = "history-overlaps"
    kind = ErrorKind.CONFLICT


def ingest_batch(
    batch: Batch, *, provider_code: str, now: dt.datetime, window: Window
) -> IngestReport:
    """Judge and store what a provider sent; returns only after the commit.

    Sending the same again changes nothing. A sample whose pool and time are stored already with
    other values is a conflict: the first one stays. Batches that come while another one of the
    provider's is being stored share a transaction, and get the answers of one after the other.

    Args:
        batch: samples, read but not judged.
        provider_code: the sender; samples of others' pools are rejected as unknown pools.
        now: present grid time.
        window: times that are taken.

    Returns:
        What became of each sample.
    """
    with SECONDS.time():
        report = _TOGETHER.take(provider_code, _Push(batch, now, window))
    count_outcomes(provider_code, report)
    return report


def store_assembled(
    batch: Batch,
    *,
    provider_code: str,
    now: dt.datetime,
    window: Window,
    looks_at_all: bool = False,
) -> IngestReport:
    """Judge and store rows that were put together from points, in the caller's transaction.

    The provider's account counts what it sent, the points; these rows are not in it.

    Args:
        batch: rows of the provider's own pools.
        provider_code: the sender.
        now: present grid time.
        window: times that are taken.
        looks_at_all: look up every row, as one was there that the newest states know nothing of.

    Returns:
        What became of each row.

    Raises:
        IntegrityError: one was there, or no partition takes its time.
    """
    pushes = [_Push(batch, now, window)]
    (report,) = _judge_and_store(pushes, provider_code, Source.SENDER, is_again=looks_at_all)
    return report


@transaction.atomic
def load_history(frame: pd.DataFrame, *, now: dt.datetime) -> IngestReport:
    """Store past telemetry of any pools, all or nothing; loading the same again changes nothing.

    Args:
        frame: columns `pool` (code), `measured_at` (datetime64, UTC) and the fields of the wide
            row; NaN = not reported.
        now: present grid time.

    Returns:
        What became of each sample, the chunks together.

    Raises:
        HistoryOverlaps: the frame reaches to or past the first sample that a provider sent.
    """
    if frame.empty:
        return add_reports([])
    # in order of time, so that pools of one shelf and moment come together
    ordered = frame.sort_values(["measured_at", "pool"], kind="stable", ignore_index=True)
    oldest = ordered["measured_at"].min().to_pydatetime()
    newest = ordered["measured_at"].max().to_pydatetime()
    if SampleBlock.objects.filter(source=Source.PROVIDER, measured_at__lte=newest).exists():
        raise HistoryOverlaps(f"Providers have reported before {newest.isoformat()} themselves.")
    services.keep_partitions(now, since=oldest)
    window = Window(oldest, min(newest, now))
    reports = [
        _ingest(
            [_Push(frames.decode(ordered.iloc[start : start + HISTORY_CHUNK]), now, window)],
            None,
            Source.HISTORY,
        )
        for start in range(0, len(ordered), HISTORY_CHUNK)
    ]
    return add_reports([report for found in reports for report in found])


def is_missing_partition(error: IntegrityError) -> bool:
    """Whether a row was refused because no partition takes its time."""
    cause = error.__cause__
    # a broken CHECK names its constraint; a row that no partition takes has none to name
    return isinstance(cause, CheckViolation) and cause.diag.constraint_name is None


def was_met(error: IntegrityError | OperationalError) -> bool:
    """Whether a row was there that the newest states know nothing of, or two blocked each other."""
    return isinstance(error.__cause__, UniqueViolation | DeadlockDetected)


@dataclass(frozen=True, eq=False)
class _Push:
    """One batch, when it came, and what is taken."""

    batch: Batch
    now: dt.datetime
    window: Window

    def __len__(self) -> int:
        return len(self.batch)

    def size_bytes(self) -> int:
        """Return about how much memory storing it takes."""
        return _ROW_BYTES * len(self.batch) + sum(map(len, self.batch.pools))

    def may_join(self, first: "_Push") -> bool:  # noqa: ARG002
        """Whether it may be stored together with another: always."""
        return True


def _ingest(
    pushes: Sequence[_Push], provider_code: str | None, source: Source
) -> list[IngestReport]:
    now = max(push.now for push in pushes)

    def once(*, is_again: bool) -> list[IngestReport]:
        reports = _judge_and_store(pushes, provider_code, source, is_again=is_again)
        if provider_code is not None:
            account_for(provider_code, reports, now)
        return reports

    try:
        return _again_if_met(once)
    except IntegrityError as error:
        if not is_missing_partition(error):
            raise
    # the loop that makes partitions ahead has not run for weeks of grid time: heal and go on
    since = min(push.window.oldest for push in pushes)
    services.keep_partitions(now, since=since, until=max(push.window.newest for push in pushes))
    return _again_if_met(once)


def _again_if_met(once: Callable[..., Result]) -> Result:
    # The locks of the shelves keep requests apart. What a look at the newest states cannot find is
    # a row that was put into the table behind their back; then every row is looked up.
    try:
        with transaction.atomic():
            return once(is_again=False)
    except (IntegrityError, OperationalError) as error:
        if not was_met(error):
            raise
    with transaction.atomic():
        return once(is_again=True)


def _judge_and_store(
    pushes: Sequence[_Push], provider_code: str | None, source: Source, *, is_again: bool
) -> list[IngestReport]:
    terms = terms_of(provider_code)
    verdicts = [judge(push.batch, pools=terms.by_code, window=push.window) for push in pushes]
    verdict = join_verdicts(verdicts)
    if source is Source.HISTORY:
        profiles.learn_history(verdict)
    else:
        verdict = _weigh(verdict, is_joined=len(pushes) > 1)
    now = max(push.now for push in pushes)
    accepted, conflict = store(verdict, source, now, terms=terms, looks_at_all=is_again)
    if accepted.any():
        events.publish("grid", {"kind": "telemetry"})
    edges = [0, *accumulate(len(part.index) for part in verdicts)]
    return [
        report_on(part, accepted=accepted[start:end], conflict=conflict[start:end])
        for part, (start, end) in zip(verdicts, pairwise(edges), strict=True)
    ]


def _weigh(verdict: Verdict, *, is_joined: bool) -> Verdict:
    if not is_joined:
        return profiles.weigh_verdict(verdict)
    # what several requests repeat would be learned from more than once
    first, group = first_of_each(verdict.pool_id, verdict.measured_us)
    rule = profiles.weigh_verdict(take_verdict(verdict, first)).rule[group]
    return replace(verdict, rule=rule, quality=QUALITY_OF_RULE[rule])


def _ingest_all(provider_code: str, pushes: Sequence[_Push]) -> list[IngestReport]:
    return _ingest(pushes, provider_code, Source.PROVIDER)


# while one waits for the disk another is judged, and a small one need not wait for a large one
_TOGETHER = Together(_ingest_all, turns=TURNS)
