"""Gathers what happened to providers' requests and writes it down together, every few seconds."""

import datetime as dt
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from prometheus_client import Counter as MetricCounter
from prometheus_client import Gauge

from controlplane.lib import clock
from controlplane.lib.problems import DATABASE_AWAY
from monitoring.domain.skew import add_lags, estimate_skew
from monitoring.models import Provider, ProviderHealth
from monitoring.watch import profiles

logger = logging.getLogger(__name__)

KEPT_REFUSALS = 20

SHED = MetricCounter(
    "tiaodu_ingest_shed_total", "Requests turned away unread, by reason", ["provider", "reason"]
)
SKEW = Gauge(
    "tiaodu_provider_clock_skew_seconds",
    "How far a provider's clock is ahead, as measured; behind or late is below zero",
    ["provider"],
    multiprocess_mode="mostrecent",
)


@dataclass
class _Pending:
    shed: Counter[str] = field(default_factory=Counter)
    lags_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refusals: defaultdict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )


_lock = threading.Lock()
_pending = _Pending()
_writer: threading.Thread | None = None
_stop = threading.Event()


def note_shed(provider_code: str, why: str) -> None:
    """Count a request that was turned away unread; called where no database may be asked."""
    SHED.labels(provider_code, why).inc()
    with _lock:
        _pending.shed[provider_code] += 1
    _keep_writing()


def note_request(
    provider_code: str, *, lag_s: float | None, refusals: Sequence[dict[str, Any]] = ()
) -> None:
    """Take down how a request arrived and what of it was refused; call it after the commit.

    Args:
        provider_code: the sender.
        lag_s: arrival minus the newest time in the request, in seconds of wall time; None where it
            has no time.
        refusals: examples, as people are shown them.
    """
    with _lock:
        if lag_s is not None:
            _pending.lags_s[provider_code].append(lag_s)
        if refusals:
            _pending.refusals[provider_code] += refusals
    if settings.WATCH_FLUSH_S > 0:
        _keep_writing()
    else:
        flush()


def wall_lag_s(now: dt.datetime, newest: dt.datetime) -> float:
    """Return how old a time is, in seconds of the sender's clock.

    Where grid time runs faster than wall time, the clocks of its providers do too.

    Args:
        now: present grid time.
        newest: newest time in a request.
    """
    return (now - newest).total_seconds() / max(1.0, settings.GRID_CLOCK.rate)


def flush() -> None:
    """Write everything that has been gathered; what cannot be written is kept."""
    global _pending
    with _lock:
        taken, _pending = _pending, _Pending()
    try:
        _write(taken)
    except DATABASE_AWAY:
        with _lock:
            _pending.shed.update(taken.shed)
        raise
    profiles.cache.flush()


@transaction.atomic
def _write(taken: _Pending) -> None:
    if taken.shed:
        with connection.cursor() as cursor:
            cursor.execute(_SHED, {"codes": list(taken.shed), "counts": [*taken.shed.values()]})
    for code in sorted(taken.lags_s.keys() | taken.refusals.keys()):
        _write_health(code, taken.lags_s.get(code, []), taken.refusals.get(code, []))


def _write_health(code: str, lags_s: list[float], refusals: list[dict[str, Any]]) -> None:
    if not Provider.objects.filter(code=code).exists():
        return
    ProviderHealth.objects.get_or_create(provider_id=code)
    row = ProviderHealth.objects.select_for_update().get(provider_id=code)
    row.lags_s = add_lags(row.lags_s, lags_s)
    skew = estimate_skew(row.lags_s)
    row.skew_s, row.measured_at = skew.seconds, clock.now()
    row.refusals = [*reversed(refusals), *row.refusals][:KEPT_REFUSALS]
    row.save()
    if skew.seconds is not None:
        SKEW.labels(code).set(skew.seconds)


def _keep_writing() -> None:
    global _writer  # noqa: PLW0603 (the one thread of this process)
    if settings.WATCH_FLUSH_S <= 0:
        return
    with _lock:
        if _writer is None or not _writer.is_alive():
            _writer = threading.Thread(target=_write_for_ever, name="watch", daemon=True)
            _writer.start()


def _write_for_ever() -> None:
    while not _stop.wait(settings.WATCH_FLUSH_S):
        try:
            flush()
        except DATABASE_AWAY:
            logger.warning("watch.not_written")
        except Exception:
            logger.exception("watch.failed")
        finally:
            connection.close()


_SHED = """
INSERT INTO monitoring_providertally AS t
       (provider_id, received, accepted, duplicate, conflict, rejected, shed, rejected_by_reason)
SELECT code, count, 0, 0, 0, 0, count, '{}'
  FROM unnest(%(codes)s::text[], %(counts)s::int8[]) AS n (code, count)
  JOIN monitoring_provider USING (code)
 ORDER BY code
    ON CONFLICT (provider_id) DO UPDATE SET
       received = t.received + excluded.received, shed = t.shed + excluded.shed
"""
