"""Finds the series of a request, and registers new ones up to the provider's limit."""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db import connection

from monitoring.domain.mapping import plan_mapping
from monitoring.domain.points import FAULTS, NO_FAULT, Labels, PointFault, series_key
from monitoring.domain.samples import BoolArray, CodeArray, IntArray
from monitoring.formats.blocks import SHELF_SLOTS
from monitoring.senders.catalogue import Catalogue, refresh


@dataclass(frozen=True)
class Placement:
    """Where each of k series of a request is.

    Attributes:
        series_id: (k,) int64; 0 where the series is not registered.
        position: (k,) int64, in the catalogue; -1 for a series that feeds no row.
        fault: (k,) int16, position in `FAULTS`, or `NO_FAULT`.
        was_remembered: (k,) whether the key was known from an earlier request.
        catalogue: what holds with the series that were registered now.
    """

    series_id: IntArray
    position: IntArray
    fault: CodeArray
    was_remembered: BoolArray
    catalogue: Catalogue


def place_series(
    series: Sequence[Labels],
    is_wanted: BoolArray,
    catalogue: Catalogue,
    *,
    remembered: IntArray,
    now: dt.datetime,
) -> Placement:
    """Return where the series of a request are; those seen for the first time are registered.

    Args:
        series: k label sets.
        is_wanted: (k,) whether a series has a point that can be stored; others stay unregistered.
        catalogue: what holds for the provider.
        remembered: (k,) int64, keys that are known from earlier requests of this epoch; 0 = none.
        now: present grid time.
    """
    fault = np.full(len(series), NO_FAULT, np.int16)
    series_id = np.where(is_wanted, remembered, 0)
    positions = np.flatnonzero(is_wanted & (remembered == 0)).tolist()
    if positions:
        keys = {position: series_key(series[position]) for position in positions}
        found = _known(catalogue.mapping.provider, list(keys.values()))
        new = [position for position in positions if keys[position] not in found]
        if new:
            planned = _plan(series, new, catalogue, fault)
            found |= _register(series, keys, planned, catalogue, fault=fault, now=now)
            catalogue = refresh(catalogue)
        series_id[positions] = [found.get(key, 0) for key in keys.values()]
    position = np.where(series_id > 0, catalogue.find(series_id), -1)
    is_lost = np.zeros(len(series), bool)
    mapped = position >= 0
    is_lost[mapped] = catalogue.pool_id[position[mapped]] == 0
    fault[is_lost] = FAULTS.index(PointFault.UNKNOWN_POOL)
    return Placement(series_id, position, fault, remembered > 0, catalogue)


_Found = dict[UUID, int]
# position, rule and pool of a series to be registered
_Planned = list[tuple[int, str, int | None]]


def _known(provider_code: str, keys: list[UUID]) -> _Found:
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, {"provider": provider_code, "keys": keys})
        return dict(cursor.fetchall())


def _plan(
    series: Sequence[Labels], new: list[int], catalogue: Catalogue, fault: CodeArray
) -> _Planned:
    pools = catalogue.pools
    planned: _Planned = []
    for position in new:
        landing = plan_mapping(series[position], catalogue.mapping.rules)
        if landing.rule is None:
            planned.append((position, "", None))
        elif landing.pool in pools:
            planned.append((position, landing.rule.name, pools[landing.pool]))
        else:
            # not registered: it would count against the limit and never be of use
            fault[position] = FAULTS.index(PointFault.UNKNOWN_POOL)
    return planned


def _register(
    series: Sequence[Labels],
    keys: dict[int, UUID],
    planned: _Planned,
    catalogue: Catalogue,
    *,
    fault: CodeArray,
    now: dt.datetime,
) -> _Found:
    provider_code = catalogue.mapping.provider
    # several spellings of one label set are one series, wherever they stand
    first = {keys[entry[0]]: entry for entry in reversed(planned)}
    new = sorted(first.values())
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [provider_code])
        (count,) = cursor.fetchone()
        taken = new[: max(0, catalogue.mapping.series_limit - count)]
        room_for = {keys[position] for position, _, _ in taken}
        for position, _, _ in planned:
            if keys[position] not in room_for:
                fault[position] = FAULTS.index(PointFault.SERIES_LIMIT)
        cursor.execute(
            _REGISTER,
            {
                "ids": _new_ids(provider_code, len(taken)),
                "provider": provider_code,
                "now": now,
                "keys": [keys[position] for position, _, _ in taken],
                "labels": [json.dumps(dict(series[position])) for position, _, _ in taken],
                "rules": [rule for _, rule, _ in taken],
                "pools": [pool_id for _, _, pool_id in taken],
            },
        )
        return dict(cursor.fetchall())


def _new_ids(provider_code: str, count: int) -> list[int]:
    """Return the next free slots of the provider's own shelves."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST_SHELF, [provider_code])
        last = cursor.fetchone()
        places: list[int] = []
        used = {}
        if last is not None:
            used[last[0]] = min(SHELF_SLOTS, last[1] + count)
            places += [last[0] * SHELF_SLOTS + slot for slot in range(last[1], used[last[0]])]
        missing = -(-(count - len(places)) // SHELF_SLOTS)
        cursor.execute(_NEXT_SHELVES, [missing])
        for (shelf,) in cursor.fetchall():
            used[shelf] = min(SHELF_SLOTS, count - len(places))
            places += [shelf * SHELF_SLOTS + slot for slot in range(used[shelf])]
        cursor.execute(
            _USE_SHELVES,
            {"provider": provider_code, "shelf": list(used), "used": list(used.values())},
        )
    return places


_KNOWN = """
SELECT key, id FROM monitoring_series
 WHERE provider_id = %(provider)s AND key = ANY(%(keys)s::uuid[])
"""
_COUNT = "SELECT count(*) FROM monitoring_series WHERE provider_id = %s"
_REGISTER = """
INSERT INTO monitoring_series (id, provider_id, key, labels, first_seen_at, rule, pool_id)
SELECT n.id, %(provider)s, n.key, n.labels, %(now)s, n.rule, n.pool_id
  FROM unnest(%(ids)s::int8[], %(keys)s::uuid[], %(labels)s::jsonb[], %(rules)s::text[],
              %(pools)s::int8[]) AS n (id, key, labels, rule, pool_id)
RETURNING key, id
"""
_LAST_SHELF = """
SELECT shelf, used FROM monitoring_pointshelf
 WHERE provider_id = %s ORDER BY shelf DESC LIMIT 1
"""
# in order: newer series have higher keys
_NEXT_SHELVES = """
SELECT shelf FROM (SELECT nextval('monitoring_shelf_seq') AS shelf
                     FROM generate_series(1, %s)) AS made ORDER BY shelf
"""
_USE_SHELVES = """
INSERT INTO monitoring_pointshelf AS s (shelf, provider_id, used)
SELECT n.shelf, %(provider)s, n.used
  FROM unnest(%(shelf)s::int8[], %(used)s::int4[]) AS n (shelf, used)
    ON CONFLICT (shelf) DO UPDATE SET used = excluded.used
"""
