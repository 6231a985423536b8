"""Names the states of a forecast run and what is forecast."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """How a run came out: all by the model, partly or wholly by a fallback, or not at all."""

    READY = "READY"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"


class Scope(StrEnum):
    """What a series adds up."""

    POOL = "pool"
    SITE = "site"
    REGION = "region"
    GRID = "grid"


class EnergyScope(StrEnum):
    """Series of electricity that are forecast beside demand: one of a zone each."""

    PRICE = "price"
    CARBON = "carbon"


class Target(StrEnum):
    """What a model forecasts; each has a champion of its own."""

    DEMAND = "demand"
    PRICE = "price"
    CARBON = "carbon"


GRID_CODE = "grid"


@dataclass(frozen=True)
class RunInfo:
    """A forecast run with its declaration: what made it, from what, and when.

    Attributes:
        id: key of the run.
        issued_at: beginning of the first hour that it forecasts; nothing later was known.
        state: how it came out.
        model_name: what made most of its points.
        model_version: exactly which.
        trained_until: end of the data that the model was made from; None without a model.
        degraded_reason: why it is not READY, or "".
        fallbacks: series not forecast by the model -> method and reason.
        age: how long ago it was issued.
        created_at: when it was computed.
        horizon_h: leads 1 to this, hours.
        trained_from: beginning of the model's data; None without a model.
        steps: codes of how it was made, in order.
        set_aside: what of the telemetry of the day before its issue it left out.
    """

    id: int
    issued_at: dt.datetime
    state: RunState
    model_name: str
    model_version: str
    trained_until: dt.datetime | None
    degraded_reason: str
    fallbacks: Mapping[str, Mapping[str, str]]
    age: dt.timedelta
    created_at: dt.datetime
    horizon_h: int
    trained_from: dt.datetime | None
    steps: tuple[str, ...]
    set_aside: Mapping[str, Any] = field(default_factory=dict)


def series_code(scope: Scope | EnergyScope, code: str) -> str:
    """Return the name under which a series is kept in a panel.

    >>> series_code(Scope.POOL, "beijing-gpu")
    'pool:beijing-gpu'
    """
    return f"{scope.value}:{code}"


def scope_and_code(name: str) -> tuple[Scope | EnergyScope, str]:
    """Return what a series' name was made of.

    >>> scope_and_code("region:CN-BJ")
    (<Scope.REGION: 'region'>, 'CN-BJ')
    """
    scope, _, code = name.partition(":")
    if scope in set(EnergyScope):
        return EnergyScope(scope), code
    return Scope(scope), code
