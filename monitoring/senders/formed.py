"""Remembers which pools have a row in the newest ticks, so that none is made twice for nothing."""

from collections import OrderedDict

import numpy as np

from monitoring.domain.samples import BoolArray, IntArray

TICKS_KEPT = 32


class FormedTicks:
    """The newest ticks and the pools that have rows in them; holds for one epoch."""

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._pools_of: OrderedDict[int, IntArray] = OrderedDict()

    def has(self, pool_id: IntArray, tick: IntArray, epoch: int | None) -> BoolArray:
        """Return (n,) whether a pool is known to have a row in a tick.

        Args:
            pool_id: (n,) int64.
            tick: (n,) int64.
            epoch: the present one.
        """
        is_formed = np.zeros(len(pool_id), bool)
        if epoch is None or epoch != self._epoch:
            return is_formed
        for number in np.unique(tick).tolist():
            pools = self._pools_of.get(number)
            if pools is not None:
                here = tick == number
                is_formed[here] = np.isin(pool_id[here], pools)
        return is_formed

    def note(self, pool_id: IntArray, tick: IntArray, epoch: int | None) -> None:
        """Keep that pools have rows; call it once they are committed."""
        if epoch is None:
            return
        # a request that is under way keeps looking at the table that it has found
        known = self._pools_of if epoch == self._epoch else OrderedDict[int, IntArray]()
        changed = OrderedDict(known)
        for number in np.unique(tick).tolist():
            pools = changed.get(number, np.zeros(0, np.int64))
            changed[number] = np.union1d(pools, pool_id[tick == number])
        while len(changed) > TICKS_KEPT:
            del changed[min(changed)]
        self._pools_of, self._epoch = changed, epoch
