"""Measures past runs against what came true, and watches the model in service for drift."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from controlplane.lib.units import HOUR
from forecasting import selectors
from forecasting.domain.accuracy import score_past_runs
from forecasting.domain.features import DAY_H
from forecasting.domain.forecasters import QUANTILES
from forecasting.domain.frames import DemandPanel, Floats
from forecasting.domain.live.drift import DriftRules, RunLoss, relative_loss, watch
from forecasting.domain.runs import EnergyScope, Scope, Target
from forecasting.models import ForecastModel
from forecasting.services.history import read_target

WINDOW = dt.timedelta(days=7)
EVERY_H = 4
LONG_EVERY_H = 12
MOST_SERIES = 300
"""Series that are looked at: an even sample when a grid has more."""
_LONG_H = 7 * DAY_H
_MEDIAN, _UPPER = QUANTILES.index(0.5), QUANTILES.index(0.9)

Issued = Mapping[dt.datetime, Mapping[str, Floats]]


@dataclass(frozen=True)
class Watched:
    """How past runs came true, and what speaks for drift: both as JSON."""

    accuracy: dict[str, Any]
    drift: dict[str, Any]


def watch_runs(panel: DemandPanel, issued_at: dt.datetime) -> Watched:
    """Measure the runs of the last week with all that has come true.

    Args:
        panel: demand of all series up to the moment of issue.
        issued_at: that moment.

    Returns:
        Accuracy over pools (overall and by lead) with `scopes` beside it, and the drift watch's
        findings on the runs of the present champion.
    """
    pools = _issued(panel, Scope.POOL, issued_at)
    scores = _scores(panel, pools)
    if scores:
        others = (Scope.SITE, Scope.REGION, Scope.GRID)
        parts = {scope.value: _scores(panel, _issued(panel, scope, issued_at)) for scope in others}
        parts |= {scope.value: _energy_scores(scope, issued_at) for scope in EnergyScope}
        scores["scopes"] = {name: part for name, part in parts.items() if part}
    return Watched(scores, _drift(panel, pools))


def _issued(panel: DemandPanel, scope: Scope | EnergyScope, issued_at: dt.datetime) -> Issued:
    prefix = "" if isinstance(scope, EnergyScope) else f"{scope.value}:"
    known = [code.removeprefix(prefix) for code in panel.codes if code.startswith(prefix)]
    if len(known) > MOST_SERIES:
        places = np.linspace(0, len(known) - 1, MOST_SERIES).astype(int)
        known = [known[place] for place in places]
    found = selectors.issued_points(
        issued_at - WINDOW, issued_at, every_h=EVERY_H, scope=scope.value, codes=known
    )
    return {
        moment: {f"{prefix}{code}": values for code, values in points.items()}
        for moment, points in found.items()
    }


def _scores(panel: DemandPanel, issued: Issued) -> dict[str, Any]:
    day = {moment: _cut(points, DAY_H) for moment, points in issued.items()}
    scores = score_past_runs(panel, day, quantiles=QUANTILES, horizon_h=DAY_H)
    week = {
        moment: points
        for moment, points in issued.items()
        if moment.hour % LONG_EVERY_H == 0 and all(len(path) >= _LONG_H for path in points.values())
    }
    if scores and week:
        far = score_past_runs(
            panel,
            {moment: _cut(points, _LONG_H) for moment, points in week.items()},
            quantiles=QUANTILES,
            horizon_h=_LONG_H,
        )
        bucket = far.get("by_lead", {}).get("25+", {})
        if bucket.get("hours"):
            scores["by_lead"]["25+"] = bucket
    return scores


def _cut(points: Mapping[str, Floats], horizon_h: int) -> dict[str, Floats]:
    return {code: path[:horizon_h] for code, path in points.items() if len(path) >= horizon_h}


def _energy_scores(scope: EnergyScope, issued_at: dt.datetime) -> dict[str, Any]:
    panel = read_target(issued_at, Target(scope.value), days=2 * WINDOW.days + 1)
    return _scores(panel, _issued(panel, scope, issued_at))


def _drift(panel: DemandPanel, issued: Issued) -> dict[str, Any]:
    since = _champion_since()
    moments = [moment for moment in sorted(issued) if since is not None and moment >= since]
    losses: list[RunLoss] = []
    seen: list[dt.datetime] = []
    for moment in moments:
        loss = _loss_of(panel, moment, issued[moment])
        if loss.hours and not np.isnan(loss.ratio):
            losses.append(loss)
            seen.append(moment)
    verdict = watch(
        [loss.ratio for loss in losses],
        [loss.covered for loss in losses],
        [loss.hours for loss in losses],
        DriftRules(),
    )
    return {
        "signs": [sign.value for sign in verdict.signs],
        "at": [moment.isoformat() for moment in seen],
        "rise": np.round(verdict.rise, 4).tolist(),
        "ratio": [round(loss.ratio, 4) for loss in losses],
        "coverage": np.round(verdict.coverage, 4).tolist(),
        "hours": [loss.hours for loss in losses],
    }


def _loss_of(panel: DemandPanel, moment: dt.datetime, points: Mapping[str, Floats]) -> RunLoss:
    place = int((moment - panel.start_at) / HOUR)
    codes = [code for code in _cut(points, DAY_H) if code in panel.codes]
    if not codes or not 0 < place < panel.hours:
        return RunLoss(np.nan, np.nan, 0)
    table = np.stack([points[code][:DAY_H, [_MEDIAN, _UPPER]] for code in codes])
    return relative_loss(panel, place, codes, table)


def _champion_since() -> dt.datetime | None:
    rows = ForecastModel.objects.filter(is_champion=True, target=Target.DEMAND.value)
    return rows.values_list("trained_at", flat=True).first()
