"""Takes announcements of demand to come, changes them, and says what became of them."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import F

from controlplane.auth import audit
from controlplane.lib.errors import ErrorKind, GridError, InvalidField
from controlplane.lib.units import HOUR, floor_hour
from forecasting.domain.live.declared import (
    MOVES,
    OPEN_STATES,
    Announced,
    DeclarationState,
    look_for,
)
from forecasting.domain.runs import Scope, series_code
from forecasting.models import DemandDeclaration
from forecasting.services.history import History
from monitoring import selectors as monitoring

LONGEST = dt.timedelta(days=90)
FURTHEST = dt.timedelta(days=180)
CHANGEABLE = ("units", "starts_at", "ends_at", "probability", "note", "kind")
TOLD_STATES = (DeclarationState.ARRIVED, DeclarationState.WITHDRAWN)
"""States that an announcer may tell; the others are found by the grid."""


class DeclarationNotFound(GridError):
    """There is no such announcement, or it is not the asker's."""

    code = "declaration-not-found"
    kind = ErrorKind.NOT_FOUND


class DeclarationChanged(GridError):
    """Somebody changed the announcement since it was read."""

    code = "declaration-changed"
    kind = ErrorKind.PRECONDITION_FAILED


class DeclarationClosed(GridError):
    """The announcement is over, withdrawn or lapsed, or cannot go where it was told to."""

    code = "declaration-closed"
    kind = ErrorKind.CONFLICT


class DeclarationClash(GridError):
    """The same key or name was used for something else."""

    code = "declaration-clash"
    kind = ErrorKind.CONFLICT


@dataclass(frozen=True)
class Announcer:
    """Who announces: a provider by its key, or a person of the grid.

    Attributes:
        name: for the record.
        provider_code: the provider whose pools alone may be named; None for a person.
    """

    name: str
    provider_code: str | None = None


def declare_demand(
    announcer: Announcer, wish: Mapping[str, Any], *, now: dt.datetime, request_key: str | None
) -> tuple[DemandDeclaration, bool]:
    """Keep an announcement; the same request again gives the same one.

    Args:
        announcer: who; a provider may name its own pools only.
        wish: `scope, code, kind, units, starts_at, ends_at, probability, note, external_id`,
            of the right types.
        now: present grid time.
        request_key: Idempotency-Key, or None.

    Returns:
        The announcement, and whether it is new.

    Raises:
        InvalidField: no such pool or region, not the announcer's, or a window that makes no sense.
        DeclarationClash: the key or the external id stands for another announcement.
    """
    _check_place(announcer, Scope(wish["scope"]), wish["code"])
    _check_window(wish, now)
    key = None if not request_key else f"{announcer.name}/{request_key}"
    asked = _hash_of(wish)
    made = DemandDeclaration.objects.filter(request_key=key).first() if key else None
    if made is not None:
        return _same(made, asked), False
    try:
        with transaction.atomic():
            row = DemandDeclaration.objects.create(
                **wish,
                provider_code=announcer.provider_code or "",
                state_at=now,
                created_at=now,
                created_by=announcer.name,
                request_key=key,
                request_hash=asked,
            )
            _record(announcer, "declare-demand", row)
    except IntegrityError as error:
        # two at once, or the announcer's own name used twice
        made = DemandDeclaration.objects.filter(request_key=key).first() if key else None
        if made is not None:
            return _same(made, asked), False
        raise DeclarationClash("This external_id stands for another announcement.") from error
    return row, True


@transaction.atomic
def change_declaration(
    announcer: Announcer,
    declaration_id: int,
    changes: Mapping[str, Any],
    *,
    version: int,
    now: dt.datetime,
) -> DemandDeclaration:
    """Change an open announcement, or tell that it arrived or is withdrawn.

    Args:
        announcer: who; a provider reaches its own only.
        declaration_id: which.
        changes: any of `units, starts_at, ends_at, probability, note, kind, state`.
        version: the version that was read.
        now: present grid time.

    Raises:
        DeclarationNotFound: none such, or another provider's.
        DeclarationChanged: it was changed since.
        DeclarationClosed: it is over, or cannot go to that state.
        InvalidField: the window would make no sense.
    """
    row = find_declaration(announcer, declaration_id, lock=True)
    if row.version != version:
        raise DeclarationChanged(f"The announcement is at version {row.version} by now.")
    state = DeclarationState(row.state)
    wanted = DeclarationState(changes.get("state", state))
    if (wanted is not state and wanted not in MOVES[state]) or not MOVES[state]:
        raise DeclarationClosed(f"An announcement that is {state} cannot be changed so.")
    for name in CHANGEABLE:
        setattr(row, name, changes.get(name, getattr(row, name)))
    _check_window({"starts_at": row.starts_at, "ends_at": row.ends_at}, now, is_new=False)
    if wanted is not state:
        row.state, row.state_at = wanted, now
        row.seen_units = row.units if wanted is DeclarationState.ARRIVED else 0.0
    row.version += 1
    row.save()
    _record(announcer, "change-declaration", row)
    return row


