"""Sets what plans keep to: limits, accelerators, fair shares; every change is in the audit."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from controlplane.auth import audit
from controlplane.auth.permissions import NotAllowed
from controlplane.auth.roles import Actor
from controlplane.lib import events
from controlplane.lib.errors import ErrorKind, GridError, InvalidField
from monitoring import selectors as grid
from monitoring.domain.inventory import SiteInfo
from scheduling.domain.setting import Setting, check_quota, check_window, why_not
from scheduling.models import (
    AcceleratorRow,
    CarbonCapRow,
    FairShareRow,
    MaintenanceWindow,
    QuotaRow,
    SpeedRow,
)

Row = MaintenanceWindow | QuotaRow | CarbonCapRow | AcceleratorRow | SpeedRow | FairShareRow
KINDS: Mapping[type[Row], Setting] = {
    MaintenanceWindow: Setting.MAINTENANCE,
    QuotaRow: Setting.QUOTA,
    CarbonCapRow: Setting.CARBON_CAP,
    AcceleratorRow: Setting.ACCELERATOR,
    SpeedRow: Setting.SPEED,
    FairShareRow: Setting.FAIR_SHARE,
}


class LimitNotFound(GridError):
    """There is nothing of that kind and number."""

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
    region, provider = _reach(row)
    reason = why_not(
        KINDS[type(row)],
        actor.role,
        is_own_region=region is not None and actor.region_code == region,
        is_own_site=provider is not None and actor.provider_code == provider,
    )
    if reason:
        raise NotAllowed(reason)
    if isinstance(row, QuotaRow):
        others = QuotaRow.objects.exclude(pk=row.pk)
        check_quota(
            row.name,
            row.parent,
            row.regions,
            parents=dict(others.values_list("name", "parent")),
            known_regions=[region.code for region in grid.regions()],
        )
    elif isinstance(row, FairShareRow) and bool(row.tenant) == bool(row.region_id):
        raise InvalidField("tenant", "name either a tenant or a region")


def _reach(row: Row) -> tuple[str | None, str | None]:
    """The region and the provider that a setting is about, where it is about one."""
    if isinstance(row, MaintenanceWindow):
        if (row.pool_id is None) == (row.site_id is None):
            raise InvalidField("pool", "name either a pool or a site")
        check_window(row.starts_at, row.ends_at)
        site = _site_of(row)
        return site.region, site.provider
    return (row.region_id, None) if isinstance(row, CarbonCapRow) else (None, None)


def _site_of(row: MaintenanceWindow) -> SiteInfo:
    code = row.site_id or next(pool.site for pool in grid.pools() if pool.id == row.pool_id)
    return next(site for site in grid.sites() if site.code == code)


def _note(actor: Actor, verb: str, row: Row, values: Mapping[str, Any]) -> None:
    kind = KINDS[type(row)]
    facts = {name: _plain(value) for name, value in values.items()}
    audit.record(actor.username, f"{verb}-{kind}", f"{kind}:{row.pk}", facts)
    events.publish("grid", {"limits": kind})


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value if isinstance(value, str | float | int | list | None) else str(value)
