"""Weighs judged readings by their pools' past, and keeps what is learned from them.

Profiles are cached for some seconds and written together: a row for each pool in each request would
cost more than the telemetry itself. What a process loses when it is killed are some seconds of
learning; what is stored and said never depends on it.
"""

import dataclasses
import datetime as dt
import threading
from collections.abc import Iterable

import numpy as np
from django.db import connection, transaction

from monitoring.domain.plausibility import confirm, weigh
from monitoring.domain.profiles import (
    COLUMN,
    NAMES,
    WATCHED,
    Profiles,
    Readings,
    learn,
    new_profiles,
)
from monitoring.domain.samples import QUALITY_OF_RULE, RULES, IntArray, QualityRule, Verdict

_US = 1_000_000
_WIDTH = len(NAMES) * 8


class ProfileCache:
    """Profiles that this process knows, by pool; safe to use from several threads."""

    def __init__(self) -> None:
        self._rows: dict[int, Profiles] = {}
        self._epochs: dict[int, int] = {}
        self._dirty: set[int] = set()
        self._lock = threading.Lock()

    def copy_of(self, pool_ids: IntArray) -> Profiles:
        """Return copies of pools' profiles, new ones for pools of which nothing is known.

        Args:
            pool_ids: (k,) keys.
        """
        wanted = pool_ids.tolist()
        with self._lock:
            missing = [pool_id for pool_id in wanted if pool_id not in self._rows]
        loaded = _load(missing) if missing else {}
        with self._lock:
            for pool_id, (epoch, row) in loaded.items():
                if pool_id not in self._rows:
                    self._rows[pool_id], self._epochs[pool_id] = row, epoch
            fresh = new_profiles(1)[0]
            return np.stack([self._rows.get(pool_id, fresh) for pool_id in wanted])

    def put(self, pool_ids: IntArray, profiles: Profiles) -> None:
        """Keep what was learned, unless something newer was meanwhile."""
        last = COLUMN["last_s"]
        with self._lock:
            for pool_id, row in zip(pool_ids.tolist(), profiles, strict=True):
                known = self._rows.get(pool_id)
                if known is None or row[last] >= known[last]:
                    self._rows[pool_id] = row
                    self._dirty.add(pool_id)

    def flush(self) -> None:
        """Write what was learned, and forget everything: other processes have learned too."""
        with self._lock:
            rows, epochs, dirty = self._rows, self._epochs, self._dirty
            self._rows, self._epochs, self._dirty = {}, {}, set()
        if dirty:
            _save(sorted(dirty), rows, epochs)

    def forget(self) -> None:
        """Forget everything unwritten."""
        with self._lock:
            self._rows, self._epochs, self._dirty = {}, {}, set()


cache = ProfileCache()


def weigh_verdict(verdict: Verdict) -> Verdict:
    """Return a verdict in which what cannot be right by its pool's past is suspect.

    What is learned counts once the caller's transaction has committed.

    Args:
        verdict: the judged batch; its taken samples in any order.
    """
    if len(verdict.pool_id) == 0:
        return verdict
    weighed, pools, profiles = _weigh(verdict)
    transaction.on_commit(lambda: cache.put(pools, profiles))
    return weighed


def weigh_only(verdict: Verdict) -> Verdict:
    """Return a verdict as `weigh_verdict` would, and learn nothing."""
    return verdict if len(verdict.pool_id) == 0 else _weigh(verdict)[0]


def learn_history(verdict: Verdict) -> None:
    """Learn from past telemetry that was loaded, without judging it."""
    if len(verdict.pool_id) == 0:
        return
    order, pools, readings = _in_order(verdict)
    profiles = cache.copy_of(pools)
    learn(profiles, readings.take(verdict.rule[order] == RULES.index(QualityRule.NONE)))

    def keep() -> None:
        cache.put(pools, profiles)
        cache.flush()

    transaction.on_commit(keep)


@transaction.atomic
def confirm_pool(pool_id: int) -> None:
    """Take a pool's next readings as right, whatever its past says."""
    cache.flush()
    profiles = cache.copy_of(np.array([pool_id], np.int64))
    confirm(profiles, 0)
    with connection.cursor() as cursor:
        cursor.execute(
            _CONFIRM, {"pool": pool_id, "learned": profiles[0].tobytes(), "at": _at(profiles[0])}
        )
    transaction.on_commit(cache.forget)


def _weigh(verdict: Verdict) -> tuple[Verdict, IntArray, Profiles]:
    order, pools, readings = _in_order(verdict)
    profiles = cache.copy_of(pools)
    rule = np.empty_like(verdict.rule)
    rule[order] = weigh(profiles, readings, verdict.rule[order])
    if not np.array_equal(rule, verdict.rule):
        verdict = dataclasses.replace(verdict, rule=rule, quality=QUALITY_OF_RULE[rule])
    return verdict, pools, profiles


def _in_order(verdict: Verdict) -> tuple[IntArray, IntArray, Readings]:
    order = np.lexsort((verdict.measured_us, verdict.pool_id))
    pools, ref = np.unique(verdict.pool_id[order], return_inverse=True)
    values = {name: verdict.values[name][order] for name in WATCHED}
    return order, pools, Readings(ref, verdict.measured_us[order] / _US, values)


def _load(pool_ids: Iterable[int]) -> dict[int, tuple[int, Profiles]]:
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, {"pools": list(pool_ids)})
        return {
            pool_id: (epoch, np.frombuffer(learned, np.float64).copy())
            for pool_id, epoch, learned in cursor
            # learned by an older release: begin anew
            if len(learned) == _WIDTH
        }


def _save(pool_ids: list[int], rows: dict[int, Profiles], epochs: dict[int, int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _SAVE,
            {
                "pools": pool_ids,
                "learned": [rows[pool_id].tobytes() for pool_id in pool_ids],
                "at": [_at(rows[pool_id]) for pool_id in pool_ids],
                "epochs": [epochs.get(pool_id, 0) for pool_id in pool_ids],
            },
        )


def _at(row: Profiles) -> dt.datetime:
    return dt.datetime.fromtimestamp(float(row[COLUMN["last_s"]]), dt.UTC)


_LOAD = """
SELECT pool_id, epoch, learned FROM monitoring_poolprofile WHERE pool_id = ANY(%(pools)s::int8[])
"""
_SAVE = """
INSERT INTO monitoring_poolprofile AS p (pool_id, learned, last_at, epoch)
SELECT n.* FROM unnest(%(pools)s::int8[], %(learned)s::bytea[], %(at)s::timestamptz[],
                       %(epochs)s::int4[]) AS n (pool_id, learned, last_at, epoch)
  JOIN monitoring_pool ON monitoring_pool.id = n.pool_id
 ORDER BY n.pool_id
    ON CONFLICT (pool_id) DO UPDATE SET learned = excluded.learned, last_at = excluded.last_at
 WHERE excluded.last_at >= p.last_at AND excluded.epoch = p.epoch
"""
_CONFIRM = """
INSERT INTO monitoring_poolprofile AS p (pool_id, learned, last_at, epoch)
VALUES (%(pool)s, %(learned)s, %(at)s, 1)
    ON CONFLICT (pool_id) DO UPDATE SET learned = excluded.learned, epoch = p.epoch + 1
"""
