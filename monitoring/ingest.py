"""Stores a judged batch in one transaction: samples, newest states, hourly sums and the account.

The number of statements does not depend on the size of the batch: the sender's pools, one insert
that also brings states and hours up to date, one look at what was there already, the account.
"""

import datetime as dt
import json
from enum import StrEnum

import numpy as np
import pandas as pd
from django.db import IntegrityError, connection, transaction
from prometheus_client import Counter as MetricCounter
from prometheus_client import Histogram
from psycopg.errors import CheckViolation

from controlplane.lib import events
from controlplane.lib.errors import ErrorKind, GridError
from monitoring import services
from monitoring.domain.points import PointReport
from monitoring.domain.reports import IngestReport, add_reports, report_on
from monitoring.domain.samples import (
    FIELD_NAMES,
    QUALITIES,
    RULES,
    Batch,
    BoolArray,
    FloatArray,
    IntArray,
    PoolTerms,
    Verdict,
    Window,
    first_of_each,
    judge,
    same_values,
)
from monitoring.formats import frames, pg_arrays
from monitoring.models import Pool, Sample

HISTORY_CHUNK = 20_000

SAMPLES = MetricCounter(
    "tiaodu_ingest_samples_total", "Samples received, by outcome", ["provider", "outcome"]
)
REJECTS = MetricCounter(
    "tiaodu_ingest_rejected_total", "Samples rejected, by reason", ["provider", "reason"]
)
SECONDS = Histogram("tiaodu_ingest_seconds", "Time to judge and store one batch")


class Source(StrEnum):
    """Where a sample came from."""

    PROVIDER = "provider"
    HISTORY = "history"
    SENDER = "sender"


class HistoryOverlaps(GridError):
    """A history load would reach into what providers have reported themselves."""

    code = "history-overlaps"
    kind = ErrorKind.CONFLICT


def ingest_batch(
    batch: Batch, *, provider_code: str, now: dt.datetime, window: Window
) -> IngestReport:
    """Judge and store what a provider sent; returns only after the commit.

    Sending the same again changes nothing. A sample whose pool and time are stored already with
    other values is a conflict: the first one stays.

    Args:
        batch: samples, read but not judged.
        provider_code: the sender; samples of others' pools are rejected as unknown pools.
        now: present grid time.
        window: times that are taken.

    Returns:
        What became of each sample.
    """
    with SECONDS.time():
        report = _ingest(batch, provider_code, Source.PROVIDER, now=now, window=window)
    count_outcomes(provider_code, report)
    return report


@transaction.atomic
def store_assembled(
    batch: Batch, *, provider_code: str, now: dt.datetime, window: Window
) -> IngestReport:
    """Judge and store rows that were put together from points a standard sender pushed.

    The provider's account counts what it sent, the points; these rows are not in it.

    Args:
        batch: rows of the provider's own pools.
        provider_code: the sender.
        now: present grid time.
        window: times that are taken.

    Returns:
        What became of each row.
    """
    verdict = judge(batch, pools=_terms_of(provider_code), window=window)
    accepted, conflict = _store(verdict, Source.SENDER, now)
    if accepted.any():
        events.publish("grid", {"kind": "telemetry"})
    return report_on(verdict, accepted=accepted, conflict=conflict)


def account_for(provider_code: str, outcome: IngestReport | PointReport, now: dt.datetime) -> None:
    """Add what became of a request to the provider's account, in the caller's transaction."""
    _account(provider_code, outcome, now)


def count_outcomes(provider_code: str, outcome: IngestReport | PointReport) -> None:
    """Add what became of a request to the metrics; call it once the commit is done."""
    for name in ("accepted", "duplicate", "conflict", "rejected"):
        SAMPLES.labels(provider_code, name).inc(getattr(outcome, name))
    for reason, count in outcome.rejected_by_reason.items():
        REJECTS.labels(provider_code, reason).inc(count)


