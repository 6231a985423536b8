"""Slows down password guessing without locking the rightful person out."""

from django.core.cache import cache

MAX_FAILURES = 10
WINDOW_S = 300


def may_try(username: str, address: str) -> bool:
    """Whether one more password may be tried for a name from an address."""
    return int(cache.get(_key(username, address), 0)) < MAX_FAILURES


def note_failure(username: str, address: str) -> None:
    """Count a wrong password; the count is forgotten after five quiet minutes."""
    key = _key(username, address)
    cache.add(key, 0, WINDOW_S)
    try:
        cache.incr(key)
    except ValueError:  # it expired between the two calls
        cache.set(key, 1, WINDOW_S)


def note_success(username: str, address: str) -> None:
    """Forget the wrong passwords before a right one."""
    cache.delete(_key(username, address))


def _key(username: str, address: str) -> str:
    return f"login:{address}:{username.encode().hex()[:80]}"
