"""Checks servers that were named by address before anything relies on them.

Run as a program of its own, `python -m controlplane.runtime.external`, so that the supervisor
stays free of database libraries.
"""

import os
import sys
from urllib.parse import urlsplit

import psycopg
import redis

OLDEST_POSTGRES = 150000
ANSWER_WITHIN_S = 5
# A policy that drops keys to save memory drops queued tasks too.
SAFE_POLICY = "noeviction"


def database_problem(url: str) -> str | None:
    """Return what is wrong with a PostgreSQL server, or None."""
    try:
        with psycopg.connect(url, connect_timeout=ANSWER_WITHIN_S) as connection:
            if connection.info.server_version < OLDEST_POSTGRES:
                return "DATABASE_URL: PostgreSQL 15 or newer is needed."
            row = connection.execute("SHOW transaction_read_only").fetchone()
            if row is not None and row[0] == "on":
                return "DATABASE_URL: this server is read-only (a standby?)."
    except psycopg.Error as error:
        return f"DATABASE_URL ({_shown(url)}): {str(error).strip()}"
    return None


def broker_problem(url: str) -> str | None:
    """Return what is wrong with a Redis or Valkey server, or None."""
    try:
        with redis.Redis.from_url(url, socket_timeout=ANSWER_WITHIN_S) as client:
            client.ping()
            policy = client.info("memory").get("maxmemory_policy", SAFE_POLICY)
    except (redis.RedisError, ValueError) as error:
        return f"REDIS_URL ({_shown(url)}): {error}"
    if policy != SAFE_POLICY:
        return (
            f"REDIS_URL: this server drops keys when it is full (maxmemory-policy {policy}), "
            f"and with them queued tasks; set maxmemory-policy {SAFE_POLICY}."
        )
    return None


def main() -> int:
    """Check what the environment names; return the exit code."""
    problems = []
    if url := os.environ.get("TIAODU_CHECK_DATABASE"):
        problems.append(database_problem(url))
    if url := os.environ.get("TIAODU_CHECK_REDIS"):
        problems.append(broker_problem(url))
    for problem in filter(None, problems):
        sys.stderr.write(f"ERROR {problem}\n")
    return 1 if any(problems) else 0


def _shown(url: str) -> str:
    """Return an address without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 'default port'}{parts.path}"


if __name__ == "__main__":
    sys.exit(main())
