"""Raises and settles the alerts that speak of shortages to come."""

import datetime as dt

from forecasting import selectors
from forecasting.domain.runs import Scope, series_code
from forecasting.domain.shortages import RISK_LEVEL, Shortage
from monitoring import selectors as monitoring
from monitoring.domain.alerts import AlertKind, Finding, Severity
from monitoring.services import sync_alerts

_LIKELY = 0.5


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
    return sync_alerts(
        AlertKind.FORECAST_SHORTAGE,
        [_finding(shortage) for shortage in shortages],
        now,
        unknown_scopes={series_code(Scope.REGION, code) for code in silent},
    )


def _finding(shortage: Shortage) -> Finding:
    is_likely = shortage.probability >= _LIKELY
    return Finding(
        scope=series_code(Scope.REGION, shortage.code),
        severity=Severity.CRITICAL if is_likely else Severity.WARNING,
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
