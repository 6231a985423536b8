"""Offers the inventory for editing and telemetry for reading."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from monitoring.models import Alert, Pool, PoolState, Provider, ProviderTally, Region, Site


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows that only the grid itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Region)
class RegionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Regions of the inventory."""

    list_display = ("code", "name_zh", "name_en", "jurisdiction", "carbon_g_per_kwh")


@admin.register(Provider)
class ProviderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Providers of the inventory."""

    list_display = ("code", "name_zh", "name_en")


@admin.register(Site)
class SiteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Sites of the inventory."""

    list_display = ("code", "provider", "region", "is_hub", "pue", "energy_zone")
    list_filter = ("provider", "is_hub")


@admin.register(Pool)
class PoolAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Pools of the inventory: contract and limits are set here, never by telemetry."""

    list_display = ("code", "site", "unit", "installed", "contract", "reserve", "engine")
    list_filter = ("site__provider", "engine")


@admin.register(PoolState)
class PoolStateAdmin(ReadOnlyAdmin):
    """The newest sample of each pool."""

    list_display = ("pool", "measured_at", "capacity", "allocated", "queued", "quality")


@admin.register(ProviderTally)
class ProviderTallyAdmin(ReadOnlyAdmin):
    """What became of the samples of each provider."""

    list_display = ("provider", "received", "accepted", "duplicate", "conflict", "rejected")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts and who has taken them on."""

    list_display = ("kind", "scope", "severity", "state", "pending_at", "acknowledged_by")
    list_filter = ("kind", "state")
