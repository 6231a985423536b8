"""Says what each rule costs a plan, by planning again without it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scheduling.domain.planner.outcome import PlanOutcome, PlanStatus
from scheduling.domain.planner.problem import BoolArray, PlanningProblem
from scheduling.domain.planner.solver import solve

HOURS_A_DAY = 24.0


@dataclass(frozen=True)
class RuleCost:
    """What one rule costs, per day of the horizon.

    Attributes:
        name: constraint name such as `max_out[CN-BJ]`, or the name of a sovereignty rule.
        usd_per_day: cost of the plan with the rule less without it; >= 0 up to the two gaps.
        kg_per_day: CO2e with the rule less without it; either sign.
        usd_uncertain: what the gaps of the two plans leave open, USD per day.
    """

    name: str
    usd_per_day: float
    kg_per_day: float
    usd_uncertain: float


def rule_costs(
    problem: PlanningProblem,
    outcome: PlanOutcome,
    *,
    without: Mapping[str, BoolArray] | None = None,
    time_limit_s: float = 20.0,
    gap: float = 1e-4,
) -> tuple[RuleCost, ...]:
    """This function will say what each limit and each named rule costs.

    A price at the margin says what the last unit of a limit is worth; what the whole rule costs is
    another plan. So each rule is left out in turn, and the rest is planned again.

    Args:
        problem: the situation.
        outcome: `solver.solve(problem)`.
        without: for sovereignty rules, by name: (G, P) what would be allowed without them.
        time_limit_s: for each plan.
        gap: for each plan.

    Returns:
        Dearest first; rules that bind nothing cost 0 and are left out.
    """
    if outcome.status in {PlanStatus.INFEASIBLE, PlanStatus.NOTHING_TO_DO}:
        return ()
    days = problem.slots / HOURS_A_DAY
    found = []
    for name, loose in {**_loosened(problem), **_allowing(problem, without or {})}.items():
        other = solve(loose, time_limit_s=time_limit_s, gap=gap, memory=outcome.memory)
        usd = outcome.objective - other.objective
        open_usd = (outcome.objective - outcome.bound) + (other.objective - other.bound)
        kg = outcome.parts.carbon_kg - other.parts.carbon_kg
        if usd > max(1e-6, open_usd) or abs(kg) > 1e-6:
            found.append(RuleCost(name, usd / days, kg / days, open_usd / days))
    return tuple(sorted(found, key=lambda one: (-one.usd_per_day, one.name)))


def _allowing(
    problem: PlanningProblem, without: Mapping[str, BoolArray]
) -> dict[str, PlanningProblem]:
    return {name: replace(problem, allowed=allowed) for name, allowed in without.items()}


def _loosened(problem: PlanningProblem) -> dict[str, PlanningProblem]:
    """Return the problem without each of its limits, by constraint name."""
    loose: dict[str, PlanningProblem] = {}
    for region in sorted(problem.max_out_units):
        rest = {**problem.max_out_units, region: math.inf}
        loose[f"max_out[{region}]"] = replace(problem, max_out_units=rest)
    for region in sorted(problem.max_in_units):
        rest = {**problem.max_in_units, region: math.inf}
        loose[f"max_in[{region}]"] = replace(problem, max_in_units=rest)
    for cap in problem.carbon_caps:
        others = tuple(one for one in problem.carbon_caps if one != cap)
        loose[f"carbon[{cap.region},{cap.day}]"] = replace(problem, carbon_caps=others)
    if problem.quotas:
        loose["quotas"] = replace(problem, quotas=())
    if problem.closed is not None:
        loose["maintenance"] = replace(problem, closed=None)
    if any(group.away_from for group in problem.groups):
        groups = tuple(replace(group, away_from=0) for group in problem.groups)
        loose["cool_down"] = replace(problem, groups=groups)
    if problem.fair_unit_h and problem.weights.fairness_usd_per_unit_h:
        loose["fair_shares"] = replace(problem, fair_unit_h={})
    return loose


def told(cost: RuleCost) -> tuple[str, str]:
    """This function will put what a rule costs into words, Chinese and English."""
    more = cost.kg_per_day >= 0
    chinese = (
        f"规则 {cost.name} 每天多花 {cost.usd_per_day:.0f} 美元，"
        f"{'多' if more else '少'}排放 {abs(cost.kg_per_day):.0f} kg CO2e。"
    )
    english = (
        f"Rule {cost.name} costs {cost.usd_per_day:.0f} USD a day and "
        f"{'adds' if more else 'saves'} {abs(cost.kg_per_day):.0f} kg CO2e."
    )
    return chinese, english
