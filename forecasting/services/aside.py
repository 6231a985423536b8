"""Says what a forecast run left out of the telemetry, as a plan does."""

import datetime as dt
from collections import Counter
from typing import Any

from monitoring import selectors as monitoring

MAX_POOLS_LISTED = 100
_DAY = dt.timedelta(hours=24)


def left_out(issued_at: dt.datetime) -> dict[str, Any]:
    """Return which samples of the day before a run it does not reckon with, because not good.

    Args:
        issued_at: beginning of the run's first hour.

    Returns:
        JSON-able: `since`, `until`, `samples`, `set_aside`, `by_quality`, `by_rule`,
        `pools_total`, and `pools` by code, each with its `samples`, `set_aside` and `by_rule`:
        at most 100 pools, those with most of it.
    """
    since = issued_at - _DAY
    found = monitoring.set_aside(since, issued_at)
    by_quality: Counter[str] = Counter()
    by_rule: Counter[str] = Counter()
    for pool in found.pools:
        by_quality.update(pool.by_quality)
        by_rule.update(pool.by_rule)
    return {
        "since": since.isoformat(),
        "until": issued_at.isoformat(),
        "samples": found.samples,
        "set_aside": by_quality.total(),
        "by_quality": dict(by_quality),
        "by_rule": dict(by_rule),
        "pools_total": len(found.pools),
        "pools": {
            pool.pool: {
                "samples": pool.samples,
                "set_aside": pool.set_aside,
                "by_rule": dict(pool.by_rule),
            }
            for pool in found.pools[:MAX_POOLS_LISTED]
        },
    }
