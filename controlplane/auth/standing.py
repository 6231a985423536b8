"""Says in one look at the database who stands behind a request; nothing of that is remembered.

What is remembered are pure results only: what a signed session text says, and what a password's
hash makes of it. Whether the session, the person, the role or the key still is what it was is
asked each time, so that ending any of them takes effect with the next request.
"""

import datetime as dt
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

import psycopg
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.db import connection
from django.utils.crypto import constant_time_compare

from controlplane.auth.keys import digest_of
from controlplane.auth.roles import Actor, Role
from controlplane.lib import clock

MAX_REMEMBERED = 4_096
# the long way takes down once a minute that a key was used
_USE_RESOLUTION = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Asker:
    """Who asks for something: a person with a role, or a provider by its key; never both.

    Attributes:
        actor: the person; None for a key.
        provider_code: whose key it is; None for a person.
    """

    actor: Actor | None = None
    provider_code: str | None = None


class Doorman:
    """Knows sessions and keys by the database alone; safe to use from several threads."""

    def __init__(self) -> None:
        # a guess that saves a second question: the answer is checked against the session itself
        self._user_of: OrderedDict[str, int] = OrderedDict()

    def by_session(self, session_key: str) -> Asker | None:
        """Return the person of a live session, or None: then the long way decides.

        Args:
            session_key: value of the session cookie.
        """
        if not (session_key.isascii() and session_key.isalnum()):
            return None
        guess = self._user_of.get(session_key, -1)
        row = self._look(session_key, guess)
        claims = None if row is None else _claims_of(row[0], settings.SECRET_KEY)
        if row is None or claims is None:
            return None
        if claims.user_id != guess:
            self._remember(session_key, claims.user_id)
            row = self._look(session_key, claims.user_id)
            # between two looks the session may have become another
            if row is None or _claims_of(row[0], settings.SECRET_KEY) != claims:
                return None
        return _asker_of(claims, row)

    def by_key(self, key: str) -> Asker | None:
        """Return the provider of a live key, or None: then the long way decides.

        Args:
            key: what came after `Bearer`.
        """
        now = clock.wall_now()
        found = _one_row(_KEY, (digest_of(key), now, now - _USE_RESOLUTION))
        return None if found is None else Asker(provider_code=found[0])

    def _look(self, session_key: str, user_id: int) -> Any:
        return _one_row(_SESSION, (user_id, session_key, clock.wall_now()))

    def _remember(self, session_key: str, user_id: int) -> None:
        self._user_of[session_key] = user_id
        while len(self._user_of) > MAX_REMEMBERED:
            self._user_of.popitem(last=False)


@dataclass(frozen=True)
class _Claims:
    user_id: int
    backend: str
    password_mark: str


@lru_cache(maxsize=MAX_REMEMBERED)
def _claims_of(session_text: str, _secret_key: str) -> _Claims | None:
    said = import_module(settings.SESSION_ENGINE).SessionStore().decode(session_text)
    try:
        user_id = int(said[SESSION_KEY])
        return _Claims(user_id, said[BACKEND_SESSION_KEY], said[HASH_SESSION_KEY])
    except (KeyError, TypeError, ValueError):
        return None


@lru_cache(maxsize=MAX_REMEMBERED)
def _mark_of(password: str, _secret_key: str) -> str:
    # the mark that a login writes into the session, so that a new password ends old sessions
    return str(User(password=password).get_session_auth_hash())


def _asker_of(claims: _Claims, row: Any) -> Asker | None:
    _, username, password, role, region_code, provider_code = row
    if role is None or claims.backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    mark = _mark_of(password, settings.SECRET_KEY)
    if not constant_time_compare(claims.password_mark, mark):
        return None
    return Asker(
        Actor(
            user_id=claims.user_id,
            username=username,
            role=Role(role),
            region_code=region_code or None,
            provider_code=provider_code or None,
        )
    )


def _one_row(statement: str, parameters: tuple[object, ...]) -> Any:
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = psycopg.Cursor(connection.connection)
        return cursor.execute(statement, parameters).fetchone()


_SESSION = """
SELECT s.session_data, u.username, u.password, m.role, m.region_code, m.provider_code
  FROM django_session s
  LEFT JOIN auth_user u ON u.id = %s AND u.is_active
  LEFT JOIN gridauth_membership m ON m.user_id = u.id
 WHERE s.session_key = %s AND s.expire_date > %s
"""
_KEY = """
SELECT provider_code FROM gridauth_providerkey
 WHERE key_hash = %s AND revoked_at IS NULL AND expires_at > %s AND last_used_at > %s
"""
