"""Serves the Providers page; what it shows comes from the REST API that providers' scripts use."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dash_app.access import entry_of, guard_provider_page
from dash_app.assets import asset_url
from dash_app.csp import new_nonce, with_policy
from dash_app.shell import page_context

SCRIPTS = ("providers-detail.js", "providers-keys.js", "providers-test.js", "providers-page.js")


@require_GET
def providers_page(request: HttpRequest) -> HttpResponse:
    """Show how providers stand; to people of a provider their own only."""
    refusal = guard_provider_page(request)
    if refusal is not None:
        return refusal
    nonce = new_nonce()
    context = page_context(request, page="providers", scripts=SCRIPTS) | {
        "nonce": nonce,
        "page_styles": [asset_url("providers.css")],
        "sees_all": entry_of(request).actor is not None,
    }
    return with_policy(render(request, "dash_app/providers.html", context), nonce)
