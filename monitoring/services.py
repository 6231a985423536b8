"""Writes the inventory, keeps the partitions of telemetry and moves alerts along."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from controlplane.auth import audit
from controlplane.auth.roles import Actor, Permission
from controlplane.lib import events
from controlplane.lib.errors import ErrorKind, GridError
from monitoring import selectors
from monitoring.domain.alerts import (
    HOLD_TIMES,
    AlertKind,
    AlertState,
    Finding,
    Observation,
    Spell,
    advance,
)
from monitoring.domain.partitions import (
    POINT_TABLE,
    SAMPLE_TABLE,
    WEEK,
    Partition,
    partition_of_name,
    partitions_between,
)
from monitoring.domain.samples import live_window
from monitoring.domain.troubles import find_shortages, find_silences
from monitoring.models import Alert, Pool, Provider, Region, Site

PARTITIONS_AHEAD = 4 * WEEK
_PARTITION_LOCK = 0x71A0_5A


class AlertNotFound(GridError):
    """There is no such alert."""

    code = "alert-not-found"
    kind = ErrorKind.NOT_FOUND


class AlertNotAcknowledgeable(GridError):
    """The alert is over, or somebody else has acknowledged it."""

    code = "alert-not-acknowledgeable"
    kind = ErrorKind.CONFLICT


class MayNotAcknowledge(GridError):
    """The person's role does not acknowledge alerts."""

    code = "not-allowed"
    kind = ErrorKind.NOT_ALLOWED


@transaction.atomic
def register_inventory(
    inventory: Mapping[str, Sequence[Mapping[str, Any]]], *, engines: Mapping[str, str]
) -> dict[str, int]:
    """Add regions, providers, sites and pools, or bring those that exist up to date.

    Args:
        inventory: `regions`, `providers`, `sites` and `pools`, each a list of flat objects.
        engines: provider code to the address of its engine; a pool of a provider without one keeps
            the address that it has.

    Returns:
        How many of each there were in the inventory.
    """
    Region.objects.bulk_create(
        [_region(row) for row in inventory["regions"]],
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=_REGION_FACTS,
    )
    Provider.objects.bulk_create(
        [_provider(row) for row in inventory["providers"]],
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=["name_zh", "name_en"],
    )
    Site.objects.bulk_create(
        [_site(row) for row in inventory["sites"]],
        update_conflicts=True,
        unique_fields=["code"],
        update_fields=_SITE_FACTS,
    )
    provider_of = {row["code"]: row["provider"] for row in inventory["sites"]}
    known_urls = dict(Pool.objects.values_list("code", "engine_url"))
    pools = [
        _pool(row, engines.get(provider_of[row["site"]]) or known_urls.get(row["code"], ""))
        for row in inventory["pools"]
    ]
    Pool.objects.bulk_create(
        pools, update_conflicts=True, unique_fields=["code"], update_fields=_POOL_FACTS
    )
    return {name: len(inventory[name]) for name in ("regions", "providers", "sites", "pools")}


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


def evaluate_alerts(now: dt.datetime) -> dict[AlertKind, int]:
    """Look at every provider and region once and move their alerts along.

    Args:
        now: present grid time.

    Returns:
        How many alerts of each kind are open afterwards.
    """
    readings = selectors.pool_states(now)
    silences = find_silences(readings)
    shortages, undecided = find_shortages(readings)
    return {
        AlertKind.PROVIDER_SILENT: sync_alerts(AlertKind.PROVIDER_SILENT, silences, now),
        AlertKind.CAPACITY_SHORTAGE: sync_alerts(
            AlertKind.CAPACITY_SHORTAGE, shortages, now, unknown_scopes=undecided
        ),
    }


@transaction.atomic
def sync_alerts(
    kind: AlertKind,
    findings: Iterable[Finding],
    now: dt.datetime,
    *,
    unknown_scopes: Collection[str] = (),
) -> int:
    """Make the alerts of one kind follow what one look has found.

    A scope that is not among the findings is clear, unless it is named as unknown: missing data
    neither starts nor ends an alert. Hold times of the kind decide when one fires and resolves.

    Args:
        kind: which alerts to move.
        findings: trouble seen, at most one finding per scope.
        now: present grid time.
        unknown_scopes: scopes about which nothing could be said.

    Returns:
        How many alerts of the kind are open afterwards.
    """
    found = {finding.scope: finding for finding in findings}
    open_alerts = {
        alert.scope: alert
        for alert in Alert.objects.select_for_update()
        .filter(kind=kind)
        .exclude(state=AlertState.RESOLVED)
        .order_by("pk")
    }
    still_open, has_changed = 0, False
    for scope in sorted(found.keys() | open_alerts.keys()):
        alert, finding = open_alerts.get(scope), found.get(scope)
        seen = _observation(scope, finding, unknown_scopes)
        before = _spell_of(alert)
        after = advance(before, seen, hold=HOLD_TIMES[kind], now=now)
        if after is None:
            continue
        is_news = before is None or after.state is not before.state
        has_changed = has_changed or is_news
        still_open += after.state is not AlertState.RESOLVED
        if after != before or finding is not None:
            _save_alert(alert or Alert(kind=kind, scope=scope), after, finding)
    if has_changed:
        events.publish("grid", {"kind": "alerts"})
    return still_open


