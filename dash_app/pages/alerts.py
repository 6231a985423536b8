"""Serves the Alerts page with all that its first picture needs, so that it asks for nothing."""

from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from controlplane.auth.authentication import actor_of
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from dash_app.access import guard_data, guard_page
from dash_app.alert_words import alert_words
from dash_app.assets import asset_url
from dash_app.csp import new_nonce, with_policy
from dash_app.shell import page_context
from monitoring import selectors as grid
from monitoring.domain.alerting.rules import Metric
from monitoring.domain.alerts import AlertState, Severity

SCRIPTS = ("alerts-now.js", "alerts-rules.js", "alerts-targets.js", "alerts-page.js")
_HISTORY_SHOWN = 200


@require_GET
def alerts_page(request: HttpRequest) -> HttpResponse:
    """Show what is wrong, what was, what would be said so, and who is told."""
    refusal = guard_page(request)
    if refusal is not None:
        return refusal
    nonce = new_nonce()
    context = page_context(request, page="alerts", scripts=SCRIPTS) | {
        "nonce": nonce,
        "page_styles": [asset_url("alerts-page.css")],
        # written as the later pictures are, so that the same looks the same
        "first": orjson.loads(orjson.dumps(picture(request))),
    }
    return with_policy(render(request, "dash_app/alerts.html", context), nonce)


@require_GET
def alerts_data(request: HttpRequest) -> HttpResponse:
    """Answer with what the page shows, for its next pictures."""
    refusal = guard_data(request)
    if refusal is not None:
        return refusal
    response = HttpResponse(orjson.dumps(picture(request)), content_type="application/json")
    response["Cache-Control"] = "private, no-store"
    return response


def picture(request: HttpRequest) -> dict[str, Any]:
    """Return what the page shows.

    Args:
        request: of somebody who may view the grid.

    Returns:
        `open` and `past` alerts in words, `rules`, `changes`, `targets`, `metrics`,
        `severities`, and what the person may do: `may_acknowledge`, `may_edit`.
    """
    now, actor = clock.now(), actor_of(request.user)
    may_edit = actor is not None and actor.may(Permission.EDIT_INVENTORY)
    names = {info.code: (info.name_zh, info.name_en) for info in grid.regions()}
    names |= {info.code: (info.name_zh, info.name_en) for info in grid.providers()}
    alerts = grid.open_alerts(now, include_pending=True)
    past = grid.recent_alerts(now, limit=_HISTORY_SHOWN)
    return {
        "open": [_alert(alert, names) for alert in alerts],
        "past": [
            _alert(alert, names)
            for alert in past
            if alert.state == AlertState.RESOLVED and alert.fired_at
        ],
        "rules": [grid.rule_document(view) for view in grid.rule_views()],
        "changes": [asdict(change) for change in grid.rule_changes(limit=20)],
        "targets": [_target(target, may_edit=may_edit) for target in grid.webhook_targets()],
        "metrics": [metric.value for metric in Metric],
        "severities": [severity.value for severity in Severity],
        "may_acknowledge": actor is not None and actor.may(Permission.ACKNOWLEDGE_ALERT),
        "may_edit": may_edit,
    }


def _alert(alert: grid.AlertView, names: dict[str, tuple[str, str]]) -> dict[str, Any]:
    words_zh, words_en = alert_words(
        alert.kind, alert.scope, alert.detail, names, annotations=alert.annotations
    )
    shown = ("id", "kind", "severity", "scope", "state", "acknowledged_by", "comment")
    times = ("pending_at", "fired_at", "resolved_at", "unknown_since", "acknowledged_at")
    return {
        **{name: getattr(alert, name) for name in (*shown, *times)},
        "zh": words_zh,
        "en": words_en,
    }


def _target(target: grid.TargetView, *, may_edit: bool) -> dict[str, Any]:
    body = asdict(target)
    # the path of a webhook is often its only secret
    body["url"] = target.url if may_edit else urlsplit(target.url).hostname
    return body
