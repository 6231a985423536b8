"""Reads which stored samples were set aside, of which pools, and by which rules."""

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from monitoring.domain.samples import QUALITIES, RULES, Quality
from monitoring.selectors.blocks import samples_between
from monitoring.selectors.hours import hour_matrix, places
from monitoring.selectors.shelves import places_of


@dataclass(frozen=True)
class PoolAside:
    """The samples of one pool that are stored but not counted on.

    Attributes:
        pool: pool code.
        samples: all that are stored.
        set_aside: those that are not good.
        by_quality: how many of them have which quality.
        by_rule: how many of them were found by which rule; "" stands for none.
    """

    pool: str
    samples: int
    set_aside: int
    by_quality: Counter[str] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class GridAside:
    """What was set aside of all telemetry in a stretch of time.

    Attributes:
        samples: all that are stored.
        pools: of the pools of which something was set aside, those with most of it first.
    """

    samples: int
    pools: tuple[PoolAside, ...]


def set_aside(since: dt.datetime, until: dt.datetime) -> GridAside:
    """Return what plans and forecasts leave out of the samples measured in [since, until).

    Args:
        since: beginning of an hour.
        until: beginning of an hour.
    """
    everywhere = places()
    matrix = hour_matrix(everywhere.pool_id, since, until, names=("samples", "good_samples"))
    every, good = (column.sum(axis=1).astype(int) for column in matrix.columns.values())
    code_of = dict(zip(everywhere.pool_id.tolist(), everywhere.pool.tolist(), strict=True))
    # of pools that are all good, mostly all of them, no single sample is looked at
    codes = {pool_id: code_of[pool_id] for pool_id in matrix.pool_id[every > good].tolist()}
    samples = dict(zip(matrix.pool_id.tolist(), every.tolist(), strict=True))
    qualities: defaultdict[int, Counter[str]] = defaultdict(Counter)
    rules: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for pool_id, quality, rule, count in _odd_samples(list(codes), since, until):
        qualities[pool_id][quality] += count
        rules[pool_id][rule] += count
    found = [
        PoolAside(
            pool=code,
            samples=samples[pool_id],
            set_aside=qualities[pool_id].total(),
            by_quality=qualities[pool_id],
            by_rule=rules[pool_id],
        )
        for pool_id, code in codes.items()
        if qualities[pool_id]
    ]
    found.sort(key=lambda one: (-one.set_aside, one.pool))
    return GridAside(sum(samples.values()), tuple(found))


def _odd_samples(
    pool_ids: list[int], since: dt.datetime, until: dt.datetime
) -> list[tuple[int, str, str, int]]:
    if not pool_ids:
        return []
    stands = places_of(np.array(pool_ids, np.int64))
    stored = samples_between(stands.shelves, since, until)
    pool_id = stands.pool_at(stored.place)
    is_odd = (pool_id > 0) & (stored.quality != QUALITIES.index(Quality.GOOD))
    odd = np.stack([pool_id[is_odd], stored.quality[is_odd], stored.rule[is_odd]])
    found, counts = np.unique(odd, axis=1, return_counts=True)
    return [
        (pool, QUALITIES[quality].value, RULES[rule].value, count)
        for (pool, quality, rule), count in zip(found.T.tolist(), counts.tolist(), strict=True)
    ]
