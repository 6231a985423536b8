"""Packs what a plan leaves to the next one into bytes, and reads it again."""

import datetime as dt
import json
import zlib

import numpy as np

from scheduling.domain.planner.outcome import PlanMemory

# prices are rounded for storage: the next plan climbs from them in any case
DIGITS = 6


def pack_memory(memory: PlanMemory) -> bytes:
    """This function will pack a memory; the same memory gives the same bytes."""
    body = {
        "starts_at": memory.starts_at.isoformat(),
        "slotted": {
            name: [round(float(price), DIGITS) for price in prices]
            for name, prices in memory.slotted.items()
            if np.any(prices)
        },
        "single": {name: price for name, price in memory.single.items() if price},
        "starts": memory.starts,
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=int)
    return zlib.compress(text.encode(), 6)


def unpack_memory(packed: bytes) -> PlanMemory | None:
    """This function will read a memory, or return None where it cannot be read.

    A memory that is lost, or was written by another version, costs time and nothing else.
    """
    try:
        body = json.loads(zlib.decompress(packed))
        return PlanMemory(
            starts_at=dt.datetime.fromisoformat(body["starts_at"]),
            slotted={name: np.array(row, float) for name, row in body["slotted"].items()},
            single={name: float(price) for name, price in body["single"].items()},
            starts=tuple(
                (str(group), str(pool), int(slot), int(jobs))
                for group, pool, slot, jobs in body["starts"]
            ),
        )
    except (zlib.error, ValueError, KeyError, TypeError, AttributeError):
        return None
