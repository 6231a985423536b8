"""Registers the control room with Django."""

from django.apps import AppConfig


class DashAppConfig(AppConfig):
    """Pages and sockets; no models."""

    name = "dash_app"
