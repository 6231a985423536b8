"""Registers the app."""

from django.apps import AppConfig


class ForecastingConfig(AppConfig):
    """Forecast: demand and headroom per pool and region, with quantiles."""

    name = "forecasting"
