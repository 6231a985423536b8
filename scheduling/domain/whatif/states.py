"""Where a what-if stands."""

from enum import StrEnum


class WhatIfState(StrEnum):
    """WAITING until a worker takes it; then one of the two others."""

    WAITING = "WAITING"
    DONE = "DONE"
    FAILED = "FAILED"
