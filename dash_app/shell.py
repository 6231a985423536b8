"""Prepares what the page shows before any script has run: headline figures, names, settings."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token

from controlplane.lib import clock
from dash_app.access import entry_of
from dash_app.assets import MAP_NAME, asset_url
from dash_app.feed import build_frame
from dash_app.texts import language_of, reasons_in, texts_in, theme_of

# in this order: each file may use what the earlier ones put into window.tiaodu
SCRIPTS = (
    "core.js",
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
    """Return everything that the shell's template names, read once for this page.

    Args:
        request: of somebody who may view the grid.
    """
    lang, theme = language_of(request), theme_of(request)
    texts = texts_in(lang)
    frame = build_frame(now=clock.now(), wall_now=clock.wall_now())
    return {
        "lang": lang,
        "html_lang": "zh-CN" if lang == "zh" else "en",
        "other_lang": "en" if lang == "zh" else "zh",
        "theme": theme,
        "t": texts,
        "tiles": headline_tiles(frame["headline"], texts),
        "is_demo": settings.DEMO,
        "username": request.user.get_username(),
        "role": _role_words(request, texts),
        "styles": [asset_url("control-room.css")],
        "charts": asset_url(CHARTS),
        "scripts": [asset_url(name) for name in SCRIPTS],
        "frame": frame,
        "config": _page_config(request, lang, theme, texts),
    }


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


def _role_words(request: HttpRequest, texts: Mapping[str, str]) -> str:
    actor = entry_of(request).actor
    if actor is None:
        return ""
    words = texts[f"role_{actor.role}"]
    return f"{words} {actor.region_code}" if actor.region_code else words


def _page_config(
    request: HttpRequest, lang: str, theme: str, texts: Mapping[str, str]
) -> dict[str, Any]:
    actor = entry_of(request).actor
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
