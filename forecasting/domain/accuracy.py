"""Measures past runs against what came true, beside naive forecasts of the same hours."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from forecasting.domain.backtest import best_naive_of
from forecasting.domain.baselines import Baseline, predict_baseline
from forecasting.domain.calibration import LEAD_BUCKETS
from forecasting.domain.features import CONTEXT_H
from forecasting.domain.frames import HOUR, DemandPanel, Floats
from forecasting.domain.metrics import score_forecasts, skill

IssuedForecasts = Mapping[dt.datetime, Mapping[str, Floats]]
"""Moment of issue -> series -> (H, Q) units."""


def score_past_runs(
    panel: DemandPanel, issued: IssuedForecasts, *, quantiles: Sequence[float], horizon_h: int
) -> dict[str, Any]:
    """Measure what was forecast against what came true since.

    Args:
        panel: what has come true, up to now; the naive forecasts are made from its beginning.
        issued: forecasts as they were issued; series that the panel does not have are left out.
        quantiles: Q levels.
        horizon_h: leads 1..horizon_h of every forecast.

    Returns:
        JSON-able: `runs`, `overall` and `by_lead`; each part with `wape`, `pinball`, `coverage`,
        `hours`, `naive` (WAPE of each naive rule), `best_naive` and `skill` against it. Empty
        when nothing has come true.
    """
    row_of = {code: row for row, code in enumerate(panel.codes)}
    truth: list[Floats] = []
    ours: list[Floats] = []
    naive: dict[Baseline, list[Floats]] = {rule: [] for rule in Baseline}
    padded = np.pad(panel.demand, ((0, 0), (0, horizon_h)), constant_values=np.nan)
    for issued_at in sorted(issued):
        place = int((issued_at - panel.start_at) / HOUR)
        rows = [row_of[code] for code in sorted(issued[issued_at]) if code in row_of]
        if not rows or not 0 < place < panel.hours:
            continue
        known = panel.head(place).tail(CONTEXT_H)  # all that a naive rule looks at
        truth.append(padded[rows, place : place + horizon_h])
        ours.extend(issued[issued_at][panel.codes[row]][None] for row in rows)
        for rule, parts in naive.items():
            points = predict_baseline(known, rule, horizon_h=horizon_h, quantiles=(0.5,))
            parts.append(points[rows])
    if not truth:
        return {}
    tables = {rule.value: np.concatenate(parts) for rule, parts in naive.items()}
    actual, forecast = np.concatenate(truth), np.concatenate(ours)
    if np.isnan(actual).all():
        return {}
    by_lead = {
        label: _part(actual, forecast, tables, quantiles, slice(first - 1, last))
        for label, first, last in LEAD_BUCKETS
        if first <= horizon_h
    }
    overall = _part(actual, forecast, tables, quantiles, slice(None))
    return {"runs": len(truth), "overall": overall, "by_lead": by_lead}


def _part(
    actual: Floats,
    forecast: Floats,
    naive: Mapping[str, Floats],
    quantiles: Sequence[float],
    leads: slice,
) -> dict[str, Any]:
    score = asdict(score_forecasts(actual[:, leads], forecast[:, leads], quantiles))
    errors = {
        name: score_forecasts(actual[:, leads], table[:, leads], (0.5,)).wape
        for name, table in naive.items()
    }
    best = best_naive_of(errors)
    kept = {name: score[name] for name in ("wape", "pinball", "coverage", "hours")}
    own_skill = skill(score["wape"], errors[best]) if best else None
    return {**kept, "naive": errors, "best_naive": best, "skill": own_skill}
