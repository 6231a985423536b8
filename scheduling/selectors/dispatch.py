"""Commands to engines by state, for the control room and for whoever asks what is in doubt."""

from typing import Any

from django.db.models import Count

from scheduling.domain.lifecycle import CommandState
from scheduling.models import DispatchCommand, DispatchSwitch

OPEN = (CommandState.PENDING, CommandState.SENT, CommandState.UNKNOWN)
MOST = 100


def dispatch_overview() -> dict[str, Any]:
    """This function will count commands by state and list open and newly closed ones.

    Returns:
        JSON-able: `frozen`, `counts` per state, `open` and `closed` lists of at most 100.
    """
    counts = dict(
        DispatchCommand.objects.values_list("state").annotate(n=Count("pk")).order_by("state")
    )
    rows = DispatchCommand.objects.select_related("pool", "passage__move", "passage__workload")
    switch = DispatchSwitch.objects.filter(pk=1).first()
    return {
        "frozen": bool(switch and switch.is_frozen),
        "frozen_by": switch.changed_by if switch else "",
        "counts": counts,
        "open": [_line(row) for row in rows.filter(state__in=OPEN).order_by("due_wall_at")[:MOST]],
        "closed": [_line(row) for row in rows.exclude(state__in=OPEN).order_by("-pk")[:MOST]],
    }


def dispatch_state() -> dict[str, Any]:
    """This function will say in a few figures whether commands go out, and how many have not ended.

    Returns:
        JSON-able: `frozen`, `frozen_by`, `frozen_at` and `reason` of the switch, how many commands
        are `open` (not sent, or sent and not answered) and how many of those are `unknown`.
    """
    counts = dict(
        DispatchCommand.objects.filter(state__in=OPEN)
        .values_list("state")
        .annotate(n=Count("pk"))
        .order_by("state")
    )
    switch = DispatchSwitch.objects.filter(pk=1, is_frozen=True).first()
    return {
        "frozen": switch is not None,
        "frozen_by": switch.changed_by if switch else "",
        "frozen_at": switch.changed_at.isoformat() if switch and switch.changed_at else None,
        "reason": switch.reason if switch else "",
        "open": sum(counts.values()),
        "unknown": counts.get(CommandState.UNKNOWN, 0),
    }


def _line(command: DispatchCommand) -> dict[str, Any]:
    return {
        "key": command.key,
        "kind": command.kind,
        "state": command.state,
        "pool": command.pool.code,
        "plan": command.passage.move.plan_id,
        "workload": command.passage.workload.external_id,
        "attempts": command.attempts,
        "error": command.error,
        "closed_at": command.closed_at.isoformat() if command.closed_at else None,
    }
