"""The rules that a grid starts with; a grid admin may change each of them."""

from monitoring.domain.alerting.rules import AlertRule, Comparison, Level, Metric
from monitoring.domain.alerts import AlertKind, Severity
from monitoring.domain.skew import ALARM_S

# a shortage of a quarter of what a region has is more than a busy hour
CRITICAL_SHARE = 0.25
# more likely than not
CRITICAL_PROBABILITY = 0.5
# a minute off, and samples land in the wrong tick
CRITICAL_SKEW_S = 60.0
# half of a provider's pools are more than one pool that was enlarged
CRITICAL_SUSPECT_SHARE = 0.5

DEFAULT_RULES = (
    AlertRule(
        name=AlertKind.PROVIDER_SILENT,
        metric=Metric.UNKNOWN_SHARE,
        level=Level.PROVIDER,
        comparison=Comparison.AT_LEAST,
        threshold=1.0,
        severity=Severity.CRITICAL,
        # a pool's own limit of staleness has passed already when silence is first seen
        for_s=300.0,
        keep_firing_for_s=300.0,
        annotations={
            "summary_zh": "{name} 没有上报数据，{pools} 个资源池状态未知",
            "summary_en": "{name} has stopped reporting: {pools} pools unknown",
        },
    ),
    AlertRule(
        name=AlertKind.CAPACITY_SHORTAGE,
        metric=Metric.SHORTAGE_SHARE,
        level=Level.REGION,
        comparison=Comparison.ABOVE,
        threshold=0.0,
        critical_threshold=CRITICAL_SHARE,
        for_s=900.0,
        keep_firing_for_s=1800.0,
        annotations={
            "summary_zh": "{name} 缺 {short_units} 单位容量（排队 {queued_units}）",
            "summary_en": "{name} is short of {short_units} units ({queued_units} queued)",
        },
    ),
    AlertRule(
        name=AlertKind.FORECAST_SHORTAGE,
        metric=Metric.FORECAST_SHORTAGE_PROBABILITY,
        level=Level.REGION,
        comparison=Comparison.ABOVE,
        threshold=0.0,
        critical_threshold=CRITICAL_PROBABILITY,
        keep_firing_for_s=3600.0,
        annotations={
            "summary_zh": "{name} 可能缺 {short_units} 单位容量（概率 {probability}）",
            "summary_en": "{name} may be short of {short_units} units (probability {probability})",
        },
    ),
    AlertRule(
        name=AlertKind.PROVIDER_CLOCK_OFF,
        metric=Metric.CLOCK_SKEW_S,
        level=Level.PROVIDER,
        comparison=Comparison.ABOVE,
        threshold=ALARM_S,
        critical_threshold=CRITICAL_SKEW_S,
        # a sender that makes up for an outage is late for a while
        for_s=900.0,
        keep_firing_for_s=900.0,
        annotations={
            "summary_zh": "{name} 的时钟偏差 {value} 秒（或上报迟到）",
            "summary_en": "The clock of {name} is {value} s off, or it sends late",
        },
    ),
    AlertRule(
        name=AlertKind.READINGS_SUSPECT,
        metric=Metric.SUSPECT_SHARE,
        level=Level.PROVIDER,
        comparison=Comparison.ABOVE,
        threshold=0.0,
        critical_threshold=CRITICAL_SUSPECT_SHARE,
        # one odd reading is set aside without anybody's help
        for_s=1800.0,
        keep_firing_for_s=1800.0,
        annotations={
            "summary_zh": "{name} 的数据存疑（占已知资源池 {value}），规划不采用",
            "summary_en": "Suspect data of {name}, not planned on (share of pools: {value})",
        },
    ),
    AlertRule(
        name=AlertKind.WATCHDOG,
        metric=Metric.ALWAYS,
        level=Level.GRID,
        comparison=Comparison.ABOVE,
        threshold=0.0,
        severity=Severity.INFO,
        annotations={
            "summary_zh": "告警链路正常；若不再收到此消息，则链路已断",
            "summary_en": "Alerting works; when this message stops, it does not",
        },
        is_enabled=False,
    ),
)
