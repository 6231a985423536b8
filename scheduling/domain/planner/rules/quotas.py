"""Turns trees of quotas into upper limits on the units that sets of tenants hold at once.

A cohort's total is what its members and it itself own. A member may hold its own and borrow what
others leave; what a member keeps (nominal less lending) nobody else may use. That is, for every
set K of members that keep something: the others together hold at most the total less what K keeps.
"""

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass

from scheduling.domain.planner.problem import PlanningProblem, Quota

MOST_KEEPERS = 6


@dataclass(frozen=True)
class QuotaRow:
    """In every slot, the units held by these tenants in these regions are at most `most_units`."""

    name: str
    tenants: frozenset[str]
    regions: frozenset[str]
    most_units: float


def quota_rows(problem: PlanningProblem) -> tuple[QuotaRow, ...]:
    """This function will state all quotas of a problem as upper limits.

    quota[n]: what the tenants below n hold <= own units of the subtree + borrowing.
    lending[c;k,l]: what the members of cohort c but k and l hold <= total of c - kept by k and l.

    Args:
        problem: the situation.

    Returns:
        Rows in the order of the quotas; rows that limit nothing are left out. Limits may be
        negative when more is in use already than is allowed.

    Source: the semantics of nominal quota, borrowing and lending limits of Kueue's cohorts.
    """
    tree = _Tree(problem.quotas)
    rows: list[QuotaRow] = []
    for quota in problem.quotas:
        borrowed = quota.borrowing_units if quota.parent else 0.0
        most = tree.owned(quota.name) + borrowed - tree.in_use(quota.name)
        rows.append(QuotaRow(f"quota[{quota.name}]", tree.tenants(quota.name), quota.regions, most))
        rows += _lending_rows(tree, quota)
    return tuple(row for row in rows if row.tenants and math.isfinite(row.most_units))


class _Tree:
    """Quotas with their members."""

    def __init__(self, quotas: tuple[Quota, ...]) -> None:
        self.by_name = {quota.name: quota for quota in quotas}
        self.members: dict[str, list[str]] = defaultdict(list)
        for quota in quotas:
            if quota.parent:
                self.members[quota.parent].append(quota.name)

    def owned(self, name: str) -> float:
        below = sum(self.owned(member) for member in self.members.get(name, ()))
        return self.by_name[name].nominal_units + below

    def in_use(self, name: str) -> float:
        below = sum(self.in_use(member) for member in self.members.get(name, ()))
        return self.by_name[name].in_use_units + below

    def tenants(self, name: str) -> frozenset[str]:
        members = self.members.get(name, [])
        if not members:
            return frozenset({name})
        return frozenset().union(*(self.tenants(member) for member in members))

    def kept(self, name: str) -> float:
        return max(0.0, self.owned(name) - self.by_name[name].lending_units)


def _lending_rows(tree: _Tree, cohort: Quota) -> list[QuotaRow]:
    members = tree.members.get(cohort.name, [])
    keepers = [member for member in members if tree.kept(member) > 0][:MOST_KEEPERS]
    total = tree.owned(cohort.name) + (cohort.borrowing_units if cohort.parent else 0.0)
    rows = []
    for size in range(1, len(keepers) + 1):
        for kept in itertools.combinations(keepers, size):
            others = [member for member in members if member not in kept]
            tenants = frozenset().union(*(tree.tenants(member) for member in others))
            most = total - sum(tree.kept(member) for member in kept)
            most -= sum(tree.in_use(member) for member in others)
            name = f"lending[{cohort.name};{','.join(kept)}]"
            rows.append(QuotaRow(name, tenants, cohort.regions, most))
    return rows
