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

from monitoring.domain.samples import (
    QUALITY_OF_RULE,
    RULES,
    BoolArray,
    IntArray,
    QualityRule,
    Verdict,
    order_of,
)
from monitoring.domain.usual.learning import learn
from monitoring.domain.usual.plausibility import confirm, weigh
from monitoring.domain.usual.profiles import (
    COLUMN,
    NAMES,
    WATCHED,
    Profiles,
    Readings,
    new_profiles,
)

_US = 1_000_000
_WIDTH = len(NAMES) * 8


class ProfileCache:
    """Profiles that this process knows, by pool; safe to use from several threads."""

    def __init__(self) -> None:
        self._known = _Known.nothing()
        self._lock = threading.Lock()

    def copy_of(self, pool_ids: IntArray) -> Profiles:
        """Return copies of pools' profiles, new ones for pools of which nothing is known.

        Args:
            pool_ids: (k,) keys, ascending, each once.
        """
        with self._lock:
            missing = self._known.missing(pool_ids)
        loaded = _load(missing.tolist()) if len(missing) else {}
        with self._lock:
            self._known = self._known.with_pools(pool_ids, loaded)
            return self._known.rows[self._known.find(pool_ids)]

    def put(self, pool_ids: IntArray, profiles: Profiles) -> None:
        """Keep what was learned, unless something newer was meanwhile.

        Args:
            pool_ids: (k,) keys, ascending, each once.
            profiles: theirs.
        """
        last = COLUMN["last_s"]
        with self._lock:
            # what was learned may have been written, and forgotten, since these were taken
            known = self._known = self._known.with_pools(pool_ids, {})
            at = known.find(pool_ids)
            is_newer = profiles[:, last] >= known.rows[at, last]
            known.rows[at[is_newer]] = profiles[is_newer]
            known.is_dirty[at[is_newer]] = True

    def flush(self) -> None:
        """Write what was learned, and forget everything: other processes have learned too."""
        with self._lock:
            known, self._known = self._known, _Known.nothing()
        if known.is_dirty.any():
            _save(known)

    def forget(self) -> None:
        """Forget everything unwritten."""
        with self._lock:
            self._known = _Known.nothing()


@dataclasses.dataclass(frozen=True)
class _Known:
    """Profiles of k pools in order of their keys: whole columns are looked up at once.

    Attributes:
        pool_ids: (k,) int64, ascending.
        rows: (k, len(NAMES)).
        epochs: (k,) int64, of the row in the database that a profile goes on from.
        is_dirty: (k,) whether something was learned that is not written.
    """

    pool_ids: IntArray
    rows: Profiles
    epochs: IntArray
    is_dirty: BoolArray

    @classmethod
    def nothing(cls) -> "_Known":
        """Return no profiles."""
        return cls(np.zeros(0, np.int64), new_profiles(0), np.zeros(0, np.int64), np.zeros(0, bool))

    def find(self, pool_ids: IntArray) -> IntArray:
        """Return where pools would stand."""
        at: IntArray = np.searchsorted(self.pool_ids, pool_ids)
        return at

    def missing(self, pool_ids: IntArray) -> IntArray:
        """Return those pools of which nothing is in here."""
        if len(self.pool_ids) == 0:
            return pool_ids
        at = np.minimum(self.find(pool_ids), len(self.pool_ids) - 1)
        absent: IntArray = pool_ids[self.pool_ids[at] != pool_ids]
        return absent

    def with_pools(self, pool_ids: IntArray, loaded: dict[int, tuple[int, Profiles]]) -> "_Known":
        """Return these and, for pools that are not in here, what was loaded or new ones."""
        missing = self.missing(pool_ids)
        if len(missing) == 0:
            return self
        rows, epochs = new_profiles(len(missing)), np.zeros(len(missing), np.int64)
        for place, pool_id in enumerate(missing.tolist()):
            if pool_id in loaded:
                epochs[place], rows[place] = loaded[pool_id]
        at = self.find(missing)
        return _Known(
            np.insert(self.pool_ids, at, missing),
            np.insert(self.rows, at, rows, axis=0),
            np.insert(self.epochs, at, epochs),
            np.insert(self.is_dirty, at, False),
        )


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
    order = order_of(verdict.pool_id, verdict.measured_us)
    pool_id = verdict.pool_id[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = pool_id[1:] != pool_id[:-1]
    pools, ref = pool_id[is_first], np.cumsum(is_first) - 1
    values = {name: verdict.values[name][order] for name in WATCHED}
    return order, pools, Readings(ref, verdict.measured_us[order] / _US, values)


def _load(pool_ids: Iterable[int]) -> dict[int, tuple[int, Profiles]]:
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, {"pools": list(pool_ids)})
        return {
            pool_id: (epoch, np.frombuffer(learned, np.float64))
            for pool_id, epoch, learned in cursor
            # learned by an older release: begin anew
            if len(learned) == _WIDTH
        }


def _save(known: _Known) -> None:
    chosen = np.flatnonzero(known.is_dirty)
    rows = known.rows[chosen]
    with connection.cursor() as cursor:
        cursor.execute(
            _SAVE,
            {
                "pools": known.pool_ids[chosen].tolist(),
                "learned": [row.tobytes() for row in rows],
                "at": [_at(row) for row in rows],
                "epochs": known.epochs[chosen].tolist(),
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
