"""Read-only views of plans, rules, weights and links."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from scheduling.models import Link, PlanningRun, RebalancingPlan, SovereigntyRuleRow, WeightSet


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows; consent and dispatch have one way in, and it is not this one."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits rows here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes rows here."""
        return False


for model in (RebalancingPlan, PlanningRun, SovereigntyRuleRow, WeightSet, Link):
    admin.site.register(model, ReadOnlyAdmin)
