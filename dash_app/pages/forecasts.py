"""Serves the Forecasts page with all that its first picture needs, so that it asks for nothing."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from controlplane.auth.authentication import actor_of
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from dash_app.access import guard_page
from dash_app.assets import asset_url
from dash_app.csp import new_nonce, with_policy
from dash_app.shell import CHARTS, page_context
from forecasting import selectors as forecasts
from forecasting.domain.runs import GRID_CODE, RunInfo, Scope
from monitoring import selectors as grid

SCRIPTS = (
    "forecasts-chart.js",
    "forecasts-figures.js",
    "forecasts-cards.js",
    "forecasts-announce.js",
    "forecasts-page.js",
)
_TRAININGS_SHOWN = 8


@require_GET
def forecasts_page(request: HttpRequest) -> HttpResponse:
    """Show forecasts, how true they came, what made them, and what was announced."""
    refusal = guard_page(request)
    if refusal is not None:
        return refusal
    nonce = new_nonce()
    context = page_context(request, page="forecasts", scripts=SCRIPTS) | {
        "nonce": nonce,
        "charts": asset_url(CHARTS),
        "page_styles": [asset_url("forecasts.css")],
        "first": first_picture(request),
    }
    return with_policy(render(request, "dash_app/forecasts.html", context), nonce)


def first_picture(request: HttpRequest) -> dict[str, Any]:
    """Return what the page shows before anything is chosen.

    Args:
        request: of somebody who may view the grid.

    Returns:
        `places` (what can be chosen), `series` of the grid, `run`, `accuracy`, `models`,
        `declarations`, `zones`, and `may_announce`.
    """
    now = clock.now()
    actor = actor_of(request.user)
    run = forecasts.latest_run(now)
    return {
        "places": _places(),
        "zones": forecasts.zones(),
        "series": forecasts.series(Scope.GRID.value, GRID_CODE, now, hours=48, history_h=48),
        "run": None if run is None else _run_card(run),
        "accuracy": forecasts.accuracy(now),
        "models": [_training_card(model) for model in forecasts.registry(limit=_TRAININGS_SHOWN)],
        "declarations": forecasts.declarations(),
        "may_announce": actor is not None and actor.may(Permission.PROPOSE_PLAN),
    }


def _run_card(run: RunInfo) -> dict[str, Any]:
    return {
        "id": run.id,
        "state": run.state.value,
        "fallbacks": run.fallbacks,
        "declaration": forecasts.declaration_of(run),
    }


def _training_card(model: dict[str, Any]) -> dict[str, Any]:
    """Leave out the long tables of scores: the card of the model in service has them."""
    scores = model["scores"]
    kept = {name: scores.get(name) for name in ("is_promoted", "incumbent", "skill_pinball")}
    names = ("target", "version", "trained_at", "trained_until", "trigger", "is_champion")
    return {**{name: model[name] for name in names}, "scores": kept}


def _places() -> dict[str, list[dict[str, str]]]:
    """Return what forecasts exist of, by scope: code and names, in order of region."""
    pools = grid.pools()
    used_regions = {pool.region for pool in pools}
    used_sites = {pool.site for pool in pools}
    sites = {site.code: site for site in grid.sites() if site.code in used_sites}
    alone = {pool.site for pool in pools if sum(own.site == pool.site for own in pools) == 1}
    return {
        "region": [
            {"code": region.code, "zh": region.name_zh, "en": region.name_en}
            for region in grid.regions()
            if region.code in used_regions
        ],
        "site": [
            {"code": site.code, "zh": site.name_zh, "en": site.name_en}
            for site in sites.values()
            if site.code not in alone
        ],
        "pool": [
            {"code": pool.code, **_pool_names(pool.code, sites[pool.site], pool.site in alone)}
            for pool in pools
        ],
    }


def _pool_names(code: str, site: grid.SiteInfo, is_alone: bool) -> dict[str, str]:  # noqa: FBT001
    if is_alone:
        return {"zh": site.name_zh, "en": site.name_en}
    return {"zh": f"{site.name_zh} · {code}", "en": f"{site.name_en} · {code}"}
