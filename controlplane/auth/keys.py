"""Issues, checks and revokes the keys with which providers push telemetry."""

import datetime as dt
import hashlib
import secrets
import zlib
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Q

from controlplane.auth import audit
from controlplane.auth.models import ProviderKey
from controlplane.lib import clock
from controlplane.lib.errors import ErrorKind, GridError

PREFIX = "cg_live_"
MAX_LIVE_KEYS = 2
MAX_LIFE = dt.timedelta(days=180)
_USE_RESOLUTION = dt.timedelta(minutes=1)
_SHOWN_AFTER_END = dt.timedelta(days=30)
_LOCK = 0x71A0_6E


class TooManyLiveKeys(GridError):
    """A provider may have two live keys: the present one and the next."""

    code = "too-many-live-keys"
    kind = ErrorKind.CONFLICT


class KeyNotFound(GridError):
    """The provider has no such key."""

    code = "key-not-found"
    kind = ErrorKind.NOT_FOUND


@dataclass(frozen=True)
class KeyView:
    """A key as people see it; the key itself nobody sees.

    Attributes:
        id: names it in the API.
        hint: its first characters.
        label: words to tell keys apart.
        created_at: when it was issued.
        expires_at: when it ends by itself.
        last_used_at: last push with it, to the minute; None = never.
        revoked_at: when somebody ended it; None = nobody has.
        is_live: whether it opens anything now.
    """

    id: int
    hint: str
    label: str
    created_at: dt.datetime
    expires_at: dt.datetime
    last_used_at: dt.datetime | None
    revoked_at: dt.datetime | None
    is_live: bool


@dataclass(frozen=True)
class NewKey:
    """What issuing a key gives.

    Attributes:
        view: the key as people see it later.
        key: the key itself; None when the same request came before, and it was shown then.
    """

    view: KeyView
    key: str | None


def issue_key(
    provider_code: str, *, actor: str, label: str = "", life: dt.timedelta = MAX_LIFE
) -> str:
    """Issue a key to a provider and return it, as `add_key` does."""
    new = add_key(provider_code, actor=actor, label=label, life=life)
    if new.key is None:  # only a repeated request has none
        raise KeyNotFound("There is no such key.")
    return new.key


@transaction.atomic
def add_key(
    provider_code: str,
    *,
    actor: str,
    label: str = "",
    life: dt.timedelta = MAX_LIFE,
    request_key: str | None = None,
) -> NewKey:
    """Issue a key to a provider; the key itself is returned this once and never stored.

    Args:
        provider_code: whose telemetry the key may push.
        actor: who issues it, for the audit chain.
        label: words to tell keys apart.
        life: how long it lives, at most 180 days.
        request_key: names the request; the same again issues nothing.

    Returns:
        The key: `cg_live_`, 192 random bits in hexadecimal, and a checksum of 8 digits.

    Raises:
        TooManyLiveKeys: the provider has two live keys already.
    """
    now = clock.wall_now()
    with connection.cursor() as cursor:
        # a row lock holds back nobody while the provider has no key yet
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, provider_code])
    mark = f"{actor} {provider_code} {request_key}" if request_key else None
    before = ProviderKey.objects.filter(request_key=mark).first() if mark else None
    if before is not None:
        return NewKey(_view(before, now), None)
    live = ProviderKey.objects.filter(_is_live(now), provider_code=provider_code).count()
    if live >= MAX_LIVE_KEYS:
        raise TooManyLiveKeys(
            f"{provider_code} has {MAX_LIVE_KEYS} live keys; revoke one before issuing another."
        )
    body = secrets.token_hex(24)
    key = f"{PREFIX}{body}{_checksum(body)}"
    row = ProviderKey.objects.create(
        provider_code=provider_code,
        label=label,
        hint=key[: len(PREFIX) + 4],
        key_hash=digest_of(key),
        created_at=now,
        expires_at=now + min(life, MAX_LIFE),
        request_key=mark,
    )
    audit.record(actor, "issue-key", f"provider:{provider_code}", {"hint": row.hint})
    return NewKey(_view(row, now), key)


def live_key(key: str) -> ProviderKey | None:
    """Return a key's row while it is live, or None, and take down that it was used.

    A key with a wrong checksum is refused without asking the database.
    """
    body, checksum = key[len(PREFIX) : -8], key[-8:]
    if not key.startswith(PREFIX) or _checksum(body) != checksum:
        return None
    now = clock.wall_now()
    found = ProviderKey.objects.filter(_is_live(now), key_hash=digest_of(key)).first()
    if found is None:
        return None
    if found.last_used_at is None or now - found.last_used_at > _USE_RESOLUTION:
        ProviderKey.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


def provider_of_key(key: str) -> str | None:
    """Return the provider that a live key belongs to, or None."""
    found = live_key(key)
    return found.provider_code if found else None


def keys_of(provider_code: str) -> list[KeyView]:
    """Return a provider's keys that are live or ended lately, newest first.

    Args:
        provider_code: whose.
    """
    since = clock.wall_now() - _SHOWN_AFTER_END
    now = clock.wall_now()
    rows = ProviderKey.objects.filter(provider_code=provider_code, expires_at__gt=since)
    rows = rows.exclude(revoked_at__lt=since).order_by("-created_at", "-pk")
    return [_view(row, now) for row in rows]


@transaction.atomic
def revoke_key(provider_code: str, key_id: int, *, actor: str) -> KeyView:
    """Revoke one key of a provider; revoking it again changes nothing.

    Args:
        provider_code: whose.
        key_id: which.
        actor: who does it, for the audit chain.

    Returns:
        The key as it is now.

    Raises:
        KeyNotFound: the provider has no such key.
    """
    row = (
        ProviderKey.objects.select_for_update()
        .filter(provider_code=provider_code, pk=key_id)
        .first()
    )
    if row is None:
        raise KeyNotFound("There is no such key.")
    now = clock.wall_now()
    if row.revoked_at is None:
        row.revoked_at = now
        row.save(update_fields=["revoked_at"])
        audit.record(actor, "revoke-key", f"provider:{provider_code}", {"hint": row.hint})
    return _view(row, now)


@transaction.atomic
def revoke_keys(provider_code: str, *, actor: str) -> int:
    """Revoke all live keys of a provider at once and return how many there were."""
    now = clock.wall_now()
    count = ProviderKey.objects.filter(_is_live(now), provider_code=provider_code).update(
        revoked_at=now
    )
    audit.record(actor, "revoke-keys", f"provider:{provider_code}", {"count": count})
    return count


def _is_live(now: dt.datetime) -> Q:
    return Q(revoked_at__isnull=True, expires_at__gt=now)


def _view(row: ProviderKey, now: dt.datetime) -> KeyView:
    return KeyView(
        id=row.pk,
        hint=row.hint,
        label=row.label,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        is_live=row.revoked_at is None and row.expires_at > now,
    )


def digest_of(key: str) -> bytes:
    """Return what is stored of a key."""
    # 192 random bits need no slow hash (ASVS 6.5.2)
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
