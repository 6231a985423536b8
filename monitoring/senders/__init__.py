"""Takes what standard senders push: stores every point, makes wide rows of the mapped ones."""

from monitoring.senders.intake import take_points
from monitoring.senders.memory import memory_of
from monitoring.senders.rules import (
    MappingChanged,
    MappingView,
    ProviderNotFound,
    draft_rules,
    mapping_of,
    pools_of,
    replace_rules,
)

__all__ = (
    "MappingChanged",
    "MappingView",
    "ProviderNotFound",
    "draft_rules",
    "mapping_of",
    "memory_of",
    "pools_of",
    "replace_rules",
    "take_points",
)
