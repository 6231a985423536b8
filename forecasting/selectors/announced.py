"""Reads announced demand: for people, and for the next forecast."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from forecasting.domain.live.declared import (
    OPEN_STATES,
    Announced,
    DeclarationState,
    expected_change,
)
from forecasting.domain.runs import Scope, series_code
from forecasting.models import DemandDeclaration

MOST_LISTED = 500
_SHOWN = (
    *("id", "provider_code", "external_id", "scope", "code", "kind", "units", "starts_at"),
    *("ends_at", "probability", "note", "state", "seen_units", "state_at", "created_at"),
    *("created_by", "version"),
)


def declarations(
    *, provider_code: str | None = None, state: str = "", scope: str = "", code: str = ""
) -> list[dict[str, Any]]:
    """Return announced demand, the next to begin first, at most 500.

    Args:
        provider_code: only what this provider announced; all when None.
        state: only this state.
        scope: only `pool` or `region`.
        code: only this pool or region.
    """
    rows = DemandDeclaration.objects.order_by("starts_at", "pk")
    wanted = {"provider_code": provider_code, "state": state, "scope": scope, "code": code}
    rows = rows.filter(**{name: value for name, value in wanted.items() if value})
    return [declaration_card(row) for row in rows[:MOST_LISTED]]


def declaration_card(row: DemandDeclaration) -> dict[str, Any]:
    """Return one announcement as people and providers see it."""
    return {name: getattr(row, name) for name in _SHOWN}


def open_announced(until: dt.datetime) -> list[Announced]:
    """Return what may change a forecast that ends at a moment."""
    rows = DemandDeclaration.objects.filter(
        state__in=[state.value for state in OPEN_STATES], starts_at__lt=until
    )
    return [
        Announced(
            id=row.pk,
            series=series_code(Scope(row.scope), row.code),
            units=row.units,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            probability=row.probability,
            state=DeclarationState(row.state),
            seen_units=row.seen_units,
        )
        for row in rows.order_by("pk")
    ]


def expected_by_hour(
    works: Sequence[Announced], issued_at: dt.datetime, horizon_h: int
) -> dict[str, list[float]]:
    """Return what announced demand is expected to change, per series and hour (units)."""
    by_series: defaultdict[str, list[Announced]] = defaultdict(list)
    for work in works:
        by_series[work.series].append(work)
    return {
        name: expected_change(own, issued_at, horizon_h).tolist() for name, own in by_series.items()
    }
