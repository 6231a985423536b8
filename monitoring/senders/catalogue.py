"""Reads what holds for a provider's requests: its mapping, its pools and its mapped series."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from django.db import connection

from monitoring.domain.assembly import Sources
from monitoring.domain.samples import IntArray
from monitoring.formats.blocks import SHELF_SLOTS
from monitoring.senders.rules import MappingView, mapping_of, pools_of

_MAX_SPREAD = 64
_US_IN_S = 1_000_000


@dataclass(frozen=True)
class Catalogue:
    """What holds for one provider in one epoch.

    Attributes:
        epoch: ends with a change of rules, pools, or registered series; None = may not be kept.
        newest_id: the provider's newest series; registered ones only add to it.
        mapping: rules, tick and limit.
        pools: pool code to key.
        series_id: (s,) int64, ascending: the series that a rule takes.
        pool_id: (s,) int64; 0 where the pool that the rule leads to is gone.
        rule: (s,) int64, position in `mapping.rules`; -1 for a rule that is gone.
    """

    epoch: int | None
    newest_id: int
    mapping: MappingView
    pools: dict[str, int]
    series_id: IntArray
    pool_id: IntArray
    rule: IntArray

    def find(self, series_id: IntArray) -> IntArray:
        """Return (k,) int64, positions of series in the catalogue; -1 for one no rule takes."""
        if len(self.series_id) == 0:
            return np.full(len(series_id), -1, np.int64)
        if self._places is not None:
            offset = series_id - self.series_id[0]
            is_near = (offset >= 0) & (offset < len(self._places))
            return np.where(is_near, self._places[np.where(is_near, offset, 0)], -1)
        at = np.minimum(np.searchsorted(self.series_id, series_id), len(self.series_id) - 1)
        return np.where(self.series_id[at] == series_id, at, -1)

    def sources_of(self, pools: IntArray) -> tuple[Sources, IntArray]:
        """Return the mapped series of some pools.

        Args:
            pools: (p,) int64, sorted, each once.

        Returns:
            The series, by pool and then by key, and (s,) int64 for each series of the catalogue
            its position among them; -1 for one of another pool.
        """
        order = self._by_pool
        ranked = self.pool_id[order]
        at = np.minimum(np.searchsorted(pools, ranked), len(pools) - 1)
        chosen = order[(pools[at] == ranked) & (self.rule[order] >= 0)]
        place = np.full(len(self.series_id), -1, np.int64)
        place[chosen] = np.arange(len(chosen))
        return (
            Sources(
                self.series_id[chosen], self.pool_id[chosen], self.rule[chosen], self.mapping.rules
            ),
            place,
        )

    @property
    def tick_us(self) -> int:
        """Length of a tick, microseconds."""
        return round(self.mapping.tick_s * _US_IN_S)

    @cached_property
    def shelves(self) -> IntArray:
        """The shelves of the mapped series, each once."""
        return np.unique(self.series_id // SHELF_SLOTS)

    @cached_property
    def pool_codes(self) -> tuple[tuple[str, ...], IntArray]:
        """The provider's pools by their keys: the codes, and (p,) int64 the keys."""
        pairs = sorted((key, code) for code, key in self.pools.items())
        return tuple(code for _, code in pairs), np.array([key for key, _ in pairs], np.int64)

    @cached_property
    def _by_pool(self) -> IntArray:
        order: IntArray = np.argsort(self.pool_id, kind="stable")
        return order

    @cached_property
    def _places(self) -> IntArray | None:
        # keys stand close together as a rule: looking one up is then a step and not a search
        width = int(self.series_id[-1] - self.series_id[0]) + 1
        if width > _MAX_SPREAD * len(self.series_id) + _MAX_SPREAD:
            return None
        places = np.full(width, -1, np.int64)
        places[self.series_id - self.series_id[0]] = np.arange(len(self.series_id))
        return places


def read_catalogue(provider_code: str, known: Catalogue | None) -> tuple[Catalogue, int]:
    """Return what holds now, and how much the provider has sent; the caller holds its lock.

    Args:
        provider_code: the provider.
        known: what held before; nothing of it is read again in the same epoch.

    Raises:
        ProviderNotFound: there is no such provider.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HEADER, {"provider": provider_code})
        epoch, newest_id, received = cursor.fetchone()
    if known is None or epoch is None or known.epoch != epoch:
        nothing = np.zeros(0, np.int64)
        known = Catalogue(
            epoch=epoch,
            newest_id=-1,
            mapping=mapping_of(provider_code),
            pools=pools_of(provider_code),
            series_id=nothing,
            pool_id=nothing,
            rule=nothing,
        )
    return (known if newest_id == known.newest_id else _with_newer(known, newest_id)), received


def refresh(known: Catalogue) -> Catalogue:
    """Return the catalogue with the series that the caller's transaction has registered."""
    return read_catalogue(known.mapping.provider, known)[0]


def _with_newer(known: Catalogue, newest_id: int) -> Catalogue:
    with connection.cursor() as cursor:
        cursor.execute(_NEWER, [known.mapping.provider, known.newest_id])
        rows = cursor.fetchall()
    position = {rule.name: number for number, rule in enumerate(known.mapping.rules)}
    if not rows:
        return replace(known, newest_id=newest_id)
    series_id, pool_id, names = zip(*rows, strict=True)
    return replace(
        known,
        newest_id=newest_id,
        series_id=np.append(known.series_id, np.array(series_id, np.int64)),
        pool_id=np.append(known.pool_id, np.array(pool_id, np.int64)),
        rule=np.append(known.rule, np.array([position.get(name, -1) for name in names], np.int64)),
    )


_HEADER = """
SELECT (SELECT epoch FROM monitoring_senderepoch),
       coalesce((SELECT max(id) FROM monitoring_series WHERE provider_id = %(provider)s), 0),
       coalesce((SELECT received FROM monitoring_providertally
                  WHERE provider_id = %(provider)s), 0)
"""
_NEWER = """
SELECT id, coalesce(pool_id, 0), rule FROM monitoring_series
 WHERE provider_id = %s AND id > %s AND rule <> '' ORDER BY id
"""
