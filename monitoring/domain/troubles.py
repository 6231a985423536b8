"""Finds trouble in the present readings: silent providers and regions that are short."""

from collections import defaultdict
from collections.abc import Sequence

from monitoring.domain.alerts import Finding, Severity
from monitoring.domain.headroom import Load, add_up
from monitoring.domain.readings import PoolReading

# a shortage of a quarter of what a region has is more than a busy hour
CRITICAL_SHARE = 0.25


def find_silences(readings: Sequence[PoolReading]) -> list[Finding]:
    """Return a finding for each provider none of whose pools has reported lately.

    Args:
        readings: all pools now.
    """
    findings = []
    for provider, group in _grouped(readings, "provider").items():
        if any(reading.load.known_pools for reading in group):
            continue
        regions = {reading.region for reading in group}
        ages = [reading.age_s for reading in group if reading.age_s is not None]
        findings.append(
            Finding(
                scope=f"provider:{provider}",
                severity=Severity.CRITICAL,
                region_code=regions.pop() if len(regions) == 1 else "",
                detail={
                    "provider": provider,
                    "pools": sorted(reading.pool for reading in group),
                    "silent_for_s": min(ages, default=None),
                },
            )
        )
    return findings


def find_shortages(readings: Sequence[PoolReading]) -> tuple[list[Finding], set[str]]:
    """Return a finding for each region whose waiting work does not fit into its headroom.

    Args:
        readings: all pools now.

    Returns:
        The findings, and the scopes of the regions where nothing can be said: what is known shows
        no shortage, but a pool is unknown.
    """
    findings, undecided = [], set()
    for region, group in _grouped(readings, "region").items():
        scope = f"region:{region}"
        load = add_up([reading.load for reading in group])
        short = shortage(load)
        if short is not None and short > 0:
            findings.append(_shortage_finding(scope, region, load, short))
        elif load.known_pools < load.pools:
            undecided.add(scope)
    return findings, undecided


def shortage(load: Load) -> float | None:
    """Return by how many units waiting work exceeds the headroom; None when unknown."""
    if load.queued is None or load.headroom is None:
        return None
    return max(0.0, load.queued - max(0.0, load.headroom))


def _shortage_finding(scope: str, region: str, load: Load, short: float) -> Finding:
    is_critical = short > CRITICAL_SHARE * (load.capacity or 0.0)
    return Finding(
        scope=scope,
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        region_code=region,
        detail={
            "region": region,
            "short_units": short,
            "queued_units": load.queued,
            "headroom_units": load.headroom,
            "capacity_units": load.capacity,
            "unknown_pools": load.pools - load.known_pools,
        },
    )


def _grouped(readings: Sequence[PoolReading], attribute: str) -> dict[str, list[PoolReading]]:
    groups: defaultdict[str, list[PoolReading]] = defaultdict(list)
    for reading in readings:
        groups[getattr(reading, attribute)].append(reading)
    return dict(sorted(groups.items()))
