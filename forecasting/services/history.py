"""Reads the history of all series that are forecast: pools, regions and the grid."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from controlplane.lib.units import floor_hour
from forecasting.domain.frames import DemandPanel, panel_of_frame, with_sums
from forecasting.domain.runs import GRID_CODE, Scope, series_code
from monitoring import selectors as monitoring


@dataclass(frozen=True)
class History:
    """What is known of every series.

    Attributes:
        panel: pools, regions with several pools, and the grid when it has several.
        same_as: series that are one pool's under another name -> that pool's series.
    """

    panel: DemandPanel
    same_as: dict[str, str]


def read_history(now: dt.datetime, *, days: int) -> History:
    """Read hourly demand up to the last full hour.

    Args:
        now: present grid time; the panel ends at the beginning of its hour.
        days: how far back.

    Returns:
        The series. A region is its only pool's series, or the sum of its pools.
    """
    issued_at = floor_hour(now)
    frame = monitoring.demand_frame(issued_at - dt.timedelta(days=days), issued_at, as_of=issued_at)
    named = frame.assign(series=[series_code(Scope.POOL, code) for code in frame["pool"]])
    pools = panel_of_frame(named, key="series", issued_at=issued_at)
    members: defaultdict[str, list[str]] = defaultdict(list)
    for region, name in sorted(set(zip(named["region"], named["series"], strict=True))):
        members[series_code(Scope.REGION, region)].append(name)
    members[series_code(Scope.GRID, GRID_CODE)] = list(pools.codes)
    sums = {name: parts for name, parts in members.items() if len(parts) > 1}
    same_as = {name: parts[0] for name, parts in members.items() if len(parts) == 1}
    return History(with_sums(pools, sums), same_as)
