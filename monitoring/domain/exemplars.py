"""Decides which exemplars of a series are kept: the newest few."""

import math
from collections.abc import Iterable, Sequence

from monitoring.domain.points import Labels

KEPT_EXEMPLARS = 10

# time (microseconds since 1970 UTC), value, labels
Entry = tuple[int, float, Labels]


def merge_ring(stored: Sequence[Entry], new: Iterable[Entry]) -> list[Entry]:
    """Return what is kept of a series' exemplars, newest first, each once.

    Args:
        stored: what was kept before.
        new: as they came.
    """
    every = {_key(entry): entry for entry in (*new, *stored)}
    kept = sorted(every, reverse=True)[:KEPT_EXEMPLARS]
    return [every[key] for key in kept]


def count_kept(ring: Iterable[Entry], new: Iterable[Entry]) -> int:
    """Return how many of the new ones are in a ring, those that came again among them."""
    keys = {_key(entry) for entry in ring}
    return sum(_key(entry) in keys for entry in new)


def write_entry(entry: Entry) -> list[object]:
    """Return an exemplar as JSON has it; numbers that JSON has not are texts."""
    measured_us, value, labels = entry
    return [measured_us, value if math.isfinite(value) else str(value), dict(labels)]


def read_entry(document: Sequence[object]) -> Entry:
    """Return the exemplar that `write_entry` wrote."""
    measured_us, value, labels = document
    if not (isinstance(measured_us, int) and isinstance(labels, dict)):
        raise TypeError("this is no exemplar that was written here")
    return measured_us, float(str(value)), tuple(sorted(labels.items()))


def _key(entry: Entry) -> tuple[int, str, Labels]:
    # NaN is equal to itself here
    return entry[0], repr(entry[1]), entry[2]
