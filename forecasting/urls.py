"""Forecasting's routes below /api/v1/."""

from django.urls import path

from forecasting import api

urlpatterns = [
    path("forecasts", api.ForecastsView.as_view(), name="forecasts"),
    path("forecasts/runs", api.RunsView.as_view(), name="forecast-runs"),
    path("forecasts/series", api.SeriesView.as_view(), name="forecast-series"),
    path("forecasts/accuracy", api.AccuracyView.as_view(), name="forecast-accuracy"),
]
