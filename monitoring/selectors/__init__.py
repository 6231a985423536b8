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
from monitoring.selectors.bulk import SampleColumns, newest_columns, sample_columns
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
    hour_matrix,
    inventory_version,
    places,
)
from monitoring.selectors.inventory import pools, providers, regions, sites
from monitoring.selectors.present import headline, pool_states, region_states
from monitoring.selectors.provider import SetAside, Standing, provider_standings
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
    "Headline",
    "Places",
    "PoolInfo",
    "PoolReading",
    "ProviderInfo",
    "RegionInfo",
    "RegionReading",
    "RuleView",
    "SampleColumns",
    "SetAside",
    "SiteInfo",
    "Standing",
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
    "hour_matrix",
    "inventory_version",
    "newest_columns",
    "open_alerts",
    "places",
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
    "sample_columns",
    "samples_of",
    "series",
    "sites",
    "trend",
    "view_of",
    "webhook_target",
    "webhook_targets",
)
