"""Sets what limits plans: maintenance, quotas and carbon caps; every change is in the audit."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from controlplane.auth import audit
from controlplane.auth.permissions import NotAllowed
from controlplane.auth.roles import Actor, Permission, Role
from controlplane.lib import events
from controlplane.lib.errors import ErrorKind, GridError, InvalidField
from monitoring import selectors as grid
from monitoring.domain.inventory import SiteInfo
from scheduling.models import CarbonCapRow, MaintenanceWindow, QuotaRow

Row = MaintenanceWindow | QuotaRow | CarbonCapRow
MOST_QUOTAS = 200
KINDS: Mapping[type[Row], str] = {
    MaintenanceWindow: "maintenance-window",
    QuotaRow: "quota",
    CarbonCapRow: "carbon-cap",
}
LONGEST_MAINTENANCE = dt.timedelta(days=90)


class LimitNotFound(GridError):
    """There is no such maintenance window, quota or carbon cap."""

    code = "limit-not-found"
    kind = ErrorKind.NOT_FOUND


class LimitChanged(GridError):
    """Somebody else has changed it since."""

    code = "limit-changed"
    kind = ErrorKind.PRECONDITION_FAILED


class LimitExists(GridError):
    """One of this name is there already."""

    code = "limit-exists"
    kind = ErrorKind.CONFLICT


def create_limit(
    actor: Actor,
    model: type[Row],
    values: Mapping[str, Any],
    *,
    now: dt.datetime,
    request_key: str | None = None,
) -> Row:
    """This function will store a new limit; plans keep it from the next cycle on.

    Args:
        actor: who sets it.
        model: which kind of limit.
        values: fields of the model, of the right types already.
        now: grid time.
        request_key: name of the request; the same again gives the same row.

    Raises:
        NotAllowed: the actor's role or scope does not reach this far.
        InvalidField: a value does not go together with the others or with the inventory.
        LimitExists: one of this name, or for this region, is there.
    """
    if request_key:
        made = model.objects.filter(request_key=request_key).first()
        if made is not None:
            return made
    row = model(**values, author=actor.username, changed_at=now, request_key=request_key)
    _check(actor, row)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            _note(actor, "set", row, values)
    except IntegrityError as error:
        raise LimitExists("One of this name or for this region is there already.") from error
    return row


@transaction.atomic
def change_limit(
    actor: Actor,
    model: type[Row],
    pk: int,
    values: Mapping[str, Any],
    *,
    version: str,
    now: dt.datetime,
) -> Row:
    """This function will change a limit that is still as the actor saw it.

    Raises:
        LimitNotFound, LimitChanged, NotAllowed, InvalidField: nothing was changed.
    """
    row = _locked(model, pk, version)
    _check(actor, row)
    for name, value in values.items():
        setattr(row, name, value)
    _check(actor, row)
    row.author, row.changed_at, row.version = actor.username, now, row.version + 1
    row.save()
    _note(actor, "change", row, values)
    return row


@transaction.atomic
def remove_limit(actor: Actor, model: type[Row], pk: int, *, version: str) -> None:
    """This function will take a limit away; the audit chain remembers it.

    Raises:
        LimitNotFound, LimitChanged, NotAllowed, InvalidField: nothing was changed.
    """
    row = _locked(model, pk, version)
    _check(actor, row)
    if isinstance(row, QuotaRow) and QuotaRow.objects.filter(parent=row.name).exists():
        raise InvalidField("name", "other quotas have it as their parent")
    _note(actor, "remove", row, {})
    row.delete()


def forget_past_maintenance(now: dt.datetime, *, keep: dt.timedelta = dt.timedelta(days=30)) -> int:
    """This function will delete windows that ended long ago."""
    return MaintenanceWindow.objects.filter(ends_at__lt=now - keep).delete()[0]


def _locked(model: type[Row], pk: int, version: str) -> Row:
    row = model.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        raise LimitNotFound(f"There is no {KINDS[model]} {pk}.")
    if str(row.version) != version:
        raise LimitChanged(f"It is at version {row.version} now; look at it again.")
    return row


def _check(actor: Actor, row: Row) -> None:
    if isinstance(row, MaintenanceWindow):
        _check_maintenance(actor, row)
    elif isinstance(row, QuotaRow):
        _check_quota(actor, row)
    else:
        is_own = actor.role is Role.REGIONAL_ADMIN and actor.region_code == row.region_id
        if not is_own and not actor.may(Permission.EDIT_INVENTORY):
            raise NotAllowed("A region's admin or a grid admin sets its carbon cap.")


def _check_maintenance(actor: Actor, row: MaintenanceWindow) -> None:
    if (row.pool_id is None) == (row.site_id is None):
        raise InvalidField("pool", "name either a pool or a site")
    if not row.starts_at < row.ends_at <= row.starts_at + LONGEST_MAINTENANCE:
        raise InvalidField("ends_at", "must come after starts_at, by at most 90 days")
    site = _site_of(row)
    may = {
        Role.OPERATOR: True,
        Role.GRID_ADMIN: True,
        Role.REGIONAL_ADMIN: actor.region_code == site.region,
        Role.PROVIDER: actor.provider_code == site.provider,
    }
    if not may.get(actor.role, False):
        raise NotAllowed("Your role does not reach this site.")


def _site_of(row: MaintenanceWindow) -> SiteInfo:
    code = row.site_id or next(pool.site for pool in grid.pools() if pool.id == row.pool_id)
    return next(site for site in grid.sites() if site.code == code)


def _check_quota(actor: Actor, row: QuotaRow) -> None:
    if not actor.may(Permission.EDIT_INVENTORY):
        raise NotAllowed("Only a grid admin sets quotas.")
    others = QuotaRow.objects.exclude(pk=row.pk)
    parents = dict(others.values_list("name", "parent"))
    if len(parents) >= MOST_QUOTAS:
        raise InvalidField("name", f"there are {MOST_QUOTAS} quotas already")
    if row.parent and row.parent not in parents:
        raise InvalidField("parent", f"there is no quota {row.parent}")
    above, seen = row.parent, {row.name}
    while above:
        if above in seen:
            raise InvalidField("parent", "a quota cannot be above itself")
        seen.add(above)
        above = parents.get(above, "")
    known = {region.code for region in grid.regions()}
    for code in row.regions:
        if code not in known:
            raise InvalidField("regions", f"there is no region {code}")


def _note(actor: Actor, verb: str, row: Row, values: Mapping[str, Any]) -> None:
    kind = KINDS[type(row)]
    facts = {name: _plain(value) for name, value in values.items()}
    audit.record(actor.username, f"{verb}-{kind}", f"{kind}:{row.pk}", facts)
    events.publish("grid", {"limits": kind})


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value if isinstance(value, str | float | int | list | None) else str(value)
