"""Pins the traces to the demo's time axis and names its steps, in whole seconds of grid time."""

from datetime import UTC, datetime

HOUR_S = 3600
DAY_S = 86_400
TICK_S = 300

# 2023-05-05T00:00+08:00, a Friday like 2020-05-01 (Helios) and 2017-10-06 (Philly).
HISTORY_START = 1_683_216_000
LIVE_START = HISTORY_START + 21 * DAY_S

# Helios is 24 days long; afterwards it repeats from its day 4, three whole weeks at a time.
HELIOS_START_LOCAL = datetime(2020, 5, 1)  # noqa: DTZ001 - the trace has local time without a zone
HELIOS_REPEAT_S = 21 * DAY_S

# Second 0 of the Philly trace is 2017-09-04 00:00, so 2017-10-06 00:00 is 32 days later.
PHILLY_PINNED_S = 32 * DAY_S
PHILLY_SHIFT_S = HISTORY_START - PHILLY_PINNED_S
# Its arrivals repeat after six whole weeks, counted from the start of the history.
PHILLY_LAP_S = 42 * DAY_S
PHILLY_LAP_END = HISTORY_START + PHILLY_LAP_S

PRICE_YEAR_START = 1_672_531_200  # 2023-01-01T00:00Z
PRICE_YEAR_H = 8_760


def rfc3339(at: int | None) -> str | None:
    """Return an epoch second as RFC 3339 text in UTC, or None for None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat().removesuffix("+00:00") + "Z"


def parse_rfc3339(text: str) -> int:
    """Return the epoch second of an RFC 3339 time.

    Raises:
        ValueError: The text is no time, or it has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = f"{text!r} has no offset from UTC"
        raise ValueError(msg)
    return int(moment.timestamp())


def price_hour(at: int) -> int:
    """Return the hour of 2023 (0 to 8759) whose price stands for a moment; wraps each year."""
    return (at - PRICE_YEAR_START) // HOUR_S % PRICE_YEAR_H


def next_tick(after: int) -> int:
    """Return the first telemetry tick later than `after` (epoch seconds)."""
    return after // TICK_S * TICK_S + TICK_S


def lap_windows(after: int, until: int) -> list[tuple[int, int, int]]:
    """Map the window (after, until] of grid time onto laps of the Philly arrivals.

    Args:
        after: Start of the window, exclusive, epoch s.
        until: End of the window, inclusive, epoch s.

    Returns:
        Windows (base_after, base_until, lap) in time order: an arrival at `base` seconds of the
        first lap comes again at `base + lap * PHILLY_LAP_S`. Their lengths sum to the window's.
    """
    windows = []
    while after < until:
        lap = max(0, (after + 1 - HISTORY_START) // PHILLY_LAP_S)
        lap_last = PHILLY_LAP_END + lap * PHILLY_LAP_S - 1
        end = min(until, lap_last)
        windows.append((after - lap * PHILLY_LAP_S, end - lap * PHILLY_LAP_S, lap))
        after = end
    return windows
