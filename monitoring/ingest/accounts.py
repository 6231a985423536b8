"""Keeps the account of what became of every sample: in the database, and as metrics."""

import datetime as dt
from collections import Counter as Tally
from collections.abc import Sequence

import orjson
from django.db import connection
from prometheus_client import Counter

from monitoring.domain.points import PointReport
from monitoring.domain.reports import IngestReport

SAMPLES = Counter(
    "tiaodu_ingest_samples_total", "Samples received, by outcome", ["provider", "outcome"]
)
REJECTS = Counter(
    "tiaodu_ingest_rejected_total", "Samples rejected, by reason", ["provider", "reason"]
)


def account_for(
    provider_code: str, outcomes: Sequence[IngestReport | PointReport], now: dt.datetime
) -> int:
    """Add what became of requests to the provider's account, in the caller's transaction.

    The account's row stays locked until the commit: call it last.

    Returns:
        What the provider has sent in all.
    """
    reasons: Tally[str] = Tally()
    for outcome in outcomes:
        reasons.update(outcome.rejected_by_reason)
    with connection.cursor() as cursor:
        cursor.execute(
            _ACCOUNT,
            {
                "provider": provider_code,
                "received": sum(outcome.received for outcome in outcomes),
                "accepted": sum(outcome.accepted for outcome in outcomes),
                "duplicate": sum(outcome.duplicate for outcome in outcomes),
                "conflict": sum(outcome.conflict for outcome in outcomes),
                "rejected": sum(outcome.rejected for outcome in outcomes),
                "reasons": orjson.dumps(reasons).decode(),
                "now": now,
            },
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def count_outcomes(provider_code: str, outcome: IngestReport | PointReport) -> None:
    """Add what became of a request to the metrics; call it once the commit is done."""
    for name in ("accepted", "duplicate", "conflict", "rejected"):
        SAMPLES.labels(provider_code, name).inc(getattr(outcome, name))
    for reason, count in outcome.rejected_by_reason.items():
        REJECTS.labels(provider_code, reason).inc(count)


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
       rejected_by_reason = CASE excluded.rejected WHEN 0 THEN t.rejected_by_reason ELSE (
           SELECT coalesce(jsonb_object_agg(reason, count), '{}')
             FROM (SELECT key AS reason, sum(value::bigint) AS count
                     FROM (SELECT * FROM jsonb_each_text(t.rejected_by_reason)
                           UNION ALL
                           SELECT * FROM jsonb_each_text(excluded.rejected_by_reason)) AS parts
                    GROUP BY key) AS sums) END
RETURNING t.received
"""
