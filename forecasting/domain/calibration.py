"""Names the buckets of leads in which skill and coverage are told apart."""

import numpy as np
import numpy.typing as npt

LEAD_BUCKETS: tuple[tuple[str, int, int], ...] = (
    ("1", 1, 1),
    ("2-6", 2, 6),
    ("7-12", 7, 12),
    ("13-24", 13, 24),
    ("25+", 25, 10_000),
)
"""Name, first and last lead (hours) of the buckets in which skill is told apart."""


def bucket_of_leads(horizon_h: int) -> npt.NDArray[np.intp]:
    """Return the position in `LEAD_BUCKETS` of leads 1..horizon_h.

    >>> bucket_of_leads(7).tolist()
    [0, 1, 1, 1, 1, 1, 2]
    """
    first = np.array([bucket[1] for bucket in LEAD_BUCKETS])
    return np.searchsorted(first, np.arange(1, horizon_h + 1), side="right") - 1
