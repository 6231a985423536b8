"""Troubles that tests of messages tell about."""

from controlplane.lib import clock
from monitoring import services
from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerts import Finding, Severity

(SHORTAGE,) = (rule for rule in DEFAULT_RULES if rule.name == "FORECAST_SHORTAGE")
BEIJING = Finding("region:CN-BJ", Severity.WARNING, "CN-BJ", {"short_units": 7.0})
HUBEI = Finding("region:CN-HB", Severity.CRITICAL, "CN-HB", {"short_units": 70.0})


def find(*findings: Finding) -> None:
    """Look at the grid and see these troubles, no others."""
    services.sync_alerts(SHORTAGE, findings, clock.now())