def find_declaration(
    announcer: Announcer, declaration_id: int, *, lock: bool = False
) -> DemandDeclaration:
    """Return an announcement that the asker may see.

    Raises:
        DeclarationNotFound: none such, or another provider's: both look the same.
    """
    rows = DemandDeclaration.objects.select_for_update() if lock else DemandDeclaration.objects
    row = rows.filter(pk=declaration_id).first()
    is_foreign = row is not None and announcer.provider_code not in {None, row.provider_code}
    if row is None or is_foreign:
        raise DeclarationNotFound(f"There is no announcement {declaration_id}.")
    return row


def sight_declarations(history: History, now: dt.datetime) -> int:
    """Let the newest telemetry say which announced work has come, gone or failed to come.

    Args:
        history: demand of all series up to the present grid hour.
        now: present grid time.

    Returns:
        How many announcements changed their state.
    """
    present = floor_hour(now)
    changed = 0
    rows = DemandDeclaration.objects.filter(
        state__in=[state.value for state in OPEN_STATES], starts_at__lt=present
    )
    for row in rows.order_by("pk"):
        before, since = _around_start(row, history, present)
        sighting = look_for(_announced(row), before, since, present)
        if sighting.state != row.state:
            # only if nobody told otherwise meanwhile
            changed += DemandDeclaration.objects.filter(pk=row.pk, version=row.version).update(
                state=sighting.state,
                seen_units=sighting.seen_units,
                state_at=now,
                version=F("version") + 1,
            )
    return changed


def note_workloads(provider_code: str, external_ids: list[str], now: dt.datetime) -> int:
    """Take announced demand as arrived whose work its provider has now submitted by that name.

    Args:
        provider_code: whose work.
        external_ids: names of the work, as announced.
        now: present grid time.

    Returns:
        How many announcements that were.
    """
    return DemandDeclaration.objects.filter(
        provider_code=provider_code,
        external_id__in=[name for name in external_ids if name],
        state=DeclarationState.ANNOUNCED,
    ).update(
        state=DeclarationState.ARRIVED,
        seen_units=F("units"),
        state_at=now,
        version=F("version") + 1,
    )


def _check_place(announcer: Announcer, scope: Scope, code: str) -> None:
    if scope is Scope.REGION and announcer.provider_code is None:
        if code not in {region.code for region in monitoring.regions()}:
            raise InvalidField("code", f"there is no region {code}")
        return
    if scope is not Scope.POOL:
        raise InvalidField("scope", "a provider announces for its own pools")
    pool = next((pool for pool in monitoring.pools() if pool.code == code), None)
    # a foreign pool and none look the same to a provider
    if pool is None or announcer.provider_code not in {None, pool.provider}:
        raise InvalidField("code", f"there is no pool {code} of yours")


def _check_window(wish: Mapping[str, Any], now: dt.datetime, *, is_new: bool = True) -> None:
    if wish["ends_at"] <= wish["starts_at"]:
        raise InvalidField("ends_at", "must be later than starts_at")
    if wish["ends_at"] - wish["starts_at"] > LONGEST:
        raise InvalidField("ends_at", f"a window has at most {LONGEST.days} days")
    if is_new and wish["ends_at"] <= now:
        raise InvalidField("ends_at", "must lie ahead")
    if wish["starts_at"] > now + FURTHEST:
        raise InvalidField("starts_at", f"must be within {FURTHEST.days} days")


def _around_start(
    row: DemandDeclaration, history: History, present: dt.datetime
) -> tuple[float | None, Any]:
    name = history.canonical(series_code(Scope(row.scope), row.code))
    if name not in history.panel.codes:
        return None, np.empty(0)
    demand = history.panel.demand[history.panel.codes.index(name)]
    first = int((floor_hour(row.starts_at) - history.panel.start_at) / HOUR)
    last = int((present - history.panel.start_at) / HOUR)
    if first <= 0 or np.isnan(demand[first - 1]):
        return None, demand[max(first, 0) : last]
    return float(demand[first - 1]), demand[first:last]


def _announced(row: DemandDeclaration) -> Announced:
    return Announced(
        id=row.pk,
        series=series_code(Scope(row.scope), row.code),
        units=row.units,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        probability=row.probability,
        state=DeclarationState(row.state),
        seen_units=row.seen_units,
    )


def _same(made: DemandDeclaration, asked: str) -> DemandDeclaration:
    if made.request_hash != asked:
        raise DeclarationClash("This Idempotency-Key was used for another announcement.")
    return made


def _hash_of(wish: Mapping[str, Any]) -> str:
    text = json.dumps({name: str(value) for name, value in wish.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _record(announcer: Announcer, action: str, row: DemandDeclaration) -> None:
    facts = {
        "series": f"{row.scope}:{row.code}",
        "units": row.units,
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
        "probability": row.probability,
        "state": str(row.state),
        "version": row.version,
    }
    audit.record(announcer.name, action, f"demand-declaration:{row.pk}", facts)
