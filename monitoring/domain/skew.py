"""Decides how far a provider's clock is off, from the age of what it sends when it arrives.

What has just been measured arrives a moment later. A lag below zero needs a clock that is ahead.
A lag that is never small means a clock that is behind, or a sender that holds everything back: the
two cannot be told apart from here, and either makes the grid look at the past.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

KEPT_LAGS = 30
LEAST_LAGS = 5
ALARM_S = 5.0
# older than this is a sender that makes up for an outage, and says nothing about its clock
LARGEST_LAG_S = 3600.0
_LOW_SHARE = 0.2


class ClockState(StrEnum):
    """What can be said of a provider's clock."""

    UNKNOWN = "unknown"
    GOOD = "good"
    AHEAD = "ahead"
    BEHIND_OR_LATE = "behind-or-late"


@dataclass(frozen=True)
class Skew:
    """How far a clock is off.

    Attributes:
        seconds: ahead > 0, behind or late < 0, in seconds of the provider's own clock; None when
            too little is known.
        state: whether that is too much.
    """

    seconds: float | None
    state: ClockState


def add_lags(known: Sequence[float], new: Sequence[float]) -> list[float]:
    """Return the newest lags, oldest first, those left out that say nothing of a clock.

    Args:
        known: kept so far (s).
        new: of requests since then: arrival minus the newest time in the request (s).
    """
    return [*known, *(round(lag, 3) for lag in new if lag <= LARGEST_LAG_S)][-KEPT_LAGS:]


def estimate_skew(lags: Sequence[float]) -> Skew:
    """Return how far a clock is off by the small ones among the lags of its requests.

    Small ones, because the age of a tick and the way through the network only ever add to a lag;
    not the smallest, because one strange request is no clock.

    Args:
        lags: arrival minus the newest time in a request (s), of the newest requests.
    """
    if len(lags) < LEAST_LAGS:
        return Skew(None, ClockState.UNKNOWN)
    low = sorted(lags)[math.ceil(len(lags) * _LOW_SHARE) - 1]
    if low < -ALARM_S:
        state = ClockState.AHEAD
    elif low > ALARM_S:
        state = ClockState.BEHIND_OR_LATE
    else:
        state = ClockState.GOOD
    return Skew(-low, state)
