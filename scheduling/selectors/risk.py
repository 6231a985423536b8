"""Reads how often demand passed the quantile that plans had promised room by."""

import datetime as dt
from collections.abc import Iterator

import numpy as np

from controlplane.lib.units import HOUR, floor_hour
from forecasting import selectors as forecasts
from monitoring import selectors as grid
from scheduling.domain.planner.explain.risk import Promise, RiskReport, risk_reports
from scheduling.models import PlanningRun

APART = 6 * HOUR
MOST_RUNS = 60


def realised_risk(now: dt.datetime, *, days: int) -> tuple[RiskReport, ...]:
    """This function will compare the stated risk of past plans with what demand really did.

    Of each six hours one run counts, since runs that follow each other promise nearly the same.

    Args:
        now: the moment; hours that are not over are left out.
        days: how far to look back.

    Returns:
        One report per risk level that was used.
    """
    runs = PlanningRun.objects.filter(as_of__gte=now - days * 24 * HOUR, as_of__lt=now)
    chosen: list[PlanningRun] = []
    for run in runs.order_by("-as_of").only("as_of", "slots", "risk_quantile"):
        if not chosen or chosen[-1].as_of - run.as_of >= APART:
            chosen.append(run)
        if len(chosen) == MOST_RUNS:
            break
    if not chosen:
        return ()
    codes = [pool.code for pool in grid.pools()]
    frame = grid.demand_frame(floor_hour(chosen[-1].as_of), now)
    came = {
        (str(pool), hour.to_pydatetime()): float(demand)
        for pool, hour, demand in zip(frame["pool"], frame["hour_at"], frame["demand"], strict=True)
    }
    return risk_reports(
        promise for run in chosen for promise in _promises(run, codes, came, until=now)
    )


def _promises(
    run: PlanningRun,
    codes: list[str],
    came: dict[tuple[str, dt.datetime], float],
    *,
    until: dt.datetime,
) -> Iterator[Promise]:
    table = forecasts.demand_quantile(codes, run.as_of, run.slots, run.risk_quantile)
    # slot 0 was measured, not forecast
    for slot in range(1, run.slots):
        hour = floor_hour(run.as_of) + slot * HOUR
        if hour + HOUR > until:
            break
        for row, code in enumerate(codes):
            if not np.isnan(table[row, slot]):
                demand = came.get((code, hour), np.nan)
                realised = None if np.isnan(demand) else demand
                yield Promise(run.risk_quantile, float(table[row, slot]), realised)
