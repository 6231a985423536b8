"""What scheduling stores, table by table; see the modules."""

from scheduling.models.dispatch import DispatchCommand, DispatchSwitch, Settlement
from scheduling.models.plans import Approval, Move, Passage, PlanningRun, RebalancingPlan
from scheduling.models.rules import Link, SovereigntyRuleRow, WeightSet
from scheduling.models.workloads import Workload

__all__ = (
    "Approval",
    "DispatchCommand",
    "DispatchSwitch",
    "Link",
    "Move",
    "Passage",
    "PlanningRun",
    "RebalancingPlan",
    "Settlement",
    "SovereigntyRuleRow",
    "WeightSet",
    "Workload",
)
