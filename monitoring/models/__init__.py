"""Stores the inventory, telemetry wide and narrow, newest states, rollups and alerts."""

from monitoring.models.alerts import (
    Alert,
    AlertRule,
    AlertRuleChange,
    ChangeState,
    WebhookGroup,
    WebhookTarget,
)
from monitoring.models.inventory import (
    Pool,
    Provider,
    Region,
    Site,
)
from monitoring.models.series import (
    MappingSet,
    Point,
    PointBlock,
    PointShelf,
    Series,
)
from monitoring.models.telemetry import (
    CodeField,
    OutdatedDay,
    PackedDay,
    PoolHour,
    PoolState,
    ProviderTally,
    Sample,
)
from monitoring.models.watch import PoolProfile, ProviderHealth

__all__ = (
    "Alert",
    "AlertRule",
    "AlertRuleChange",
    "ChangeState",
    "CodeField",
    "MappingSet",
    "OutdatedDay",
    "PackedDay",
    "Point",
    "PointBlock",
    "PointShelf",
    "Pool",
    "PoolHour",
    "PoolProfile",
    "PoolState",
    "Provider",
    "ProviderHealth",
    "ProviderTally",
    "Region",
    "Sample",
    "Series",
    "Site",
    "WebhookGroup",
    "WebhookTarget",
)
