"""Forecasting's routes below /api/v1/."""

from django.urls import path

from forecasting.api import announced, exports, reads

urlpatterns = [
    path("forecasts", reads.ForecastsView.as_view(), name="forecasts"),
    path("forecasts/export.csv", exports.ExportView.as_view(), name="forecast-export"),
    path("forecasts/runs", reads.RunsView.as_view(), name="forecast-runs"),
    path("forecasts/series", reads.SeriesView.as_view(), name="forecast-series"),
    path("forecasts/past", reads.PastView.as_view(), name="forecast-past"),
    path("forecasts/accuracy", reads.AccuracyView.as_view(), name="forecast-accuracy"),
    path("forecasts/models", reads.ModelsView.as_view(), name="forecast-models"),
    path("forecasts/energy", reads.EnergyView.as_view(), name="forecast-energy"),
    path("forecasts/energy/zones", reads.ZonesView.as_view(), name="forecast-zones"),
    path("demand-declarations", announced.AnnouncedListView.as_view(), name="demand-declarations"),
    path(
        "demand-declarations/<int:declaration_id>",
        announced.AnnouncedView.as_view(),
        name="demand-declaration",
    ),
]
