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
from monitoring.senders.rules import MappingView, pools_of


@dataclass(frozen=True)
class Placement:
    """Where each of k series of a request is.

    Attributes:
        series_id: (k,) int64; 0 where the series is not registered.
        pool_id: (k,) int64; 0 where the series feeds no pool.
        fault: (k,) int16, position in `FAULTS`, or `NO_FAULT`.
    """

    series_id: IntArray
    pool_id: IntArray
    fault: CodeArray


def place_series(
    series: Sequence[Labels],
    is_wanted: BoolArray,
    mapping: MappingView,
    *,
    now: dt.datetime,
) -> Placement:
    """Return where the series of a request are; those seen for the first time are registered.

    Args:
        series: k label sets.
        is_wanted: (k,) whether a series has a point that can be stored; others stay unregistered.
        mapping: the provider's rules and limit.
        now: present grid time.
    """
    positions = np.flatnonzero(is_wanted).tolist()
    keys = {position: series_key(series[position]) for position in positions}
    found = _known(mapping.provider, list(keys.values()))
    new = [position for position in positions if keys[position] not in found]
    fault = np.full(len(series), NO_FAULT, np.int16)
    if new:
        planned = _plan(series, new, mapping, fault)
        found |= _register(series, keys, planned, mapping, fault=fault, now=now)
    series_id, pool_id = np.zeros((2, len(series)), np.int64)
    for position, key in keys.items():
        series_id[position], pool_id[position], rule = found.get(key, (0, 0, ""))
        if rule and not pool_id[position]:
            fault[position] = FAULTS.index(PointFault.UNKNOWN_POOL)
    return Placement(series_id, pool_id, fault)


_Found = dict[UUID, tuple[int, int, str]]
# position, rule and pool of a series to be registered
_Planned = list[tuple[int, str, int | None]]


def _known(provider_code: str, keys: list[UUID]) -> _Found:
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, {"provider": provider_code, "keys": keys})
        return {key: (series_id, pool or 0, rule) for key, series_id, pool, rule in cursor}


def _plan(
    series: Sequence[Labels], new: list[int], mapping: MappingView, fault: CodeArray
) -> _Planned:
    pools = pools_of(mapping.provider)
    planned: _Planned = []
    for position in new:
        landing = plan_mapping(series[position], mapping.rules)
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
    mapping: MappingView,
    *,
    fault: CodeArray,
    now: dt.datetime,
) -> _Found:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [mapping.provider])
        (count,) = cursor.fetchone()
        room = max(0, mapping.series_limit - count)
        for position, _, _ in planned[room:]:
            fault[position] = FAULTS.index(PointFault.SERIES_LIMIT)
        taken = planned[:room]
        cursor.execute(
            _REGISTER,
            {
                "provider": mapping.provider,
                "now": now,
                "keys": [keys[position] for position, _, _ in taken],
                "labels": [json.dumps(dict(series[position])) for position, _, _ in taken],
                "rules": [rule for _, rule, _ in taken],
                "pools": [pool_id for _, _, pool_id in taken],
            },
        )
        return {key: (series_id, pool or 0, rule) for key, series_id, pool, rule in cursor}


_KNOWN = """
SELECT key, id, pool_id, rule FROM monitoring_series
 WHERE provider_id = %(provider)s AND key = ANY(%(keys)s::uuid[])
"""
_COUNT = "SELECT count(*) FROM monitoring_series WHERE provider_id = %s"
_REGISTER = """
INSERT INTO monitoring_series (provider_id, key, labels, first_seen_at, rule, pool_id)
SELECT %(provider)s, n.key, n.labels, %(now)s, n.rule, n.pool_id
  FROM unnest(%(keys)s::uuid[], %(labels)s::jsonb[], %(rules)s::text[], %(pools)s::int8[])
       AS n (key, labels, rule, pool_id)
RETURNING key, id, pool_id, rule
"""
