"""Reads the questions of requests: scope, code, how far, how long back."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from controlplane.lib.errors import InvalidField
from forecasting import selectors
from forecasting.domain.runs import GRID_CODE, EnergyScope, RunInfo, Scope

HOURS_MOST = 168
HISTORY_MOST_H = 336
SCOPE = OpenApiParameter("scope", str, enum=[scope.value for scope in Scope], required=True)
CODE = OpenApiParameter("code", str, description="pool, site or region; not needed for the grid")
HOURS = OpenApiParameter("hours", int, description="how many hours ahead, 1 to 168; 24 if not said")
HISTORY = OpenApiParameter("history_h", int, description="how many hours back, 1 to 336")


def scope_of(request: Request) -> Scope:
    """Return the scope that was asked for.

    Raises:
        InvalidField: there is no such scope.
    """
    try:
        return Scope(request.query_params.get("scope", ""))
    except ValueError:
        known = ", ".join(scope.value for scope in Scope)
        raise InvalidField("scope", f"must be one of {known}") from None


def energy_scope_of(request: Request) -> EnergyScope:
    """Return whether prices or carbon were asked for.

    Raises:
        InvalidField: neither.
    """
    try:
        return EnergyScope(request.query_params.get("scope", ""))
    except ValueError:
        raise InvalidField("scope", "must be price or carbon") from None


def series_of(request: Request) -> tuple[Scope, str]:
    """Return the series that was asked for.

    Raises:
        InvalidField: the scope is none, or the code is missing.
    """
    scope = scope_of(request)
    code = request.query_params.get("code", "")
    if scope is not Scope.GRID and not code:
        raise InvalidField("code", "is needed for this scope")
    return scope, code or GRID_CODE


def number_of(request: Request, name: str, default: int, most: int) -> int:
    """Return a whole number from 1 to a limit.

    Raises:
        InvalidField: it is none.
    """
    text = request.query_params.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= number <= most:
        raise InvalidField(name, f"must be a whole number from 1 to {most}")
    return number


def run_body(run: RunInfo) -> dict[str, Any]:
    """Return a run as it is shown."""
    body = asdict(run)
    age = body.pop("age")
    return {**body, "age_s": age.total_seconds(), "declaration": selectors.declaration_of(run)}