def is_missing_partition(error: IntegrityError) -> bool:
    """Whether a row was refused because no partition takes its time."""
    cause = error.__cause__
    # a broken CHECK names its constraint; a row that no partition takes has none to name
    return isinstance(cause, CheckViolation) and cause.diag.constraint_name is None


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
    ordered = frame.sort_values(["pool", "measured_at"], kind="stable", ignore_index=True)
    oldest = ordered["measured_at"].min().to_pydatetime()
    newest = ordered["measured_at"].max().to_pydatetime()
    if Sample.objects.filter(source=Source.PROVIDER, measured_at__lte=newest).exists():
        raise HistoryOverlaps(f"Providers have reported before {newest.isoformat()} themselves.")
    services.keep_partitions(now, since=oldest)
    window = Window(oldest, min(newest, now))
    reports = [
        _ingest(
            frames.decode(ordered.iloc[start : start + HISTORY_CHUNK]),
            None,
            Source.HISTORY,
            now=now,
            window=window,
        )
        for start in range(0, len(ordered), HISTORY_CHUNK)
    ]
    return add_reports(reports)


def _ingest(
    batch: Batch, provider_code: str | None, source: Source, *, now: dt.datetime, window: Window
) -> IngestReport:
    try:
        return _ingest_once(batch, provider_code, source, now=now, window=window)
    except IntegrityError as error:
        if not is_missing_partition(error):
            raise
    # the loop that makes partitions ahead has not run for weeks of grid time: heal and go on
    services.keep_partitions(now, since=window.oldest, until=window.newest)
    return _ingest_once(batch, provider_code, source, now=now, window=window)


@transaction.atomic
def _ingest_once(
    batch: Batch, provider_code: str | None, source: Source, *, now: dt.datetime, window: Window
) -> IngestReport:
    verdict = judge(batch, pools=_terms_of(provider_code), window=window)
    accepted, conflict = _store(verdict, source, now)
    report = report_on(verdict, accepted=accepted, conflict=conflict)
    if provider_code is not None:
        _account(provider_code, report, now)
    if report.accepted:
        events.publish("grid", {"kind": "telemetry"})
    return report


def _terms_of(provider_code: str | None) -> dict[str, PoolTerms]:
    pools = Pool.objects.all()
    if provider_code is not None:
        pools = pools.filter(site__provider_id=provider_code)
    rows = pools.values_list("code", "pk", "contract")
    return {code: PoolTerms(pool_id, contract) for code, pool_id, contract in rows}


def _store(verdict: Verdict, source: Source, now: dt.datetime) -> tuple[BoolArray, BoolArray]:
    count = len(verdict.index)
    accepted, conflict = np.zeros(count, bool), np.zeros(count, bool)
    if count == 0:
        return accepted, conflict
    first, group = first_of_each(verdict.pool_id, verdict.measured_us)
    is_new = _insert(verdict, first, source, now)
    accepted[first[is_new]] = True
    if accepted.all():
        return accepted, conflict
    reference = {name: column[first] for name, column in verdict.values.items()}
    if not is_new.all():
        _read_stored(verdict, first, ~is_new, into=reference)
    kept = {name: column[group] for name, column in reference.items()}
    conflict = ~accepted & ~same_values(verdict.values, kept)
    return accepted, conflict


def _insert(verdict: Verdict, first: IntArray, source: Source, now: dt.datetime) -> BoolArray:
    parameters = {
        "pool_id": pg_arrays.pack_integers(verdict.pool_id[first]),
        "measured_at": pg_arrays.pack_times(verdict.measured_us[first]),
        "quality": pg_arrays.pack_codes(verdict.quality[first] + np.int16(1)),
        "rule": pg_arrays.pack_codes(verdict.rule[first] + np.int16(1)),
        "quality_names": [quality.value for quality in QUALITIES],
        "rule_names": [rule.value for rule in RULES],
        "source": source.value,
        "received_at": now,
        **{name: pg_arrays.pack_floats(verdict.values[name][first]) for name in FIELD_NAMES},
    }
    is_new = np.zeros(len(first), bool)
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(_INSERT, parameters, binary=True)
        positions = [position for (position,) in cursor.fetchall()]
    is_new[np.asarray(positions, np.int64) - 1] = True
    return is_new


