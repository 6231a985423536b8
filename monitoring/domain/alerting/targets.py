"""Decides what a target of messages may ask for, and reads one from a document."""

import re
from collections.abc import Mapping
from typing import Any

from controlplane.lib.errors import GridError
from monitoring.domain.alerting.notices import TargetFormat

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,59}")
FIELDS = (
    *("name", "url", "form", "match", "group_by", "resend_s", "group_interval_s"),
    *("send_resolved", "is_enabled"),
)
_RESEND_S = {TargetFormat.WEBHOOK: 14_400.0, TargetFormat.ALERTMANAGER: 60.0}
_GROUP_INTERVAL_S = {TargetFormat.WEBHOOK: 30.0, TargetFormat.ALERTMANAGER: 0.0}


class BadTarget(GridError):
    """A target of messages that cannot be followed."""

    code = "bad-webhook"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}", field=name, reason=reason)


def read_target(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return every field of a target; where it leads is looked at elsewhere.

    Args:
        document: `name` and `url`, and whatever differs from the defaults of its form.

    Raises:
        BadTarget: a field is missing, unknown or says what cannot be followed.
    """
    unknown = sorted(map(str, document.keys() - set(FIELDS)))
    if unknown:
        raise BadTarget(unknown[0], "there is no such field")
    name, url = document.get("name"), document.get("url")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadTarget("name", "1 to 60 letters, digits, full stops, hyphens")
    if not isinstance(url, str) or not url:
        raise BadTarget("url", "it is missing")
    wanted = document.get("form", TargetFormat.WEBHOOK.value)
    if not isinstance(wanted, str) or wanted not in set(TargetFormat):
        raise BadTarget("form", f"it is one of {', '.join(TargetFormat)}")
    form = TargetFormat(wanted)
    return {
        "name": name,
        "url": url,
        "form": form.value,
        "match": _read_match(document.get("match", {})),
        "group_by": _read_group_by(form, document.get("group_by")),
        "resend_s": _read_seconds(document, "resend_s", _RESEND_S[form], least=10.0),
        "group_interval_s": _read_seconds(
            document, "group_interval_s", _GROUP_INTERVAL_S[form], least=0.0
        ),
        "send_resolved": _read_flag(document, "send_resolved"),
        "is_enabled": _read_flag(document, "is_enabled"),
    }


def _read_match(value: object) -> dict[str, list[str]]:
    if not isinstance(value, Mapping) or len(value) > 16:
        raise BadTarget("match", "it is an object of at most 16 labels")
    for label, wanted in value.items():
        if not isinstance(label, str) or not _LABEL.fullmatch(label):
            raise BadTarget("match", "labels have letters, digits and underscores")
        if not isinstance(wanted, list) or not 0 < len(wanted) <= 100:
            raise BadTarget("match", f"{label} is a list of 1 to 100 values")
        if not all(isinstance(text, str) and 0 < len(text) <= 200 for text in wanted):
            raise BadTarget("match", f"{label} has texts as values")
    return {label: list(wanted) for label, wanted in value.items()}


def _read_group_by(form: TargetFormat, value: object) -> list[str]:
    if form is TargetFormat.ALERTMANAGER:
        # an Alertmanager groups by itself; here is one message with all
        if value:
            raise BadTarget("group_by", "an Alertmanager groups by itself")
        return []
    if value is None:
        return ["alertname"]
    if not isinstance(value, list) or len(value) > 8:
        raise BadTarget("group_by", "it is a list of at most 8 labels")
    # an alert whose severity changes would leave its group without a word
    if not all(
        isinstance(label, str) and _LABEL.fullmatch(label) and label != "severity"
        for label in value
    ):
        raise BadTarget("group_by", "labels have letters, digits and underscores; not severity")
    return list(dict.fromkeys(value))


def _read_seconds(document: Mapping[str, Any], name: str, default: float, *, least: float) -> float:
    value = document.get(name, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not least <= value <= 86_400
    ):
        raise BadTarget(name, f"it is {least:.0f} to 86400 seconds")
    return float(value)


def _read_flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name, True)
    if not isinstance(value, bool):
        raise BadTarget(name, "it is true or false")
    return value
