"""States what a page may load: from this server only, and no code made from text."""

import secrets
from contextvars import ContextVar

from django.http import HttpResponse

_POLICY = (
    "default-src 'self'",
    # plotly.js and React set style attributes; without unsafe-inline charts lose their layout
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)

page_nonce: ContextVar[str] = ContextVar("page_nonce")


def new_nonce() -> str:
    """Return a fresh mark for the inline scripts of one response."""
    return secrets.token_urlsafe(16)


def with_policy(response: HttpResponse, nonce: str | None = None) -> HttpResponse:
    """Put the policy on a response and return it.

    Args:
        response: a page.
        nonce: mark of the page's inline scripts, or None for a page without any.
    """
    scripts = "script-src 'self'" + (f" 'nonce-{nonce}'" if nonce else "")
    response["Content-Security-Policy"] = "; ".join((*_POLICY, scripts))
    return response
