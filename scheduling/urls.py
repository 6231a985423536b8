"""Routes of workloads, plans and dispatch."""

from django.urls import path
from django.urls.resolvers import URLPattern

from scheduling.api import dispatch, limits, placements, plans, waits, whatifs, workloads

urlpatterns: list[URLPattern] = [
    path("workloads", workloads.Workloads.as_view(), name="workloads"),
    path("services", workloads.Services.as_view(), name="services"),
    path("plans", plans.PlanList.as_view(), name="plans"),
    path("plans/<int:plan_id>", plans.PlanDetail.as_view(), name="plan"),
    path("plans/<int:plan_id>/propose", plans.ProposePlan.as_view(), name="plan-propose"),
    path("plans/<int:plan_id>/approve", plans.ApprovePlan.as_view(), name="plan-approve"),
    path("plans/<int:plan_id>/reject", plans.RejectPlan.as_view(), name="plan-reject"),
    path("plans/<int:plan_id>/cancel", plans.CancelPlan.as_view(), name="plan-cancel"),
    path("planning-runs", plans.PlanningRuns.as_view(), name="planning-runs"),
    path("planning/risk", plans.PlanningRisk.as_view(), name="planning-risk"),
    path("planning/maintenance", limits.MaintenanceList.as_view(), name="maintenance"),
    path(
        "planning/maintenance/<int:limit_id>",
        limits.MaintenanceDetail.as_view(),
        name="maintenance-window",
    ),
    path("planning/quotas", limits.QuotaList.as_view(), name="quotas"),
    path("planning/quotas/<int:limit_id>", limits.QuotaDetail.as_view(), name="quota"),
    path("planning/carbon-caps", limits.CarbonCapList.as_view(), name="carbon-caps"),
    path(
        "planning/carbon-caps/<int:limit_id>", limits.CarbonCapDetail.as_view(), name="carbon-cap"
    ),
    path("planning/accelerators", limits.AcceleratorList.as_view(), name="accelerators"),
    path(
        "planning/accelerators/<int:limit_id>",
        limits.AcceleratorDetail.as_view(),
        name="accelerator",
    ),
    path("planning/speeds", limits.SpeedList.as_view(), name="speeds"),
    path("planning/speeds/<int:limit_id>", limits.SpeedDetail.as_view(), name="speed"),
    path("planning/fair-shares", limits.FairShareList.as_view(), name="fair-shares"),
    path(
        "planning/fair-shares/<int:limit_id>",
        limits.FairShareDetail.as_view(),
        name="fair-share",
    ),
    path("planning/fairness", plans.PlanningFairness.as_view(), name="planning-fairness"),
    path("what-ifs", whatifs.WhatIfs.as_view(), name="what-ifs"),
    path("what-ifs/<int:what_if_id>", whatifs.WhatIfDetail.as_view(), name="what-if"),
    path("placements/search", placements.PlacementSearch.as_view(), name="placement-search"),
    path("forecasts/waits", waits.Waits.as_view(), name="forecast-waits"),
    path("dispatch", dispatch.DispatchList.as_view(), name="dispatch"),
    path("dispatch/freeze", dispatch.FreezeDispatch.as_view(), name="dispatch-freeze"),
]