@transaction.atomic
def acknowledge_alert(
    actor: Actor, alert_id: int, *, comment: str, now: dt.datetime
) -> selectors.AlertView:
    """Record that a person has seen an open alert and takes care of it.

    Doing it again as the same person changes nothing.

    Args:
        actor: who acknowledges.
        alert_id: which alert.
        comment: what is going to be done; may be empty.
        now: present grid time.

    Raises:
        MayNotAcknowledge: the person's role does not allow it.
        AlertNotFound: there is no such alert.
        AlertNotAcknowledgeable: it is over, or another person has acknowledged it.
    """
    if not actor.may(Permission.ACKNOWLEDGE_ALERT):
        raise MayNotAcknowledge("Only a grid operator acknowledges alerts.")
    alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
    if alert is None:
        raise AlertNotFound(f"There is no alert {alert_id}.")
    if alert.acknowledged_by == actor.username:
        return selectors.view_of(alert)
    if alert.acknowledged_by or alert.state == AlertState.RESOLVED:
        who = alert.acknowledged_by
        reason = f"{who} has acknowledged it already" if who else "it is over"
        raise AlertNotAcknowledgeable(f"Alert {alert_id} cannot be acknowledged: {reason}.")
    alert.acknowledged_at, alert.acknowledged_by, alert.comment = now, actor.username, comment
    alert.save(update_fields=["acknowledged_at", "acknowledged_by", "comment"])
    facts = {"kind": alert.kind, "scope": alert.scope, "comment": comment}
    audit.record(actor.username, "acknowledge-alert", f"alert:{alert_id}", facts)
    events.publish("grid", {"kind": "alerts"})
    return selectors.view_of(alert)


def analyze_tables() -> None:
    """Let the planner know the tables after a bulk load."""
    tables = ("monitoring_sample", "monitoring_poolhour", "monitoring_poolstate", "monitoring_pool")
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ANALYZE {table}")


def _observation(
    scope: str, finding: Finding | None, unknown_scopes: Collection[str]
) -> Observation:
    if finding is not None:
        return Observation.TROUBLE
    return Observation.UNKNOWN if scope in unknown_scopes else Observation.CLEAR


def _spell_of(alert: Alert | None) -> Spell | None:
    if alert is None:
        return None
    return Spell(
        state=AlertState(alert.state),
        pending_at=alert.pending_at,
        fired_at=alert.fired_at,
        quiet_since=alert.quiet_since,
        resolved_at=alert.resolved_at,
    )


def _save_alert(alert: Alert, spell: Spell, finding: Finding | None) -> None:
    alert.state = spell.state
    alert.pending_at, alert.fired_at = spell.pending_at, spell.fired_at
    alert.quiet_since, alert.resolved_at = spell.quiet_since, spell.resolved_at
    if finding is not None:
        alert.severity, alert.region_code = finding.severity, finding.region_code
        alert.detail = dict(finding.detail)
    alert.save()


def _make_partition(part: Partition, table: str) -> str:
    return (
        f"CREATE TABLE {part.name_in(table)} PARTITION OF {table} "
        f"FOR VALUES FROM ('{part.start.isoformat()}') TO ('{part.end.isoformat()}')"
    )


_NAMES_AND_POINT = ["name_zh", "name_en", "lat", "lon"]
_REGION_FACTS = [*_NAMES_AND_POINT, "jurisdiction", "carbon_g_per_kwh", "carbon_basis"]
_SITE_FACTS = [
    *_NAMES_AND_POINT,
    *("provider_id", "region_id", "is_hub", "hub_zh", "hub_en", "pue", "energy_zone"),
]
# contract, reserve and limits are a grid admin's to set: a pool that exists keeps them
_POOL_FACTS = ["site_id", "unit", "installed", "kw_per_unit", "engine_url"]
_PARTITION_NAMES = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = %s::regclass
"""


def _region(row: Mapping[str, Any]) -> Region:
    return Region(
        code=row["code"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        lat=row["lat"],
        lon=row["lon"],
        jurisdiction=row["jurisdiction"],
        carbon_g_per_kwh=row["carbon_g_per_kwh"],
        carbon_basis=row["carbon_basis"] or "",
    )


def _provider(row: Mapping[str, Any]) -> Provider:
    return Provider(code=row["code"], name_zh=row["name_zh"], name_en=row["name_en"])


def _site(row: Mapping[str, Any]) -> Site:
    return Site(
        code=row["code"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        provider_id=row["provider"],
        region_id=row["region"],
        lat=row["lat"],
        lon=row["lon"],
        is_hub=row["is_hub"],
        hub_zh=row["hub_zh"] or "",
        hub_en=row["hub_en"] or "",
        pue=row["pue"],
        energy_zone=row["energy_zone"],
    )


def _pool(row: Mapping[str, Any], engine_url: str) -> Pool:
    return Pool(
        code=row["code"],
        site_id=row["site"],
        unit=row["unit"],
        installed=row["installed"],
        contract=row["contract"],
        reserve=row.get("reserve", 0.0),
        kw_per_unit=row["kw_per_unit"],
        engine_url=engine_url,
    )
