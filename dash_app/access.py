"""Decides who may see the control room, for pages, page data and sockets alike."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from controlplane.auth.authentication import actor_of
from controlplane.auth.roles import Actor, Permission
from controlplane.lib.problems import problem_response
from dash_app.assets import asset_url
from dash_app.csp import with_policy
from dash_app.texts import language_of, texts_in, theme_of

Guard = Callable[[HttpRequest], HttpResponse | None]


@dataclass(frozen=True)
class Entry:
    """Whether somebody may come in.

    Attributes:
        actor: the person, when the role may view the grid.
        is_known: whether anybody is logged in at all.
    """

    actor: Actor | None
    is_known: bool


def entry_of(request: HttpRequest) -> Entry:
    """Return whether the person behind a request may view the grid."""
    user = request.user
    if not user.is_authenticated:
        return Entry(actor=None, is_known=False)
    actor = actor_of(user)
    may_view = actor is not None and actor.may(Permission.VIEW_GRID)
    return Entry(actor=actor if may_view else None, is_known=True)


def entry_of_session(session_key: str | None) -> Entry:
    """Return whether the session behind a socket may still view the grid.

    The session and the role are read anew at each call, so that a logout, a changed password or a
    role that was taken away closes a socket that is already open.

    Args:
        session_key: value of the session cookie, or None when there was none.
    """
    if not session_key:
        return Entry(actor=None, is_known=False)
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    request.user = auth.get_user(request)
    return entry_of(request)


def guard_page(request: HttpRequest) -> HttpResponse | None:
    """Send strangers to the login page, and tell people without the role so on a page."""
    entry = entry_of(request)
    if entry.actor is not None:
        return None
    if not entry.is_known:
        return redirect_to_login(request.get_full_path())
    if _is_of_provider(request):
        return redirect("/providers/")
    return _refused(request)


def guard_provider_page(request: HttpRequest) -> HttpResponse | None:
    """Let in who may view the grid, and people of a provider, who see their own."""
    entry = entry_of(request)
    if entry.actor is not None or _is_of_provider(request):
        return None
    return _refused(request) if entry.is_known else redirect_to_login(request.get_full_path())


def _is_of_provider(request: HttpRequest) -> bool:
    actor = actor_of(request.user)
    return actor is not None and actor.may(Permission.VIEW_OWN_POOLS)


def _refused(request: HttpRequest) -> HttpResponse:
    lang = language_of(request)
    context = {
        "lang": lang,
        "theme": theme_of(request),
        "t": texts_in(lang),
        "styles": [asset_url("control-room.css")],
    }
    return with_policy(render(request, "dash_app/refused.html", context, status=403))


def guard_data(request: HttpRequest) -> HttpResponse | None:
    """Refuse strangers with 401 and people without the role with 403."""
    entry = entry_of(request)
    if entry.actor is not None:
        return None
    if not entry.is_known:
        return problem_response(401, "not-authenticated", "Log in first.")
    return problem_response(403, "not-allowed", "Your role does not see the whole grid.")
