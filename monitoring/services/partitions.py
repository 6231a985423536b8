"""Makes the partitions of telemetry ahead of time and drops those past their retention."""

import datetime as dt

from django.conf import settings
from django.db import connection, transaction

from monitoring.domain.partitions import (
    POINT_TABLE,
    SAMPLE_TABLE,
    WEEK,
    Partition,
    partition_of_name,
    partitions_between,
)
from monitoring.domain.samples import live_window

PARTITIONS_AHEAD = 4 * WEEK
_PARTITION_LOCK = 0x71A0_5A
_PARTITION_NAMES = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = %s::regclass
"""


@transaction.atomic
def keep_partitions(
    now: dt.datetime, *, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> tuple[int, int]:
    """Make the partitions that samples will need and drop those past their retention.

    Args:
        now: present grid time.
        since: make partitions back to here as well, for a load of history.
        until: make partitions up to here as well.

    Returns:
        How many weeks were made, and how many dropped.
    """
    limit = now - dt.timedelta(days=settings.RETENTION_DAYS)
    oldest = live_window(now, rate=settings.GRID_CLOCK.rate).oldest
    start = max(limit, min(oldest, since or oldest))
    end = max(now + PARTITIONS_AHEAD, until or now)
    made, dropped = set[Partition](), set[Partition]()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PARTITION_LOCK])
        for table in (SAMPLE_TABLE, POINT_TABLE):
            cursor.execute(_PARTITION_NAMES, [table])
            names = [name for (name,) in cursor.fetchall()]
            existing = {part for name in names if (part := partition_of_name(name, table=table))}
            missing = [part for part in partitions_between(start, end) if part not in existing]
            expired = [part for part in existing if part.end <= limit]
            for part in missing:
                cursor.execute(_make_partition(part, table))
            for part in expired:
                cursor.execute(f"DROP TABLE {part.name_in(table)}")
            made.update(missing)
            dropped.update(expired)
    return len(made), len(dropped)


def analyze_tables() -> None:
    """Let the planner know the tables after a bulk load."""
    tables = (
        *("monitoring_sampleblock", "monitoring_hourshelf", "monitoring_poolshelf"),
        *("monitoring_poolslot", "monitoring_pool"),
    )
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ANALYZE {table}")


def _make_partition(part: Partition, table: str) -> str:
    return (
        f"CREATE TABLE {part.name_in(table)} PARTITION OF {table} "
        f"FOR VALUES FROM ('{part.start.isoformat()}') TO ('{part.end.isoformat()}')"
    )