def _read_stored(
    verdict: Verdict, first: IntArray, wanted: BoolArray, *, into: dict[str, FloatArray]
) -> None:
    chosen = first[wanted]
    times = verdict.measured_us[chosen]
    parameters = {
        "pool_id": pg_arrays.pack_integers(verdict.pool_id[chosen]),
        "measured_at": pg_arrays.pack_times(times),
        # the planner leaves out the partitions outside these two
        "oldest": pg_arrays.pack_times(times.min(keepdims=True)),
        "newest": pg_arrays.pack_times(times.max(keepdims=True)),
    }
    with connection.wrap_database_errors, pg_arrays.array_cursor(connection.connection) as cursor:
        cursor.execute(_STORED, parameters, binary=True)
        rows = cursor.fetchall()
    stored = np.array(rows, dtype=np.float64).reshape(len(rows), 1 + len(FIELD_NAMES))
    target = np.flatnonzero(wanted)[stored[:, 0].astype(np.int64) - 1]
    for column, name in enumerate(FIELD_NAMES, start=1):
        into[name][target] = stored[:, column]


def _account(provider_code: str, report: IngestReport | PointReport, now: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _ACCOUNT,
            {
                "provider": provider_code,
                "received": report.received,
                "accepted": report.accepted,
                "duplicate": report.duplicate,
                "conflict": report.conflict,
                "rejected": report.rejected,
                "reasons": json.dumps(dict(report.rejected_by_reason)),
                "now": now,
            },
        )


