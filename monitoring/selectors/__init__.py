"""Reads the inventory, the present state, hourly history and alerts for all other packages."""

from monitoring.domain.inventory import PoolInfo, ProviderInfo, RegionInfo, SiteInfo
from monitoring.domain.readings import Headline, PoolReading, RegionReading
from monitoring.selectors.alerts import (
    AlertView,
    ChangeView,
    RuleView,
    alert_rules,
    change_view,
    open_alerts,
    provider_skews,
    recent_alerts,
    rule_changes,
    rule_document,
    rule_views,
    view_of,
)
from monitoring.selectors.aside import GridAside, PoolAside, set_aside
from monitoring.selectors.blocks import samples_between
from monitoring.selectors.bulk import PoolSamples, SampleColumns, newest_columns, pool_samples
from monitoring.selectors.history import (
    MAX_SAMPLES_READ,
    demand_frame,
    energy_frame,
    has_history,
    samples_of,
    series,
    trend,
)
from monitoring.selectors.hours import (
    Places,
    fill_from_hours,
    hour_group_means,
    hour_matrix,
    hour_means,
    inventory_version,
    places,
)
from monitoring.selectors.inventory import pool_of, pools, providers, regions, sites
from monitoring.selectors.present import headline, pool_states, region_states
from monitoring.selectors.provider import SetAside, Standing, provider_standings
from monitoring.selectors.shelves import Stands, places_of
from monitoring.selectors.tallies import Tally, provider_tallies, provider_tally
from monitoring.selectors.webhooks import (
    TargetView,
    group_states,
    webhook_target,
    webhook_targets,
)

__all__ = (
    "MAX_SAMPLES_READ",
    "AlertView",
    "ChangeView",
    "GridAside",
    "Headline",
    "Places",
    "PoolAside",
    "PoolInfo",
    "PoolReading",
    "PoolSamples",
    "ProviderInfo",
    "RegionInfo",
    "RegionReading",
    "RuleView",
    "SampleColumns",
    "SetAside",
    "SiteInfo",
    "Standing",
    "Stands",
    "Tally",
    "TargetView",
    "alert_rules",
    "change_view",
    "demand_frame",
    "energy_frame",
    "fill_from_hours",
    "group_states",
    "has_history",
    "headline",
    "hour_group_means",
    "hour_matrix",
    "hour_means",
    "inventory_version",
    "newest_columns",
    "open_alerts",
    "places",
    "places_of",
    "pool_of",
    "pool_samples",
    "pool_states",
    "pools",
    "provider_skews",
    "provider_standings",
    "provider_tallies",
    "provider_tally",
    "providers",
    "recent_alerts",
    "region_states",
    "regions",
    "rule_changes",
    "rule_document",
    "rule_views",
    "samples_between",
    "samples_of",
    "series",
    "set_aside",
    "sites",
    "trend",
    "view_of",
    "webhook_target",
    "webhook_targets",
)
