"""Keeps who is told of alerts, and tells them: the row of a group is the queue."""

import base64
import datetime as dt
import logging
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from controlplane.auth import audit
from controlplane.auth.roles import Actor, Permission
from controlplane.lib import events
from controlplane.lib.errors import ErrorKind, GridError
from monitoring import selectors, webhooks
from monitoring.domain.alerting.addresses import TargetRefused
from monitoring.domain.alerting.notices import (
    Notice,
    TargetFormat,
    TargetTerms,
    alertmanager_body,
    plan_notices,
    retry_after_s,
    webhook_body,
)
from monitoring.domain.alerting.targets import read_target
from monitoring.models import WebhookGroup, WebhookTarget
from monitoring.selectors.webhooks import TargetView, target_terms, target_view, tellable_alerts

logger = logging.getLogger(__name__)

# one pass ends in time for the next: a target that hangs costs 8 s, and is left alone afterwards
MAX_FAILURES_A_PASS = 2
MAX_MESSAGES_A_PASS = 200
_KEY_SALT = "tiaodu.webhooks"


class WebhookNotFound(GridError):
    """There is no such target."""

    code = "webhook-not-found"
    kind = ErrorKind.NOT_FOUND


class WebhookChanged(GridError):
    """The target is at another version."""

    code = "webhook-changed"
    kind = ErrorKind.PRECONDITION_FAILED


class WebhookNameTaken(GridError):
    """Another target has this name."""

    code = "webhook-name-taken"
    kind = ErrorKind.CONFLICT


class MayNotSetWebhooks(GridError):
    """The person's role does not say who is told of alerts."""

    code = "not-allowed"
    kind = ErrorKind.NOT_ALLOWED


def add_target(
    actor: Actor, document: Mapping[str, Any], *, now: dt.datetime, request_key: str = ""
) -> tuple[TargetView, str]:
    """Let somebody be told of alerts.

    Args:
        actor: who adds the target.
        document: as `read_target` takes it.
        now: present wall time.
        request_key: Idempotency-Key of the request; the same again adds nothing.

    Returns:
        The target and the secret that its messages are signed with.

    Raises:
        MayNotSetWebhooks: the person's role does not allow it.
        BadTarget: a field cannot be followed.
        TargetRefused: the grid sends nothing to this address.
        NotSent: the address's name cannot be resolved.
        WebhookNameTaken: another target has the name.
    """
    _require(actor)
    fields = read_target(document)
    webhooks.check_target(fields["url"])
    key = f"{actor.username}:{request_key}" if request_key else None
    known = WebhookTarget.objects.filter(request_key=key).first() if key else None
    if known is not None:
        return target_view(known), secret_of(known)
    row = WebhookTarget(
        **fields,
        salt=secrets.token_urlsafe(24),
        changed_at=now,
        changed_by=actor.username,
        request_key=key,
    )
    _save(actor, row, "add-webhook")
    return target_view(row), secret_of(row)


def change_target(
    actor: Actor,
    target_id: int,
    document: Mapping[str, Any],
    *,
    expected_version: int,
    now: dt.datetime,
) -> TargetView:
    """Change a target; what it was told is kept, and its failures are forgotten.

    Args:
        actor: who changes it.
        target_id: which target.
        document: the whole target, as `read_target` takes it.
        expected_version: the version that the person has looked at.
        now: present wall time.

    Raises:
        MayNotSetWebhooks: the person's role does not allow it.
        BadTarget: a field cannot be followed.
        TargetRefused: the grid sends nothing to this address.
        NotSent: the address's name cannot be resolved.
        WebhookNotFound: there is no such target.
        WebhookChanged: the version is another one by now.
        WebhookNameTaken: another target has the name.
    """
    _require(actor)
    fields = read_target(document)
    webhooks.check_target(fields["url"])
    with transaction.atomic():
        row = _lock(target_id)
        if row.version != expected_version:
            raise WebhookChanged(f"The webhook is at version {row.version}; look at it again.")
        for name, value in fields.items():
            setattr(row, name, value)
        row.version += 1
        row.changed_at, row.changed_by = now, actor.username
        row.failures, row.next_try_at = 0, None
        _save(actor, row, "change-webhook")
    return target_view(row)


@transaction.atomic
def remove_target(actor: Actor, target_id: int) -> None:
    """Tell somebody nothing any more.

    Raises:
        MayNotSetWebhooks: the person's role does not allow it.
        WebhookNotFound: there is no such target.
    """
    _require(actor)
    row = _lock(target_id)
    audit.record(actor.username, "remove-webhook", f"webhook:{row.name}", {"host": _host(row)})
    row.delete()


