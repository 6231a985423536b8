"""Raises and settles the alerts that speak of shortages to come."""

import datetime as dt

from forecasting import selectors
from forecasting.domain.shortages import RISK_LEVEL, Shortage
from monitoring import selectors as monitoring
from monitoring.domain.alerting.measures import Measurement, is_chosen
from monitoring.domain.alerting.rules import AlertRule, Level, Metric
from monitoring.domain.alerts import AlertKind
from monitoring.services import follow_rules


def sync_shortage_alerts(now: dt.datetime) -> int:
    """Make the forecast alerts follow the newest run.

    A region that is short already is told by another alert; a region without a forecast, or with
    a pool whose capacity is unknown, neither starts nor ends one.

    Args:
        now: present grid time.

    Returns:
        How many forecast alerts are open afterwards.
    """
    open_regions = frozenset(
        alert.region_code
        for alert in monitoring.open_alerts(now, include_pending=True)
        if alert.kind == AlertKind.FORECAST_SHORTAGE
    )
    shortages, silent = selectors.forecast_shortages(now, already=open_regions)
    seen = [Measurement(code, None, region_code=code) for code in sorted(silent)]
    seen += [_measurement(shortage) for shortage in shortages if shortage.code not in silent]

    def measured(rule: AlertRule) -> list[Measurement]:
        return [entry for entry in seen if is_chosen(rule, Level.REGION, entry.code)]

    metrics = {Metric.FORECAST_SHORTAGE_PROBABILITY}
    return sum(follow_rules(now, metrics=metrics, measured=measured).values())


def _measurement(shortage: Shortage) -> Measurement:
    return Measurement(
        code=shortage.code,
        value=shortage.probability,
        region_code=shortage.code,
        detail={
            "region": shortage.code,
            "from_at": shortage.from_at.isoformat(),
            "lead_h": shortage.lead_h,
            "probability": shortage.probability,
            "worst_at": shortage.worst_at.isoformat(),
            "short_units": round(shortage.short_units, 2),
            "usable_units": round(shortage.usable, 2),
            "quantile": RISK_LEVEL,
        },
    )
