"""Issues, checks and revokes the keys with which providers push telemetry."""

import datetime as dt
import hashlib
import secrets
import zlib

from django.db import transaction
from django.db.models import Q

from controlplane.auth import audit
from controlplane.auth.models import ProviderKey
from controlplane.lib import clock
from controlplane.lib.errors import ErrorKind, GridError

PREFIX = "cg_live_"
MAX_LIVE_KEYS = 2
MAX_LIFE = dt.timedelta(days=180)
_USE_RESOLUTION = dt.timedelta(minutes=1)


class TooManyLiveKeys(GridError):
    """A provider may have two live keys: the present one and the next."""

    code = "too-many-live-keys"
    kind = ErrorKind.CONFLICT


@transaction.atomic
def issue_key(
    provider_code: str, *, actor: str, label: str = "", life: dt.timedelta = MAX_LIFE
) -> str:
    """Issue a key to a provider; the key itself is returned this once and never stored.

    Args:
        provider_code: whose telemetry the key may push.
        actor: who issues it, for the audit chain.
        label: words to tell keys apart.
        life: how long it lives, at most 180 days.

    Returns:
        The key: `cg_live_`, 192 random bits in hexadecimal, and a checksum of 8 digits.

    Raises:
        TooManyLiveKeys: the provider has two live keys already.
    """
    now = clock.wall_now()
    live = ProviderKey.objects.select_for_update().filter(
        _is_live(now), provider_code=provider_code
    )
    if len(live) >= MAX_LIVE_KEYS:
        raise TooManyLiveKeys(
            f"{provider_code} has {MAX_LIVE_KEYS} live keys; revoke one before issuing another."
        )
    body = secrets.token_hex(24)
    key = f"{PREFIX}{body}{_checksum(body)}"
    ProviderKey.objects.create(
        provider_code=provider_code,
        label=label,
        hint=key[: len(PREFIX) + 4],
        key_hash=_digest(key),
        created_at=now,
        expires_at=now + min(life, MAX_LIFE),
    )
    audit.record(actor, "issue-key", f"provider:{provider_code}", {"hint": key[: len(PREFIX) + 4]})
    return key


def provider_of_key(key: str) -> str | None:
    """Return the provider that a live key belongs to, or None.

    A key with a wrong checksum is refused without asking the database.
    """
    body, checksum = key[len(PREFIX) : -8], key[-8:]
    if not key.startswith(PREFIX) or _checksum(body) != checksum:
        return None
    now = clock.wall_now()
    found = ProviderKey.objects.filter(_is_live(now), key_hash=_digest(key)).first()
    if found is None:
        return None
    if found.last_used_at is None or now - found.last_used_at > _USE_RESOLUTION:
        ProviderKey.objects.filter(pk=found.pk).update(last_used_at=now)
    return found.provider_code


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


def _digest(key: str) -> bytes:
    # 192 random bits need no slow hash (ASVS 6.5.2)
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
