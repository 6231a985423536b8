"""Registers the app under a label of its own, because Django's auth app has the plain one."""

from django.apps import AppConfig


class GridAuthConfig(AppConfig):
    """Roles, keys and audit."""

    name = "controlplane.auth"
    label = "gridauth"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Roles, keys and audit"
