"""Registers the control plane's own system checks."""

from django.apps import AppConfig
from django.core.checks import register

from controlplane.checks import check_clock_is_plain_outside_demo, check_secret_key


class ControlPlaneConfig(AppConfig):
    """Settings checks; no models."""

    name = "controlplane"

    def ready(self) -> None:
        """Register the checks."""
        register(check_clock_is_plain_outside_demo)
        register(check_secret_key, deploy=True)
