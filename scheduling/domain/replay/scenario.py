"""Reads the scenario of a replay: every key is optional, every mistake is named by its key."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.lib.errors import GridError
from scheduling.domain.replay.jobs import Unit

DEFAULT_START = dt.datetime(2023, 3, 1, tzinfo=dt.UTC)
_ANY_HOME = "*"

PerUnit = Mapping[Unit, float]


class BadScenario(GridError):
    """A scenario that cannot be used; the words name the key."""

    code = "bad-scenario"

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(f"{field_name}: {reason}", field=field_name, reason=reason)


@dataclass(frozen=True)
class Scenario:
    """The circumstances under which jobs are replayed.

    Attributes:
        capacity: cluster -> units that it has.
        capacity_quantile: of offered demand, for clusters not named in `capacity`.
        zones: cluster -> zone of the energy table; the rest take zones in name order.
        energy: path of the energy table, None for the shipped one.
        start_utc: moment of the trace's second 0.
        kw_per_unit: power of one busy unit, kW.
        pue: power of the building over power of the machines.
        pue_of: the same for single clusters.
        places: cluster -> (lat, lon), or the name of its place in the network table.
        network: path of a table of links, None for the constants.
        egress_usd_per_gb: price of moved data where no link says otherwise.
        gbps: speed of moved data where no link says otherwise; None takes no time.
        gb_per_unit_h: data moved with a unit-hour of work.
        data_class: share of jobs per class of data; shares sum to 1.
        sovereignty: class -> home (or `*`) -> clusters that may receive it; a class without a
            rule may go anywhere, and home is always allowed.
        interval_s: time between decisions of the costly kind.
        carbon_usd_per_t: price of carbon.
        delay_usd_per_unit_h: price of one unit waiting an hour.
        seed: of the draw of data classes.
    """

    capacity: Mapping[str, int] = field(default_factory=dict)
    capacity_quantile: float = 0.8
    zones: Mapping[str, str] = field(default_factory=dict)
    energy: str | None = None
    start_utc: dt.datetime = DEFAULT_START
    kw_per_unit: PerUnit = field(default_factory=lambda: {Unit.GPU: 0.4, Unit.CORE: 0.01})
    pue: float = 1.3
    pue_of: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, str | tuple[float, float]] = field(default_factory=dict)
    network: str | None = None
    egress_usd_per_gb: float = 0.05
    gbps: float | None = None
    gb_per_unit_h: PerUnit = field(default_factory=lambda: {Unit.GPU: 1.0, Unit.CORE: 0.02})
    data_class: Mapping[str, float] = field(default_factory=lambda: {"open": 1.0})
    sovereignty: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    interval_s: float = 300.0
    carbon_usd_per_t: float = 50.0
    delay_usd_per_unit_h: PerUnit = field(default_factory=lambda: {Unit.GPU: 0.5, Unit.CORE: 0.02})
    seed: int = 0

    def may_move(self, data_class: str, home: str, destination: str) -> bool:
        """Whether the rules let a job of this class leave its home cluster for another."""
        rule = self.sovereignty.get(data_class)
        if rule is None or home == destination:
            return True
        return destination in rule.get(home, rule.get(_ANY_HOME, ()))

    def as_dict(self) -> dict[str, Any]:
        """The scenario as JSON writes it, in the form in which it is read."""
        return {
            "capacity": dict(self.capacity),
            "zones": dict(self.zones),
            "energy": self.energy or "shipped",
            "start_utc": self.start_utc.isoformat(),
            "kw_per_unit": _plain(self.kw_per_unit),
            "pue": dict(self.pue_of) or self.pue,
            "places": {name: _place_text(place) for name, place in self.places.items()},
            "network": self.network
            or {"egress_usd_per_gb": self.egress_usd_per_gb, "gbps": self.gbps},
            "gb_per_unit_h": _plain(self.gb_per_unit_h),
            "data_class": dict(self.data_class),
            "sovereignty": {
                name: {home: list(allowed) for home, allowed in rule.items()}
                for name, rule in self.sovereignty.items()
            },
            "interval_s": self.interval_s,
            "weights": {
                "carbon_usd_per_t": self.carbon_usd_per_t,
                "delay_usd_per_unit_h": _plain(self.delay_usd_per_unit_h),
            },
            "seed": self.seed,
        }


def read_scenario(document: object) -> Scenario:
    """Check a scenario and fill what it leaves out.

    Args:
        document: the JSON value; an object whose keys are all optional.

    Returns:
        The scenario.

    Raises:
        BadScenario: a key is not known, or a value is not of its kind or range.
    """
    if not isinstance(document, dict):
        raise BadScenario("scenario", "must be a JSON object.")
    known = _READERS | {"capacity": None}
    for name in document:
        if name not in known:
            raise BadScenario(str(name), f"is not known; known are {', '.join(sorted(known))}.")
    values: dict[str, Any] = {}
    for name, reader in _READERS.items():
        if name in document:
            values |= reader(name, document[name])
    if "capacity" in document:
        values |= _capacity("capacity", document["capacity"])
    return Scenario(**values)


def _plain(per_unit: PerUnit) -> dict[str, float]:
    return {unit.value: value for unit, value in per_unit.items()}


def _place_text(place: str | tuple[float, float]) -> str | list[float]:
    return place if isinstance(place, str) else list(place)


def _number(name: str, value: object, *, low: float = 0.0, high: float = math.inf) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= float(value) <= high or math.isinf(float(value)):  # type: ignore[arg-type]
        raise BadScenario(name, f"must be a number from {low:g} to {high:g}, not {value!r}.")
    return float(value)  # type: ignore[arg-type]


def _mapping(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadScenario(name, f"must be an object, not {value!r}.")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadScenario(name, f"must be a text, not {value!r}.")
    return value


def _capacity(name: str, value: object) -> dict[str, Any]:
    entries = _mapping(name, value)
    if set(entries) == {"quantile"}:
        return {"capacity_quantile": _number(f"{name}.quantile", entries["quantile"], high=1.0)}
    units: dict[str, int] = {}
    for cluster, amount in entries.items():
        number = _number(f"{name}.{cluster}", amount, low=1.0)
        if number != int(number):
            raise BadScenario(f"{name}.{cluster}", f"must be a whole number, not {amount!r}.")
        units[cluster] = int(number)
    return {"capacity": units}


def _zones(name: str, value: object) -> dict[str, Any]:
    return {
        name: {key: _text(f"{name}.{key}", zone) for key, zone in _mapping(name, value).items()}
    }


def _one_text(name: str, value: object) -> dict[str, Any]:
    return {name: _text(name, value)}


def _start(name: str, value: object) -> dict[str, Any]:
    try:
        moment = dt.datetime.fromisoformat(_text(name, value))
    except ValueError as error:
        raise BadScenario(name, f"must be an ISO 8601 moment, not {value!r}.") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return {name: moment.astimezone(dt.UTC)}


def _per_unit(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: dict.fromkeys(Unit, _number(name, value))}
    unknown = set(value) - {unit.value for unit in Unit}
    if unknown:
        raise BadScenario(name, f"knows gpu and core, not {', '.join(sorted(unknown))}.")
    standard = getattr(Scenario(), name)
    return {
        name: {
            unit: _number(f"{name}.{unit}", value[unit.value])
            if unit.value in value
            else standard[unit]
            for unit in Unit
        }
    }


def _pue(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: _number(name, value, low=1.0)}
    return {"pue_of": {key: _number(f"{name}.{key}", each, low=1.0) for key, each in value.items()}}


def _places(name: str, value: object) -> dict[str, Any]:
    places: dict[str, str | tuple[float, float]] = {}
    for cluster, place in _mapping(name, value).items():
        key = f"{name}.{cluster}"
        if isinstance(place, str):
            places[cluster] = _text(key, place)
        elif isinstance(place, list) and len(place) == 2:
            places[cluster] = (
                _number(f"{key}[0]", place[0], low=-90.0, high=90.0),
                _number(f"{key}[1]", place[1], low=-180.0, high=180.0),
            )
        else:
            raise BadScenario(key, f"must be [lat, lon] or a name, not {place!r}.")
    return {name: places}


def _network(name: str, value: object) -> dict[str, Any]:
    if isinstance(value, str):
        return {name: _text(name, value)}
    constants = _mapping(name, value)
    unknown = set(constants) - {"egress_usd_per_gb", "gbps"}
    if unknown:
        raise BadScenario(name, f"has constants egress_usd_per_gb and gbps, not {unknown}.")
    found: dict[str, Any] = {}
    if "egress_usd_per_gb" in constants:
        found["egress_usd_per_gb"] = _number(
            f"{name}.egress_usd_per_gb", constants["egress_usd_per_gb"]
        )
    if constants.get("gbps") is not None:
        found["gbps"] = _number(f"{name}.gbps", constants["gbps"], low=1e-6)
    return found


def _data_class(name: str, value: object) -> dict[str, Any]:
    shares = {
        key: _number(f"{name}.{key}", share, high=1.0)
        for key, share in _mapping(name, value).items()
    }
    if not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-6):
        raise BadScenario(name, f"shares must sum to 1, not {sum(shares.values()):g}.")
    return {name: shares}


def _sovereignty(name: str, value: object) -> dict[str, Any]:
    rules: dict[str, dict[str, tuple[str, ...]]] = {}
    for data_class, rule in _mapping(name, value).items():
        by_home = rule if isinstance(rule, dict) else {_ANY_HOME: rule}
        rules[data_class] = {
            home: _names(f"{name}.{data_class}.{home}", allowed)
            for home, allowed in by_home.items()
        }
    return {name: rules}


def _names(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadScenario(name, f"must be a list of clusters, not {value!r}.")
    return tuple(_text(name, each) for each in value)


def _interval(name: str, value: object) -> dict[str, Any]:
    return {name: _number(name, value, low=1.0)}


def _seed(name: str, value: object) -> dict[str, Any]:
    return {name: int(_number(name, value))}


def _weights(name: str, value: object) -> dict[str, Any]:
    weights = _mapping(name, value)
    unknown = set(weights) - {"carbon_usd_per_t", "delay_usd_per_unit_h"}
    if unknown:
        raise BadScenario(name, f"are carbon_usd_per_t and delay_usd_per_unit_h, not {unknown}.")
    found: dict[str, Any] = {}
    if "carbon_usd_per_t" in weights:
        found["carbon_usd_per_t"] = _number(f"{name}.carbon_usd_per_t", weights["carbon_usd_per_t"])
    if "delay_usd_per_unit_h" in weights:
        found |= _per_unit("delay_usd_per_unit_h", weights["delay_usd_per_unit_h"])
    return found


_READERS: dict[str, Callable[[str, object], dict[str, Any]]] = {
    "zones": _zones,
    "energy": _one_text,
    "start_utc": _start,
    "kw_per_unit": _per_unit,
    "pue": _pue,
    "places": _places,
    "network": _network,
    "gb_per_unit_h": _per_unit,
    "data_class": _data_class,
    "sovereignty": _sovereignty,
    "interval_s": _interval,
    "weights": _weights,
    "seed": _seed,
}
