"""Writes the inventory, keeps the partitions of telemetry, moves alerts along and tells of them."""

from monitoring.services.alert_rules import (
    AlertRuleChanged,
    AlertRuleNotFound,
    ChangeNotDecidable,
    ChangeNotFound,
    MayNotChangeRules,
    confirm_change,
    keep_default_rules,
    propose_rule,
    reject_change,
)
from monitoring.services.alerting import (
    AlertNotAcknowledgeable,
    AlertNotFound,
    MayNotAcknowledge,
    acknowledge_alert,
    evaluate_alerts,
    follow_rules,
    forget_alerts,
    sync_alerts,
)
from monitoring.services.days import pack_past_days
from monitoring.services.exemplars import forget_exemplars
from monitoring.services.inventory import register_inventory
from monitoring.services.levels import confirm_level
from monitoring.services.partitions import PARTITIONS_AHEAD, analyze_tables, keep_partitions
from monitoring.services.webhooks import (
    WebhookNotFound,
    add_target,
    change_target,
    remove_target,
    secret_of,
    tell_targets,
)

__all__ = (
    "PARTITIONS_AHEAD",
    "AlertNotAcknowledgeable",
    "AlertNotFound",
    "AlertRuleChanged",
    "AlertRuleNotFound",
    "ChangeNotDecidable",
    "ChangeNotFound",
    "MayNotAcknowledge",
    "MayNotChangeRules",
    "WebhookNotFound",
    "acknowledge_alert",
    "add_target",
    "analyze_tables",
    "change_target",
    "confirm_change",
    "confirm_level",
    "evaluate_alerts",
    "follow_rules",
    "forget_alerts",
    "forget_exemplars",
    "keep_default_rules",
    "keep_partitions",
    "pack_past_days",
    "propose_rule",
    "register_inventory",
    "reject_change",
    "remove_target",
    "secret_of",
    "sync_alerts",
    "tell_targets",
)
