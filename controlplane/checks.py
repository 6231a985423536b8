"""System checks that refuse unsafe combinations of settings."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error


def check_clock_is_plain_outside_demo(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a shifted or faster grid clock outside the demo."""
    if settings.DEMO or settings.GRID_CLOCK.is_plain:
        return []
    return [
        Error(
            "The grid clock is shifted or faster than real time, but this is not the demo.",
            hint="Unset TIAODU_CLOCK_*, or set TIAODU_DEMO=1 if this is a demo.",
            id="controlplane.E001",
        )
    ]


def check_secret_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse to serve with the stand-in secret key."""
    if not settings.SECRET_KEY.startswith(("unset-", "insecure-")):
        return []
    return [
        Error(
            "No secret key is set.",
            hint="Set TIAODU_SECRET_KEY or TIAODU_SECRET_KEY_FILE.",
            id="controlplane.E002",
        )
    ]
