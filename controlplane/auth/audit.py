"""Appends to the audit chain and verifies it: each entry's hash covers the one before it."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection

from controlplane.auth.models import AuditEntry
from controlplane.lib import clock

GENESIS = "0" * 64
_CHAIN_LOCK = 0x7_1A0_D0


@dataclass(frozen=True)
class ChainReport:
    """What a verification found: how many links hold, and the first that does not."""

    verified: int
    bad_sequence: int | None = None
    reason: str | None = None


def record(actor: str, action: str, subject: str, payload: Mapping[str, Any]) -> AuditEntry:
    """Append one entry to the chain, in the caller's transaction.

    Args:
        actor: login name, `provider:<code>` or `system`.
        action: what was done, verb first, such as `approve-plan`.
        subject: what it was done to, such as `plan:17`.
        payload: JSON-able facts; no secrets.

    Returns:
        The stored entry.
    """
    with connection.cursor() as cursor:
        # one writer at a time: two would both follow the same link
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN_LOCK])
    last = AuditEntry.objects.order_by("-sequence").first()
    entry = AuditEntry(
        sequence=last.sequence + 1 if last else 1,
        grid_at=clock.now(),
        wall_at=clock.wall_now(),
        actor=actor,
        action=action,
        subject=subject,
        payload=dict(payload),
        previous_hash=last.entry_hash if last else GENESIS,
    )
    entry.entry_hash = hash_entry(entry)
    entry.save(force_insert=True)
    return entry


def hash_entry(entry: AuditEntry) -> str:
    """Return the SHA-256 of an entry's canonical JSON, which holds the hash before it."""
    body = {
        "sequence": entry.sequence,
        "grid_at": _iso(entry.grid_at),
        "wall_at": _iso(entry.wall_at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "payload": entry.payload,
        "previous_hash": entry.previous_hash,
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(entries: Iterable[AuditEntry]) -> ChainReport:
    """Check a chain from its first entry on.

    Args:
        entries: all entries in order of their sequence.

    Returns:
        The number of good links before the first bad one, which is named with the reason.
    """
    expected_hash, expected_sequence = GENESIS, 1
    for entry in entries:
        if entry.sequence != expected_sequence:
            reason = f"expected entry {expected_sequence}, found {entry.sequence}"
            return ChainReport(expected_sequence - 1, expected_sequence, reason)
        if entry.previous_hash != expected_hash:
            return ChainReport(
                expected_sequence - 1, entry.sequence, "does not follow the entry before it"
            )
        if entry.entry_hash != hash_entry(entry):
            return ChainReport(expected_sequence - 1, entry.sequence, "its content was changed")
        expected_hash, expected_sequence = entry.entry_hash, expected_sequence + 1
    return ChainReport(expected_sequence - 1)


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
