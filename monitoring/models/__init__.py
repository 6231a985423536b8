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
    ExemplarRing,
    MappingSet,
    Point,
    PointBlock,
    PointShelf,
    Series,
)
from monitoring.models.telemetry import (
    CodeField,
    HourShelf,
    OutdatedDay,
    PackedDay,
    PoolHour,
    PoolShelf,
    PoolSlot,
    PoolState,
    ProviderTally,
    Sample,
    SampleBlock,
)
from monitoring.models.watch import PoolProfile, ProviderHealth

__all__ = (
    "Alert",
    "AlertRule",
    "AlertRuleChange",
    "ChangeState",
    "CodeField",
    "ExemplarRing",
    "HourShelf",
    "MappingSet",
    "OutdatedDay",
    "PackedDay",
    "Point",
    "PointBlock",
    "PointShelf",
    "Pool",
    "PoolHour",
    "PoolProfile",
    "PoolShelf",
    "PoolSlot",
    "PoolState",
    "Provider",
    "ProviderHealth",
    "ProviderTally",
    "Region",
    "Sample",
    "SampleBlock",
    "Series",
    "Site",
    "WebhookGroup",
    "WebhookTarget",
)
