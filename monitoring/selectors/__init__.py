"""Reads the inventory, the present state, hourly history and alerts for all other packages."""

from monitoring.domain.inventory import PoolInfo, ProviderInfo, RegionInfo, SiteInfo
from monitoring.domain.readings import Headline, PoolReading, RegionReading
from monitoring.selectors.alerts import AlertView, open_alerts, recent_alerts, view_of
from monitoring.selectors.history import (
    MAX_SAMPLES_READ,
    demand_frame,
    energy_frame,
    has_history,
    samples_of,
    series,
    trend,
)
from monitoring.selectors.inventory import pools, providers, regions, sites
from monitoring.selectors.present import headline, pool_states, region_states
from monitoring.selectors.tallies import Tally, provider_tallies, provider_tally

__all__ = (
    "MAX_SAMPLES_READ",
    "AlertView",
    "Headline",
    "PoolInfo",
    "PoolReading",
    "ProviderInfo",
    "RegionInfo",
    "RegionReading",
    "SiteInfo",
    "Tally",
    "demand_frame",
    "energy_frame",
    "has_history",
    "headline",
    "open_alerts",
    "pool_states",
    "pools",
    "provider_tallies",
    "provider_tally",
    "providers",
    "recent_alerts",
    "region_states",
    "regions",
    "samples_of",
    "series",
    "sites",
    "trend",
    "view_of",
)
