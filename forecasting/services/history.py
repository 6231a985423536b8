"""Reads the history of all series that are forecast: demand at four levels, and electricity."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controlplane.lib.units import floor_hour
from forecasting.domain.frames import DemandPanel, panel_of_frame, with_sums
from forecasting.domain.live.energy import zone_panel
from forecasting.domain.runs import GRID_CODE, EnergyScope, Scope, Target, series_code
from forecasting.selectors.energy import pool_energy
from monitoring import selectors as monitoring


@dataclass(frozen=True)
class History:
    """What is known of every series.

    Attributes:
        panel: pools, and sites, regions and the grid where they add up something new.
        same_as: series that are another one under another name -> that series.
        members: series that are sums -> the pools' series that they are the sum of.
    """

    panel: DemandPanel
    same_as: dict[str, str]
    members: dict[str, tuple[str, ...]]

    def canonical(self, series: str) -> str:
        """Return the name under which a series is in the panel."""
        return self.same_as.get(series, series)


def read_history(now: dt.datetime, *, days: int) -> History:
    """Read hourly demand up to the last full hour.

    Args:
        now: present grid time; the panel ends at the beginning of its hour.
        days: how far back.

    Returns:
        The series. A site or region with one pool is that pool's series; a region with one site
        is that site's.
    """
    issued_at = floor_hour(now)
    frame = monitoring.demand_frame(issued_at - dt.timedelta(days=days), issued_at, as_of=issued_at)
    named = frame.assign(series=[series_code(Scope.POOL, code) for code in frame["pool"]])
    pools = panel_of_frame(named, key="series", issued_at=issued_at)
    wholes = _wholes(pools.codes)
    sums, same_as = _without_twins(wholes)
    return History(
        with_sums(pools, sums), same_as, {name: tuple(own) for name, own in sums.items()}
    )


def read_target(now: dt.datetime, target: Target, *, days: int) -> DemandPanel:
    """Read the history of one thing that a model forecasts.

    Args:
        now: present grid time; the panel ends at the beginning of its hour.
        target: demand, or a zone's price or carbon.
        days: how far back.
    """
    if target is Target.DEMAND:
        return read_history(now, days=days).panel
    issued_at = floor_hour(now)
    frame = monitoring.energy_frame(issued_at - dt.timedelta(days=days), issued_at, as_of=issued_at)
    return zone_panel(frame, pool_energy(), EnergyScope(target.value), issued_at)


def _wholes(known: Sequence[str]) -> dict[str, list[str]]:
    members: defaultdict[str, list[str]] = defaultdict(list)
    place = {pool.code: pool for pool in monitoring.pools()}
    for name in known:
        pool = place.get(name.removeprefix(f"{Scope.POOL.value}:"))
        if pool is not None:
            members[series_code(Scope.SITE, pool.site)].append(name)
            members[series_code(Scope.REGION, pool.region)].append(name)
            members[series_code(Scope.GRID, GRID_CODE)].append(name)
    return members


def _without_twins(
    wholes: Mapping[str, Sequence[str]],
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Split wholes into true sums, and those that say the same as a part or an earlier whole."""
    sums: dict[str, list[str]] = {}
    same_as: dict[str, str] = {}
    known: dict[frozenset[str], str] = {}
    for scope in (Scope.SITE, Scope.REGION, Scope.GRID):
        for name in sorted(each for each in wholes if each.startswith(f"{scope.value}:")):
            parts = list(wholes[name])
            key = frozenset(parts)
            if len(parts) == 1:
                same_as[name] = parts[0]
            elif key in known:
                same_as[name] = known[key]
            else:
                known[key] = name
                sums[name] = parts
    return sums, same_as