_VALUES = ", ".join(FIELD_NAMES)
_INSERT = f"""
WITH batch AS (
    SELECT b.ord, b.pool_id, b.measured_at,
           {", ".join(f"NULLIF(b.{name}, 'NaN') AS {name}" for name in FIELD_NAMES)},
           (%(quality_names)s::text[])[b.quality] AS quality,
           (%(rule_names)s::text[])[b.rule] AS quality_rule
      FROM unnest(%(pool_id)s::int8[], %(measured_at)s::timestamptz[], %(quality)s::int2[],
                  %(rule)s::int2[], {", ".join(f"%({name})s::float8[]" for name in FIELD_NAMES)})
      WITH ORDINALITY AS b (pool_id, measured_at, quality, rule, {_VALUES}, ord)
), stored AS (
    INSERT INTO monitoring_sample
           (pool_id, measured_at, received_at, {_VALUES}, source, quality, quality_rule)
    SELECT pool_id, measured_at, %(received_at)s::timestamptz, {_VALUES}, %(source)s::text,
           quality, quality_rule
      FROM batch ORDER BY ord
        ON CONFLICT (pool_id, measured_at) DO NOTHING
    RETURNING pool_id, measured_at, received_at, {_VALUES}, quality, quality_rule
), newest AS (
    INSERT INTO monitoring_poolstate
           (pool_id, measured_at, received_at, {_VALUES}, quality, quality_rule)
    SELECT DISTINCT ON (pool_id) * FROM stored ORDER BY pool_id, measured_at DESC
        ON CONFLICT (pool_id) DO UPDATE SET
           (measured_at, received_at, {_VALUES}, quality, quality_rule)
           = (excluded.measured_at, excluded.received_at,
              {", ".join(f"excluded.{name}" for name in FIELD_NAMES)},
              excluded.quality, excluded.quality_rule)
     WHERE excluded.measured_at > monitoring_poolstate.measured_at
), hours AS (
    INSERT INTO monitoring_poolhour AS h
           (pool_id, hour_at, samples, good_samples, capacity_sum, allocated_sum, queued_sum,
            demand_max, power_kw_sum, power_samples, price_sum, price_samples,
            carbon_sum, carbon_samples)
    SELECT pool_id, date_trunc('hour', measured_at, 'UTC') AS hour_at,
           count(*), count(*) FILTER (WHERE is_good),
           coalesce(sum(capacity) FILTER (WHERE is_good), 0),
           coalesce(sum(allocated) FILTER (WHERE is_good), 0),
           coalesce(sum(queued) FILTER (WHERE is_good), 0),
           coalesce(max(allocated + queued) FILTER (WHERE is_good), 0),
           coalesce(sum(power_kw) FILTER (WHERE is_good), 0),
           count(power_kw) FILTER (WHERE is_good),
           coalesce(sum(price_per_unit_h) FILTER (WHERE is_good), 0),
           count(price_per_unit_h) FILTER (WHERE is_good),
           coalesce(sum(carbon_g_per_kwh) FILTER (WHERE is_good), 0),
           count(carbon_g_per_kwh) FILTER (WHERE is_good)
      FROM (SELECT *, quality = 'good' AS is_good FROM stored) AS judged
     GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (pool_id, hour_at) DO UPDATE SET
           samples = h.samples + excluded.samples,
           good_samples = h.good_samples + excluded.good_samples,
           capacity_sum = h.capacity_sum + excluded.capacity_sum,
           allocated_sum = h.allocated_sum + excluded.allocated_sum,
           queued_sum = h.queued_sum + excluded.queued_sum,
           demand_max = greatest(h.demand_max, excluded.demand_max),
           power_kw_sum = h.power_kw_sum + excluded.power_kw_sum,
           power_samples = h.power_samples + excluded.power_samples,
           price_sum = h.price_sum + excluded.price_sum,
           price_samples = h.price_samples + excluded.price_samples,
           carbon_sum = h.carbon_sum + excluded.carbon_sum,
           carbon_samples = h.carbon_samples + excluded.carbon_samples
)
SELECT batch.ord FROM batch JOIN stored USING (pool_id, measured_at)
"""  # noqa: S608 (only the names of our own fields are put in)
_STORED = f"""
SELECT b.ord, {", ".join(f"s.{name}" for name in FIELD_NAMES)}
  FROM unnest(%(pool_id)s::int8[], %(measured_at)s::timestamptz[])
  WITH ORDINALITY AS b (pool_id, measured_at, ord)
  JOIN monitoring_sample s ON s.pool_id = b.pool_id AND s.measured_at = b.measured_at
 WHERE s.measured_at >= (%(oldest)s::timestamptz[])[1]
   AND s.measured_at <= (%(newest)s::timestamptz[])[1]
"""  # noqa: S608 (only the names of our own fields are put in)
_ACCOUNT = """
INSERT INTO monitoring_providertally AS t
       (provider_id, received, accepted, duplicate, conflict, rejected, rejected_by_reason,
        last_batch_at)
SELECT code, %(received)s, %(accepted)s, %(duplicate)s, %(conflict)s, %(rejected)s,
       %(reasons)s::jsonb, %(now)s
  FROM monitoring_provider WHERE code = %(provider)s
    ON CONFLICT (provider_id) DO UPDATE SET
       received = t.received + excluded.received,
       accepted = t.accepted + excluded.accepted,
       duplicate = t.duplicate + excluded.duplicate,
       conflict = t.conflict + excluded.conflict,
       rejected = t.rejected + excluded.rejected,
       last_batch_at = greatest(t.last_batch_at, excluded.last_batch_at),
       rejected_by_reason = (
           SELECT coalesce(jsonb_object_agg(reason, count), '{}')
             FROM (SELECT key AS reason, sum(value::bigint) AS count
                     FROM (SELECT * FROM jsonb_each_text(t.rejected_by_reason)
                           UNION ALL
                           SELECT * FROM jsonb_each_text(excluded.rejected_by_reason)) AS parts
                    GROUP BY key) AS sums)
"""
