"""Knows on what terms a provider's pools are judged and where they stand, without asking anew."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from monitoring import selectors
from monitoring.domain.samples import IntArray, PoolTable, PoolTerms
from monitoring.domain.shelves import SHELF_SLOTS
from monitoring.models import Pool


@dataclass(frozen=True)
class Terms:
    """What storing samples needs to know of p pools.

    Attributes:
        by_code: their terms.
        pool_id: (p,) int64, ascending.
        place: (p,) int64, shelf * SHELF_SLOTS + slot.
    """

    by_code: PoolTable
    pool_id: IntArray
    place: IntArray

    def place_of(self, pool_id: IntArray) -> IntArray:
        """Return (k,) int64, where some of the pools stand."""
        found: IntArray = self.place[np.searchsorted(self.pool_id, pool_id)]
        return found


def terms_of(provider_code: str | None) -> Terms:
    """Return the terms of a provider's pools, or of all pools without a provider.

    Triggers give the inventory another version with every change of a pool or a site, in the
    transaction of the change; a version that was rolled back is never given again.
    """
    return _terms_at(provider_code, selectors.inventory_version())


@lru_cache(maxsize=256)
def _terms_at(provider_code: str | None, version: int) -> Terms:  # noqa: ARG001
    pools = Pool.objects.order_by("pk")
    if provider_code is not None:
        pools = pools.filter(site__provider_id=provider_code)
    rows = list(pools.values_list("code", "pk", "contract", "place__shelf_id", "place__slot"))
    return Terms(
        by_code=PoolTable(
            {code: PoolTerms(pool_id, contract) for code, pool_id, contract, _, _ in rows}
        ),
        pool_id=np.array([row[1] for row in rows], np.int64),
        place=np.array([row[3] * SHELF_SLOTS + row[4] for row in rows], np.int64),
    )
