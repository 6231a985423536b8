"""Registers the app."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    """Observe: inventory, telemetry, newest state, rollups and alerts."""

    name = "monitoring"
