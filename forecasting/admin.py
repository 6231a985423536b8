"""Shows models and runs to a grid admin; nobody edits them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from forecasting.models import DemandDeclaration, ForecastModel, ForecastRun


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows that only the grid itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ForecastModel)
class ForecastModelAdmin(ReadOnlyAdmin):
    """Fitted models and what became of them."""

    list_display = ("version", "name", "target", "trained_at", "trained_until", "is_champion")
    exclude = ("artifact",)


@admin.register(ForecastRun)
class ForecastRunAdmin(ReadOnlyAdmin):
    """Issued runs with their declaration."""

    list_display = ("issued_at", "state", "model_name", "model_version", "degraded_reason")
    list_filter = ("state",)


@admin.register(DemandDeclaration)
class DemandDeclarationAdmin(ReadOnlyAdmin):
    """Announced demand and what became of it."""

    list_display = ("scope", "code", "kind", "units", "starts_at", "ends_at", "state")
    list_filter = ("state", "kind")
