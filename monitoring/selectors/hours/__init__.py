"""Reads hourly sums and means of many pools as matrices."""

from monitoring.selectors.hours.matrices import (
    Places,
    fill_from_hours,
    hour_matrix,
    inventory_version,
    places,
)
from monitoring.selectors.hours.means import hour_group_means, hour_means

__all__ = (
    "Places",
    "fill_from_hours",
    "hour_group_means",
    "hour_matrix",
    "hour_means",
    "inventory_version",
    "places",
)
