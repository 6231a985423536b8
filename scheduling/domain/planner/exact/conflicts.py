"""Finds the smallest set of rules that cannot all be kept, and says it in words.

Placing nothing keeps every upper limit, so only running work, which must go on somewhere, can make
a problem impossible: its tenant's quota, or the carbon cap of its region, may not let it.
"""

from dataclasses import replace

import numpy as np
from scipy import optimize

from scheduling.domain.planner.costs import all_group_costs
from scheduling.domain.planner.exact.formulation import build_columns
from scheduling.domain.planner.exact.programme import build_programme
from scheduling.domain.planner.problem import PlanningProblem

WORDS = {
    "max_out": ("地区 {0} 的迁出上限", "the limit on what leaves region {0}"),
    "max_in": ("地区 {0} 的迁入上限", "the limit on what enters region {0}"),
    "quota": ("{0} 的配额", "the quota of {0}"),
    "lending": ("群组 {0} 的出借上限", "the lending limits of cohort {0}"),
    "carbon": ("碳排放上限 {0}", "the carbon cap of {0}"),
    "runs": ("正在运行的作业 {0} 不得中断", "running work {0} that must go on"),
}


def stuck_rules(problem: PlanningProblem) -> tuple[str, ...]:
    """This function will name a smallest set of rules that running work cannot keep together.

    Deletion filter: each rule is left out in turn, and for good where the rest still conflicts.

    Args:
        problem: the situation, no limit of which is below zero.

    Returns:
        Constraint names, `runs[g]` for running groups; none when all can be kept.
    """
    running = [g for g, group in enumerate(problem.groups) if group.is_running]
    if not running or not (problem.quotas or problem.carbon_caps) or _is_possible(problem):
        return ()
    problem = _without_waiting(problem, running)
    for quota in problem.quotas:
        loose = replace(quota, nominal_units=1e9, lending_units=np.inf)
        without = replace(
            problem, quotas=tuple(loose if one == quota else one for one in problem.quotas)
        )
        problem = problem if _is_possible(without) else without
    for cap in problem.carbon_caps:
        without = replace(
            problem, carbon_caps=tuple(one for one in problem.carbon_caps if one != cap)
        )
        problem = problem if _is_possible(without) else without
    for group in problem.groups:
        keep = [g for g, one in enumerate(problem.groups) if one != group]
        if keep:
            without = _without_waiting(problem, keep)
            problem = problem if _is_possible(without) else without
    names = [f"quota[{quota.name}]" for quota in problem.quotas if quota.nominal_units < 1e9]
    names += [f"carbon[{cap.region},{cap.day}]" for cap in problem.carbon_caps]
    return tuple(names + [f"runs[{group.key}]" for group in problem.groups])


def _without_waiting(problem: PlanningProblem, keep: list[int]) -> PlanningProblem:
    groups = tuple(problem.groups[g] for g in keep)
    return replace(problem, groups=groups, allowed=problem.allowed[keep])


def _is_possible(problem: PlanningProblem) -> bool:
    costs = all_group_costs(problem)
    programme = build_programme(problem, build_columns(problem, costs), costs)
    rows = programme.rows
    result = optimize.milp(
        np.zeros_like(programme.cost),
        integrality=programme.is_whole.astype(np.int64),
        bounds=optimize.Bounds(0.0, programme.most),
        constraints=optimize.LinearConstraint(rows.matrix, rows.lower, rows.upper),
    )
    return result.x is not None


def in_words(names: tuple[str, ...]) -> tuple[str, str]:
    """This function will say which rules conflict, in Chinese and English.

    Args:
        names: `PlanOutcome.conflicts`.

    Returns:
        Two sentences, empty without names.
    """
    if not names:
        return "", ""
    kinds = [name.partition("[") for name in names]
    told = [
        tuple(text.format(rest.rstrip("]")) for text in WORDS.get(kind, (name, name)))
        for name, (kind, _, rest) in zip(names, kinds, strict=True)
    ]
    chinese, english = "、".join(one[0] for one in told), ", ".join(one[1] for one in told)
    if len(names) == 1:
        return f"无法满足：{chinese}。", f"This cannot be kept: {english}."
    return f"无法同时满足：{chinese}。", f"These cannot be kept together: {english}."
