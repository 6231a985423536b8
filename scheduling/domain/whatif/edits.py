"""What a person may change in a copy of the situation, and the changed copy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from controlplane.lib.errors import InvalidField
from scheduling.domain.planner.problem import (
    BoolArray,
    DemandGroup,
    FloatArray,
    PlanningProblem,
    PoolFacts,
    Weights,
)
from scheduling.domain.sovereignty import Reach, SovereigntyRule

C = TypeVar("C", bound=StrEnum)

MOST_EDITS = 50
MOST_FACTOR = 100.0
MOST_WEIGHT = 1e6


class EditKind(StrEnum):
    """What is different."""

    ENERGY_PRICE = "energy-price"
    CARBON = "carbon"
    CAPACITY = "capacity"
    DEMAND = "demand"
    CLOSE = "close"
    REGION_LIMIT = "region-limit"
    RULE = "rule"
    RULE_OFF = "rule-off"


class ScopeKind(StrEnum):
    """Whose figures are different."""

    GRID = "grid"
    REGION = "region"
    SITE = "site"
    POOL = "pool"


@dataclass(frozen=True)
class Scope:
    """The pools that an edit is about."""

    kind: ScopeKind
    code: str = ""

    def holds(self, pool: PoolFacts) -> bool:
        """This function will say whether a pool is meant."""
        named = {
            ScopeKind.GRID: "",
            ScopeKind.REGION: pool.region,
            ScopeKind.SITE: pool.site,
            ScopeKind.POOL: pool.code,
        }
        return named[self.kind] == self.code


@dataclass(frozen=True)
class Edit:
    """One difference.

    Attributes:
        kind: what is different.
        scope: whose; not used by rules.
        factor: by what the present figures are multiplied, 0..100; not used by CLOSE and rules.
        from_slot, until_slot: hours from now in which it holds, the last one not included.
        rule: name of a sovereignty rule.
        reach: how far data may go under it.
    """

    kind: EditKind
    scope: Scope = Scope(ScopeKind.GRID)
    factor: float = 1.0
    from_slot: int = 0
    until_slot: int = 10_000
    rule: str = ""
    reach: Reach | None = None


@dataclass(frozen=True)
class Edits:
    """Everything that is different in a what-if.

    Attributes:
        edits: in the order in which they are made.
        weights: fields of `Weights` that are different.
        risk_quantile: quantile of demand that destinations must be able to serve; None: as now.
        with_rule_costs: whether to say what each rule and limit costs the altered plan.
    """

    edits: tuple[Edit, ...] = ()
    weights: Mapping[str, float] | None = None
    risk_quantile: float | None = None
    with_rule_costs: bool = False


def read_edits(body: Mapping[str, Any]) -> Edits:
    """This function will read what a person sent.

    Args:
        body: `{"edits": [...], "weights": {...}, "risk_quantile": q, "rule_costs": true}`; every
            key is optional.

    Returns:
        The edits; codes are not looked up yet.

    Raises:
        InvalidField: names the field and the reason.
    """
    items = body.get("edits", [])
    if not isinstance(items, list) or len(items) > MOST_EDITS:
        raise InvalidField("edits", f"must be a list of at most {MOST_EDITS} objects")
    risk = body.get("risk_quantile")
    if risk is not None:
        risk = _number(risk, "risk_quantile", least=0.5, most=0.95)
    with_rule_costs = body.get("rule_costs", False)
    if not isinstance(with_rule_costs, bool):
        raise InvalidField("rule_costs", "must be true or false")
    return Edits(
        edits=tuple(_edit(item, f"edits[{index}]") for index, item in enumerate(items)),
        weights=_weights(body.get("weights", {})),
        risk_quantile=risk,
        with_rule_costs=with_rule_costs,
    )


def apply_rules(rules: Sequence[SovereigntyRule], edits: Edits) -> tuple[SovereigntyRule, ...]:
    """This function will return the sovereignty rules as they would be.

    Raises:
        InvalidField: an edit names a rule that there is not.
    """
    by_name = {rule.name: rule for rule in rules}
    for index, edit in enumerate(edits.edits):
        if edit.kind not in (EditKind.RULE, EditKind.RULE_OFF):
            continue
        if edit.rule not in by_name:
            raise InvalidField(f"edits[{index}].rule", f"there is no rule {edit.rule}")
        if edit.kind is EditKind.RULE_OFF:
            del by_name[edit.rule]
        elif edit.reach is not None:
            by_name[edit.rule] = replace(by_name[edit.rule], reach=edit.reach)
    return tuple(by_name.values())


def without_each(rules: Sequence[SovereigntyRule]) -> dict[str, tuple[SovereigntyRule, ...]]:
    """This function will return, per rule that keeps data back, all rules with that one lifted."""
    return {
        rule.name: tuple(
            replace(one, reach=Reach.ANYWHERE) if one is rule else one for one in rules
        )
        for rule in rules
        if rule.reach is not Reach.ANYWHERE
    }


def apply_edits(problem: PlanningProblem, edits: Edits) -> PlanningProblem:
    """This function will return a copy of a problem with the edits made, in their order.

    Edits of rules are not made here: what a rule allows is in `problem.allowed` already. Less
    capacity takes from guests and locals alike. More demand repeats waiting workloads of the pools.

    Raises:
        InvalidField: an edit is about a region, site or pool that there is not.
    """
    for index, edit in enumerate(edits.edits):
        if edit.kind in (EditKind.RULE, EditKind.RULE_OFF):
            continue
        meant = np.array([edit.scope.holds(pool) for pool in problem.pools])
        if not meant.any():
            name = f"edits[{index}].{edit.scope.kind}"
            raise InvalidField(name, f"there is no {edit.scope.kind} {edit.scope.code}")
        problem = _APPLY[edit.kind](problem, edit, meant)
    weights = replace(problem.weights, **dict(edits.weights or {}))
    return replace(problem, weights=weights)


def _energy(problem: PlanningProblem, edit: Edit, meant: BoolArray) -> PlanningProblem:
    table = _scaled(problem.energy_usd_per_unit_h, edit, meant)
    return replace(problem, energy_usd_per_unit_h=table)


def _carbon(problem: PlanningProblem, edit: Edit, meant: BoolArray) -> PlanningProblem:
    return replace(problem, carbon_kg_per_unit_h=_scaled(problem.carbon_kg_per_unit_h, edit, meant))


def _capacity(problem: PlanningProblem, edit: Edit, meant: BoolArray) -> PlanningProblem:
    return replace(
        problem,
        available=_scaled(problem.available, edit, meant),
        home_available=_scaled(problem.home_available, edit, meant),
    )


def _close(problem: PlanningProblem, edit: Edit, meant: BoolArray) -> PlanningProblem:
    closed = np.zeros((len(problem.pools), problem.slots), bool)
    if problem.closed is not None:
        closed |= problem.closed
    closed[meant, edit.from_slot : edit.until_slot] = True
    return replace(problem, closed=closed)


def _demand(problem: PlanningProblem, edit: Edit, meant: BoolArray) -> PlanningProblem:
    kept: list[DemandGroup] = []
    rows: list[int] = []
    for row, group in enumerate(problem.groups):
        is_scaled = meant[group.home] and not group.is_running  # what runs, runs
        jobs = math.floor(group.jobs * edit.factor + 0.5) if is_scaled else group.jobs
        if jobs > 0:
            kept.append(replace(group, jobs=jobs))
            rows.append(row)
    return replace(problem, groups=tuple(kept), allowed=problem.allowed[rows])


def _region_limit(problem: PlanningProblem, edit: Edit, meant: BoolArray) -> PlanningProblem:
    regions = {pool.region for pool, is_meant in zip(problem.pools, meant, strict=True) if is_meant}

    def limits(present: Mapping[str, float]) -> dict[str, float]:
        return {
            code: units * edit.factor if code in regions else units
            for code, units in present.items()
        }

    return replace(
        problem,
        max_out_units=limits(problem.max_out_units),
        max_in_units=limits(problem.max_in_units),
    )


def _scaled(table: FloatArray, edit: Edit, meant: BoolArray) -> FloatArray:
    changed = table.copy()
    changed[meant, edit.from_slot : edit.until_slot] *= edit.factor
    return changed


_APPLY = {
    EditKind.ENERGY_PRICE: _energy,
    EditKind.CARBON: _carbon,
    EditKind.CAPACITY: _capacity,
    EditKind.CLOSE: _close,
    EditKind.DEMAND: _demand,
    EditKind.REGION_LIMIT: _region_limit,
}
_KEYS = {"kind", "region", "site", "pool", "factor", "from_h", "until_h", "rule", "reach"}


def _edit(item: Any, where: str) -> Edit:
    if not isinstance(item, dict):
        raise InvalidField(where, "must be an object")
    unknown = sorted(set(map(str, item)) - _KEYS)
    if unknown:
        raise InvalidField(f"{where}.{unknown[0]}", f"is not one of {', '.join(sorted(_KEYS))}")
    kind = _choice(item.get("kind"), EditKind, f"{where}.kind")
    if kind in (EditKind.RULE, EditKind.RULE_OFF):
        reach = None
        if kind is EditKind.RULE:
            reach = _choice(item.get("reach"), Reach, f"{where}.reach")
        return Edit(kind, rule=_text(item.get("rule"), f"{where}.rule"), reach=reach)
    from_slot = int(_number(item.get("from_h", 0), f"{where}.from_h", least=0, most=10_000))
    until_slot = int(_number(item.get("until_h", 10_000), f"{where}.until_h", least=1, most=10_000))
    if until_slot <= from_slot:
        raise InvalidField(f"{where}.until_h", "must be later than from_h")
    factor = 0.0
    if kind is not EditKind.CLOSE:
        factor = _number(item.get("factor"), f"{where}.factor", least=0.0, most=MOST_FACTOR)
    return Edit(kind, _scope(item, where), factor, from_slot, until_slot)


def _scope(item: Mapping[str, Any], where: str) -> Scope:
    named = [kind for kind in ScopeKind if kind is not ScopeKind.GRID and kind in item]
    if len(named) > 1:
        raise InvalidField(f"{where}.{named[1]}", "name one of region, site and pool")
    if not named:
        return Scope(ScopeKind.GRID)
    return Scope(named[0], _text(item[named[0]], f"{where}.{named[0]}"))


def _weights(body: Any) -> dict[str, float]:
    if not isinstance(body, dict):
        raise InvalidField("weights", "must be an object")
    known = {field.name for field in fields(Weights)}
    for name in body:
        if name not in known:
            raise InvalidField(f"weights.{name}", f"is not one of {', '.join(sorted(known))}")
    return {
        name: _number(value, f"weights.{name}", least=0.0, most=MOST_WEIGHT)
        for name, value in body.items()
    }


def _choice(value: Any, choices: type[C], where: str) -> C:
    if not isinstance(value, str) or value not in set(choices):
        raise InvalidField(where, f"must be one of {', '.join(choices)}")
    return choices(value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise InvalidField(where, "must be a text of 1 to 200 characters")
    return value


def _number(value: Any, where: str, *, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidField(where, "must be a plain number")
    if not least <= value <= most:
        raise InvalidField(where, f"must be from {least:g} to {most:g}")
    return float(value)
