"""Prepares what the page shows before any script has run: headline figures, names, settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token

from controlplane.auth.authentication import actor_of
from controlplane.auth.roles import Actor, Permission
from controlplane.lib import clock
from dash_app.assets import MAP_NAME, asset_url
from dash_app.feed import build_frame, system_state
from dash_app.texts import language_of, reasons_in, texts_in, theme_of


@dataclass(frozen=True)
class NavPage:
    """One page of the control room, as the navigation names it.

    Attributes:
        key: short name.
        path: address.
        label: key of its name in the texts.
        permissions: a person who has one of them finds it in the navigation.
    """

    key: str
    path: str
    label: str
    permissions: frozenset[Permission] = frozenset({Permission.VIEW_GRID})


PAGES = (
    NavPage("grid", "/grid/", "nav_grid"),
    NavPage("forecasts", "/forecasts/", "nav_forecasts"),
    NavPage("alerts", "/alerts/", "nav_alerts"),
    NavPage(
        "providers",
        "/providers/",
        "nav_providers",
        frozenset({Permission.VIEW_GRID, Permission.VIEW_OWN_POOLS}),
    ),
)
# in this order: each file may use what the earlier ones put into window.tiaodu
SHARED_SCRIPTS = ("core.js", "chrome.js")
SCRIPTS = (
    *SHARED_SCRIPTS,
    "tiles.js",
    "alerts.js",
    "plan-card.js",
    "plans.js",
    "dispatch.js",
    "timeline.js",
    "map-key.js",
    "map.js",
    "forecast.js",
    "bridge.js",
    "live.js",
)
# plotly.js with maps and lines only, a third of the whole, which Dash loads where this is missing
CHARTS = "plotly-geo.min.js"
TILES = ("supply", "demand", "headroom", "unmet")
UNKNOWN = "—"


def shell_context(request: HttpRequest) -> dict[str, Any]:
    """Return everything that the Grid page's template names, read once for this page.

    Args:
        request: of somebody who may view the grid.
    """
    frame = build_frame(now=clock.now(), wall_now=clock.wall_now())
    context = _context(request, "grid", SCRIPTS, frame)
    return context | {
        "tiles": headline_tiles(frame["headline"], context["t"]),
        "charts": asset_url(CHARTS),
    }


def page_context(request: HttpRequest, *, page: str, scripts: Sequence[str]) -> dict[str, Any]:
    """Return what `base.html` names, for a page that is not the Grid page.

    Args:
        request: of somebody who may see the page.
        page: key of one of `PAGES`.
        scripts: the page's own scripts; those that all pages share come before them.
    """
    actor = actor_of(request.user)
    sees_grid = actor is not None and actor.may(Permission.VIEW_GRID)
    live = ("live.js",) if sees_grid else ()
    frame = {
        "v": 1,
        "grid_now": clock.now().isoformat(),
        "clock": {"rate": settings.GRID_CLOCK.rate, "real": clock.wall_now().isoformat()},
        "regions": [],
        "sites": [],
        # how the grid's own processes stand is not a provider's business
        "system": system_state(settings.SUPERVISOR_STATUS) if sees_grid else {"children": []},
    }
    context = _context(request, page, (*SHARED_SCRIPTS, *scripts, *live), frame)
    return context | {"is_live": sees_grid}


def headline_tiles(headline: Mapping[str, Any], texts: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the headline tiles as the template shows them; what is unknown is a dash, never 0.

    Args:
        headline: the frame's headline figures; each may be None.
        texts: words in the page's language.
    """
    return [
        {
            "key": key,
            "label": texts[key],
            "value": format_count(headline[key]),
            "quality": texts[f"quality_{headline['quality']}"],
        }
        for key in TILES
    ]


def format_count(value: float | None) -> str:
    """Return a count of units for people: thousands apart, a dash for unknown.

    >>> format_count(1234.4), format_count(None)
    ('1,234', '—')
    """
    return UNKNOWN if value is None else f"{value:,.0f}"


def _context(
    request: HttpRequest, page: str, scripts: Sequence[str], frame: Mapping[str, Any]
) -> dict[str, Any]:
    lang, theme, actor = language_of(request), theme_of(request), actor_of(request.user)
    texts = texts_in(lang)
    return {
        "lang": lang,
        "html_lang": "zh-CN" if lang == "zh" else "en",
        "other_lang": "en" if lang == "zh" else "zh",
        "theme": theme,
        "t": texts,
        "pages": _navigation(actor, page, texts),
        "page_path": next(entry.path for entry in PAGES if entry.key == page),
        "is_live": True,
        "is_demo": settings.DEMO,
        "username": request.user.get_username(),
        "role": _role_words(actor, texts),
        "styles": [asset_url("control-room.css")],
        "scripts": [asset_url(name) for name in scripts],
        "frame": frame,
        "config": _page_config(request, lang, theme, texts),
    }


def _navigation(
    actor: Actor | None, page: str, texts: Mapping[str, str]
) -> list[dict[str, str | bool]]:
    if actor is None:
        return []
    return [
        {"path": entry.path, "label": texts[entry.label], "is_here": entry.key == page}
        for entry in PAGES
        if any(actor.may(permission) for permission in entry.permissions)
    ]


def _role_words(actor: Actor | None, texts: Mapping[str, str]) -> str:
    if actor is None:
        return ""
    words = texts[f"role_{actor.role}"]
    scope = actor.region_code or actor.provider_code
    return f"{words} {scope}" if scope else words


def _page_config(
    request: HttpRequest, lang: str, theme: str, texts: Mapping[str, str]
) -> dict[str, Any]:
    actor = actor_of(request.user)
    return {
        "lang": lang,
        "theme": theme,
        "texts": texts,
        "reasons": reasons_in(lang),
        "csrf": get_token(request),
        "viewer": {
            "username": request.user.get_username(),
            "role": actor.role if actor else "",
            "region": actor.region_code if actor else None,
            "provider": actor.provider_code if actor else None,
        },
        "urls": {
            "socket": "/ws/grid/",
            "series": "/api/v1/forecasts/series",
            "plans": "/api/v1/plans/",
            "alerts": "/api/v1/alerts/",
            "timeline": "/grid/timeline.json",
            "freeze": "/api/v1/dispatch/freeze",
            "planning": "/api/v1/planning-runs",
            "login": settings.LOGIN_URL,
            "map": asset_url(MAP_NAME),
        },
    }
