"""Keeps each provider's mapping rules; a change takes the series that are known along."""

import datetime as dt
from dataclasses import dataclass

from django.db import connection, transaction

from controlplane.auth import audit
from controlplane.auth.roles import Actor, Permission
from controlplane.lib.errors import ErrorKind, GridError
from monitoring.domain.mapping import BadRules, Rule, plan_mapping, read_rules, write_rules
from monitoring.domain.presets import preset_rules
from monitoring.models import MappingSet, Pool, Provider, Series

DEFAULT_TICK_S = 60.0
DEFAULT_SERIES_LIMIT = 10_000
MAX_SERIES_LIMIT = 1_000_000
MAX_TICK_S = 3600.0
_SENDER_LOCK = 0x71A0_5E


class ProviderNotFound(GridError):
    """There is no such provider."""

    code = "provider-not-found"
    kind = ErrorKind.NOT_FOUND


class MayNotMap(GridError):
    """The person's role does not set mapping rules."""

    code = "not-allowed"
    kind = ErrorKind.NOT_ALLOWED


class MappingChanged(GridError):
    """Somebody else has changed the rules meanwhile."""

    code = "mapping-changed"
    kind = ErrorKind.PRECONDITION_FAILED


@dataclass(frozen=True)
class MappingView:
    """A provider's mapping; version 0 is the one that holds until somebody sets another.

    Attributes:
        provider: provider code.
        rules: in their order.
        tick_s: points of one tick make one row (s); at least the senders' interval.
        series_limit: label sets that the provider may have.
        version: counts the changes.
        changed_by: who set it; empty for the first.
        changed_at: when.
    """

    provider: str
    rules: tuple[Rule, ...]
    tick_s: float
    series_limit: int
    version: int = 0
    changed_by: str = ""
    changed_at: dt.datetime | None = None


def mapping_of(provider_code: str) -> MappingView:
    """Return a provider's mapping.

    Raises:
        ProviderNotFound: there is no such provider.
    """
    row = MappingSet.objects.filter(provider_id=provider_code).first()
    if row is not None:
        return _view(row)
    if not Provider.objects.filter(code=provider_code).exists():
        raise ProviderNotFound("There is no such provider.")
    rules = preset_rules("tiaodu", "{tiaodu_pool}")
    return MappingView(provider_code, rules, DEFAULT_TICK_S, DEFAULT_SERIES_LIMIT)


@transaction.atomic
def replace_rules(
    actor: Actor,
    provider_code: str,
    *,
    rules: object,
    tick_s: float,
    series_limit: int,
    expected_version: int,
    now: dt.datetime,
) -> MappingView:
    """Set a provider's mapping rules; points that are stored stay where they are.

    Args:
        actor: who sets them.
        provider_code: whose metrics they are about.
        rules: as `read_rules` takes them; `{"preset", "pool"}` among them stands for its rules.
        tick_s: points of one tick make one row (s).
        series_limit: label sets that the provider may have.
        expected_version: the version that the person has looked at.
        now: present grid time.

    Raises:
        MayNotMap: the person's role does not allow it.
        BadRules: they cannot be followed.
        ProviderNotFound: there is no such provider.
        MappingChanged: the version is another one by now.
    """
    if not actor.may(Permission.EDIT_INVENTORY):
        raise MayNotMap("Only a grid admin sets mapping rules.")
    read = read_rules(_expand(rules))
    if not 1.0 <= tick_s <= MAX_TICK_S or not 0 <= series_limit <= MAX_SERIES_LIMIT:
        raise BadRules("A tick has 1 to 3600 s, and the limit is 0 to 1,000,000 series.")
    lock_sender(provider_code)
    before = mapping_of(provider_code)
    if before.version != expected_version:
        raise MappingChanged(f"The mapping is at version {before.version} now; look at it again.")
    row = MappingSet(
        provider_id=provider_code,
        rules=write_rules(read),
        tick_s=tick_s,
        series_limit=series_limit,
        version=before.version + 1,
        changed_at=now,
        changed_by=actor.username,
    )
    row.save()
    _place_anew(provider_code, read)
    facts = {"version": row.version, "rules": row.rules, "tick_s": tick_s, "limit": series_limit}
    audit.record(actor.username, "set-mapping", f"provider:{provider_code}", facts)
    return _view(row)


def draft_rules(rules: object) -> tuple[Rule, ...]:
    """Return rules that are not in force, as `replace_rules` would read them.

    Raises:
        BadRules: they cannot be followed.
    """
    return read_rules(_expand(rules))


def lock_sender(provider_code: str) -> None:
    """Wait until no other transaction takes points of this provider, or changes its rules."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_SENDER_LOCK, provider_code]
        )


def pools_of(provider_code: str) -> dict[str, int]:
    """Return the keys of a provider's pools by their codes."""
    return dict(Pool.objects.filter(site__provider_id=provider_code).values_list("code", "pk"))


def _view(row: MappingSet) -> MappingView:
    return MappingView(
        provider=row.provider_id,
        rules=read_rules(row.rules),
        tick_s=row.tick_s,
        series_limit=row.series_limit,
        version=row.version,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
    )


def _expand(rules: object) -> object:
    if not isinstance(rules, list):
        return rules
    expanded: list[object] = []
    for entry in rules:
        if isinstance(entry, dict) and entry.keys() == {"preset", "pool"}:
            expanded += write_rules(preset_rules(str(entry["preset"]), str(entry["pool"])))
        else:
            expanded.append(entry)
    return expanded


def _place_anew(provider_code: str, rules: tuple[Rule, ...]) -> None:
    pools = pools_of(provider_code)
    placed: list[tuple[int, str, int | None]] = []
    known = Series.objects.filter(provider_id=provider_code).values_list("pk", "labels")
    for series_id, labels in known.iterator():
        landing = plan_mapping(tuple(sorted(labels.items())), rules)
        name = landing.rule.name if landing.rule else ""
        placed.append((series_id, name, pools.get(landing.pool)))
    with connection.cursor() as cursor:
        cursor.execute(
            _PLACE,
            {
                "id": [series_id for series_id, _, _ in placed],
                "rule": [rule for _, rule, _ in placed],
                "pool": [pool_id for _, _, pool_id in placed],
            },
        )


_PLACE = """
UPDATE monitoring_series AS s SET rule = n.rule, pool_id = n.pool_id
  FROM unnest(%(id)s::int8[], %(rule)s::text[], %(pool)s::int8[]) AS n (id, rule, pool_id)
 WHERE s.id = n.id
"""
