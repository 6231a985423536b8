"""Registers the app under a label of its own, because Django's auth app has the plain one."""

from importlib import import_module

from django.apps import AppConfig


class GridAuthConfig(AppConfig):
    """Roles, keys and audit."""

    name = "controlplane.auth"
    label = "gridauth"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Roles, keys and audit"

    def ready(self) -> None:
        """Make the API document know how providers authenticate."""
        import_module("controlplane.auth.openapi")
