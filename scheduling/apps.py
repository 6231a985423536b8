"""Registers the app."""

from django.apps import AppConfig


class SchedulingConfig(AppConfig):
    """Plan, agree, dispatch and account."""

    name = "scheduling"
