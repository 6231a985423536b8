"""What scheduling stores, table by table; see the modules."""

from scheduling.models.dispatch import DispatchCommand, DispatchSwitch, Settlement
from scheduling.models.limits import (
    AcceleratorRow,
    CarbonCapRow,
    FairShareRow,
    MaintenanceWindow,
    QuotaRow,
    SpeedRow,
)
from scheduling.models.plans import Approval, Move, Passage, PlanningRun, RebalancingPlan
from scheduling.models.rules import Link, SovereigntyRuleRow, WeightSet
from scheduling.models.whatif import WhatIf
from scheduling.models.workloads import Service, Workload

__all__ = (
    "AcceleratorRow",
    "Approval",
    "CarbonCapRow",
    "DispatchCommand",
    "DispatchSwitch",
    "FairShareRow",
    "Link",
    "MaintenanceWindow",
    "Move",
    "Passage",
    "PlanningRun",
    "QuotaRow",
    "RebalancingPlan",
    "Service",
    "Settlement",
    "SovereigntyRuleRow",
    "SpeedRow",
    "WeightSet",
    "WhatIf",
    "Workload",
)
