"""Stores telemetry: judged, deduplicated, accounted for, and durable before it is acknowledged."""

from monitoring.ingest.accounts import account_for, count_outcomes
from monitoring.ingest.batches import (
    SECONDS,
    HistoryOverlaps,
    ingest_batch,
    is_missing_partition,
    load_history,
    store_assembled,
    was_met,
)
from monitoring.ingest.terms import terms_of
from monitoring.ingest.together import Together

__all__ = (
    "SECONDS",
    "HistoryOverlaps",
    "Together",
    "account_for",
    "count_outcomes",
    "ingest_batch",
    "is_missing_partition",
    "load_history",
    "store_assembled",
    "terms_of",
    "was_met",
)
