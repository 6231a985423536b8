"""Routes of workloads, plans and dispatch."""

from django.urls import path
from django.urls.resolvers import URLPattern

from scheduling import api

urlpatterns: list[URLPattern] = [
    path("workloads", api.Workloads.as_view(), name="workloads"),
    path("plans", api.PlanList.as_view(), name="plans"),
    path("plans/<int:plan_id>", api.PlanDetail.as_view(), name="plan"),
    path("plans/<int:plan_id>/propose", api.ProposePlan.as_view(), name="plan-propose"),
    path("plans/<int:plan_id>/approve", api.ApprovePlan.as_view(), name="plan-approve"),
    path("plans/<int:plan_id>/reject", api.RejectPlan.as_view(), name="plan-reject"),
    path("plans/<int:plan_id>/cancel", api.CancelPlan.as_view(), name="plan-cancel"),
    path("planning-runs", api.PlanningRuns.as_view(), name="planning-runs"),
    path("dispatch", api.DispatchList.as_view(), name="dispatch"),
    path("dispatch/freeze", api.FreezeDispatch.as_view(), name="dispatch-freeze"),
]
