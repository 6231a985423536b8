"""Writes forecasts: one function per use case."""

from forecasting.services.alerting import sync_shortage_alerts
from forecasting.services.announced import (
    Announcer,
    change_declaration,
    declare_demand,
    find_declaration,
    note_workloads,
)
from forecasting.services.issuing import refresh, refresh_if_due
from forecasting.services.training import TrainingRules, train, train_if_due

__all__ = [
    "Announcer",
    "TrainingRules",
    "change_declaration",
    "declare_demand",
    "find_declaration",
    "note_workloads",
    "refresh",
    "refresh_if_due",
    "sync_shortage_alerts",
    "train",
    "train_if_due",
]
