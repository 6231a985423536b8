"""Asks every forecaster about the hours after a panel and mixes their quantiles."""

from collections.abc import Mapping, Sequence

import numpy as np

from forecasting.domain.ensemble.network import Network, ask_network
from forecasting.domain.ensemble.rows import Center, Rows, describe_rows
from forecasting.domain.ensemble.rules import Places, apply_rules, lead_grid
from forecasting.domain.ensemble.tracks import ERRORS_H, Track, combine, follow
from forecasting.domain.ensemble.trees import Forest, ask_forest, tree_inputs
from forecasting.domain.features import WEEK_H
from forecasting.domain.frames import DemandPanel, Floats, carried_forward

_STRIDE_H = 3
_FEW_ERRORS_H = 60.0
_OWN_ERRORS_H = 4 * WEEK_H
_FROM_LAST_VALUE = {"level", "last-value"}
_FADES = 4
_WEIGHTS = {
    # member: weight in the median, in the other quantiles; learned medians leave the last value
    # too readily where demand stands still, while their tails are the best there are
    "errors": (1.0, 1.0),
    "level": (1.25, 0.0),
    "trees": (0.25, 0.7),
    "last-value": (1.0, 1.0),
    "combined": (0.1, 1.0),
    "prior": (0.0, 1.0),
}


def mixed_quantiles(
    panel: DemandPanel,
    networks: Mapping[str, Network],
    forest: Forest,
    quantiles: Sequence[float],
    *,
    horizon_h: int,
    grid_h: int,
) -> Floats:
    """Forecast the hours after a panel.

    Args:
        panel: P series up to the moment of issue.
        networks: `combined`, `last-value` and, if there is one, `prior`.
        forest: the trees.
        quantiles: Q levels, ascending.
        horizon_h: H leads.
        grid_h: the horizon that the trees were grown for.

    Returns:
        (P, H, Q) units, >= 0, ascending along the last axis; NaN where a series is unknown.
    """
    since_h = max(1, panel.hours - ERRORS_H - _OWN_ERRORS_H)
    leads = lead_grid(grid_h)
    leads = leads[: int(np.searchsorted(leads, horizon_h)) + 1]
    track = follow(panel, leads, stride_h=_STRIDE_H, since_h=since_h)
    members = ask_members(panel, track, networks, forest, quantiles)
    return to_every_lead(panel, track, mixed(members, track, quantiles), horizon_h)


def ask_members(
    panel: DemandPanel,
    track: Track,
    networks: Mapping[str, Network],
    forest: Forest,
    quantiles: Sequence[float],
) -> dict[str, Floats]:
    """Return what each forecaster says at the last origin of a track.

    Args:
        panel: the panel that the track follows.
        track: what the rules said and erred.
        networks: by name.
        forest: the trees.
        quantiles: Q levels.

    Returns:
        Member -> (P, L, Q), in usual errors of the combination, counted from it.
    """
    series = np.arange(len(panel.codes))
    newest = np.full(len(series), len(track.origins) - 1)
    rows = {
        center: describe_rows(panel, track, row=series, place=newest, about=center)
        for center in Center
    }
    combined = rows[Center.COMBINED]
    by_trees = ask_forest(forest, tree_inputs(combined, track.leads))
    members = {"trees": by_trees[:, : len(track.leads)]}
    for name, network in networks.items():
        read = rows[Center.LAST_VALUE if name == Center.LAST_VALUE else Center.COMBINED]
        answer = _asked(network, read)
        demand = read.center[..., None] + read.spread[..., None] * answer
        members[name] = (demand - combined.center[..., None]) / combined.spread[..., None]
    others = np.mean(list(members.values()), axis=0)
    away = (track.level[:, -1:] - combined.center) / combined.spread
    members["level"] = np.repeat(away[..., None], len(quantiles), axis=2)
    return {"errors": _own_errors(track, combined, quantiles, others), **members}


def mixed(members: Mapping[str, Floats], track: Track, quantiles: Sequence[float]) -> Floats:
    """Return (P, L, Q): the weighted mean of the members, quantile by quantile, ascending.

    What counts from the last value has less to say where the combination proved better than it:
    where demand has seasons.
    """
    middle = np.asarray(quantiles) == 0.5
    ratio = np.minimum(track.center_error[:, -1] / track.last_error[:, -1], 1.0)
    standing = (ratio**_FADES)[..., None]
    total = mean = np.zeros(())
    for name, said in members.items():
        weight = np.where(middle, *_WEIGHTS[name])
        weight = weight * standing if name in _FROM_LAST_VALUE else weight
        total, mean = total + weight, mean + weight * said
    return np.sort(mean / total, axis=-1)


def to_every_lead(panel: DemandPanel, track: Track, answer: Floats, horizon_h: int) -> Floats:
    """Return (P, H, Q) units, >= 0, from answers in usual errors on the grid of leads."""
    leads = np.arange(1, horizon_h + 1)
    origin = track.origins[-1:]
    rules = apply_rules(carried_forward(panel.demand), origin, leads)[:, 0]
    rule_error = _between(track.rule_error[:, -1], track.leads, leads)
    center = combine(rules, rule_error, np.repeat(track.level[:, -1:], horizon_h, axis=1))
    spread = _between(track.center_error[:, -1, :, None], track.leads, leads)
    demand = center[..., None] + spread * _between(answer, track.leads, leads)
    return np.sort(np.maximum(demand, 0.0), axis=-1)


def _asked(network: Network, rows: Rows) -> Floats:
    series, leads, features = rows.values.shape
    return ask_network(network, rows.values.reshape(-1, features)).reshape(series, leads, -1)


def _own_errors(track: Track, rows: Rows, quantiles: Sequence[float], others: Floats) -> Floats:
    """Return the quantiles of the combination's own past errors, as conformal prediction asks.

    With few errors the others' answer takes their place. A low quantile never lies above the
    combination, a high one never below.
    """
    recent = track.origins >= track.origins[-1] - _OWN_ERRORS_H
    errors = (track.truth - track.center)[:, recent]
    ranked = np.sort(errors, axis=1)  # unknown ones go to the end
    count = (~np.isnan(errors)).sum(axis=1)
    out = np.empty((*count.shape, len(quantiles)))
    for place, level in enumerate(quantiles):
        rank = np.ceil(level * count).astype(np.intp) - 1 + int(np.sign(level - 0.5))
        rank = np.clip(rank, 0, np.maximum(count - 1, 0))
        found = np.take_along_axis(ranked, rank[:, None, :], axis=1)[:, 0]
        bounded = np.minimum(found, 0.0) if level < 0.5 else np.maximum(found, 0.0)
        out[..., place] = bounded if level != 0.5 else 0.0
    trust = (_STRIDE_H * count / (_STRIDE_H * count + _FEW_ERRORS_H))[..., None]
    relative = np.nan_to_num(out) / rows.spread[..., None]
    blended: Floats = trust * relative + (1.0 - trust) * others
    return blended


def _between(values: Floats, known: Places, wanted: Places) -> Floats:
    """Interpolate (P, L, X) between leads, evenly in the logarithm of the lead."""
    at = np.interp(np.log(wanted), np.log(known), np.arange(len(known)))
    below = np.minimum(at.astype(np.intp), len(known) - 1)
    above = np.minimum(below + 1, len(known) - 1)
    share = (at - below)[None, :, None]
    out: Floats = (1.0 - share) * values[:, below] + share * values[:, above]
    return out
