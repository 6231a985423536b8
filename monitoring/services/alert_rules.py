"""Keeps the alert rules: a change is one grid admin's proposal that another one confirms."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from controlplane.auth import audit
from controlplane.auth.roles import Actor, Permission
from controlplane.lib.errors import ErrorKind, GridError
from monitoring import selectors
from monitoring.domain.alerting.defaults import DEFAULT_RULES
from monitoring.domain.alerting.rules import AlertRule, read_alert_rule, write_alert_rule
from monitoring.models import AlertRule as AlertRuleRow
from monitoring.models import AlertRuleChange, ChangeState


class AlertRuleNotFound(GridError):
    """There is no such alert rule."""

    code = "alert-rule-not-found"
    kind = ErrorKind.NOT_FOUND


class AlertRuleChanged(GridError):
    """The rule is at another version, exists already, or waits for another change."""

    code = "alert-rule-changed"
    kind = ErrorKind.PRECONDITION_FAILED


class ChangeNotFound(GridError):
    """There is no such proposal."""

    code = "alert-rule-change-not-found"
    kind = ErrorKind.NOT_FOUND


class ChangeNotDecidable(GridError):
    """The proposal is decided, out of date, or the person's own."""

    code = "alert-rule-change-not-decidable"
    kind = ErrorKind.CONFLICT


class MayNotChangeRules(GridError):
    """The person's role does not change alert rules."""

    code = "not-allowed"
    kind = ErrorKind.NOT_ALLOWED


def keep_default_rules(now: dt.datetime) -> None:
    """Add the rules that the grid brings along and that are not there yet.

    Args:
        now: present grid time.
    """
    known = set(AlertRuleRow.objects.values_list("name", flat=True))
    missing = [rule for rule in DEFAULT_RULES if rule.name not in known]
    if missing:
        rows = [_row(rule, version=1, changed_by="system", now=now) for rule in missing]
        AlertRuleRow.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def propose_rule(
    actor: Actor,
    document: Mapping[str, Any],
    *,
    expected_version: int,
    now: dt.datetime,
    request_key: str = "",
) -> selectors.ChangeView:
    """Propose a new alert rule, or another content of one; a second grid admin has to confirm.

    Args:
        actor: who proposes.
        document: the whole rule, as `read_alert_rule` takes it.
        expected_version: the version that the person has looked at; 0 for a rule that is new.
        now: present grid time.
        request_key: Idempotency-Key of the request; the same again changes nothing.

    Raises:
        MayNotChangeRules: the person's role does not allow it.
        BadAlertRule: the rule cannot be followed.
        AlertRuleChanged: the rule is at another version, or a proposal for it is open.
    """
    if not actor.may(Permission.EDIT_INVENTORY):
        raise MayNotChangeRules("Only a grid admin proposes alert rules.")
    rule = read_alert_rule(document)
    key = f"{actor.username}:{request_key}" if request_key else None
    known = AlertRuleChange.objects.filter(request_key=key).first() if key else None
    if known is not None:
        return selectors.change_view(known)
    _check_version(rule.name, expected_version)
    change = AlertRuleChange(
        rule_name=rule.name,
        wanted=write_alert_rule(rule),
        based_on=expected_version,
        state=ChangeState.PROPOSED,
        proposed_by=actor.username,
        proposed_at=now,
        request_key=key,
    )
    try:
        with transaction.atomic():
            change.save()
    except IntegrityError as error:
        raise AlertRuleChanged(f"Another change of {rule.name} waits for its answer.") from error
    _record(actor, "propose-alert-rule", change)
    return selectors.change_view(change)


@transaction.atomic
def confirm_change(actor: Actor, change_id: int, *, now: dt.datetime) -> selectors.ChangeView:
    """Make a proposed alert rule hold.

    Args:
        actor: a grid admin who did not propose it.
        change_id: which proposal.
        now: present grid time.

    Raises:
        MayNotChangeRules: the person's role does not allow it.
        ChangeNotFound: there is no such proposal.
        ChangeNotDecidable: it is the person's own, decided, or not of the present version.
    """
    change = _lock_change(actor, change_id)
    if change.proposed_by == actor.username:
        raise ChangeNotDecidable("Another grid admin than the one who proposed it confirms it.")
    row = AlertRuleRow.objects.select_for_update().filter(name=change.rule_name).first()
    version = row.version if row else 0
    if version != change.based_on:
        raise ChangeNotDecidable(f"{change.rule_name} is at version {version} now; propose anew.")
    rule = read_alert_rule(change.wanted)
    fresh = _row(rule, version=version + 1, changed_by=change.proposed_by, now=now)
    fresh.pk = row.pk if row else None
    fresh.evaluated_at = row.evaluated_at if row else None
    fresh.save()
    return _decide(actor, change, ChangeState.APPLIED, now)


@transaction.atomic
def reject_change(
    actor: Actor, change_id: int, *, comment: str, now: dt.datetime
) -> selectors.ChangeView:
    """Turn a proposed alert rule down, or withdraw one's own.

    Args:
        actor: a grid admin.
        change_id: which proposal.
        comment: why; may be empty.
        now: present grid time.

    Raises:
        MayNotChangeRules: the person's role does not allow it.
        ChangeNotFound: there is no such proposal.
        ChangeNotDecidable: it is decided.
    """
    change = _lock_change(actor, change_id)
    change.comment = comment
    return _decide(actor, change, ChangeState.REJECTED, now)


def _check_version(name: str, expected_version: int) -> None:
    row = AlertRuleRow.objects.filter(name=name).only("version").first()
    if row is None and expected_version:
        raise AlertRuleNotFound(f"There is no alert rule {name}.")
    version = row.version if row else 0
    if version != expected_version:
        raise AlertRuleChanged(f"{name} is at version {version}; look at it again.")


def _lock_change(actor: Actor, change_id: int) -> AlertRuleChange:
    if not actor.may(Permission.EDIT_INVENTORY):
        raise MayNotChangeRules("Only a grid admin decides on alert rules.")
    change = AlertRuleChange.objects.select_for_update().filter(pk=change_id).first()
    if change is None:
        raise ChangeNotFound(f"There is no proposal {change_id}.")
    if change.state != ChangeState.PROPOSED:
        raise ChangeNotDecidable(f"Proposal {change_id} is {change.state} already.")
    return change


def _decide(
    actor: Actor, change: AlertRuleChange, state: ChangeState, now: dt.datetime
) -> selectors.ChangeView:
    change.state, change.decided_by, change.decided_at = state, actor.username, now
    change.save()
    _record(actor, f"{'confirm' if state is ChangeState.APPLIED else 'reject'}-alert-rule", change)
    return selectors.change_view(change)


def _record(actor: Actor, action: str, change: AlertRuleChange) -> None:
    facts = {"change": change.pk, "rule": change.wanted, "based_on": change.based_on}
    audit.record(actor.username, action, f"alert-rule:{change.rule_name}", facts)


def _row(rule: AlertRule, *, version: int, changed_by: str, now: dt.datetime) -> AlertRuleRow:
    return AlertRuleRow(
        **write_alert_rule(rule), version=version, changed_by=changed_by, changed_at=now
    )
