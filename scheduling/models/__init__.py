"""What scheduling stores, table by table; see the modules."""

from scheduling.models.dispatch import DispatchCommand, DispatchSwitch, Settlement
from scheduling.models.limits import CarbonCapRow, MaintenanceWindow, QuotaRow
from scheduling.models.plans import Approval, Move, Passage, PlanningRun, RebalancingPlan
from scheduling.models.rules import Link, SovereigntyRuleRow, WeightSet
from scheduling.models.whatif import WhatIf
from scheduling.models.workloads import Workload

__all__ = (
    "Approval",
    "CarbonCapRow",
    "DispatchCommand",
    "DispatchSwitch",
    "Link",
    "MaintenanceWindow",
    "Move",
    "Passage",
    "PlanningRun",
    "QuotaRow",
    "RebalancingPlan",
    "Settlement",
    "SovereigntyRuleRow",
    "WeightSet",
    "WhatIf",
    "Workload",
)