def secret_of(row: WebhookTarget) -> str:
    """Return the secret that a target's messages are signed with; it is not stored."""
    digest = salted_hmac(_KEY_SALT, row.salt, algorithm="sha256").digest()
    return f"whsec_{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def tell_targets(wall_now: dt.datetime) -> int:
    """Tell every target what it has not heard yet; what fails is tried again later.

    A message may come twice when this process dies between sending and writing it down: it is
    told at least once.

    Args:
        wall_now: present wall time.

    Returns:
        How many messages got through.
    """
    rows = list(WebhookTarget.objects.filter(is_enabled=True).order_by("next_try_at", "pk"))
    due = [row for row in rows if row.next_try_at is None or row.next_try_at <= wall_now]
    sent, failed = 0, 0
    for row in due:
        if failed == MAX_FAILURES_A_PASS or sent >= MAX_MESSAGES_A_PASS:
            break
        got_through, is_failed = _tell(row, wall_now)
        sent += got_through
        failed += is_failed
    return sent


def _tell(row: WebhookTarget, wall_now: dt.datetime) -> tuple[int, bool]:
    states = selectors.group_states(row.pk)
    keys = [key for state in states.values() for key in state.told]
    terms = target_terms(row)
    notices = plan_notices(terms, tellable_alerts(keys), states, now=wall_now)
    _forget_groups(row, {notice.group_key for notice in notices})
    sent = 0
    for notice in (notice for notice in notices if notice.is_due):
        if sent >= MAX_MESSAGES_A_PASS:
            break
        body = orjson.dumps(_body(terms, notice, wall_now))
        try:
            webhooks.send(
                row.url, body, secret=secret_of(row).encode(), sent_at_s=int(wall_now.timestamp())
            )
        except (webhooks.NotSent, TargetRefused) as error:
            _note_failure(row, error.detail, wall_now)
            return sent, True
        _note_success(row, notice, wall_now)
        sent += 1
    return sent, False


def _body(terms: TargetTerms, notice: Notice, wall_now: dt.datetime) -> Any:
    url = settings.EXTERNAL_URL
    if terms.form is TargetFormat.ALERTMANAGER:
        return alertmanager_body(terms, notice, external_url=url, now=wall_now)
    return webhook_body(terms, notice, external_url=url)


def _forget_groups(row: WebhookTarget, kept: set[str]) -> None:
    # all that such a group spoke of is over and was told
    row.groups.exclude(group_key__in=kept).delete()


@transaction.atomic
def _note_success(row: WebhookTarget, notice: Notice, wall_now: dt.datetime) -> None:
    WebhookGroup.objects.update_or_create(
        target=row,
        group_key=notice.group_key,
        defaults={"told": dict(notice.told), "sent_at": wall_now},
    )
    row.failures, row.next_try_at = 0, None
    row.sent_count += 1
    row.last_ok_at = wall_now
    row.save(update_fields=["failures", "next_try_at", "sent_count", "last_ok_at"])


@transaction.atomic
def _note_failure(row: WebhookTarget, reason: str, wall_now: dt.datetime) -> None:
    row.failures += 1
    row.failed_count += 1
    row.next_try_at = wall_now + dt.timedelta(seconds=retry_after_s(row.failures))
    row.last_error_at, row.last_error = wall_now, reason
    row.save(
        update_fields=["failures", "failed_count", "next_try_at", "last_error_at", "last_error"]
    )
    logger.warning("webhook.not_sent", extra={"target": row.name, "failures": row.failures})
    events.publish("grid", {"kind": "alerts"})


def _require(actor: Actor) -> None:
    if not actor.may(Permission.EDIT_INVENTORY):
        raise MayNotSetWebhooks("Only a grid admin says who is told of alerts.")


def _lock(target_id: int) -> WebhookTarget:
    row = WebhookTarget.objects.select_for_update().filter(pk=target_id).first()
    if row is None:
        raise WebhookNotFound(f"There is no webhook {target_id}.")
    return row


def _save(actor: Actor, row: WebhookTarget, action: str) -> None:
    try:
        with transaction.atomic():
            row.save()
            facts = {"host": _host(row), "form": row.form, "version": row.version}
            audit.record(actor.username, action, f"webhook:{row.name}", facts)
    except IntegrityError as error:
        raise WebhookNameTaken(f"Another webhook is called {row.name}.") from error


def _host(row: WebhookTarget) -> str:
    # the path of a webhook is often its only secret
    return urlsplit(row.url).netloc
